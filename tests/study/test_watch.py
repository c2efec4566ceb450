"""A run is followed until it ends; one that died is told from one that is done."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console

from emlib.errors import EmlibError
from emlib.study.atomic import write_json
from emlib.study.grid import planned_blocks
from emlib.study.locks import FileLock, append_line
from emlib.study.paths import StudyPaths
from emlib.study.watch import Pace, pace, watch
from tests.study.small_study import planned_study, write_fits


@pytest.fixture
def paths(tmp_path: Path) -> StudyPaths:
    return planned_study(tmp_path)


def script(*steps):
    """A pause that does the next thing each time."""
    rest = iter(steps)
    return lambda: next(rest)()


def follow(paths, *steps):
    watch(paths.root, Console(force_terminal=False), script(*steps))


def finish(paths):
    for path in (paths.complete, paths.receipt):
        write_json(path, {})


def test_a_run_is_followed_from_block_to_block_until_the_study_is_complete(paths, capsys):
    first, *rest = planned_blocks(paths.root)
    lock = FileLock(paths.lock)
    lock.acquire()
    ends = [("converged", ""), ("failed", "why")]
    follow(
        paths,
        lambda: write_fits(paths, ends, [first]),
        lambda: None,  # nothing new: no line
        lambda: write_fits(paths, ends, rest),
        lambda: (finish(paths), lock.release()),
    )
    lines = [
        re.sub(r"; [^;]* fits/s; [^;]* left", "", line)
        for line in capsys.readouterr().out.splitlines()
    ]
    assert lines == [
        "0/72 fits, 0 of 8 blocks; none yet",
        "10/72 fits, 1 of 8 blocks; 5 failed",
        "72/72 fits, 8 of 8 blocks; report and mirror to come; 36 failed",
        "study small is complete",
    ]


def test_a_run_that_was_killed_is_told_with_what_is_missing(paths):
    code = f"""
import time
from emlib.study.locks import FileLock
from pathlib import Path
lock = FileLock(Path({str(paths.lock)!r}))
lock.acquire()
print("held", flush=True)
time.sleep(600)
"""
    run = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert run.stdout.readline() == b"held\n"

    def kill():
        os.kill(run.pid, signal.SIGKILL)
        run.wait()

    with pytest.raises(EmlibError, match="no Snakemake is running it: 72 of 72 fits are missing;"):
        follow(paths, kill)


def test_jobs_that_outlive_their_snakemake_are_counted(paths):
    first = planned_blocks(paths.root)[0]
    ids = (first.dataset, first.missingness, first.model, first.block)
    with (
        FileLock(paths.block_lock(*ids)),
        FileLock(paths.data_lock(first.dataset, 1)),
        FileLock(paths.mask_lock(first.dataset, first.missingness, 1)),
        pytest.raises(EmlibError, match="alive without their Snakemake: 3;"),
    ):
        follow(paths)


def test_without_report_and_mirror_a_study_is_not_complete(paths):
    write_fits(paths, [("converged", "")])
    with pytest.raises(EmlibError, match=r"but not complete\.json, mlflow\.json"):
        follow(paths)
    finish(paths)
    follow(paths)


def test_the_pace_is_that_of_the_live_run_alone(paths):
    with FileLock(paths.lock):
        began = paths.lock.stat().st_mtime
        for seconds, computed in ((-5.0, 100), (10.0, 4), (20.0, 6)):
            append_line(paths.events, {"computed": computed, "ended": began + seconds})
        with paths.events.open("a") as torn:
            torn.write('{"comp')
        going = pace(paths, began + 20.0)
    assert going == Pace(10, pytest.approx(20.0))
    assert going.seconds_for(30) == pytest.approx(60.0)
    assert Pace(0, 20.0).seconds_for(30) is None
