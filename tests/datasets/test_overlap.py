"""Overlap of mixture components, against closed forms for two components and against sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from emlib.datasets.overlap import overlap


@settings(max_examples=60, deadline=None)
@given(
    d=st.integers(1, 6),
    weight=st.floats(0.02, 0.98),
    distance=st.floats(0.05, 12.0),
    deviation=st.floats(1e-3, 1e3),
)
def test_equal_covariances_give_the_linear_discriminant(d, weight, distance, deviation):
    direction = np.ones(d) / np.sqrt(d)
    means = np.stack([np.zeros(d), distance * deviation * direction])
    covariances = np.stack([deviation**2 * np.eye(d)] * 2)
    found = overlap(np.array([weight, 1 - weight]), means, covariances)
    tilt = np.log((1 - weight) / weight) / distance
    assert found.misclassified[0, 1] == pytest.approx(
        stats.norm.cdf(-distance / 2 + tilt), rel=1e-6
    )
    assert found.misclassified[1, 0] == pytest.approx(
        stats.norm.cdf(-distance / 2 - tilt), rel=1e-6
    )


def univariate(weights, means, deviations):
    """omega_{2|1} and omega_{1|2} from the roots of the difference of the two log densities."""
    precision = 1 / np.square(deviations)
    curve = np.array(
        [
            (precision[0] - precision[1]) / 2,
            precision[1] * means[1] - precision[0] * means[0],
            (precision[0] * means[0] ** 2 - precision[1] * means[1] ** 2) / 2
            + np.log(weights[1] * deviations[0] / (weights[0] * deviations[1])),
        ]
    )  # log of the second weighted density less that of the first
    roots = np.roots(curve)
    if np.iscomplexobj(roots):
        return (1.0, 0.0) if curve[2] > 0 else (0.0, 1.0)
    low, high = np.sort(roots)
    inside = stats.norm.cdf(high, means, deviations) - stats.norm.cdf(low, means, deviations)
    if curve[0] > 0:
        return 1 - inside[0], inside[1]
    return inside[0], 1 - inside[1]


@settings(max_examples=100, deadline=None)
@given(
    weight=st.floats(0.02, 0.98),
    distance=st.floats(-8.0, 8.0),
    ratio=st.one_of(st.floats(0.1, 0.95), st.floats(1.05, 10.0)),
)
def test_unequal_variances_on_a_line_give_the_roots_of_a_quadratic(weight, distance, ratio):
    weights, means = np.array([weight, 1 - weight]), np.array([0.3, 0.3 + distance])
    deviations = np.array([1.0, ratio])
    found = overlap(weights, means[:, None], np.square(deviations)[:, None, None])
    second, first = univariate(weights, means, deviations)
    assert found.misclassified[0, 1] == pytest.approx(second, abs=1e-9)
    assert found.misclassified[1, 0] == pytest.approx(first, abs=1e-9)


def random_mixture(rng, k, d):
    roots = rng.normal(size=(k, d, d + 1))
    return rng.dirichlet(np.full(k, 3.0)), rng.normal(size=(k, d)), roots @ roots.swapaxes(1, 2)


@pytest.mark.parametrize(("k", "d"), [(2, 2), (3, 5)])
def test_sampling_agrees_for_any_covariances(k, d):
    rng = np.random.default_rng(11 * k + d)
    weights, means, covariances = random_mixture(rng, k, d)
    found = overlap(weights, means, covariances)
    assert found.error < 1e-10
    for i in range(k):
        rows = rng.multivariate_normal(means[i], covariances[i], size=100_000)
        dense = np.stack(
            [
                np.log(weights[j])
                + stats.multivariate_normal(means[j], covariances[j]).logpdf(rows)
                for j in range(k)
            ]
        )
        shares = (dense > dense[i]).mean(axis=1)
        np.testing.assert_allclose(found.misclassified[i], shares, atol=7e-3)


def test_overlap_does_not_change_under_an_affine_map_of_the_space():
    rng = np.random.default_rng(4)
    weights, means, covariances = random_mixture(rng, 3, 3)
    found = overlap(weights, means, covariances)
    matrix = rng.normal(size=(3, 3))
    mapped = overlap(weights, means @ matrix.T + 100.0, matrix @ covariances @ matrix.T)
    np.testing.assert_allclose(found.misclassified, mapped.misclassified, rtol=1e-6)


def test_mean_and_max_are_over_pairs_of_the_sum_of_both_errors():
    rng = np.random.default_rng(8)
    found = overlap(*random_mixture(rng, 3, 2))
    m = found.misclassified
    pairs = [m[0, 1] + m[1, 0], m[0, 2] + m[2, 0], m[1, 2] + m[2, 1]]
    assert found.mean == pytest.approx(np.mean(pairs))
    assert found.max == pytest.approx(np.max(pairs))
