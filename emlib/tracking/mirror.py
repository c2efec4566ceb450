"""The mirror: brings MLflow up to date with a study's finished files, and says what it did.

MLflow is read once, compared with what the files say, and only the difference is written. Nothing
is remembered between two mirrorings, so the database can be deleted, and a mirroring that died
half-way is simply run again.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emlib.study.atomic import write_json
from emlib.study.paths import StudyPaths
from emlib.tracking.gather import read_study, records
from emlib.tracking.location import tracking_uri, without_secrets
from emlib.tracking.records import RunRecord
from emlib.tracking.sqlite import first_filling, sqlite_path, writer_lock


def mirror_study(study_dir: Path | str, uri: str | None = None) -> dict[str, Any]:
    """Mirror a finished study into MLflow: an experiment a study, a run a cell, a child run a fit.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``, with its tables made.
    uri : str, optional
        MLflow's tracking URI; by default the study's ``tracking.uri``, and ``mlflow.db`` beside
        the study where that is null.

    Returns
    -------
    dict
        The receipt, also written to ``results/<study>/mlflow.json``: the URI without secrets, the
        experiment, how many cells and fits it shows, and what was done to get there.

    Raises
    ------
    StoreError
        If a file of the study is missing or damaged.
    ConfigError
        If the URI cannot be used.
    TrackingError
        If MLflow cannot be reached or written.
    """
    paths = StudyPaths(Path(study_dir))
    source = read_study(paths.root)
    name = source.study["study"]
    uri = tracking_uri(paths.root, uri or source.study["tracking"]["uri"])
    wanted = records(source)
    with _connected(uri, name, paths) as experiment:
        done = _reconcile(experiment, wanted)
    kinds = Counter(record.kind for record in wanted)
    receipt = {
        "study": name,
        "uri": without_secrets(uri),
        "experiment_id": experiment.id,
        "runs": source.study["tracking"]["runs"],
        "cells": kinds["cell"],
        "fits": kinds["fit"],
        "done": done,
    }
    write_json(paths.receipt, receipt)
    return receipt


@contextmanager
def _connected(uri: str, name: str, paths: StudyPaths) -> Iterator[Any]:
    """The study's experiment; a SQLite file is locked meanwhile."""
    from emlib.tracking.server import Experiment, tracking_errors

    database = sqlite_path(uri)
    with tracking_errors(uri):
        if database is None:
            yield Experiment(uri, name, None)
            return
        with writer_lock(database), first_filling(database):
            yield Experiment(uri, name, str(paths.results.absolute() / "mlflow-files"))


def _reconcile(experiment: Any, wanted: list[RunRecord]) -> dict[str, int]:
    """Write, restore, move and delete runs until MLflow shows `wanted`, parents before children.

    Everything new is finished before anything old is deleted, so that at no moment a cell that
    was shown is gone.
    """
    stored = defaultdict(list)
    for run in experiment.stored():
        stored[run.key].append(run)
    done = Counter(dict.fromkeys(("written", "restored", "moved", "deleted", "unchanged"), 0))
    run_ids: dict[str, str] = {}
    kept = set()
    for record in wanted:
        content = record.content()
        parent_id = run_ids[record.parent] if record.parent else None
        same = [run for run in stored[record.key] if run.finished and run.content == content]
        run = max(same, key=lambda run: run.active, default=None)
        if run is None:
            run_id = experiment.write(record, content, parent_id)
            done["written"] += 1
        else:
            run_id = run.run_id
            done["unchanged" if run.active else "restored"] += 1
            if not run.active:
                experiment.restore(run_id)
            if parent_id is not None and run.parent_id != parent_id:
                experiment.move(run_id, parent_id)
                done["moved"] += 1
        kept.add(run_id)
        if record.kind == "cell":
            run_ids[record.identity] = run_id
    for run in (run for runs in stored.values() for run in runs):
        if run.active and run.run_id not in kept:
            experiment.delete(run.run_id)
            done["deleted"] += 1
    return dict(done)
