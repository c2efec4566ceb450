"""Parts of compiled passes against NumPy, a block at a time."""

import numpy as np
import pytest
from scipy.special import logsumexp

from emlib.kernels.blocks import (
    BLOCK_ROWS,
    add_completed,
    add_moments,
    block_rows,
    gather_rows,
    weighted_sums,
    whiten_rows,
)
from emlib.kernels.gaussian import factor_patterns
from emlib.kernels.gaussian_diagonal import add_column_moments, squared_distances
from emlib.kernels.posterior import divide_block, divide_row

WIDTH = block_rows(1)


def test_blocks_are_whole_lanes_and_shrink_with_what_they_hold():
    sizes = [block_rows(width) for width in (1, 100, 200, 500, 10_000)]
    assert sizes == [BLOCK_ROWS, 120, 56, 56, 56]
    assert all(size % 8 == 0 for size in sizes)


@pytest.mark.parametrize("n", [1, 7, 8, 100, WIDTH])
@pytest.mark.parametrize("k", [1, 2, 5])
def test_a_block_is_divided_as_logs_of_sums_say(rng, n, k):
    joint = rng.normal(scale=30.0, size=(k, WIDTH))
    joint[0, 0] = -5000.0  # far below the others, where there are any
    weights = np.zeros(WIDTH)
    weights[:n] = rng.random(n)
    expected = logsumexp(joint[:, :n], axis=0)
    shares = np.exp(joint[:, :n] - expected) * weights[:n]
    logliks = np.zeros(WIDTH)
    divide_block(joint, n, weights, 1.0, np.zeros(0), logliks)
    assert logliks[:n] == pytest.approx(expected, rel=1e-14)
    assert joint[:, :n] == pytest.approx(shares, rel=1e-13, abs=1e-290)
    assert (joint[:, n : -(-n // 8) * 8] == 0.0).all()


def test_a_class_without_weight_takes_nothing(rng):
    joint = rng.normal(size=(3, WIDTH))
    joint[1] = -np.inf
    logliks = np.zeros(WIDTH)
    divide_block(joint, 10, np.ones(WIDTH), 1.0, np.zeros(0), logliks)
    assert (joint[1, :10] == 0.0).all()
    assert joint[:, :10].sum(axis=0) == pytest.approx(np.ones(10))


@pytest.mark.parametrize("beta", [0.5, np.inf])
def test_other_posteriors_are_those_of_single_rows(rng, beta):
    joint = rng.normal(size=(3, WIDTH))
    weights = rng.random(WIDTH)
    rows = joint[:, :20].T.copy()
    logliks = np.zeros(WIDTH)
    divide_block(joint, 20, weights, beta, np.zeros(0), logliks)
    assert (joint[:, 20:24] == 0.0).all()
    for i, row in enumerate(rows):
        assert divide_row(row, beta, -1.0, row) == logliks[i]
        assert joint[:, i] == pytest.approx(weights[i] * row)


@pytest.mark.parametrize("missing", [0, 2, 5])
def test_completed_rows_and_their_moments_are_those_of_the_conditional_normal(rng, missing):
    n, d = 30, 7
    root = rng.normal(size=(d, d + 2))
    covariance, mean = root @ root.T, rng.normal(size=d)
    hidden = np.sort(rng.choice(d, missing, replace=False))
    seen = np.setdiff1d(np.arange(d), hidden)
    columns = np.concatenate([seen, hidden])
    values, rows = rng.normal(size=(100, d)), rng.choice(100, n, replace=False)
    m = len(seen)
    whiten, conditional, _, _ = factor_patterns(covariance[None], columns[None], np.array([m]))
    x, deviations = np.zeros((d, WIDTH)), np.zeros((d, WIDTH))
    distances, scratch = np.zeros(WIDTH), np.zeros((2, WIDTH))
    gather_rows(values, rows, columns, m, x)
    whiten_rows(x, n, columns, m, mean, whiten[0, 0], deviations, distances)
    away = values[rows][:, seen] - mean[seen]
    solved = np.linalg.solve(covariance[np.ix_(seen, seen)], away.T)
    assert deviations[:m, :n] == pytest.approx(away.T, rel=1e-14)
    assert distances[:n] == pytest.approx((away.T * solved).sum(axis=0), rel=1e-10)

    completed = np.zeros((d, n))
    completed[seen] = away.T
    completed[hidden] = covariance[np.ix_(hidden, seen)] @ solved
    spread = np.zeros((d, d))
    cross = covariance[np.ix_(hidden, seen)]
    spread[np.ix_(hidden, hidden)] = covariance[np.ix_(hidden, hidden)] - cross @ np.linalg.solve(
        covariance[np.ix_(seen, seen)], cross.T
    )
    shares = np.zeros(WIDTH)
    shares[:n] = rng.random(n)
    group_first, group_second = np.zeros(d), np.zeros((d, d))
    count = add_moments(shares, deviations, n, m, scratch, group_first, group_second)
    assert count == pytest.approx(shares[:n].sum(), rel=1e-14)
    first, second = np.zeros(d), np.zeros((d, d))
    add_completed(
        count, group_first, group_second, whiten[0, 0], conditional[0, 0], columns, m,
        np.zeros((d, d)), first, second,
    )  # fmt: skip
    assert first == pytest.approx(completed @ shares[:n], rel=1e-9, abs=1e-11)
    products = np.tril((completed * shares[:n]) @ completed.T + count * spread)
    assert second == pytest.approx(products, rel=1e-9, abs=1e-10)


@pytest.mark.parametrize("m", [1, 4, 6])
def test_independent_columns_are_summed_one_by_one(rng, m):
    n, d = 25, 6  # 25 rows leave a group of eight half empty
    columns = rng.permutation(d)
    x = rng.normal(size=(d, WIDTH))
    mean, precision, shares = rng.normal(size=d), rng.random(d) + 0.1, np.zeros(WIDTH)
    shares[:n] = rng.random(n)
    distances, first, second = np.zeros(WIDTH), np.zeros(d), np.zeros(d)
    squared_distances(x, n, columns, m, mean, precision, distances)
    away = x[:m, :n] - mean[columns[:m], None]
    assert distances[:n] == pytest.approx(precision[columns[:m]] @ away**2, rel=1e-13)
    count = add_column_moments(shares, x, n, columns, m, mean, first, second)
    assert count == pytest.approx(shares[:n].sum(), rel=1e-14)
    assert first[columns[:m]] == pytest.approx(away @ shares[:n], rel=1e-12, abs=1e-13)
    assert second[columns[:m]] == pytest.approx(away**2 @ shares[:n], rel=1e-12)
    assert (first[columns[m:]] == 0.0).all()


def test_logliks_are_summed_with_their_sizes(rng):
    weights, logliks = rng.random(100), rng.normal(size=100)
    total, size = weighted_sums(weights, logliks, 60)
    assert total == pytest.approx(weights[:60] @ logliks[:60], rel=1e-12)
    assert size == pytest.approx(weights[:60] @ np.abs(logliks[:60]), rel=1e-12)
