"""Loaded by every Python process of an accounted run: writes down the CPU seconds of each.

In a block's worker the clock of the fits becomes the process's own CPU clock, so that what others
do on the machine is not counted, and each kind of task is timed as a whole.
"""

import atexit
import json
import mmap
import os
import resource
import sys
import time
from pathlib import Path


def _seconds(who: int) -> float:
    spent = resource.getrusage(who)
    return spent.ru_utime + spent.ru_stime


def _write_at_exit(folder: Path) -> None:
    def write() -> None:
        own, children = map(_seconds, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        account = {"argv": sys.argv, "own": own, "children": children}
        (folder / f"process-{os.getpid()}.json").write_text(json.dumps(account))

    atexit.register(write)


def _account_worker(folder: Path) -> None:
    """The worker is killed at its end, so its account is a file in memory: three doubles."""
    import emlib.study.tasks as tasks

    time.perf_counter = time.process_time
    with (folder / f"worker-{os.getpid()}.f8").open("w+b") as file:
        file.write(bytes(24))
        file.flush()
        account = memoryview(mmap.mmap(file.fileno(), 24)).cast("d")

    def timed(kind, function):
        def run(*arguments):
            began = time.process_time()
            result = function(*arguments)
            account[kind] += time.process_time() - began
            return result

        return run

    tasks.run_fit = timed(0, tasks.run_fit)
    tasks.reference.run_start = timed(1, tasks.reference.run_start)
    tasks.run_certificate = timed(2, tasks.run_certificate)


if "EMLIB_ACCOUNTS" in os.environ:
    _folder = Path(os.environ["EMLIB_ACCOUNTS"])
    if sys.orig_argv[1:3] == ["-m", "emlib.study.worker"]:
        _account_worker(_folder)
    else:
        _write_at_exit(_folder)
