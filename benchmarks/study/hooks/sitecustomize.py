"""Loaded by every Python process of an accounted run: writes down the CPU seconds of each.

In a block's worker the clock of the fits becomes the process's own CPU clock, so that what others
do on the machine is not counted, and each kind of task is timed as a whole.
"""

import atexit
import json
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
    """The worker is killed at its end, so its account is written as it goes."""
    import emlib.study.tasks as tasks

    time.perf_counter = time.process_time
    account = dict.fromkeys(("fit", "reference", "certificate"), 0.0)
    file = os.open(folder / f"worker-{os.getpid()}.json", os.O_WRONLY | os.O_CREAT)

    def timed(kind, function):
        def run(*arguments):
            began = time.process_time()
            result = function(*arguments)
            account[kind] += time.process_time() - began
            os.pwrite(file, json.dumps(account).encode().ljust(200), 0)
            return result

        return run

    tasks.run_fit = timed("fit", tasks.run_fit)
    tasks.run_certificate = timed("certificate", tasks.run_certificate)
    tasks.reference.run_start = timed("reference", tasks.reference.run_start)


if "EMLIB_ACCOUNTS" in os.environ:
    _folder = Path(os.environ["EMLIB_ACCOUNTS"])
    if sys.orig_argv[1:3] == ["-m", "emlib.study.worker"]:
        _account_worker(_folder)
    else:
        _write_at_exit(_folder)
