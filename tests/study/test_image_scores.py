"""Scores of images and videos, by hand."""

import numpy as np
import pytest

from emlib.data.sky import Grid
from emlib.datasets.skies import video
from emlib.study.scores import dynamic_nrmse, image_scores, ncc, nrmse, spot_angle_error

GRID = Grid(24, 160.0)


def orbit(rotation, n_frames=12):
    return video(GRID, 50.0, "orbit", n_frames, rotation, 0.3).reshape(n_frames, 24, 24)


def test_a_perfect_video_has_no_error():
    true = orbit(15.0)
    assert nrmse(true, true) == dynamic_nrmse(true, true) == spot_angle_error(true, true) == 0.0
    assert ncc(true, true) == pytest.approx(1.0)


def test_the_scale_counts_for_nrmse_and_not_for_the_correlation():
    true = orbit(15.0)
    assert nrmse(1.1 * true, true) == pytest.approx(0.1)
    assert ncc(1.1 * true + 3.0, true) == pytest.approx(1.0)


def test_the_mean_over_time_has_lost_all_that_moves():
    true = orbit(15.0)
    still = np.broadcast_to(true.mean(axis=0), true.shape)
    assert dynamic_nrmse(still, true) == pytest.approx(1.0)
    assert nrmse(still, true) < 0.5
    assert spot_angle_error(still, true) == 90.0
    assert np.isnan(dynamic_nrmse(true, still))


def test_a_spot_that_runs_ahead_has_the_angle_between():
    true, turned = orbit(30.0), np.roll(orbit(30.0), -1, axis=0)
    assert spot_angle_error(turned, true) == pytest.approx(30.0, abs=2.0)


def test_images_are_scored_against_a_finer_truth():
    fine = Grid(48, 160.0).gaussian(40.0).reshape(48, 48)
    truth = {"image": fine, "field_of_view": np.array(160.0)}
    coarse = fine.reshape(24, 2, 24, 2).sum(axis=(1, 3))
    assert image_scores(coarse.reshape(1, -1), truth, 160.0)["nrmse"] == 0.0
    assert image_scores(coarse.reshape(1, -1), truth, 120.0) == {}
    assert image_scores(np.ones((1, 25)), truth, 160.0) == {}
    frames = {"frames": np.stack([fine, fine]), "field_of_view": np.array(160.0)}
    assert image_scores(coarse.reshape(1, -1), frames, 160.0)["ncc"] == pytest.approx(1.0)


def test_an_image_may_be_anywhere_where_no_phase_is_known():
    fine = Grid(48, 160.0).gaussian(40.0).reshape(48, 48)
    truth = {"image": fine, "field_of_view": np.array(160.0)}
    moved = np.roll(fine.reshape(24, 2, 24, 2).sum(axis=(1, 3)), (3, -2), (0, 1)).reshape(1, -1)
    assert image_scores(moved, truth, 160.0)["ncc"] < 0.9
    assert image_scores(moved, truth, 160.0, anywhere=True)["ncc"] == pytest.approx(1.0)
