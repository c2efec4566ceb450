"""Replicates and cells: budget, running time, one data set, deterministic inits."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from emlib.report.cells import hit_rates, replicate_table
from emlib.report.contrasts import PRIMARY, SINGLE, difference_table
from emlib.report.estimation import estimation_table
from emlib.report.load import Results
from emlib.report.outcomes import judge
from emlib.report.statistics import Bootstrap
from emlib.report.tables import worst_table
from emlib.study.measures import MEASURES
from tests.report.conftest import fit_frame, reference_frame
from tests.report.test_statistics import generator

MISS = {"loglik_polished": -105.0}


def replicates_of(rows):
    fits = fit_frame(rows)
    outcomes = judge(fits, reference_frame(), 1e-3)
    return (
        fits,
        outcomes,
        replicate_table(Results(None, {}, None, fits, None, None, None), outcomes),
    )


def test_work_to_a_hit_is_that_of_the_starts_before_it_and_its_own():
    _, _, table = replicates_of([MISS, {"start": 1}, {"start": 2}])
    assert table["work_to_hit"].tolist() == [20.0]
    assert table["seconds_to_hit"].tolist() == pytest.approx([2.0])
    assert table["work"].tolist() == [30.0]
    assert table["start_hits"].tolist() == [2]


def test_starts_are_taken_in_order_whatever_the_order_of_the_rows():
    _, _, table = replicates_of([{"start": 2}, MISS | {"start": 0}, MISS | {"start": 1}])
    assert table["work_to_hit"].tolist() == [30.0]


def test_work_does_not_leak_from_one_replicate_into_the_next():
    _, _, table = replicates_of([MISS | {"replicate": 0}, {"replicate": 1}])
    assert table["work_to_hit"].tolist() == [np.inf, 10.0]


def test_a_hit_beyond_the_budget_does_not_count():
    _, _, table = replicates_of([MISS, {"start": 1}])
    assert hit_rates(table, 19.0, 1, np.array([False]))["hits"].tolist() == [0]
    assert hit_rates(table, 20.0, 1, np.array([False]))["hits"].tolist() == [1]


def test_the_best_start_of_a_replicate_has_the_least_loss():
    _, _, table = replicates_of([MISS, {"start": 1}, {"start": 2}])
    assert table["best"].tolist() == [1]


def test_a_rate_without_randomness_has_no_interval():
    _, _, table = replicates_of([{"replicate": r} for r in range(5)])
    steady = hit_rates(table, np.inf, 1, np.array([True])).iloc[0]
    assert (steady["hit_low"], steady["hit_high"]) == (1.0, 1.0)
    drawn = hit_rates(table, np.inf, 1, np.array([False])).iloc[0]
    assert drawn["hit_low"] < 1.0


def plan_of(inits):
    rows = [
        {
            "cell_id": f"c{k}",
            "dataset": "a",
            "missingness": "none",
            "model": "m",
            "algorithm": "em",
            "init": init,
            "oracle": init == "truth",
        }
        for k, init in enumerate(inits)
    ]
    return pd.DataFrame(rows)


def results_of(inits, rows):
    fits, outcomes, table = replicates_of(rows)
    study = {"baseline": "random", "seed": 1}
    return SimpleNamespace(fits=fits, plan=plan_of(inits), study=study), outcomes, table


def test_differences_are_paired_by_replicate():
    rows = [MISS | {"replicate": r, "cell": 0} for r in range(8)]
    rows += [{"replicate": r, "cell": 1} for r in range(8)]
    results, _, table = results_of(["random", "kmeans"], rows)
    found = difference_table(results, table, np.inf, Bootstrap(generator, 500))
    primary = found[found["estimand"] == PRIMARY].iloc[0]
    assert primary["init"] == "kmeans"
    assert primary["difference"] == 1.0
    assert primary["verdict"] == "better"
    assert primary["replicates"] == 8
    assert set(found["estimand"]) == {PRIMARY, SINGLE}


def test_a_replicate_that_one_init_lacks_is_left_out_of_the_pairs():
    rows = [MISS | {"replicate": r, "cell": 0} for r in range(8)]
    rows += [{"replicate": r, "cell": 1} for r in range(4)]
    results, _, table = results_of(["random", "kmeans"], rows)
    found = difference_table(results, table, np.inf, Bootstrap(generator, 500))
    assert (found["replicates"] == 4).all()


def test_the_oracle_widens_no_other_interval():
    rows = [MISS | {"replicate": r, "cell": 0} for r in range(8)]
    rows += [(MISS if r % 3 else {}) | {"replicate": r, "cell": 1} for r in range(8)]
    without = results_of(["random", "kmeans"], rows)
    rows += [{"replicate": r, "cell": 2} for r in range(8)]
    beside = results_of(["random", "kmeans", "truth"], rows)
    tables = [
        difference_table(results, table, np.inf, Bootstrap(generator, 500))
        for results, _, table in (without, beside)
    ]
    first, second = (table[table["init"] == "kmeans"].reset_index(drop=True) for table in tables)
    pd.testing.assert_frame_equal(first, second)


def test_without_the_baseline_in_a_setting_there_are_no_differences():
    results, _, table = results_of(["kmeans"], [{"cell": 0}])
    assert len(difference_table(results, table, np.inf, Bootstrap(generator, 10))) == 0


def test_estimates_are_those_of_the_best_start_and_failures_are_counted():
    errors = dict.fromkeys(MEASURES, np.nan) | {"ari": 0.9}
    del errors["parameter_error"]
    rows = [
        MISS | {"parameter_error": 9.0} | errors,
        {"start": 1, "parameter_error": 1.0} | errors,
        {"replicate": 1, "parameter_error": 3.0} | errors,
        {"replicate": 2, "status": "failed", "loglik_polished": np.nan, "parameter_error": np.nan}
        | errors,
    ]
    results, _, table = results_of(["random"], rows)
    found = estimation_table(results, table).iloc[0]
    assert found["parameter_error"] == 2.0
    assert found["parameter_error_replicates"] == 2
    assert found["parameter_error_se"] == pytest.approx(1.0)
    assert found["imputation_error_replicates"] == 0


def test_the_worst_fits_are_errors_first_then_losses():
    named = {"algorithm": "em", "oracle": False, "message": ""}
    rows = [
        {"loglik_polished": -101.0, "cell": 0},
        {"loglik_polished": -109.0, "cell": 0, "start": 1},
        {"status": "degenerate", "cell": 1},
        {"status": "failed", "cell": 2},
        {"cell": 3},
    ]
    fits = fit_frame([row | named for row in rows])
    worst = worst_table(fits, judge(fits, reference_frame(), 1e-3))
    assert worst["fit_id"].tolist() == ["f3", "f2", "f1", "f0"]
