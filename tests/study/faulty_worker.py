"""A worker whose tasks do what the test asks for: a list of words in the opening's study.

It speaks the real protocol through the real ``serve``, and writes each attempt to a log.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study.assembly import Task
from emlib.study.worker import Opened, serve

ROW = {
    "cell_id": "c",
    "dataset": "d",
    "missingness": "none",
    "mechanism": "none",
    "rate": 0.0,
    "model": "m",
    "init": "random",
    "algorithm": "em",
    "oracle": False,
    "replicate": 0,
    "n_rows": 10,
    "n_parameters": 3,
}


def open_block(opening: dict[str, Any]) -> Opened:
    study = opening["study"]
    log = Path(study["log"])
    with log.open("a") as file:
        file.write(f"open {os.getpid()}\n")
    if study.get("refuse"):
        raise EmlibError(study["refuse"])
    if study.get("never_starts"):
        print("no such library", file=sys.stderr)
        sys.exit(7)
    words = study["tasks"]
    climbs = [Task("fit", f"fit{i}", "ab" * 16, {**ROW, "start": i}) for i in range(len(words))]
    plan = {"climbs": climbs, "certificates": ""}
    return Opened(plan, lambda number: act(words[number], number, log), lambda: None)


def act(word: str, number: int, log: Path) -> dict[str, Any]:
    attempts = log.read_text().split().count(f"task{number}")
    with log.open("a") as file:
        file.write(f"task{number}\n")
    first_only = word.endswith("_once")
    word = word.removesuffix("_once")
    if not (first_only and attempts):
        MISDEEDS.get(word, lambda: None)()
    return {
        "provisional": word == "memory",
        "fit": {"status": "failed" if word == "memory" else "converged", "loglik": float(number)},
        "timings": {"seconds_init": time.time()},
    }


def hang() -> None:
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    while True:
        time.sleep(1)


MISDEEDS: dict[str, Callable[[], object]] = {
    "hang": hang,
    "slow": lambda: time.sleep(0.3),
    "segfault": lambda: ctypes.string_at(0),
    "interrupt": lambda: os.kill(os.getpid(), signal.SIGINT),
    "exit": lambda: os._exit(3),
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "chatter": lambda: (print("a stray print"), os.write(1, b"raw bytes"), sys.stdin.read()),
    "close": lambda: (os.closerange(3, 64), time.sleep(60)),
}

if __name__ == "__main__":
    serve(open_block)
