"""Studies on a real Slurm: the same files, and an account of whatever Slurm kills.

Two studies run at once, since one of them mostly waits for its time limit.
"""

import re
import shutil
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pytest

from emlib.study.paths import BLOCK_KINDS
from tests.study.small_study import DRAWN
from tests.workflow.killing import wait_until
from tests.workflow.project import Project, Ran

pytestmark = pytest.mark.workflow

SLURM = (
    *("--profile", "profiles/slurm", "--slurm-no-account"),
    *("--slurm-init-seconds-before-status-checks", "2"),
)
LIMITS = ("--retries", "0", "--set-resources", "block:runtime=1", "block:mem_mb=1500")
HANGS = 1500.0
"""Seconds after which something must hang; on a free machine all is over after 200."""
SAME = ("fits", "curves", "references", "params", "certificates")

TROUBLE = """
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emlib.inits import INITS, Init


@dataclass(frozen=True)
class Trouble(Init):
    name: ClassVar[str] = "trouble"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    def __call__(self, model, data, rng):
        columns = data.values.shape[1]
        if columns > 2 and Path("armed").exists() and "emlib.study.worker" in sys.orig_argv:
            filled = b"1" * (2_000_000_000 if columns == 4 else 1)
            time.sleep(1000)
        return INITS["random"]()(model, data, rng)
"""
"""An own init that, while a file tells it to, hangs on three columns and eats memory on four."""

STUDY: dict[str, Any] = {
    "plugins": ["trouble.py"],
    "datasets": {
        "sound": DRAWN,
        "hangs": {**DRAWN, "d": 3},
        "eats": {**DRAWN, "d": 4},
    },
    "missingness": [{"mechanism": "mcar", "rate": 0.2}],
    "inits": {"random": None, "trouble": None},
    "exclude": [],
    "replicates": 1,
    "budget": {"hard_seconds": 2000},
}
BLOCKS = [f"{dataset}/mcar-0.2/two/0000" for dataset in ("sound", "hangs", "eats")]
DOOMED = BLOCKS[1:]


class Runs(NamedTuple):
    """The study at home, with its blocks on Slurm, and with two that die there; both endings."""

    here: Project
    there: Project
    dying: Project
    ran: Ran
    died: Ran


@pytest.fixture(scope="module")
def runs(cluster: Mapping[str, str], tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """On Slurm both run at once, and a task of the sound one is cancelled while it runs."""
    folder = tmp_path_factory.mktemp("studies")
    here = Project(folder / "here")
    here.write(**STUDY)
    here.write_text(TROUBLE, "trouble.py")
    at_home = here.snakemake("--until", "block")
    assert at_home.code == 0, at_home.output
    there, dying = here.copy(folder / "there"), here.copy(folder / "dying")
    forget(there, BLOCKS)
    forget(dying, DOOMED)
    dying.write_text("", "armed")
    begun = [
        dying.start(*SLURM, *LIMITS, env=cluster),
        there.start(*SLURM, env=cluster),
    ]
    try:
        task = wait_until(lambda: running_task(there, cluster), HANGS)
        subprocess.run(["scancel", task], env=there.environment(cluster), check=True)
        outputs = [snakemake.communicate(timeout=HANGS)[0] for snakemake in begun]
    finally:
        for snakemake in begun:
            snakemake.kill()
    died, ran = (Ran(one.returncode, text) for one, text in zip(begun, outputs, strict=True))
    return Runs(here, there, dying, ran, died)


def forget(project: Project, blocks: Iterable[str]) -> None:
    """Delete some blocks, and all finished fits."""
    shutil.rmtree(project.paths.store)
    for block in blocks:
        for kind in BLOCK_KINDS:
            (project.paths.root / kind / f"{block}.parquet").unlink()


def running_task(project: Project, env: Mapping[str, str]) -> str | None:
    """A later task of the project's array of blocks, once it runs."""
    command = ["squeue", "--noheader", "--states=running", "--format=%i %Z %k"]
    listed = subprocess.run(
        command, env=project.environment(env), capture_output=True, text=True, check=True
    )
    for line in listed.stdout.splitlines():
        number, folder, comment = line.split(maxsplit=2)
        if folder == str(project.root) and "rule_block" in comment and not number.endswith("_1"):
            return number
    return None


def submitted(ran: Ran) -> int:
    """How many jobs of blocks a run of Snakemake started, those tried again included."""
    return len(re.findall(r"^rule block:", ran.output, re.MULTILINE))


def test_every_block_is_a_task_of_one_job_array(runs: Runs) -> None:
    arrays = re.findall(r"Submitted array job .* task IDs are (\S+)\.", runs.ran.output)
    assert arrays == ["1-3"], runs.ran.output


def test_a_cancelled_task_is_tried_again_and_all_files_are_those_of_a_local_run(runs: Runs) -> None:
    assert runs.ran.code == 0, runs.ran.output
    assert "SLURM status is: 'CANCELLED'" in runs.ran.output
    assert submitted(runs.ran) == 4
    here, there = runs.here.block_files(*SAME), runs.there.block_files(*SAME)
    assert len(there) == 3 * len(SAME)
    assert there == here
    assert runs.there.paths.complete.is_file()
    assert runs.there.paths.receipt.is_file()


def test_a_whole_study_has_nothing_to_submit(runs: Runs, cluster: Mapping[str, str]) -> None:
    ran = runs.there.snakemake(*SLURM, env=cluster)
    assert ran.code == 0, ran.output
    assert "Nothing to be done" in ran.output


def test_blocks_killed_at_their_limits_are_named_by_a_report_and_alone_submitted_again(
    runs: Runs, cluster: Mapping[str, str]
) -> None:
    dying, died = runs.dying, runs.died
    assert died.code == 1, died.output
    assert "SLURM status is: 'TIMEOUT'" in died.output
    assert re.search("SLURM status is: '(FAILED|OUT_OF_MEMORY)'", died.output), died.output
    assert not dying.paths.complete.exists()
    report = dying.paths.report.read_text()
    assert "Partial report: 2 of 3 blocks missing" in report
    assert [name for name in DOOMED if name not in report] == []

    (dying.root / "armed").unlink()
    ran = dying.snakemake(*SLURM, env=cluster)
    assert ran.code == 0, ran.output
    assert submitted(ran) == len(DOOMED)
    assert dying.block_files(*SAME) == runs.here.block_files(*SAME)
    assert dying.paths.complete.is_file()
