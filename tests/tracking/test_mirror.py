"""The mirror, read back from the real database that it wrote."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from emlib.errors import StoreError
from emlib.tracking.mirror import mirror_study
from emlib.tracking.server import PARENT, Experiment, TrackingError
from tests.tracking.tiny import Tiny

CELLS, FITS = 4, 8


def runs(uri: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], "", view, 1000))


def kind(uri: str, name: str) -> list[Run]:
    return [run for run in runs(uri) if run.data.tags["emlib.kind"] == name]


def shown(uri: str) -> list[dict]:
    """What a reader of MLflow sees, without MLflow's own run ids."""
    names = {run.info.run_id: run.data.tags["emlib.cell_id"] for run in runs(uri)}
    return sorted(
        (
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "times": [run.info.start_time, run.info.end_time],
                "params": run.data.params,
                "metrics": run.data.metrics,
                "tags": run.data.tags | {PARENT: names.get(run.data.tags.get(PARENT, ""), "")},
            }
            for run in runs(uri)
        ),
        key=json.dumps,
    )


def history(uri: str, run: Run, name: str) -> list[tuple[int, float]]:
    points = MlflowClient(uri).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in points)


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


def test_mirroring_twice_adds_nothing(tiny: Tiny):
    study = tiny.write()
    first = mirror_study(study)
    before = shown(tiny.uri)
    second = mirror_study(study)
    assert first["done"] == {
        "written": CELLS + FITS, "restored": 0, "moved": 0, "deleted": 0, "unchanged": 0
    }  # fmt: skip
    assert second["done"] == first["done"] | {"written": 0, "unchanged": CELLS + FITS}
    assert shown(tiny.uri) == before
    assert len(runs(tiny.uri, ViewType.ALL)) == CELLS + FITS


def test_a_deleted_database_comes_back_whole(fresh: Tiny):
    study = fresh.write()
    call = f"from emlib.tracking.mirror import mirror_study; mirror_study({str(study)!r})"
    subprocess.run([sys.executable, "-c", call], check=True)
    copy = fresh.root.parent / "first.db"
    database = fresh.root.parent / "mlflow.db"
    database.rename(copy)
    subprocess.run([sys.executable, "-c", call], check=True)
    assert shown(f"sqlite:///{database}") == shown(f"sqlite:///{copy}")


def test_only_runs_whose_content_changed_are_written_anew_and_the_old_ones_deleted(tiny: Tiny):
    mirror_study(tiny.write())
    tiny.change = 0.25
    done = mirror_study(tiny.write())["done"]
    changed = (CELLS + FITS) // 2
    assert (done["written"], done["deleted"], done["unchanged"]) == (changed, changed, changed)
    logliks = {run.data.metrics["final_loglik_median"] for run in kind(tiny.uri, "cell")}
    assert logliks == {-101.5, -101.25}


def test_content_that_comes_back_is_restored_not_written_again(tiny: Tiny):
    mirror_study(tiny.write())
    before = shown(tiny.uri)
    for tiny.change in (0.25, 0.0):
        done = mirror_study(tiny.write())["done"]
    assert (done["written"], done["restored"]) == (0, (CELLS + FITS) // 2)
    assert shown(tiny.uri) == before


def test_the_fits_of_a_cell_that_grew_move_to_its_new_run(tiny: Tiny):
    mirror_study(tiny.write())
    tiny.hits = 5
    done = mirror_study(tiny.write())["done"]
    assert (done["written"], done["deleted"], done["moved"]) == (CELLS, CELLS, FITS)
    parents = {run.info.run_id for run in kind(tiny.uri, "cell")}
    assert {run.data.tags[PARENT] for run in kind(tiny.uri, "fit")} == parents


def test_growing_a_study_writes_only_the_new_fits_and_the_cells_that_hold_them(tiny: Tiny):
    mirror_study(tiny.write())
    tiny.study["replicates"] = 4
    done = mirror_study(tiny.write())["done"]
    assert done["written"] == CELLS + 2 * CELLS
    assert len(kind(tiny.uri, "fit")) == FITS + 2 * CELLS


def test_cells_that_left_the_study_leave_the_mirror(tiny: Tiny):
    mirror_study(tiny.write())
    del tiny.study["inits"]["random"]
    mirror_study(tiny.write())
    assert {run.data.params["init"] for run in runs(tiny.uri)} == {"kmeans++"}


def test_a_mirroring_that_died_is_finished_by_the_next(
    tiny: Tiny, empty_database: Path, monkeypatch: pytest.MonkeyPatch
):
    finish = MlflowClient.set_terminated
    left = iter(range(6))

    def dies(*args: object, **kwargs: object) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        finish(*args, **kwargs)

    study = tiny.write()
    monkeypatch.setattr(MlflowClient, "set_terminated", dies)
    with pytest.raises(KeyboardInterrupt):
        mirror_study(study)
    monkeypatch.undo()
    assert [run.info.status for run in runs(tiny.uri)].count("RUNNING") == 1
    done = mirror_study(study)["done"]
    assert (done["unchanged"], done["written"], done["deleted"]) == (6, CELLS + FITS - 6, 1)
    other = tiny.root.parent / "other.db"
    shutil.copy(empty_database, other)
    mirror_study(study, f"sqlite:///{other}")
    assert shown(tiny.uri) == shown(f"sqlite:///{other}")


def test_a_deleted_run_and_a_deleted_experiment_come_back(tiny: Tiny):
    study = tiny.write()
    receipt = mirror_study(study)
    before = shown(tiny.uri)
    client = MlflowClient(tiny.uri)
    client.delete_run(runs(tiny.uri)[0].info.run_id)
    assert mirror_study(study)["done"]["restored"] == 1
    client.delete_experiment(receipt["experiment_id"])
    mirror_study(study)
    assert shown(tiny.uri) == before


def test_runs_that_are_not_ours_are_left_alone(tiny: Tiny):
    study = tiny.write()
    receipt = mirror_study(study)
    client = MlflowClient(tiny.uri)
    mine = client.create_run(receipt["experiment_id"], run_name="a note")
    tiny.change = 0.25
    mirror_study(tiny.write())
    assert client.get_run(mine.info.run_id).info.lifecycle_stage == "active"


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


def test_a_mirroring_reads_the_existing_runs_page_by_page(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("emlib.tracking.server.PAGE", 3)
    study = tiny.write()
    mirror_study(study)
    assert mirror_study(study)["done"]["unchanged"] == CELLS + FITS


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


def test_two_studies_mirrored_at_once_into_one_new_file_both_arrive(fresh: Tiny):
    call = "import sys; from emlib.tracking.mirror import mirror_study; mirror_study(sys.argv[1])"
    studies = []
    for name in ("one", "two"):
        fresh.study["study"] = name
        fresh.root = fresh.root.parent / name
        studies.append(fresh.write())
    jobs = [subprocess.Popen([sys.executable, "-c", call, str(study)]) for study in studies]
    assert [job.wait(timeout=120) for job in jobs] == [0, 0]
    client = MlflowClient(fresh.uri)
    counts = {
        experiment.name: len(client.search_runs([experiment.experiment_id]))
        for experiment in client.search_experiments()
    }
    assert counts == {"Default": 0, "one": CELLS + FITS, "two": CELLS + FITS}
