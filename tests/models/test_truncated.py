"""Truncated normal moments against quadrature of the density itself."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import log_ndtr
from scipy.stats import kstest, truncnorm

from emlib.models.truncated import (
    LOG_ROOT_TWO_PI,
    _narrow,
    _wide,
    draw_truncated,
    truncated_moments,
)

LIMITS = [
    (-np.inf, 0.0), (0.0, np.inf), (-5.0, np.inf), (-np.inf, 8.0), (30.0, np.inf),
    (-np.inf, -30.0), (1e4, np.inf), (-1.0, 1.0), (-3.0, 3.0), (-2.0, 1.5), (-1e-9, 1e-9),
    (5.0, 5.0 + 2**-30), (40.0, 40.01), (40.0, 41.0), (-41.0, -40.0), (-8.0, 9.0), (-50.0, 60.0),
    (0.0, 2.99), (0.0, 3.01), (-0.1, 2.95), (-1.4, 1.7), (1.49, 4.48), (1.51, 4.5), (12.0, 12.3),
    (1e6, 1e6 + 1.0), (-3.1, -0.2), (-9.0, 0.5),
]  # fmt: skip


def by_quadrature(low, high):
    """Log probability, mean and mean square in units of the largest density between the limits."""
    if low + high < 0:
        log_probability, mean, square = by_quadrature(-high, -low)
        return log_probability, -mean, square
    peak = max(low, 0.0)
    reach = min(high - peak, 40.0 / (1.0 + peak))
    start = max(low, -40.0)

    def moment(power):
        def integrand(t):  # t = z - peak, which keeps its digits far out
            return (peak + t) ** power * math.exp(-t * (peak + 0.5 * t))

        pieces = [(start - peak, 0.0), (0.0, reach)] if start < 0 else [(start - peak, reach)]
        return sum(quad(integrand, *p, epsabs=0, epsrel=1e-12, limit=200)[0] for p in pieces)

    total = moment(0)
    log_probability = math.log(total) - 0.5 * peak**2 - LOG_ROOT_TWO_PI
    return log_probability, moment(1) / total, moment(2) / total


@pytest.mark.parametrize(("low", "high"), LIMITS)
def test_moments_are_those_of_quadrature_far_into_the_tails(low, high):
    found = [float(x[0]) for x in truncated_moments(np.array([low]), np.array([high]))]
    expected = by_quadrature(low, high)
    assert found[0] == pytest.approx(expected[0], rel=1e-12, abs=1e-12)
    assert found[1] == pytest.approx(expected[1], rel=1e-12, abs=1e-14)
    assert found[2] == pytest.approx(expected[2], rel=1e-12)


def test_both_formulas_agree_where_one_takes_over_from_the_other():
    near = np.array([-1.5, -1.2, 0.0, 0.7, 1.5, 3.0, 20.0, 400.0])
    far = near + np.minimum(3.0, np.sqrt(near**2 + 9.0) - near)
    drop = 0.5 * (far - near) * (far + near)
    for a, b in zip(_narrow(near, far, drop), _wide(near, far, drop), strict=True):
        assert a == pytest.approx(b, rel=1e-12, abs=1e-12)


def test_one_sided_limits_are_mills_ratios():
    z = np.array([-30.0, -1.0, 0.0, 2.0, 50.0])
    log_probability, mean, square = truncated_moments(z, np.full(5, np.inf))
    ratio = np.exp(-0.5 * z**2 - LOG_ROOT_TWO_PI - log_ndtr(-z))
    assert log_probability == pytest.approx(log_ndtr(-z), rel=1e-14)
    assert mean == pytest.approx(ratio, rel=1e-10)
    assert square == pytest.approx(1 + z * ratio, rel=1e-10)


@pytest.mark.parametrize(("low", "high"), [(-1.0, 0.5), (2.0, np.inf), (-np.inf, -6.0), (7.0, 7.1)])
def test_draws_between_limits_follow_the_truncated_law(low, high):
    uniforms = np.random.default_rng(5).random(2000)
    z = draw_truncated(np.full(2000, low), np.full(2000, high), uniforms)
    assert kstest(z, truncnorm(low, high).cdf).pvalue > 0.01
    assert ((z >= low) & (z <= high)).all()
