"""Scores of images and videos, on cases whose scores are known."""

import numpy as np
import pytest

from emlib.data.sky import Grid
from emlib.datasets.skies import video
from emlib.errors import InvalidData
from emlib.inference.image_scores import (
    coarser,
    correlation,
    dynamic_nrmse,
    nrmse,
    spot_angle_error,
    spot_angles,
)

GRID = Grid(48, 160.0)
ORBIT = video(GRID, 50.0, "orbit", 30, 12.0, 0.3).reshape(30, 48, 48)
"""A whole turn, so that the mean over time has no side."""


def test_an_image_is_as_near_as_can_be_to_itself():
    assert nrmse(ORBIT, ORBIT) == 0
    assert correlation(ORBIT, ORBIT) == pytest.approx(1)
    assert dynamic_nrmse(ORBIT, ORBIT) == 0
    assert spot_angle_error(ORBIT, ORBIT, 160.0) == 0


def test_zeros_have_the_error_one_and_no_correlation():
    assert nrmse(0 * ORBIT, ORBIT) == 1
    assert np.isnan(correlation(0 * ORBIT, ORBIT))


def test_correlation_forgets_scale_and_level():
    assert correlation(3 * ORBIT + 1, ORBIT) == pytest.approx(1)
    assert correlation(-ORBIT, ORBIT) == pytest.approx(-1)


def test_a_repeated_mean_correlates_well_but_moves_not_at_all():
    still = np.broadcast_to(ORBIT.mean(axis=0), ORBIT.shape)
    assert correlation(still, ORBIT) > 0.7
    assert dynamic_nrmse(still, ORBIT) == pytest.approx(1)
    assert np.isnan(dynamic_nrmse(ORBIT, still))


def test_angles_of_an_orbit_grow_by_its_rotation():
    steps = np.diff(np.unwrap(np.radians(spot_angles(ORBIT, 160.0))))
    assert np.degrees(steps) == pytest.approx(12, abs=1.5)
    assert abs(spot_angles(ORBIT, 160.0)[0]) < 1


def test_a_spot_ahead_by_a_frame_is_off_by_its_rotation():
    assert spot_angle_error(np.roll(ORBIT, -1, axis=0), ORBIT, 160.0) == pytest.approx(12, abs=1)


def test_a_coarser_image_keeps_the_flux_and_its_place():
    image = np.zeros((4, 4))
    image[0, 3] = 2.0
    assert coarser(image, 2).tolist() == [[0, 2], [0, 0]]
    with pytest.raises(InvalidData, match="no multiple"):
        coarser(image, 3)
