"""The process that computes a block's fits, one after another; the supervisor owns everything else.

``python -m emlib.study.worker``, with frames on its standard input and output (see protocol.py).
"""

from __future__ import annotations

import gc
import os
import signal
import sys
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from emlib.errors import EmlibError
from emlib.study import garbage
from emlib.study.journal import encode
from emlib.study.protocol import FINAL, OPEN, PLAN, PROVISIONAL, REFUSED, RUN, Closed, Reader, send

OOM_SCORE = 800
PR_SET_PDEATHSIG = 1


class Opened(NamedTuple):
    """A block ready to run: what the supervisor is told of its tasks, and how to run each."""

    plan: object
    run: Callable[[int], dict[str, Any]]
    warm: Callable[[], object]


def serve(open_block: Callable[[dict[str, Any]], Opened]) -> None:
    """Answer the supervisor until it hangs up.

    Parameters
    ----------
    open_block : callable
        From the supervisor's opening to the block's tasks; an EmlibError refuses the block.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor, which ends this
    inward, outward = _own_pipes()
    _die_first()
    _bound_memory()
    reader = Reader(inward)
    opened = None
    with suppress(Closed):
        while True:
            frame = reader.receive()
            if frame.kind == OPEN:
                try:
                    with garbage.paused():
                        opened = open_block(frame.json())
                    gc.freeze()  # the plan stays: collections while fits run need not look at it
                    opened.warm()
                except EmlibError as error:
                    send(outward, REFUSED, content=str(error))
                    return
                except Exception as error:
                    traceback.print_exc()
                    text = f"the block cannot be opened: {type(error).__name__}: {error}"
                    send(outward, REFUSED, content=text)
                    return
                send(outward, PLAN, content=opened.plan)
            elif frame.kind == RUN and opened is not None:
                for task in frame.json():
                    record = opened.run(task)
                    kind = PROVISIONAL if record["provisional"] else FINAL
                    send(outward, kind, task, encode(record))


def _own_pipes() -> tuple[int, int]:
    """Move the two pipes away from where a stray ``print`` or ``input`` would find them."""
    inward, outward = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    return inward, outward


def _die_first() -> None:
    """Be what the kernel ends first when memory is short, and end with the supervisor (Linux)."""
    if not sys.platform.startswith("linux"):
        return
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE))
    import ctypes

    supervisor = os.getppid()
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != supervisor:  # it had ended before the line above
        os._exit(1)


def _bound_memory() -> None:
    """Take no more memory than the machine has (Linux): one fit then fails, and nothing swaps."""
    if not sys.platform.startswith("linux"):
        return
    import resource

    most = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    if soft == resource.RLIM_INFINITY or soft > most:
        resource.setrlimit(resource.RLIMIT_DATA, (most, hard))


def open_block(opening: dict[str, Any]) -> Opened:
    """Load a block's data and list its tasks.

    Raises
    ------
    EmlibError
        If the files are not there, or the numerical code is not what the head planned with.
    """
    from emlib.study.fingerprint import block_fingerprint, require_same
    from emlib.study.grid import Block, block_cells
    from emlib.study.plugins import load_plugins
    from emlib.study.tasks import BlockWork

    block = Block(**opening["block"])
    study = opening["study"]
    load_plugins(study.get("plugins", ()))
    if opening["fingerprint"] is not None:
        require_same(block_fingerprint(study, block_cells(study, block)), opening["fingerprint"])
    work = BlockWork(Path(opening["study_dir"]), study, block, opening["threads"])
    processor = processor_name()

    def run(number: int) -> dict[str, Any]:
        record = work.run(number)
        if "timings" in record:
            record["timings"]["processor"] = processor
        return record

    plan = {"climbs": [job.task for job in work.climbs], "certificates": work.certificates}
    return Opened(plan, run, work.warm)


def processor_name() -> str:
    """The processor's own name, or at least its architecture."""
    import platform

    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine() or "unknown"


if __name__ == "__main__":
    serve(open_block)
