"""What a cluster is asked for a block."""

from pathlib import Path

import pytest
import yaml

from emlib.models import make_model
from emlib.study import grid
from emlib.study.checks import checked_study
from emlib.study.costs import BASE_MB, START_MINUTES, block_seconds, job_limits
from tests.study.small_study import CONFIG, DRAWN

STUDIES = Path(__file__).parents[2] / "studies"


@pytest.fixture
def limits_of(tmp_path):
    def limits_of(block_size=2, **changes):
        config = tmp_path / "config.yaml"
        config.write_text(yaml.safe_dump({**CONFIG, **changes}))
        study = checked_study(config)
        return job_limits(study, grid.entries(study), block_size)

    return limits_of


def test_small_blocks_ask_for_what_a_job_needs_to_start_and_little_more(limits_of):
    limits = limits_of()
    assert START_MINUTES < limits["runtime"] <= START_MINUTES + 5
    assert BASE_MB < limits["mem_mb"] <= BASE_MB + 5


def test_more_work_asks_for_more_time_and_more_data_for_more_memory(limits_of):
    before = limits_of(replicates=40)
    assert limits_of(40, replicates=40)["runtime"] > before["runtime"]
    assert limits_of(40) == limits_of(4)  # never more replicates than there are
    large = limits_of(datasets={"drawn": {**DRAWN, "n": 20000}})
    assert large["mem_mb"] > before["mem_mb"]


def test_images_and_videos_are_not_taken_for_tables_of_two_columns():
    """Measured on one core: 0.012 s an E-step of 24 frames of 40 states, 0.1 s an image's."""
    study = checked_study(STUDIES / "black_hole.yaml")
    blocks = [block for block in grid.blocks(study, 1) if block.dataset != "m87"]
    for block, found in zip(blocks, block_seconds(study, grid.entries(study), blocks), strict=True):
        climbs, seconds = {"video": (4, 0.012), "image": (3, 0.1)}[block.model]
        assert found == pytest.approx(climbs * 250 * seconds, rel=0.5)
    limits = job_limits(study, grid.entries(study), 1)
    assert limits["runtime"] > START_MINUTES + 3
    numbers = [make_model("gaussian_image", {}).e_step_numbers(n, 2) for n in (500, 1000)]
    assert numbers[1] == 4 * numbers[0] == 2000**2  # a square matrix of all parts
    assert limits["mem_mb"] > BASE_MB + 50
