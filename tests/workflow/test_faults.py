"""Processes are killed in real runs; what is left, and what the next run makes of it."""

import signal
import sys
from pathlib import Path

import pytest

from emlib.study.files import read_table
from tests.workflow.killing import (
    Victim,
    below,
    kill,
    wait_until,
)

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="finds processes in /proc")

ONLY_FITS = ("--until", "block")
WORKER = "-m emlib.study.worker"
JOB = "-m emlib block"
FITS = 4 * (3 + 3)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """Files of the study that nobody disturbed."""
    project = Victim(tmp_path_factory.mktemp("undisturbed") / "project")
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    return project.same_files()


@pytest.fixture
def victim(tmp_path: Path) -> Victim:
    return Victim(tmp_path / "project")


def wait_for_fits(victim: Victim) -> None:
    """Until some fits are done and others are not."""
    wait_until(lambda: victim.stored_bytes() > 2000)
    assert not victim.block_files("params")


def test_a_killed_worker_costs_nothing_but_time(
    victim: Victim, undisturbed: dict[str, bytes]
) -> None:
    with victim.running(*ONLY_FITS) as snakemake:
        wait_for_fits(victim)
        (worker,) = wait_until(lambda: below(snakemake.pid, WORKER))
        kill(worker)
        output, _ = snakemake.communicate(timeout=200)
        assert snakemake.returncode == 0, output
    assert victim.same_files() == undisturbed
    assert sum(event["computed"] for event in victim.events()) == FITS


@pytest.mark.parametrize("part", ["supervisor", "shell"])
def test_a_killed_job_is_tried_again_and_computes_only_what_is_left(
    victim: Victim, undisturbed: dict[str, bytes], part: str
) -> None:
    with victim.running(*ONLY_FITS) as snakemake:
        wait_for_fits(victim)
        job = wait_until(lambda: below(snakemake.pid, JOB))
        kill(job[0] if part == "shell" else job[-1])
        output, _ = snakemake.communicate(timeout=200)
        assert snakemake.returncode == 0, output
    assert victim.same_files() == undisturbed
    assert sum(event["reused"] for event in victim.events()) > 0


def test_a_job_that_stays_dead_leaves_a_partial_report_and_exit_code_1(
    victim: Victim, undisturbed: dict[str, bytes]
) -> None:
    with victim.running("--retries", "0") as snakemake:
        wait_for_fits(victim)
        kill(wait_until(lambda: below(snakemake.pid, JOB))[-1])
        output, _ = snakemake.communicate(timeout=300)
        assert snakemake.returncode == 1, output
    assert victim.paths.report.is_file()
    assert not victim.paths.complete.exists()
    second = victim.snakemake()
    assert second.code == 0, second.output
    assert victim.paths.complete.is_file()
    assert victim.same_files() == undisturbed
    assert "Nothing to be done" in victim.snakemake().output


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_after_a_killed_snakemake_the_next_run_ends_as_if_nothing_had_been(
    victim: Victim, undisturbed: dict[str, bytes], blow: signal.Signals
) -> None:
    with victim.running(*ONLY_FITS) as snakemake:
        wait_for_fits(victim)
        kill(snakemake.pid, blow)
        assert snakemake.wait(200) != 0
        second = victim.snakemake(*ONLY_FITS)
    assert second.code == 0, second.output
    assert victim.same_files() == undisturbed
    assert sum(event["computed"] for event in victim.events()) == FITS


def test_control_c_leaves_a_partial_report_and_the_next_run_finishes(
    victim: Victim, undisturbed: dict[str, bytes]
) -> None:
    with victim.running() as snakemake:
        wait_for_fits(victim)
        for pid in [snakemake.pid, *below(snakemake.pid, "emlib")]:
            kill(pid, signal.SIGINT)
        output, _ = snakemake.communicate(timeout=300)
        assert snakemake.returncode == 1, output
    assert victim.paths.report.is_file()
    assert not victim.paths.complete.exists()
    second = victim.snakemake(*ONLY_FITS)
    assert second.code == 0, second.output
    assert victim.same_files() == undisturbed


DEADLY = """
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emlib.inits import INITS, Init


@dataclass(frozen=True)
class Deadly(Init):
    name: ClassVar[str] = "deadly"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    def __call__(self, model, data, rng):
        if Path("armed").exists() and "emlib.study.worker" in sys.orig_argv:
            with Path("deaths").open("a") as deaths:
                deaths.write("one more\\n")
            os.kill(os.getpid(), signal.SIGKILL)
        return INITS["random"]()(model, data, rng)
"""
"""An own init that kills its worker as long as a file tells it to."""


def test_a_fit_whose_worker_always_dies_is_a_lost_row_until_a_later_run_cures_it(
    tmp_path: Path,
) -> None:
    victim = Victim(
        tmp_path / "project",
        plugins=["deadly.py"],
        inits={"random": None, "deadly": None},
        replicates=1,
        restarts=1,
        block_size=1,
        reference={"starts": 1, "e_steps": 50},
    )
    victim.write_text(DEADLY, "deadly.py")
    victim.write_text("", "armed")
    fits = victim.paths.block("fits", "drawn", "mcar-0.2", "four", 0)
    first = victim.snakemake(*ONLY_FITS)
    assert first.code == 0, first.output
    table = read_table(fits)
    assert table.column("init").to_pylist() == ["deadly", "random"]
    assert table.column("status").to_pylist() == ["lost", "converged"]
    assert "SIGKILL" in table.column("message")[0].as_py()
    assert len((victim.root / "deaths").read_text().splitlines()) == 2
    (victim.root / "armed").unlink()
    second = victim.snakemake(*ONLY_FITS)
    assert second.code == 0, second.output
    assert read_table(fits).column("status").to_pylist() == ["converged", "converged"]
    assert [event["computed"] for event in victim.events()] == [2, 1]
    assert victim.snakemake(*ONLY_FITS).code == 0
    assert len(victim.events()) == 2
