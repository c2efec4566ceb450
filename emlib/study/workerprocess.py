"""The worker as the supervisor sees it: one process on a pipe that may die at any moment.

Standard library only. A task that is over its limit is killed with its worker; one whose worker
died is tried once more; the others never notice.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from emlib.errors import EmlibError
from emlib.study.assembly import Death
from emlib.study.protocol import OPEN, PLAN, REFUSED, RUN, Closed, Frame, Overdue, Reader, send

WORKER = (sys.executable, "-m", "emlib.study.worker")
START_SECONDS = 900.0  # a first compilation on a busy machine fits in
START_ATTEMPTS = 3
PAUSE = 0.1
PAUSE_SHARE = 0.05
"""Seconds between two looks at what a worker has sent: this share of the time so far, and no more
than ``PAUSE``, so that short runs are not drawn out."""
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
        self._plan: Any = None

    def start(self) -> Any:
        """Start the process and return its plan of what it can compute.

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

    def _checked(self, frame: Frame) -> Any:
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

    @property
    def alive(self) -> bool:
        """Whether it was started, and neither stopped nor ended since."""
        return self._process is not None and self._process.poll() is None

    def receive_all(self, seconds: float | None, pause: float) -> list[Frame]:
        return self._reader.receive_all(seconds, pause)

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
    keep: Callable[[list[Frame]], None],
) -> dict[int, Death]:
    """Have a started worker do tasks in order, whatever they do to it.

    Parameters
    ----------
    worker : Worker
        Started before, and started again where it has died.
    wanted : sequence of int
        Task numbers.
    limit : float or None
        Seconds after which a task's worker is killed.
    keep : callable
        Given the frames of tasks that have ended, each once.

    Returns
    -------
    dict
        Tasks without a result: `timeout` beyond the limit, `lost` if the worker died twice in it.
    """
    waiting = deque(wanted)
    deaths: dict[int, Death] = {}
    died_once: set[int] = set()
    began = time.monotonic()
    if waiting:
        if not worker.alive:  # it died in the last of the tasks before these, or idle
            worker.stop()
            worker.start()
        worker.run(waiting)
    while waiting:
        try:
            pause = min(PAUSE, (time.monotonic() - began) * PAUSE_SHARE)
            frames = worker.receive_all(limit, pause)
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
            for frame in frames:
                if not waiting or frame.task != waiting.popleft():
                    raise EmlibError(f"the worker answered for task {frame.task} out of order")
            keep(frames)
            continue
        if waiting:
            worker.start()
            worker.run(waiting)
    return deaths
