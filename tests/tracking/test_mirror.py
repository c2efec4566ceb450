"""What a mirrored study shows, read back from the real database that it was written to."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient

from emlib.errors import StoreError
from emlib.tracking.mirror import mirror_study
from emlib.tracking.server import PARENT, Experiment, TrackingError
from tests.tracking.reading import CELLS, FITS, history, kind
from tests.tracking.tiny import Tiny


def test_a_study_becomes_an_experiment_with_a_run_a_cell_and_a_child_run_a_best_fit(tiny: Tiny):
    receipt = mirror_study(tiny.write())
    cells, fits = kind(tiny.uri, "cell"), kind(tiny.uri, "fit")
    assert (len(cells), len(fits)) == (CELLS, FITS) == (receipt["cells"], receipt["fits"])
    cell_of = {run.info.run_id: run.data.tags["emlib.cell_id"] for run in cells}
    assert all(cell_of[run.data.tags[PARENT]] == run.data.tags["emlib.cell_id"] for run in fits)
    assert {run.data.params["start"] for run in fits} == {"0"}
    assert {run.info.status for run in cells + fits} == {"FINISHED"}


def test_a_cell_shows_its_settings_its_counts_and_its_median_curves(tiny: Tiny):
    mirror_study(tiny.write())
    cell = next(
        run
        for run in kind(tiny.uri, "cell")
        if (run.data.params["init"], run.data.params["missingness"]) == ("kmeans++", "mcar-0.1")
    )
    params = {"dataset": "faithful", "mechanism": "mcar", "rate": "0.1", "model.n_components": "2"}
    assert params.items() <= cell.data.params.items()
    metrics = {"hit_rate": 0.5, "hit_low": 0.2, "hit_high": 0.8, "failures": 0.0, "ari": 0.9}
    metrics |= {"final_loglik_median": -101.5, "final_loglik_q05": -103.0, "status_converged": 4.0}
    assert metrics.items() <= cell.data.metrics.items()
    assert next(iter(cell.data.metrics)) == "hit_rate"
    assert history(tiny.uri, cell, "loss_median")[0] == (0, 50.0)
    assert not any("+" in key for key in (*cell.data.params, *cell.data.metrics, *cell.data.tags))


def test_cells_that_are_compared_have_the_same_metrics_at_the_same_steps(tiny: Tiny):
    mirror_study(tiny.write())
    pair = [run for run in kind(tiny.uri, "cell") if run.data.params["missingness"] == "none"]
    assert len(pair) == 2
    assert pair[0].data.metrics.keys() == pair[1].data.metrics.keys()
    for name in ("loss_median", "loglik_median", "loss_q25", "loss_q75"):
        steps = [[step for step, _ in history(tiny.uri, run, name)] for run in pair]
        assert steps[0] == steps[1]


def test_a_fit_shows_its_final_loglik_and_a_thinned_curve_with_its_first_and_last_point(
    tiny: Tiny,
):
    tiny.length = 900
    mirror_study(tiny.write())
    run = kind(tiny.uri, "fit")[0]
    curve = history(tiny.uri, run, "loglik")
    assert (curve[0][0], curve[-1][0]) == (0, 900)
    assert 50 < len(curve) <= 200
    assert (
        run.data.metrics["loglik"] == curve[-1][1] == -100.0 - float(run.data.params["replicate"])
    )
    assert run.data.metrics["seconds"] == 0.75


@pytest.mark.parametrize(("option", "expected"), [("all", 16), ("none", 0)])
def test_the_option_says_which_fits_get_a_run(tiny: Tiny, option: str, expected: int):
    tiny.study["tracking"]["runs"] = option
    mirror_study(tiny.write())
    assert len(kind(tiny.uri, "fit")) == expected


def test_times_come_from_the_files(tiny: Tiny):
    mirror_study(tiny.write())
    run = next(run for run in kind(tiny.uri, "fit") if run.data.params["replicate"] == "1")
    start = 1_700_000_010_000
    assert (run.info.start_time, run.info.end_time) == (start, start + 875)
    points = MlflowClient(tiny.uri).get_metric_history(run.info.run_id, "loglik")
    assert {point.timestamp for point in points} == {start + 875}


def test_values_that_are_not_finite_are_tags_and_a_failed_fit_is_a_run(tiny: Tiny):
    tiny.fails = {("random", 1, 0)}
    mirror_study(tiny.write())
    failed = [run for run in kind(tiny.uri, "fit") if run.data.tags["emlib.status"] == "failed"]
    assert len(failed) == 2
    assert {"loss", "loglik", "bic"}.isdisjoint(failed[0].data.metrics)
    assert failed[0].data.tags["emlib.nonfinite.loss"] == "inf"
    assert failed[0].data.tags["emlib.nonfinite.loglik"] == "nan"
    assert failed[0].data.tags["emlib.message"] == "LinAlgError: no"
    cell = next(run for run in kind(tiny.uri, "cell") if run.data.metrics["failures"])
    assert cell.data.tags["emlib.nonfinite.final_loss_median"] == "inf"
    assert cell.data.tags["emlib.nonfinite.loss_median"].startswith("2 of ")
    assert cell.data.metrics["status_failed"] == 1


def test_an_experiment_that_emlib_did_not_make_is_refused(tiny: Tiny):
    study = tiny.write()
    MlflowClient(tiny.uri).create_experiment("tiny")
    with pytest.raises(TrackingError, match="was not made by emlib; give the study another name"):
        mirror_study(study)


def test_a_study_without_tables_is_refused(tiny: Tiny):
    study = tiny.write()
    (study / "tables" / "hits.parquet").unlink()
    with pytest.raises(StoreError, match=r"hits\.parquet: no such file"):
        mirror_study(study)


def test_a_file_that_is_not_a_database_is_named_and_left_alone(tiny: Tiny):
    database = tiny.root.parent / "notes.db"
    study = tiny.write()
    database.write_text("my notes\n" * 1000)
    with pytest.raises(TrackingError, match=r"notes\.db: file is not a database"):
        mirror_study(study, f"sqlite:///{database}")
    assert database.read_text().startswith("my notes")


def test_the_receipt_says_what_was_done_and_where(tiny: Tiny):
    receipt = mirror_study(tiny.write(), tiny.uri + "?timeout=30")
    assert receipt["uri"] == tiny.uri
    assert json.loads((tiny.root / "mlflow.json").read_text()) == receipt


def test_a_run_with_more_points_than_one_request_takes_is_written_whole(tiny: Tiny):
    from emlib.tracking.records import RunRecord

    mirror_study(tiny.write())
    record = RunRecord("cell", "long", None, "long", 1, 2)
    record.curve("loss", range(2500), map(float, range(2500)))
    for number in range(120):
        record.param(f"p{number}", number)
    run_id = Experiment(tiny.uri, "tiny", None).write(record, record.content(), None)
    run = MlflowClient(tiny.uri).get_run(run_id)
    assert len(history(tiny.uri, run, "loss")) == 2500
    assert len(run.data.params) == 120


def test_the_mirror_is_silent(fresh: Tiny):
    study = fresh.write()
    call = f"from emlib.tracking.mirror import mirror_study; mirror_study({str(study)!r})"
    done = subprocess.run([sys.executable, "-c", call], check=True, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("", "")


def test_nothing_is_written_outside_the_results(
    fresh: Tiny, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    mirror_study(fresh.write())
    assert list((tmp_path / "elsewhere").iterdir()) == []
    assert {path.name for path in (tmp_path / "results").iterdir()} == {
        "mlflow.db", "mlflow.db.lock", "tiny"
    }  # fmt: skip
