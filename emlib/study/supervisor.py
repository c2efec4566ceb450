"""Runs one block: supervises its worker, keeps each fit as it ends, writes the six files.

Standard library only while fits run, so that it outlives whatever kills its worker: a fit that
hangs, crashes, exits or eats the memory becomes a row, and the block goes on.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from emlib.errors import EmlibError
from emlib.study import garbage
from emlib.study.assembly import Rows, block_tables
from emlib.study.atomic import read_json, write_json
from emlib.study.blockresults import block_results, say
from emlib.study.grid import Block, load_study, planned_blocks
from emlib.study.locks import append_line, awaited
from emlib.study.paths import BLOCK_KINDS, StudyPaths, block_name
from emlib.study.workerprocess import WORKER, Worker


def run_block(
    study_dir: Path,
    dataset: str,
    missingness: str,
    model: str,
    block: int,
    fingerprint: str | None = None,
    planned_as: str = "",
    command: Sequence[str] = WORKER,
    threads: int = 1,
) -> int:
    """Compute what the store does not hold of one block, and write the block's six files.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``, with its ``study.json``, data and masks.
    dataset, missingness, model : str
        Ids.
    block : int
        Its number.
    fingerprint : str, optional
        Fingerprint of the numerical code that the head planned with; another one here is refused.
    planned_as : str
        Digest of all that decides the block's rows, kept in its file of fits.
    command : sequence of str
        How the worker is started.
    threads : int
        Of the cluster that the job starts for a model whose engine is Dask; all else is done in
        one thread.

    Returns
    -------
    int
        0, failed and lost fits included: they are rows.

    Raises
    ------
    EmlibError
        If the block cannot run at all: no data, another fingerprint, a folder that cannot be
        written, a worker that never starts.
    """
    paths = StudyPaths(study_dir)
    ids = (dataset, missingness, model, block)
    name = f"block {dataset} {missingness} {model} {block_name(block)}"
    try:
        with awaited(paths.block_lock(*ids), name), garbage.paused():
            _run_locked(paths, ids, name, fingerprint, planned_as, command, threads)
    except OSError as error:
        raise EmlibError(f"{name}: {error}") from error
    return 0


def _run_locked(
    paths: StudyPaths,
    ids: tuple[str, str, str, int],
    name: str,
    fingerprint: str | None,
    planned_as: str,
    command: Sequence[str],
    threads: int,
) -> None:
    began = time.time()
    study = load_study(paths.root)
    opening = {
        "study_dir": str(paths.root),
        "study": study,
        "block": asdict(_planned(paths, ids)),
        "fingerprint": fingerprint,
        "threads": threads,
    }
    worker = Worker(opening, command)
    with _ended_by_sigterm():
        try:
            plan = worker.start()
            results = block_results(paths, study, ids, name, worker, plan)
        finally:
            worker.stop()
    tasks, records, deaths = results.tasks, results.records, results.deaths
    tables, provisional = block_tables(tasks, records, deaths, study["keep_params"])
    ran = [(task.kind, number in results.reused) for number, task in tasks.items()
           if number in records or number in deaths]  # fmt: skip
    if provisional:
        _mark_loss(paths.lost(*ids))
    _write(paths, ids, tables, planned_as)
    _report(paths, ids, name, ran, provisional, results.damages, began)


def _planned(paths: StudyPaths, ids: tuple[str, str, str, int]) -> Block:
    """The block of these ids in the study's plan."""
    for block in planned_blocks(paths.root):
        if (block.dataset, block.missingness, block.model, block.block) == ids:
            return block
    raise EmlibError(f"{paths.study}: its plan has no block {'/'.join(map(str, ids))}")


def _mark_loss(path: Path) -> None:
    """Count one more run that ended with provisional rows: the next run then tries them again."""
    try:
        count = int(read_json(path)["count"])
    except (FileNotFoundError, ValueError, KeyError):
        count = 0
    write_json(path, {"count": count + 1})


def _write(
    paths: StudyPaths, ids: tuple[str, str, str, int], tables: dict[str, Rows], planned_as: str
) -> None:
    from emlib.study.files import write_table

    for kind in BLOCK_KINDS:  # one tells for all: they are written together, and removed together
        told = planned_as if kind == "fits" else ""
        write_table(paths.block(kind, *ids), tables[kind], kind, told)


def _report(
    paths: StudyPaths,
    ids: tuple[str, str, str, int],
    name: str,
    ran: list[tuple[str, bool]],
    provisional: int,
    damages: list[str],
    began: float,
) -> None:
    """One line in the log, and the same counts in the study's events.

    ``ran`` has the kind of each task that ended, and whether its result was in the store.
    """
    kinds = {"fit": "", "reference": "reference_starts_", "certificate": "certificates_"}
    counts: dict[str, int] = {}
    for kind, prefix in kinds.items():
        reused = [again for one, again in ran if one == kind]
        counts[prefix.rstrip("_") or "fits"] = len(reused)
        counts[f"{prefix}reused"] = sum(reused)
        counts[f"{prefix}computed"] = len(reused) - sum(reused)
    counts["provisional"] = provisional
    say(
        f"{name}: {counts['fits']} fits, {counts['reused']} reused, {counts['computed']} computed; "
        f"{counts['reference_starts']} reference starts, {counts['reference_starts_reused']} "
        f"reused, {counts['reference_starts_computed']} computed; {counts['certificates']} "
        f"certificates, {counts['certificates_reused']} reused, "
        f"{counts['certificates_computed']} computed; {provisional} provisional"
    )
    names = dict(zip(("dataset", "missingness", "model", "block"), ids, strict=True))
    times = {"started": began, "ended": time.time()}
    told = {"damages": damages} if damages else {}
    append_line(paths.events, {"event": "block", **names, **counts, **told, **times})


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Let SIGTERM unwind the stack, so that the worker is ended and the journals reach the disk."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
