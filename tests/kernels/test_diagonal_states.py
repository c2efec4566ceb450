"""Densities and sums of independent normal columns against scipy and plain loops."""

import numpy as np
import pytest
from scipy.stats import norm

from emlib.kernels.diagonal_states import CHUNK_ROWS, diagonal_densities, diagonal_sums
from emlib.kernels.increments import CHUNK_STEPS, log_scales, sequence_sums


def problem(rng, n, d, k, rate):
    """Rows with holes, one of them empty, and means and variances (d, width) of k states."""
    width = -(-k // 8) * 8
    means, variances = np.zeros((d, width)), np.ones((d, width))
    means[:, :k] = 3.0 * rng.normal(size=(d, k))
    variances[:, :k] = rng.gamma(3.0, size=(d, k))
    values = 3.0 * rng.normal(size=(n, d))
    values[rng.random((n, d)) < rate] = np.nan
    if rate > 0:
        values[n // 2] = np.nan
    return values, means, variances


@pytest.mark.parametrize(("n", "d", "k"), [(5, 1, 1), (CHUNK_ROWS + 13, 3, 5), (64, 2, 11)])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_densities_are_products_over_observed_cells(rng, n, d, k, rate):
    values, means, variances = problem(rng, n, d, k, rate)
    relative, peaks = np.full((n, means.shape[1]), np.nan), np.full(n, np.nan)
    diagonal_densities(values, means, variances, k, relative, peaks)
    cells = norm.logpdf(values[:, :, None], means[:, :k], np.sqrt(variances[:, :k]))
    expected = np.nansum(cells, axis=1)
    assert peaks == pytest.approx(expected.max(axis=1), rel=1e-12, abs=1e-12)
    shares = np.exp(expected - expected.max(axis=1, keepdims=True))
    assert relative[:, :k] == pytest.approx(shares, rel=1e-11)
    assert (relative[:, k:] == 0).all()


@pytest.mark.parametrize(("n", "d", "k"), [(5, 1, 1), (CHUNK_ROWS + 13, 3, 5), (64, 2, 11)])
@pytest.mark.parametrize("rate", [0.0, 0.3])
def test_sums_are_expected_moments_about_the_means(rng, n, d, k, rate):
    values, means, variances = problem(rng, n, d, k, rate)
    shares = np.zeros((n, means.shape[1]))
    shares[:, :k] = rng.random((n, k))
    counts, first, second = diagonal_sums(values, means, variances, shares)
    expected = np.zeros_like(counts), np.zeros_like(first), np.zeros_like(second)
    for row, share in zip(values, shares, strict=True):
        seen = ~np.isnan(row)
        if seen.any():
            deviation = np.where(seen[:, None], row[:, None] - means, 0.0)
            expected[0][:] += share
            expected[1][:] += share * deviation
            expected[2][:] += share * np.where(seen[:, None], deviation**2, variances)
    for found, wanted in zip((counts, first, second), expected, strict=True):
        assert found == pytest.approx(wanted, rel=1e-11, abs=1e-11)


@pytest.mark.parametrize("own_lines", [True, False])
def test_steps_and_sequences_have_the_logs_of_their_scales(rng, own_lines):
    n = 2 * CHUNK_STEPS + 7
    offsets = np.array([0, 3, 4, n])
    rows = np.arange(n) if own_lines else rng.integers(0, 4, n)
    peaks = rng.normal(size=n if own_lines else 4)
    scales = rng.random(n)
    expected = np.log(scales) + peaks[rows]
    log_scales(scales, peaks, rows, own_lines)
    assert scales == pytest.approx(expected, rel=1e-14, abs=1e-14)
    logliks, sizes = sequence_sums(scales, offsets)
    assert logliks == pytest.approx(np.add.reduceat(expected, offsets[:-1]), rel=1e-12)
    large = np.maximum(np.abs(expected), 1.0)
    assert sizes == pytest.approx(np.add.reduceat(large, offsets[:-1]), rel=1e-12)
