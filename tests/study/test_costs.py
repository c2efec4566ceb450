"""What a cluster is asked for a block."""

import pytest
import yaml

from emlib.study import grid
from emlib.study.checks import checked_study
from emlib.study.costs import (
    BASE_MB,
    E_STEPS_PER_FIT,
    SECONDS_PER_E_STEP,
    START_MINUTES,
    estimate,
    job_limits,
)
from emlib.study.paths import StudyPaths
from tests.study.small_study import CONFIG, DRAWN


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


def test_images_cost_the_square_of_what_is_left_and_videos_their_frames_and_states(tmp_path):
    def seconds(family, missing=None, frames=10, **settings):
        """Of all fits, beyond what any E-step costs."""
        config = tmp_path / "config.yaml"
        still = {"generator": "gaussian_image", "cadence": 60}
        moving = {"generator": "rotating_video", "n_frames": frames}
        changes = {
            "datasets": {"sky": still if family == "gaussian_image" else moving},
            "models": {"model": {"family": family, **settings}},
            "missingness": [missing or {"mechanism": "none"}],
            "inits": {"random": None},
            "baseline": "random",
        }
        config.write_text(yaml.safe_dump({**CONFIG, **changes}))
        study = checked_study(config)
        cells = grid.entries(study)
        blocks = grid.blocks(study, study["block_size"])
        cost = estimate(study, cells, blocks, StudyPaths(tmp_path / "nothing"))
        fits = len(cells) * study["replicates"] * study["restarts"]
        return cost.fits - fits * E_STEPS_PER_FIT * SECONDS_PER_E_STEP

    dropped = {"mechanism": "dropped_visibilities", "rate": 0.75}
    image = seconds("gaussian_image")
    assert seconds("gaussian_image", dropped) == pytest.approx(image / 16)
    video = seconds("rotating_video", n_states=40)
    assert seconds("rotating_video", dropped, n_states=40) == pytest.approx(video)
    assert seconds("rotating_video", n_states=80) == pytest.approx(4 * video)
    assert seconds("rotating_video", frames=30, n_states=40) == pytest.approx(3 * video)
