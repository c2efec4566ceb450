"""Processes are killed in real runs; what is left, and what the next run makes of it."""

import re
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from emlib.study.files import read_table
from tests.study.misbehaving import WAYS, write_plugin
from tests.study.small_study import DRAWN
from tests.tracking.reading import shown
from tests.workflow.killing import Victim, below, kill, wait_until, working_in
from tests.workflow.project import Project

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
    assert victim.computed_again() == []


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
    assert victim.computed_again() == []
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
    assert victim.computed_again() == []


def test_two_studies_run_side_by_side_in_one_folder_and_one_study_not_twice(
    victim: Victim, undisturbed: dict[str, bytes]
) -> None:
    with victim.running(*ONLY_FITS) as first:
        wait_for_fits(victim)
        (worker,) = wait_until(lambda: below(first.pid, WORKER))
        kill(worker, signal.SIGSTOP)  # so that the first is still there
        twice = victim.snakemake(*ONLY_FITS)
        kill(worker, signal.SIGCONT)
        assert twice.code == 1
        assert "study 'faults' is being run by another Snakemake" in twice.output
        assert f"process {first.pid} on " in twice.output
        assert "Traceback" not in twice.output
        victim.write("other.yaml", study="other")
        beside = victim.snakemake(*ONLY_FITS, "--configfile", "other.yaml", cores=1)
        assert beside.code == 0, beside.output
        assert victim.same_files() == undisturbed
        output, _ = first.communicate(timeout=200)
        assert first.returncode == 0, output
    victim.write(study="faults")
    assert victim.same_files() == undisturbed
    assert victim.emlib("store", "verify").code == 0


def test_a_mirror_killed_in_mid_write_is_finished_by_the_next_run_without_doubles(
    finished: Project, finished_copy: Callable[[], Project]
) -> None:
    project = finished_copy()
    project.paths.database.unlink()
    project.paths.receipt.unlink()
    whole = ends_of_runs(finished.paths.database)
    snakemake = project.start()
    try:
        some = len(whole) // 3
        wait_until(lambda: ends_of_runs(project.paths.database).count("FINISHED") > some)
    finally:
        for pid in working_in(project.root):
            kill(pid)
        snakemake.communicate()
    assert some < len(ends_of_runs(project.paths.database)) < len(whole)
    assert not project.paths.receipt.exists()
    second = project.snakemake()
    assert second.code == 0, second.output
    uris = [f"sqlite:///{one.paths.database}" for one in (project, finished)]
    again, undisturbed = map(shown, uris)
    assert again == undisturbed
    assert [run["status"] for run in again] == ["FINISHED"] * len(whole)
    assert points(project.paths.database) == points(finished.paths.database)
    assert "rule block" not in second.output


def ends_of_runs(database: Path) -> list[str]:
    """Statuses of the runs in a database that another process may be making."""
    try:
        with closing(sqlite3.connect(f"file:{database}?mode=ro", uri=True)) as connection:
            return [status for (status,) in connection.execute("select status from runs")]
    except sqlite3.OperationalError:
        return []


def points(database: Path) -> list[tuple[str, int, float]]:
    """Every point of every curve of the runs that are shown."""
    query = (
        "select key, step, value from metrics join runs using (run_uuid) "
        "where lifecycle_stage = 'active' order by 1, 2, 3"
    )
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute(query).fetchall()


def test_own_inits_that_misbehave_are_rows_and_what_died_is_tried_again_until_it_is_cured(
    tmp_path: Path,
) -> None:
    victim = Victim(
        tmp_path / "project",
        datasets={"drawn": DRAWN},
        missingness=[{"mechanism": "none"}],
        models={"two": {"family": "gaussian_mixture", "n_components": 2}},
        plugins=["misbehaving.py"],
        inits=dict.fromkeys(("random", *WAYS)),
        replicates=1,
        restarts=1,
        block_size=1,
        reference={"starts": 1, "e_steps": 50},
        budget={"hard_seconds": 3},
    )
    write_plugin(victim.root)
    victim.write_text("", "armed")
    first = victim.snakemake()
    assert first.code == 0, first.output
    (said,) = re.findall("^Fits: (.*)$", first.output, re.MULTILINE)
    assert sorted(said.split(", ")) == ["1 converged", "1 lost", "1 timeout", "4 failed"]
    rows = {row["init"]: row for row in read_table(fits_of(victim)).to_pylist()}
    ends = {init: row["status"] for init, row in rows.items()}
    died, failed = {"kills": "lost", "loops": "timeout"}, ("exits", "nan", "raises")
    assert ends == {
        "random": "converged",
        "eats": "failed",
        **died,
        **dict.fromkeys(failed, "failed"),
    }
    assert "MemoryError" in rows["eats"]["message"]
    assert "SIGKILL" in rows["kills"]["message"]
    assert rows["loops"]["message"].startswith("killed after 3 s; replay: ")
    assert "SystemExit: enough" in rows["exits"]["message"]
    assert "RuntimeError: no start today" in rows["raises"]["message"]
    assert "the objective is nan" in rows["nan"]["message"]
    calls = (victim.root / "calls").read_text().split("\n")[:-1]
    once = ["eats", "exits", "loops", "nan", "raises"]
    parts = ("kernels", "worker")
    expected = [f"{way} {part}" for way in (*once, "kills", "kills") for part in parts]
    assert sorted(calls) == sorted(expected)
    (victim.root / "armed").unlink()
    second = victim.snakemake("--config", "strict=true")
    assert second.code == 1
    assert "strict: 3 of 7 fits failed (3 failed)" in second.output
    assert victim.paths.report.is_file()
    assert not (victim.paths.root / "strict.json").exists()
    assert victim.paths.complete.is_file()
    assert f"Report: {victim.paths.report.relative_to(victim.root)}\n" in second.output
    watched = victim.emlib("status", victim.paths.root.name, "--watch")
    assert watched.code == 1
    assert "is whole, and strict: 3 of 7 fits failed (3 failed)" in watched.output
    again = {row["init"]: row for row in read_table(fits_of(victim)).to_pylist()}
    assert {init: repr(again[init]) for init in ("random", *failed)} == {
        init: repr(rows[init]) for init in ("random", *failed)
    }
    assert {again[init]["status"] for init in ("eats", *died)} == {"converged"}
    assert [event["computed"] for event in victim.events()] == [7, 3]


def fits_of(victim: Victim) -> Path:
    return victim.paths.block("fits", "drawn", "none", "two", 0)
