"""Runs one block: supervises its worker, keeps each fit as it ends, writes the six files.

Standard library only while fits run, so that it outlives whatever kills its worker: a fit that
hangs, crashes, exits or eats the memory becomes a row, and the block goes on.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study import garbage
from emlib.study.assembly import Death, Row, Rows, Task, block_tables
from emlib.study.atomic import read_json, write_json
from emlib.study.grid import Block, load_study, one_data_set, planned_blocks
from emlib.study.journal import decode
from emlib.study.locks import append_line, awaited
from emlib.study.optima import worth_certifying
from emlib.study.paths import BLOCK_KINDS, StudyPaths, block_name
from emlib.study.protocol import FINAL, Frame
from emlib.study.store import Store, Writer
from emlib.study.workerprocess import WORKER, Worker, run_tasks


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
    search_lock = _search_lock(paths, study, ids)
    with _ended_by_sigterm():
        try:
            tasks = [Task(**record) for record in worker.start()]
            records, deaths, reused, damages = _results(
                paths, name, study, worker, tasks, search_lock
            )
        finally:
            worker.stop()
    tables, provisional = block_tables(tasks, records, deaths, study["keep_params"])
    ran = [(task.kind, number in reused) for number, task in enumerate(tasks)
           if number in records or number in deaths]  # fmt: skip
    if provisional:
        _mark_loss(paths.lost(*ids))
    _write(paths, ids, tables, planned_as)
    _report(paths, ids, name, ran, provisional, damages, began)


def _planned(paths: StudyPaths, ids: tuple[str, str, str, int]) -> Block:
    """The block of these ids in the study's plan."""
    for block in planned_blocks(paths.root):
        if (block.dataset, block.missingness, block.model, block.block) == ids:
            return block
    raise EmlibError(f"{paths.study}: its plan has no block {'/'.join(map(str, ids))}")


def _search_lock(
    paths: StudyPaths, study: dict[str, Any], ids: tuple[str, str, str, int]
) -> Path | None:
    """What a block locks to search references where others search the same data; None elsewhere."""
    dataset, missingness, model, _ = ids
    mechanism = study["missingness"][missingness]["mechanism"]
    shared = one_data_set(study["datasets"][dataset], mechanism)
    return paths.search_lock(dataset, missingness, model) if shared else None


def _results(
    paths: StudyPaths,
    name: str,
    study: dict[str, Any],
    worker: Worker,
    tasks: list[Task],
    search_lock: Path | None,
) -> tuple[dict[int, Row], dict[int, Death], set[int], list[str]]:
    """Records by task number, tasks without one, the numbers found in the store, and what was
    damaged there.

    Fits and reference starts first; what they came to decides which certificates are wanted.
    """
    store = Store(paths.store)
    of_data: dict[str, list[int]] = {}
    for number, task in enumerate(tasks):
        of_data.setdefault(task.data_id, []).append(number)
    stored: dict[int, bytes] = {}
    found: dict[int, bytes] = {}
    records: dict[int, Row] = {}
    deaths: dict[int, Death] = {}
    reused: set[int] = set()
    damages: list[str] = []
    with Writer(store) as writer:  # opened first: while it lives nobody rewrites the journals

        def look() -> None:
            for data_id, numbers in sorted(of_data.items()):
                held, damaged = store.read(data_id)
                for damage in map(str, damaged):
                    if damage not in damages:
                        damages.append(damage)
                        _say(f"{name}: {damage}")
                for number in numbers if held else ():
                    if number not in records and tasks[number].identity in held:
                        stored[number] = held[tasks[number].identity].content

        def keep(frame: Frame) -> None:
            if frame.kind == FINAL:
                task = tasks[frame.task]
                writer.append(task.data_id, task.identity, frame.content)
            found[frame.task] = frame.content

        def obtain(wanted: Iterable[int]) -> None:
            wanted = list(wanted)
            lacking = [number for number in wanted if number not in stored]
            reused.update(number for number in wanted if number in stored)
            found.update((number, stored.pop(number)) for number in wanted if number in stored)
            deaths.update(run_tasks(worker, lacking, study["budget"]["hard_seconds"], keep))
            while found:  # all at once, while what it takes is at hand: half the work
                number, content = found.popitem()
                records[number] = decode(content)

        look()
        obtain(number for number, task in enumerate(tasks) if task.kind == "fit")
        searched = {task.identity: n for n, task in enumerate(tasks) if task.kind == "reference"}
        with awaited(search_lock, f"{name}: its search") if search_lock else nullcontext():
            if search_lock:
                look()  # another block may have searched meanwhile
            obtain(searched.values())
            certified = worth_certifying(tasks, records)
            obtain(number for number in certified if tasks[number].row["of"] in searched)
            writer.sync()  # before another node looks
        obtain(number for number in certified if tasks[number].row["of"] not in searched)
    return records, deaths, reused, damages


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
    _say(
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


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
