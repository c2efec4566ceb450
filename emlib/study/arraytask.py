"""A task of a Slurm job array starts its own job, and leaves the array's first job alone.

Every task is started with the command of the first one, and the commands of all others beside it
(snakemake-executor-plugin-slurm 2.8). Left to itself, the Snakemake of a later task runs its own
job inside the first one: when it ends it waits for the first job's files instead of its own, and
when it fails it deletes them (issue 447 of the plugin). Standard library only.
"""

from __future__ import annotations

import base64
import json
import os
import sys
import zlib
from collections.abc import Mapping, Sequence

FLAG = "--slurm-jobstep-array-execs"


def own_command(arguments: Sequence[str], environment: Mapping[str, str]) -> str | None:
    """Shell command of this task's own job; None for the first task, and outside of job arrays."""
    task = environment.get("SLURM_ARRAY_TASK_ID")
    if task is None or task == environment.get("SLURM_ARRAY_TASK_MIN"):
        return None
    for place, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        if name == FLAG:
            commands = json.loads(base64.b64decode(value or arguments[place + 1]))
            return zlib.decompress(bytes.fromhex(commands[task])).decode()
    return None


def become_own_job() -> None:
    """Give this process to the task's own job, if it was started as another one's."""
    command = own_command(sys.argv, os.environ)
    if command is not None:
        os.execv("/bin/sh", ["sh", "-c", command])
