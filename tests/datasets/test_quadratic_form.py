"""The distribution of a quadratic form in normals, against closed forms and other integrals."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import integrate, stats

from emlib.datasets.quadratic import quadratic_form_cdf


@pytest.mark.parametrize("d", [1, 2, 3, 8])
@pytest.mark.parametrize("shift", [0.0, 0.3, 7.0])
@pytest.mark.parametrize("probability", [1e-4, 0.01, 0.3, 0.8, 0.999])
def test_equal_coefficients_give_a_noncentral_chi_square(d, shift, probability):
    linear = np.full(d, 2 * shift)
    law = stats.ncx2(d, d * shift**2) if shift else stats.chi2(d)
    point = law.ppf(probability)
    found = quadratic_form_cdf(np.ones(d), linear, point - d * shift**2)
    assert found.value == pytest.approx(law.cdf(point), rel=1e-7)
    assert found.error < 1e-10
    mirrored = quadratic_form_cdf(-np.ones(d), -linear, d * shift**2 - point)
    assert mirrored.value == pytest.approx(law.sf(point), rel=1e-7)


@pytest.mark.parametrize("point", [-30.0, -8.0, -1.0, 0.0, 2.0, 6.0])
def test_linear_terms_alone_give_a_normal_also_far_in_its_tail(point):
    found = quadratic_form_cdf(np.zeros(2), np.array([3.0, -4.0]), 5 * point)
    assert found.value == pytest.approx(stats.norm.cdf(point), rel=1e-8)


def test_a_sum_of_exponentials_has_its_closed_form():
    # a (Z1^2 + Z2^2) - c (Z3^2 + Z4^2) is the difference of exponentials of means 2a and 2c
    a, c = 3.0, 0.5
    for point in (0.5, 4.0, 40.0):
        found = quadratic_form_cdf(np.array([a, a, -c, -c]), np.zeros(4), point)
        assert 1 - found.value == pytest.approx(a / (a + c) * np.exp(-point / (2 * a)), rel=1e-9)


def test_outside_the_support_the_probability_is_exactly_0_or_1():
    a, b = np.array([1.0, 2.0]), np.array([2.0, 0.0])
    assert quadratic_form_cdf(a, b, -1.0).value == 0.0
    assert quadratic_form_cdf(-a, -b, 1.0).value == 1.0


def test_no_term_at_all_is_a_point_at_0():
    zero = np.zeros(3)
    assert quadratic_form_cdf(zero, zero, 0.1).value == 1.0
    assert quadratic_form_cdf(zero, zero, 0.0).value == 0.0


def imhof(a, b, point):
    """P(Q > point) by Imhof's integral along the imaginary axis, for enough terms to fall off."""

    def integrand(u):
        left = 1 - 2j * a * u
        exponent = np.sum(-0.5 * np.log(left) - (b * u) ** 2 / (2 * left)) - 1j * u * point
        return np.exp(exponent).imag / u

    edges = np.concatenate([[1e-12], np.geomspace(1e-3, 300.0, 60)])
    pieces = [integrate.quad(integrand, x, y, limit=200)[0] for x, y in pairwise(edges)]
    return 0.5 + sum(pieces) / np.pi


@settings(max_examples=25, deadline=None)
@given(
    terms=st.lists(
        st.tuples(st.one_of(st.floats(-4, -0.2), st.floats(0.2, 4)), st.floats(-3, 3)),
        min_size=6,
        max_size=9,
    ),
    where=st.floats(-3, 3),
)
def test_it_agrees_with_imhofs_integral(terms, where):
    a, b = np.array(terms).T
    point = a.sum() + where * np.sqrt(np.sum(2 * a**2 + b**2))
    found = quadratic_form_cdf(a, b, point)
    assert found.error < 1e-9
    assert 1 - found.value == pytest.approx(imhof(a, b, point), abs=1e-7)


coefficients = st.floats(-50, 50).map(lambda x: 0.0 if abs(x) < 1e-3 else x)


@settings(max_examples=150, deadline=None)
@given(
    terms=st.lists(st.tuples(coefficients, coefficients), min_size=1, max_size=6),
    where=st.floats(-3, 3),
    step=st.floats(0, 1),
)
def test_it_is_a_probability_that_never_falls_with_the_point(terms, where, step):
    a, b = np.array(terms).T
    deviation = np.sqrt(np.sum(2 * a**2 + b**2))
    low = quadratic_form_cdf(a, b, a.sum() + where * deviation)
    high = quadratic_form_cdf(a, b, a.sum() + (where + step) * deviation)
    assert 0 <= low.value <= high.value + low.error + high.error <= 1 + 1e-6
    assert max(low.error, high.error) < 1e-6


@settings(max_examples=8, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_it_agrees_with_sampling(seed):
    rng = np.random.default_rng(seed)
    d = int(rng.integers(1, 5))
    a, b = rng.normal(size=(2, d)) * 10 ** rng.uniform(-2, 1, size=(2, d))
    point = a.sum() + rng.normal() * np.sqrt(np.sum(2 * a**2 + b**2))
    z = rng.standard_normal((200_000, d))
    share = np.mean(z**2 @ a + z @ b < point)
    assert quadratic_form_cdf(a, b, point).value == pytest.approx(share, abs=6e-3)
