"""Fits and curves are the same files whatever the cores, the order of the grid or a kill."""

import os
import signal
import time

import pytest

from tests.workflow.project import Project

ONLY_FITS = ("--until", "block")


def reordered(axis):
    return dict(reversed(list(axis.items())))


@pytest.mark.parametrize("cores", [1])
def test_one_core_and_another_order_of_the_grid_write_the_same_files(finished, project, cores):
    project.write(
        datasets=reordered(project.config["datasets"]),
        inits=reordered(project.config["inits"]),
        missingness=project.config["missingness"][::-1],
    )
    ran = project.snakemake(*ONLY_FITS, cores=cores)
    assert ran.code == 0, ran.output
    assert_same_numbers(project, finished)


def test_a_killed_run_is_continued_by_the_next_with_the_same_files(finished, project):
    killed = project.start(*ONLY_FITS)
    wait_for(lambda: len(project.block_files("fits")) > 0, killed)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.communicate()
    before = project.block_files("fits")
    assert 0 < len(before) < len(finished.block_files("fits"))
    ran = project.snakemake(*ONLY_FITS)
    assert ran.code == 0, ran.output
    assert_same_numbers(project, finished)


def assert_same_numbers(project: Project, other: Project) -> None:
    for kind in ("fits", "curves", "references", "params"):
        mine, theirs = project.block_files(kind), other.block_files(kind)
        assert mine.keys() == theirs.keys()
        differing = [name for name in mine if mine[name] != theirs[name]]
        assert not differing


def wait_for(condition, process, seconds=120.0):
    end = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.stdout.read()
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.05)
