"""`emlib status --watch` follows real runs."""

import subprocess

from tests.workflow.killing import Victim, kill, wait_until
from tests.workflow.project import EMLIB


def test_a_watched_run_whose_snakemake_is_killed_ends_the_watch_with_what_is_left(tmp_path):
    victim = Victim(tmp_path / "project")
    with victim.running("--until", "block") as snakemake:
        wait_until(lambda: victim.stored_bytes() > 0)
        watch = subprocess.Popen(
            [*EMLIB, "status", "faults", "--watch"],
            cwd=victim.root,
            env=victim.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        first = watch.stdout.readline()
        kill(snakemake.pid)
        _, error = watch.communicate(timeout=200)
    assert "/24 fits, " in first
    assert watch.returncode == 1
    assert "study faults is not complete, and no Snakemake is running it" in error


def test_the_watch_of_a_finished_study_ends_at_once(finished):
    ran = finished.emlib("status", "tiny", "--watch")
    assert ran.code == 0, ran.output
    assert "study tiny is complete" in ran.output
    assert "28/28 fits, 6 of 6 blocks" in ran.output
