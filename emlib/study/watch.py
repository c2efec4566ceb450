"""``emlib status --watch``: how far a run has come, until it ends.

A run lives as long as it holds the study's lock, which dies with its process. Fits count when their
block's files are there; how fast they come is what this run's block jobs say of themselves.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study.atomic import read_json
from emlib.study.locks import FileLock, LockHeld
from emlib.study.paths import StudyPaths
from emlib.study.state import STATUSES, StudyState, strict_faults, study_state

REFRESH_SECONDS = 2.0


@dataclass(frozen=True)
class Pace:
    """What the run that holds a study's lock has computed since it took it."""

    fits: int
    seconds: float

    def seconds_for(self, fits: int) -> float | None:
        """Seconds that so many fits would take; None while nothing tells."""
        return fits * self.seconds / self.fits if self.fits and self.seconds > 0 else None


def watch(study_dir: Path, console: Any, pause: Callable[[], object] | None = None) -> None:
    """Show how far a run has come, until it ends.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.
    console : rich.console.Console
        A bar on a terminal; elsewhere a line whenever something has changed.
    pause : callable
        Called between two looks; by default it waits two seconds, or four times what a look took.

    Raises
    ------
    EmlibError
        If no run is alive, and the study is not whole.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    paths = StudyPaths(study_dir)
    last, took = "", 0.0
    wait = pause or (lambda: time.sleep(max(REFRESH_SECONDS, 4.0 * took)))  # thousands of blocks
    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}", markup=False))
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:
        task = bar.add_task("")
        while True:
            began = time.monotonic()
            running = _held(paths.lock)  # before the look: what ends meanwhile is seen by the next
            state = study_state(study_dir)
            text = told(state, pace(paths, time.time()) if running else None)
            bar.update(task, total=state.total["planned"], completed=state.done, description=text)
            if not console.is_terminal and told(state, None) != last:
                print(f"{state.done}/{state.total['planned']} {text}", flush=True)
            last = told(state, None)
            if not running:
                break
            took = time.monotonic() - began
            wait()
    _judge(paths, state)


def told(state: StudyState, going: Pace | None) -> str:
    """Blocks, rate, time left, and fits that did not converge."""
    parts = [f"fits, {state.blocks - state.blocks_missing} of {state.blocks} blocks"]
    missing = state.total["planned"] - state.done
    left = None if going is None else going.seconds_for(missing)
    if going is not None and not missing:
        parts += ["report and mirror to come"]
    elif going is not None and left is not None:
        parts += [f"{going.fits / going.seconds:.3g} fits/s", f"{_clock(left)} left"]
    total = state.total
    bad = [f"{total[status]} {status}" for status in STATUSES[1:] if total[status]]
    return "; ".join([*parts, ", ".join(bad) or "all converged" if state.done else "none yet"])


def pace(paths: StudyPaths, now: float) -> Pace:
    """Fits that the live run's finished blocks computed, and the seconds since it began."""
    began = paths.lock.stat().st_mtime
    fits = 0
    with suppress(FileNotFoundError):
        for line in paths.events.read_text(encoding="utf-8").splitlines():
            with suppress(ValueError, KeyError):  # a torn line
                event = json.loads(line)
                fits += event["computed"] if event["ended"] >= began else 0
    return Pace(fits, now - began)


def _judge(paths: StudyPaths, state: StudyState) -> None:
    """Say that the study is whole, or why not."""
    total, name = state.total, paths.root.name
    last = [paths.complete, paths.receipt]
    if read_json(paths.study).get("strict"):
        last.append(paths.root / "strict.json")
    lacking = [path.name for path in last if not path.is_file()]
    if state.done == total["planned"] and not state.blocks_missing and not lacking:
        print(f"study {name} is complete")
        return
    writing = Counter(_held(path) for path in (paths.root / "locks").rglob("*.lock"))[True]
    if lacking == ["strict.json"] and (faults := strict_faults(state)):
        raise EmlibError(f"study {name} is whole, and strict: {'; '.join(faults)}")
    what = f"{total['planned'] - state.done} of {total['planned']} fits are missing"
    if not state.blocks_missing and lacking:
        what = f"all blocks are there, but not {', '.join(lacking)}"
    jobs = f"; jobs still alive without their Snakemake: {writing}" if writing else ""
    raise EmlibError(
        f"study {name} is not complete, and no Snakemake is running it: {what}{jobs}; "
        "the same snakemake command goes on"
    )


def _held(path: Path) -> bool:
    """Whether somebody holds a lock alone. Looking takes it shared, for an instant."""
    if not path.is_file():
        return False
    lock = FileLock(path, shared=True)
    try:
        lock.acquire()
    except LockHeld:
        return True
    lock.release()
    return False


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}"
