"""A disk that is full: what is said, what is left, and how the next run finishes."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.workflow.project import Project
from tests.workflow.test_same_files import assert_same_numbers

MEGABYTES = 16


class Disk:
    """A small file system of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, leave: int) -> None:
        """Leave so many bytes of it."""
        state = os.statvfs(self.folder)
        with self._filler.open("wb") as file:
            file.write(bytes(max(0, state.f_bavail * state.f_frsize - leave)))

    def make_room(self) -> None:
        self._filler.unlink()


@pytest.fixture
def disk(project: Project) -> Iterator[Disk]:
    """The project's results, on a disk of their own."""
    folder = project.root / "results"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m", "tmpfs", str(folder)]
    try:
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("no command `mount` here")
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield Disk(folder)
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def test_a_disk_that_fills_up_while_storing_reporting_and_mirroring_costs_a_run_and_no_fit(
    disk: Disk, project: Project, finished: Project
) -> None:
    assert project.snakemake("--until", "masks", "kernels").code == 0

    disk.fill(leave=8192)
    storing = project.snakemake("--retries", "0")
    assert storing.code == 1
    assert "results: the disk is full" in storing.output
    assert project.block_files() == {}
    assert not project.paths.complete.exists()

    disk.make_room()
    stored = project.snakemake("--until", "tables")
    assert stored.code == 0, stored.output
    assert sum(event["computed"] + event["reused"] for event in project.events()) == 28
    assert project.emlib("store", "verify").code == 0
    assert project.computed_again() == []
    project.forget_events()

    disk.fill(leave=65536)
    # One after the other: beside each other, one may leave no byte for what the other has to say.
    reporting = project.snakemake("--retries", "0", "--until", "report")
    disk.make_room()
    disk.fill(leave=65536)
    mirroring = project.snakemake("--retries", "0", "--until", "mirror")
    for ran, said in (
        (reporting, "results: the disk is full"),
        (reporting, "cannot be written (No space left on device)"),
        (mirroring, "MLflow at sqlite:///results/mlflow.db: database or disk is full"),
    ):
        assert ran.code == 1
        assert said in ran.output, ran.output
    assert "Traceback" not in storing.output + reporting.output + mirroring.output
    for path in (project.paths.complete, project.paths.receipt):
        assert not path.exists()

    disk.make_room()
    last = project.snakemake()
    assert last.code == 0, last.output
    assert project.events() == []
    assert project.paths.complete.is_file()
    assert_same_numbers(project, finished)
    assert project.paths.complete.read_bytes() == finished.paths.complete.read_bytes()


def test_a_read_only_results_folder_is_told_before_any_job(disk: Disk, project: Project) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(disk.folder)], check=True)
    ran = project.snakemake()
    assert ran.code == 1
    assert "results: results go here, but the folder cannot be written to" in ran.output
    assert "Traceback" not in ran.output
    assert not any(disk.folder.iterdir())
