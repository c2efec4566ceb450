"""Which command a task of a job array is to run."""

import base64
import json
import zlib

import pytest

from emlib.study.arraytask import FLAG, own_command

COMMANDS = {"2": "echo second", "3": "echo 'third'"}
PAYLOAD = base64.b64encode(
    json.dumps({k: zlib.compress(v.encode()).hex() for k, v in COMMANDS.items()}).encode()
).decode()


def task(number: int) -> dict[str, str]:
    return {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_MIN": "1"}


@pytest.mark.parametrize("arguments", [[f"{FLAG}={PAYLOAD}"], [FLAG, PAYLOAD]])
def test_a_later_task_runs_its_own_command_however_the_commands_are_given(arguments):
    given = ["snakemake", "--cores", "1", *arguments]
    assert own_command(given, task(2)) == "echo second"
    assert own_command(given, task(3)) == "echo 'third'"


def test_the_first_task_and_jobs_outside_of_arrays_go_on_as_they_are():
    given = ["snakemake", f"{FLAG}={PAYLOAD}"]
    assert own_command(given, task(1)) is None
    assert own_command(given, {}) is None
    assert own_command(["snakemake"], task(2)) is None
