"""Convergence curves are never truncated to survivors."""

import tempfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd

from emlib.report.convergence import convergence_tables
from emlib.report.outcomes import judge
from emlib.study import files
from emlib.study.paths import StudyPaths
from tests.report.conftest import fit_frame, reference_frame


def curves_of(rows, curves, log_prior=None):
    """Tables by iteration and by E-steps of fits with curves (iteration, E-steps, loglik)."""
    fits = fit_frame(rows)
    points = [
        {
            "fit_id": name,
            "iteration": k,
            "e_steps": work,
            "loglik": loglik,
            "objective": loglik + (log_prior or 0.0),
        }
        for name, curve in curves.items()
        for k, work, loglik in curve
    ]
    plan = pd.DataFrame({"cell_id": [f"c{k}" for k in range(fits["cell"].max() + 1)]})
    block = {"dataset": "a", "missingness": "none", "model": "m", "block": 0}
    coverage = pd.DataFrame([block | {"found": len(fits), "missing": ""}])
    with tempfile.TemporaryDirectory() as folder:
        paths = StudyPaths(Path(folder))
        frame = pd.DataFrame(points, columns=files.SCHEMAS["curves"].names)
        names = dict.fromkeys(("cell_id", "init", "algorithm"), "")
        rows = frame.assign(**names, replicate=0, start=0).to_dict("records")
        files.write_table(paths.block("curves", *block.values()), rows, "curves")
        results = SimpleNamespace(fits=fits, plan=plan, paths=paths, coverage=coverage)
        results.penalized = set() if log_prior is None else {"m"}
        return convergence_tables(results, judge(fits, reference_frame(), 1e-3), 1e-3)


LONG = [(0, 2.0, -300.0), (10, 12.0, -110.0), (100, 102.0, -100.0)]


def test_a_fit_that_stopped_keeps_its_last_loss():
    short = [(0, 2.0, -150.0), (3, 5.0, -104.0)]
    table, _ = curves_of([{"loglik_polished": -104.0}, {"cell": 1}], {"f0": short, "f1": LONG})
    first = table[table["cell_id"] == "c0"].set_index("iteration")["loss_median"]
    assert first[0] == 50.0
    assert first[100] == 4.0


def test_cells_taken_one_at_a_time_give_the_same_curves(monkeypatch):
    short = [(0, 2.0, -150.0), (3, 5.0, -104.0)]
    rows = [{"loglik_polished": -104.0}, {"cell": 1}, {"cell": 0}, {"cell": 2}]
    at_once = curves_of(rows, {"f0": short, "f1": LONG, "f2": LONG})
    monkeypatch.setattr("emlib.report.convergence.MOST_FITS", 1)
    for table, whole in zip(
        curves_of(rows, {"f0": short, "f1": LONG, "f2": LONG}), at_once, strict=True
    ):
        pd.testing.assert_frame_equal(table, whole)


def test_the_loss_of_a_penalized_climb_is_that_of_its_objective():
    curve = [(0, 2.0, -30.0), (100, 102.0, -10.0)]
    table, _ = curves_of([{"loglik": -10.0}], {"f0": curve}, log_prior=-90.0)
    by_iteration = table.set_index("iteration")
    assert by_iteration["loss_median"][0] == 20.0
    assert by_iteration["loss_median"].iloc[-1] == 0.0
    assert by_iteration["loglik_median"].iloc[-1] == -10.0


def test_a_fit_that_failed_without_a_curve_counts_as_infinite_loss():
    failed = [{"status": "failed", "loglik_polished": np.nan}] * 2
    table, _ = curves_of([*failed, {}], {"f2": LONG})
    assert np.isinf(table["loss_median"]).all()
    assert table["loss_q25"].iloc[-1] == 0.0


def test_a_fit_that_degenerates_has_infinite_loss_from_its_end_on():
    up = [(0, 2.0, -300.0), (10, 12.0, -110.0), (20, 22.0, -40.0)]
    table, _ = curves_of([{"status": "degenerate"}, {"cell": 1}], {"f0": up, "f1": LONG})
    first = table[table["cell_id"] == "c0"].set_index("iteration")["loss_median"]
    assert first[0] == 200.0
    assert np.isinf(first[100])


def test_before_an_init_has_paid_its_cost_there_is_no_loss():
    _, table = curves_of([{}], {"f0": LONG})
    assert np.isinf(table.loc[table["e_steps"] < 2.0, "loss_median"]).all()
    assert (table.loc[table["e_steps"] >= 2.0, "loss_median"] <= 200.0).all()


def test_medians_are_over_all_fits_of_a_cell():
    other = [(0, 2.0, -200.0), (100, 102.0, -120.0)]
    rows = [{}, {"loglik_polished": -120.0, "start": 1}, {"loglik_polished": -120.0, "start": 2}]
    table, _ = curves_of(rows, {"f0": LONG, "f1": other, "f2": other})
    assert table["loss_median"].iloc[-1] == 20.0
    assert table["loglik_median"].iloc[-1] == -120.0
