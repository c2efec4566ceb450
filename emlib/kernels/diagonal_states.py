"""Compiled passes of Gaussian emissions with independent columns, as ``gaussian_states``.

Densities are computed for eight rows at a time, state by state; arrays by state are padded as in
``chain``.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.gaussian import LOG_2PI
from emlib.kernels.lanes import (
    LANES,
    add,
    add_product,
    exp,
    larger,
    load,
    multiply,
    spread,
    store,
    subtract,
    transpose,
    where_number,
)

CHUNK_ROWS = 256
"""Rows that are summed apart; part of the order of sums."""


@njit(cache=True)
def diagonal_log_densities(values, means, variances, out):
    """As ``dense_log_densities`` for independent columns: means, variances (d, >= K)."""
    for i in range(values.shape[0]):
        for k in range(out.shape[1]):
            out[i, k] = 0.0
            for c in range(values.shape[1]):
                if not np.isnan(values[i, c]):
                    deviation = values[i, c] - means[c, k]
                    out[i, k] -= 0.5 * (LOG_2PI + math.log(variances[c, k]))
                    out[i, k] -= 0.5 * deviation * deviation / variances[c, k]


@njit(cache=True)
def gather_columns(values, begin, n, columns):
    """n rows from ``begin`` on as ``columns`` (d, >= n); whether all cells are observed."""
    holes = 0
    for c in range(values.shape[1]):
        for i in range(n):
            x = values[begin + i, c]
            columns[c, i] = x
            holes += np.isnan(x)
    return holes == 0


@njit(cache=True)
def add_log_density(x, n, mean, precision, log_norm, whole, logs):
    """Add a column's log densities in one state, of n cells ``x`` of which some may be holes."""
    centre, scale, norm = spread(mean), spread(precision), spread(log_norm)
    if whole:
        for i in range(0, n, LANES):
            deviation = subtract(load(x, i), centre)
            density = add_product(multiply(deviation, deviation), scale, norm)
            store(logs, i, add(load(logs, i), density))
        return
    for i in range(0, n, LANES):
        cells = load(x, i)
        deviation = subtract(cells, centre)
        density = add_product(multiply(deviation, deviation), scale, norm)
        store(logs, i, add(load(logs, i), where_number(cells, density, spread(0.0))))


@njit(cache=True)
def relative_to_largest(logs, n, n_states, bests):
    """exp of ``logs`` (K, >= n) less the largest of a row's, which goes to ``bests``, in place."""
    size = logs.shape[1]
    for i in range(0, n, LANES):
        best = load(logs, i)
        for k in range(1, n_states):
            best = larger(best, load(logs, k * size + i))
        store(bests, i, best)
    for k in range(n_states):
        for i in range(k * size, k * size + n, LANES):
            store(logs, i, exp(subtract(load(logs, i), load(bests, i - k * size))))


@njit(cache=True)
def diagonal_densities(values, means, variances, n_states, densities, peaks):
    """Densities (n, width) relative to each row's largest, whose logs go to ``peaks`` (n,)."""
    n, d = values.shape
    width = means.shape[1]
    log_norms = -0.5 * (LOG_2PI + np.log(variances))
    precisions = -0.5 / variances
    columns = np.zeros((d, CHUNK_ROWS))
    logs = np.zeros((width, CHUNK_ROWS))
    bests = np.zeros(CHUNK_ROWS)
    lines = np.zeros((LANES, LANES))
    for begin in range(0, n, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, n - begin)
        whole = gather_columns(values, begin, rows, columns)
        for k in range(n_states):
            logs[k] = 0.0
            for c in range(d):
                add_log_density(
                    columns[c], rows, means[c, k], precisions[c, k], log_norms[c, k], whole,
                    logs[k],
                )  # fmt: skip
        relative_to_largest(logs, rows, n_states, bests)
        peaks[begin : begin + rows] = bests[:rows]
        for block in range(0, width, LANES):
            for first in range(0, rows, LANES):
                source, place = block * CHUNK_ROWS + first, (begin + first) * width + block
                if first + LANES <= rows:
                    transpose(logs, source, CHUNK_ROWS, densities, place, width)
                    continue
                transpose(logs, source, CHUNK_ROWS, lines, 0, LANES)
                for i in range(rows - first):
                    store(densities, place + i * width, load(lines, i * LANES))


@njit(cache=True)
def add_column(values, c, begin, n, means, shares, block, first, second):
    """Moments of one column over n rows without holes, for eight states."""
    width = means.shape[1]
    place = c * width + block
    mean = load(means, place)
    moments, squares = spread(0.0), spread(0.0)
    for i in range(begin, begin + n):
        deviation = subtract(spread(values[i, c]), mean)
        moment = multiply(load(shares, i * width + block), deviation)
        moments = add(moments, moment)
        squares = add_product(moment, deviation, squares)
    store(first, place, add(load(first, place), moments))
    store(second, place, add(load(second, place), squares))


@njit(cache=True)
def add_holed_column(
    values, c, begin, n, seen, means, variances, shares, block, first, second
):  # fmt: skip
    """``add_column`` where cells may be missing; rows without a cell ``seen`` count for nothing."""
    width = means.shape[1]
    place = c * width + block
    mean, variance = load(means, place), load(variances, place)
    moments, squares = spread(0.0), spread(0.0)
    for i in range(n):
        share = load(shares, (begin + i) * width + block)
        x = values[begin + i, c]
        if np.isnan(x):
            if seen[i]:
                squares = add_product(share, variance, squares)
            continue
        deviation = subtract(spread(x), mean)
        moment = multiply(share, deviation)
        moments = add(moments, moment)
        squares = add_product(moment, deviation, squares)
    store(first, place, add(load(first, place), moments))
    store(second, place, add(load(second, place), squares))


@njit(cache=True)
def mark_seen(values, begin, n, seen):
    """Mark rows with an observed cell, unless all cells are; returns whether they are."""
    holes = 0
    for cell in values[begin : begin + n].reshape(-1):
        holes += np.isnan(cell)
    if holes == 0:
        return True
    for i in range(n):
        missing = 0
        for c in range(values.shape[1]):
            missing += np.isnan(values[begin + i, c])
        seen[i] = missing < values.shape[1]
    return False


@njit(cache=True)
def diagonal_sums(values, means, variances, shares):
    """As ``dense_sums`` for independent columns: counts (width,), first and second (d, width)."""
    n, d = values.shape
    width = means.shape[1]
    counts, first, second = np.zeros(width), np.zeros((d, width)), np.zeros((d, width))
    seen = np.zeros(CHUNK_ROWS, dtype=np.bool_)
    for begin in range(0, n, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, n - begin)
        whole = mark_seen(values, begin, rows, seen)
        for block in range(0, width, LANES):
            count = spread(0.0)
            for i in range(rows):
                if whole or seen[i]:
                    count = add(count, load(shares, (begin + i) * width + block))
            store(counts, block, add(load(counts, block), count))
            for c in range(d):
                if whole:
                    add_column(values, c, begin, rows, means, shares, block, first, second)
                    continue
                add_holed_column(
                    values, c, begin, rows, seen, means, variances, shares, block, first, second
                )
    return counts, first, second
