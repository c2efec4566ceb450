"""Distinct rows, available-case correlations and what is built on them, by brute force."""

import numpy as np
import pytest

from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits.rows import Rows, available_correlation, repaired, systematic
from tests.conftest import mixture_rows


def test_rows_are_distinct_sorted_and_weighted(rng):
    x = rng.integers(0, 2, size=(40, 3)).astype(float)
    x[rng.random(x.shape) < 0.2] = np.nan
    weights = rng.integers(0, 3, size=40).astype(float)
    rows = Rows.of(Table.from_array(x, weights))
    kept = (weights > 0) & ~np.isnan(x).all(axis=1)
    keys = [tuple(np.nan_to_num(line, nan=9.0)) for line in x]
    distinct = sorted({key for key, live in zip(keys, kept, strict=True) if live})
    assert len(distinct) == rows.table.n
    assert (rows.number >= 0).tolist() == kept.tolist()
    for number, key in enumerate(distinct):
        copies = [w for w, k, live in zip(weights, keys, kept, strict=True) if live and k == key]
        assert rows.weights[number] == sum(copies)
        assert np.isnan(rows.table.values[number]).tolist() == [cell == 9.0 for cell in key]


def test_too_few_rows_and_columns_that_do_not_vary_are_refused():
    with pytest.raises(InvalidData, match="2 distinct rows, fewer than 3 components"):
        Rows.of(Table.from_array([[1.0], [2.0], [1.0]]), 3)
    with pytest.raises(InvalidData, match="no column varies"):
        Rows.of(Table.from_array([[1.0, np.nan], [np.nan, 2.0]]), 2)
    assert Rows.of(Table.from_array([[1.0, 5.0], [2.0, 5.0]])).table.d == 1


def test_correlations_are_over_the_rows_where_both_are_observed(rng):
    x = mixture_rows(rng, 50, 3, 2, missing=0.3)
    x[:, 2] = np.where(np.isnan(x[:, 0]), x[:, 2], np.nan)  # 0 and 2 are never seen together
    table = Rows.of(Table.from_array(x)).table
    found = available_correlation(table)
    both = table.observed[:, 0] & table.observed[:, 1]
    assert found[0, 1] == pytest.approx((table.values[both, 0] * table.values[both, 1]).mean())
    assert found[0, 2] == 0.0


def test_a_correlation_that_is_not_positive_definite_is_repaired_and_a_sound_one_kept(rng):
    sound = np.corrcoef(rng.normal(size=(4, 30)))
    assert repaired(sound) is sound
    broken = np.array([[1.0, 0.9, -0.9], [0.9, 1.0, 0.9], [-0.9, 0.9, 1.0]])
    fixed = repaired(broken)
    assert np.linalg.eigvalsh(fixed).min() > 0
    assert np.diagonal(fixed) == pytest.approx(1.0)
    assert np.abs(fixed - broken).max() < 0.5


def test_missing_cells_are_at_their_conditional_means(rng):
    rows = Rows.of(Table.from_array(mixture_rows(rng, 40, 3, 2, missing=0.3)))
    r, values, seen = rows.correlation, rows.table.values, rows.table.observed
    for line, mask, found in zip(values, seen, rows.completed, strict=True):
        wanted = line.copy()
        gain = r[np.ix_(~mask, mask)] @ np.linalg.inv(r[np.ix_(mask, mask)])
        wanted[~mask] = gain @ line[mask]
        assert found == pytest.approx(wanted, abs=1e-9)


def test_whitened_distances_are_those_of_mahalanobis(rng):
    x = rng.normal(size=(30, 3)) @ rng.normal(size=(3, 3))
    z = Rows.of(Table.from_array(x)).whitened
    order = np.lexsort(x.T[::-1])
    inverse = np.linalg.inv(np.cov(x.T, bias=True))
    difference = x[order[3]] - x[order[7]]
    assert ((z[3] - z[7]) ** 2).sum() == pytest.approx(difference @ inverse @ difference)


def test_a_systematic_sample_is_spaced_by_weight():
    assert systematic(np.ones(5), 5).tolist() == [0, 1, 2, 3, 4]
    assert systematic(np.ones(100), 4).tolist() == [12, 37, 62, 87]
    assert systematic(np.array([1.0, 8.0, 1.0]), 2).tolist() == [1]
