"""The E-step of one normal by eight patterns against the pass that factors one at a time."""

import numpy as np
import pytest

from emlib.data import Table
from emlib.kernels.gaussian import dense_pass
from emlib.kernels.normal import MOST_ROWS, equal_items, normal_pass


def problem(rng, n, d, rate, shift=0.0):
    """Rows with holes and weights, an empty one among them, and parameters beside theirs."""
    values = rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + shift
    values[rng.random((n, d)) < rate] = np.nan
    values[n // 2] = np.nan
    data = Table.from_array(values, rng.integers(0, 4, n) + (np.arange(n) == 0))
    root = rng.normal(size=(d, 2 * d))
    return data, rng.normal(size=d) + shift, root @ root.T / d


def view(data):
    return (
        data.values, data.weights, data.order, data.groups, data.columns_of_pattern,
        data.observed_counts,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("n", "d", "rate"),
    [(2, 1, 0.0), (40, 1, 0.3), (9, 2, 0.5), (700, 3, 0.3), (90, 7, 0.6), (300, 20, 0.2)],
)
def test_sums_are_those_of_one_pattern_at_a_time(rng, n, d, rate):
    data, mean, covariance = problem(rng, n, d, rate)
    *expected, singular = dense_pass(
        *view(data), np.zeros(1), mean[None], covariance[None], 1.0, np.zeros(0)
    )
    assert singular == -1
    *found, regular = normal_pass(*view(data), mean, covariance)
    assert regular
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other, rel=1e-12, abs=1e-10)


def test_every_row_with_an_observed_cell_is_in_one_run_of_equals(rng):
    data, *_ = problem(rng, 500, 3, 0.3)
    items = equal_items(data.groups, data.observed_counts, data.d)
    rows = np.concatenate([data.order[first:last] for _, first, last in items])
    assert sorted(rows) == np.flatnonzero(data.observed.any(axis=1)).tolist()
    for pattern, first, last in items:
        assert (data.pattern_of_row[data.order[first:last]] == pattern).all()
    lengths = items[:, 2] - items[:, 1]
    assert lengths.max() <= MOST_ROWS
    keys = list(zip(data.observed_counts[items[:, 0]], lengths, strict=True))
    assert keys == sorted(keys)


def test_a_singular_block_is_said_to_be_so(rng):
    data, mean, covariance = problem(rng, 60, 3, 0.3)
    covariance[1] = covariance[0]
    covariance[:, 1] = covariance[:, 0]
    assert not normal_pass(*view(data), mean, covariance)[-1]
    assert not normal_pass(*view(data), mean, np.full((3, 3), np.nan))[-1]
