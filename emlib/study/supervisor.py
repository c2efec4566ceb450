"""Runs one block: supervises its worker, keeps each fit as it ends, writes the five files.

Standard library only while fits run, so that it outlives whatever kills its worker: a fit that
hangs, crashes, exits or eats the memory becomes a row, and the block goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study.assembly import Death, Task, block_tables
from emlib.study.atomic import read_json, write_json
from emlib.study.grid import Block, load_study, planned_blocks
from emlib.study.locks import FileLock, append_line
from emlib.study.paths import BLOCK_KINDS, StudyPaths, block_name
from emlib.study.protocol import (
    FINAL,
    OPEN,
    PLAN,
    REFUSED,
    RUN,
    Closed,
    Frame,
    Overdue,
    Reader,
    send,
)
from emlib.study.store import Store, Writer

WORKER = (sys.executable, "-m", "emlib.study.worker")
START_SECONDS = 900.0  # a first compilation on a busy machine fits in
START_ATTEMPTS = 3
THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS",
)


def single_threaded() -> dict[str, str]:
    """Variables that pin BLAS and compiled loops to one thread: sums then have one order."""
    return dict.fromkeys(THREAD_VARIABLES, "1")


class Worker:
    """The one process that computes, restarted whenever it has died.

    Parameters
    ----------
    opening : dict
        What it is told to work on.
    command : sequence of str
        How it is started.
    """

    def __init__(self, opening: dict[str, Any], command: Sequence[str] = WORKER) -> None:
        self._opening = opening
        self._command = list(command)
        self._process: subprocess.Popen[bytes] | None = None
        self._plan: list[dict[str, Any]] | None = None

    def start(self) -> list[dict[str, Any]]:
        """Start the process and return its plan, one record a task.

        Raises
        ------
        EmlibError
            If it refuses the block, cannot be started, or plans otherwise than before.
        """
        for _ in range(START_ATTEMPTS):
            self._spawn()
            try:
                send(self._in, OPEN, content=self._opening)
                frame = self._reader.receive(START_SECONDS)
            except Overdue:
                self.stop()
                raise EmlibError(f"the worker was not ready after {START_SECONDS:g} s") from None
            except Closed:
                ending = self.stop()
                continue
            return self._checked(frame)
        raise EmlibError(
            f"the worker cannot start: {START_ATTEMPTS} times it {ending} before its first fit; "
            "what it said stands above, in the block's log"
        )

    def _spawn(self) -> None:
        environment = {**os.environ, **single_threaded()}
        process = subprocess.Popen(
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env=environment,
        )
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._in = process.stdin.fileno()
        self._reader = Reader(process.stdout.fileno())

    def _checked(self, frame: Frame) -> list[dict[str, Any]]:
        if frame.kind == REFUSED:
            self.stop()
            raise EmlibError(str(frame.json()))
        if frame.kind != PLAN:
            raise EmlibError(f"the worker began with {frame.kind!r} instead of its plan")
        plan = frame.json()
        if self._plan is not None and plan != self._plan:
            raise EmlibError("the block's data or code changed while it ran; run it again")
        self._plan = plan
        return plan

    def run(self, tasks: Sequence[int]) -> None:
        """Ask for these tasks, in this order."""
        with suppress(Closed):  # noticed at the next receive, with its cause
            send(self._in, RUN, content=list(tasks))

    def receive(self, seconds: float | None) -> Frame:
        return self._reader.receive(seconds)

    def stop(self) -> str:
        """Kill the process, and say how it ended if it had already."""
        process = self._process
        if process is None:
            return "was not running"
        self._process = None
        with suppress(subprocess.TimeoutExpired):  # its pipe may close a moment before it ends
            process.wait(0.0 if process.poll() is not None else 0.2)
        ended = process.poll()
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                pipe.close()
        return _ending(ended)


def _ending(code: int | None) -> str:
    if code is None:
        return "closed its pipe"
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    return f"was ended by {name}"


def run_tasks(
    worker: Worker,
    wanted: Sequence[int],
    limit: float | None,
    keep: Callable[[Frame], None],
) -> dict[int, Death]:
    """Have a started worker do tasks in order, whatever they do to it.

    Parameters
    ----------
    worker : Worker
        Already started.
    wanted : sequence of int
        Task numbers.
    limit : float or None
        Seconds after which a task's worker is killed.
    keep : callable
        Given the frame of each task that ends.

    Returns
    -------
    dict
        Tasks without a result: `timeout` beyond the limit, `lost` if the worker died twice in it.
    """
    waiting = deque(wanted)
    deaths: dict[int, Death] = {}
    died_once: set[int] = set()
    if waiting:
        worker.run(waiting)
    while waiting:
        try:
            frame = worker.receive(limit)
        except Overdue:
            worker.stop()
            deaths[waiting.popleft()] = Death("timeout", f"killed after {limit:g} s")
        except Closed:
            ending = worker.stop()
            task = waiting[0]
            if task in died_once:
                deaths[waiting.popleft()] = Death("lost", f"its worker died twice: it {ending}")
            died_once.add(task)
        else:
            if frame.task != waiting.popleft():
                raise EmlibError(f"the worker answered for task {frame.task} out of order")
            keep(frame)
            continue
        if waiting:
            worker.start()
            worker.run(waiting)
    return deaths


# --- a block --------------------------------------------------------------------------------------


def run_block(
    study_dir: Path,
    dataset: str,
    missingness: str,
    model: str,
    block: int,
    fingerprint: str | None = None,
    command: Sequence[str] = WORKER,
) -> int:
    """Compute what the store does not hold of one block, and write the block's five files.

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
    command : sequence of str
        How the worker is started.

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
        lock = FileLock(paths.block_lock(*ids))
        lock.acquire(wait=None, on_wait=lambda holder: _say(f"{name}: waiting for {holder}"))
        with lock:
            _run_locked(paths, ids, name, fingerprint, command)
    except OSError as error:
        raise EmlibError(f"{name}: {error}") from error
    return 0


