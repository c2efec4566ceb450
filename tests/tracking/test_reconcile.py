"""Mirroring again: after nothing, after a change, after a death, after deletions."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import ViewType

from emlib.tracking.mirror import mirror_study
from emlib.tracking.server import PARENT
from tests.tracking.reading import CELLS, FITS, kind, runs, shown
from tests.tracking.tiny import Tiny


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


def test_a_mirroring_reads_the_existing_runs_page_by_page(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("emlib.tracking.server.PAGE", 3)
    study = tiny.write()
    mirror_study(study)
    assert mirror_study(study)["done"]["unchanged"] == CELLS + FITS
