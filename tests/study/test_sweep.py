"""What a sweep costs under a Snakemake profile."""

import os
from pathlib import Path

import pytest
from click.testing import CliRunner

from emlib.cli import main
from emlib.errors import EmlibError
from emlib.study import grid
from emlib.study.checks import checked_study
from emlib.study.costs import SECONDS_PER_JOB, block_seconds, estimate, jobs_by_rule
from emlib.study.paths import StudyPaths
from emlib.study.sweep import (
    STAGE_SECONDS,
    STAGES,
    makespan,
    read_profile,
    sweep_lines,
    wall_seconds,
)
from tests.study.small_study import CONFIG, planned_study
from tests.workflow.project import REPOSITORY

JOBS = {"all": 1, "block": 6, "data": 2, "kernels": 1, "masks": 4, "mirror": 1, "report": 1}


@pytest.fixture
def profile(tmp_path):
    def profile(text):
        (tmp_path / "config.yaml").write_text(text)
        return read_profile(tmp_path)

    return profile


def test_the_repositorys_slurm_profile_is_read():
    slurm = read_profile(REPOSITORY / "profiles" / "slurm")
    assert (slurm.executor, slurm.at_once) == ("slurm", None)
    assert slurm.arrays == ("data", "masks", "block")
    assert slurm.asked["data"] == {"runtime": 20, "mem_mb": 1500}
    assert slurm.asked["block"] == {}


def test_limits_are_read_as_snakemake_reads_them(profile):
    own = profile(
        "executor: slurm\njobs: 50\nslurm-array-jobs: all\n"
        "default-resources:\n  runtime: 30m\n  mem: 2GB\n  slurm_account: mine\n"
        "set-resources:\n  block:\n    runtime: 4h\n  data: {mem_mb: attempt * 700}\n"
    )
    assert own.at_once == 50
    assert own.arrays == ("kernels", "data", "masks", "block")
    assert own.asked["block"] == {"runtime": 240}
    assert own.asked["data"] == {"runtime": 30, "mem_mb": 700}
    assert own.asked["masks"] == {"runtime": 30, "mem_mb": 2000}
    assert profile("cores: all\n").at_once == os.cpu_count()
    lists = profile("cores: 4\ndefault-resources: [runtime=5, mem_mb=300]\n")
    assert (lists.executor, lists.at_once, lists.arrays) == ("local", 4, ())
    assert lists.asked["kernels"] == {"runtime": 5, "mem_mb": 300}


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("executor: slurm\n", "sets neither `jobs` nor `cores`"),
        ("jobs: many\n", "'many' is neither a positive number nor `unlimited`"),
        ("jobs: 1\ndefault-resources: 3\n", "default-resources: 3 is not a mapping"),
        (
            "jobs: 1\nset-resources: {block: {runtime: soon}}\n",
            r"set-resources\.block\.runtime: 'soon' is not understood",
        ),
    ],
)
def test_a_profile_that_cannot_be_used_is_told_where(profile, text, error):
    with pytest.raises(EmlibError, match=error):
        profile(text)


def test_jobs_fill_the_places_that_are_free():
    seconds = [5.0, 1.0, 1.0, 1.0, 4.0]
    assert makespan(seconds, None) == makespan(seconds, 9) == 5.0
    assert makespan(seconds, 1) == 12.0
    assert makespan(seconds, 2) == 7.0  # 5 alone meanwhile three of 1 and, from 3 on, 4
    assert makespan([], 2) == 0.0


def test_wall_time_is_that_of_the_stages_and_of_the_blocks_on_their_places(profile):
    blocks, start = [600.0] * 6, SECONDS_PER_JOB
    local = profile("cores: 2\n")
    assert wall_seconds(JOBS, blocks, local, 2) == 2 * start + 2 * start + 1800.0 + 3 * start
    slurm = profile("executor: slurm\njobs: unlimited\n")
    latency = STAGES * STAGE_SECONDS
    assert wall_seconds(JOBS, blocks, slurm, None) == start + start + 600.0 + 3 * start + latency


def test_costs_are_told_with_a_warning_where_blocks_would_be_killed(profile):
    own = profile("executor: slurm\njobs: 3\nset-resources: {block: {runtime: 5}}\n")
    lines = "\n".join(sweep_lines(own, JOBS, [3600.0] * 6, {"runtime": 200, "mem_mb": 2000}))
    for part in (
        "executor slurm, at most 3 jobs at once",
        "13 jobs: 1 kernels, 2 data, 4 masks, 6 block one by one",
        "core-hours  about 6.0; the limits of block allow 0.5",
        "about 60.0 minutes; it asks for 5.0 minutes",
        "2000 MB a block; 3 at once: 6 GB",
        "wall time   about 2.1 hours",
        "killed at their limit",
    ):
        assert part in lines
    roomy = profile("executor: slurm\njobs: unlimited\nslurm-array-jobs: block\n")
    lines = "\n".join(sweep_lines(roomy, JOBS, [3600.0] * 60, {"runtime": 200, "mem_mb": 2000}))
    assert "and arrays of 6 block tasks" in lines
    assert "if all blocks run at once; 10 at a time: 6.1 hours" in lines
    assert "killed" not in lines


def test_the_seconds_of_all_blocks_are_those_of_the_estimate(tmp_path):
    paths = planned_study(tmp_path, replicates=3)
    study = grid.load_study(paths.root)
    cells, blocks = grid.entries(study), grid.planned_blocks(paths.root)
    assert {len(block.replicates) for block in blocks} == {1, 2}
    cost = estimate(study, cells, blocks, paths)
    seconds = block_seconds(study, cells, blocks, cost.factor)
    jobs = SECONDS_PER_JOB * len(blocks)
    assert sum(seconds) - jobs == pytest.approx(cost.fits + cost.references + cost.certificates)


def test_each_family_compiles_its_kernels_and_strict_adds_a_job(tmp_path):
    config = tmp_path / "config.yaml"
    models = {**CONFIG["models"], "t": {"family": "student_mixture", "n_components": 2}}
    paths = planned_study(tmp_path, models=models, strict=True)
    study = checked_study(config)
    jobs = jobs_by_rule(study, grid.planned_blocks(StudyPaths(paths.root).root))
    assert (jobs["kernels"], jobs["strict"], jobs["block"]) == (2, 1, 16)


def test_the_command_tells_costs_under_a_profile_and_refuses_a_folder_without_one(tmp_path):
    planned_study(tmp_path)
    config, slurm = str(tmp_path / "config.yaml"), str(REPOSITORY / "profiles" / "slurm")
    told = CliRunner().invoke(main, ["plan", config, "--profile", slurm])
    assert told.exit_code == 0, told.output
    assert "submits     21 jobs: 1 kernels one by one, and arrays of 4 data, 8 masks" in told.output
    missing = CliRunner().invoke(main, ["plan", config, "--profile", str(Path(tmp_path) / "no")])
    assert missing.exit_code == 1
    assert "no profile here" in missing.output
