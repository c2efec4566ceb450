"""Thinning and shared grids of convergence curves."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emlib.tracking.curves import hold, shared_grid, thin

STEPS = st.lists(st.integers(0, 5000), min_size=1, max_size=600, unique=True).map(sorted)


@given(STEPS, st.integers(2, 200))
def test_a_thinned_curve_is_short_increasing_and_keeps_first_and_last(steps: list, limit: int):
    kept = thin(np.array(steps), limit)
    assert len(kept) <= limit
    assert kept[0] == 0
    assert kept[-1] == len(steps) - 1
    assert (np.diff(kept) > 0).all()


def test_a_curve_within_the_limit_is_kept_whole():
    np.testing.assert_array_equal(thin(np.arange(200)), np.arange(200))


def test_a_long_curve_is_thinned_evenly_in_the_logarithm():
    kept = thin(np.arange(10_001), 100)
    assert 70 <= len(kept) <= 100
    ratios = (kept[-30:] + 1)[1:] / (kept[-30:] + 1)[:-1]
    np.testing.assert_allclose(ratios, ratios[0], rtol=0.02)


def test_a_shared_grid_reaches_the_end_of_the_longest_curve():
    np.testing.assert_array_equal(shared_grid([np.arange(3), np.array([0, 9])]), [0, 1, 2, 9])
    assert shared_grid([]).size == 0


def test_a_held_curve_keeps_its_last_value_and_is_nan_before_its_first():
    held = hold(np.array([0, 1, 2, 3, 9]), np.array([1, 3]), np.array([5.0, 4.0]))
    np.testing.assert_array_equal(held, [np.nan, 5.0, 5.0, 4.0, 4.0])