def _run_locked(
    paths: StudyPaths,
    ids: tuple[str, str, str, int],
    name: str,
    fingerprint: str | None,
    command: Sequence[str],
) -> None:
    began = time.time()
    study = load_study(paths.root)
    opening = {
        "study_dir": str(paths.root),
        "study": study,
        "block": asdict(_planned(paths, ids)),
        "fingerprint": fingerprint,
    }
    worker = Worker(opening, command)
    with _ended_by_sigterm():
        try:
            tasks = [Task(**record) for record in worker.start()]
            results, deaths, reused = _results(paths, name, study, worker, tasks)
        finally:
            worker.stop()
    tables, provisional = block_tables(tasks, results, deaths, study["keep_params"])
    if provisional:
        _mark_loss(paths.lost(*ids))
    _write(paths, ids, tables)
    _report(paths, ids, name, tasks, reused, provisional, began)


def _planned(paths: StudyPaths, ids: tuple[str, str, str, int]) -> Block:
    """The block of these ids in the study's plan."""
    for block in planned_blocks(paths.root):
        if (block.dataset, block.missingness, block.model, block.block) == ids:
            return block
    raise EmlibError(f"{paths.study}: its plan has no block {'/'.join(map(str, ids))}")


def _results(
    paths: StudyPaths, name: str, study: dict[str, Any], worker: Worker, tasks: list[Task]
) -> tuple[dict[int, bytes], dict[int, Death], set[int]]:
    """Encoded records by task number, tasks without one, and the numbers found in the store."""
    store = Store(paths.store)
    results: dict[int, bytes] = {}
    with Writer(store) as writer:  # opened first: while it lives nobody rewrites the journals
        for data_id in sorted({task.data_id for task in tasks}):
            found, damages = store.read(data_id)
            for damage in damages:
                _say(f"{name}: {damage}")
            for number, task in enumerate(tasks):
                if task.data_id == data_id and task.identity in found:
                    results[number] = found[task.identity].content
        reused = set(results)
        wanted = [number for number in range(len(tasks)) if number not in reused]

        def keep(frame: Frame) -> None:
            results[frame.task] = frame.content
            if frame.kind == FINAL:
                task = tasks[frame.task]
                writer.append(task.data_id, task.identity, frame.content)

        deaths = run_tasks(worker, wanted, study["budget"]["hard_seconds"], keep)
    return results, deaths, reused


def _mark_loss(path: Path) -> None:
    """Count one more run that ended with provisional rows: the next run then tries them again."""
    try:
        count = int(read_json(path)["count"])
    except (FileNotFoundError, ValueError, KeyError):
        count = 0
    write_json(path, {"count": count + 1})


def _write(
    paths: StudyPaths, ids: tuple[str, str, str, int], tables: dict[str, list[dict[str, Any]]]
) -> None:
    from emlib.study.files import write_table

    for kind in BLOCK_KINDS:
        write_table(paths.block(kind, *ids), tables[kind], kind)


def _report(
    paths: StudyPaths,
    ids: tuple[str, str, str, int],
    name: str,
    tasks: list[Task],
    reused: set[int],
    provisional: int,
    began: float,
) -> None:
    """One line in the log, and the same counts in the study's events."""
    fits = [number for number, task in enumerate(tasks) if task.kind == "fit"]
    fits_reused = len(reused.intersection(fits))
    searches = len(tasks) - len(fits)
    searches_reused = len(reused) - fits_reused
    counts = {
        "fits": len(fits),
        "reused": fits_reused,
        "computed": len(fits) - fits_reused,
        "reference_starts": searches,
        "reference_starts_reused": searches_reused,
        "reference_starts_computed": searches - searches_reused,
        "provisional": provisional,
    }
    _say(
        f"{name}: {counts['fits']} fits, {counts['reused']} reused, {counts['computed']} computed; "
        f"{searches} reference starts, {searches_reused} reused, "
        f"{searches - searches_reused} computed; {provisional} provisional"
    )
    names = dict(zip(("dataset", "missingness", "model", "block"), ids, strict=True))
    times = {"started": began, "ended": time.time()}
    append_line(paths.logs / "events.jsonl", {"event": "block", **names, **counts, **times})


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
