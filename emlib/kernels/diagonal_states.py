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
    """n rows from ``begin`` on as ``columns`` (d, >= n); whether each run of eight is whole."""
    whole = np.ones(columns.shape[1] // LANES, dtype=np.bool_)
    for i in range(n):
        for c in range(values.shape[1]):
            x = values[begin + i, c]
            columns[c, i] = x
            if np.isnan(x):
                whole[i // LANES] = False
    return whole


@njit(cache=True)
def diagonal_densities(values, means, variances, n_states, densities, peaks):
    """Densities (n, width) relative to each row's largest, whose logs go to ``peaks`` (n,)."""
    n, d = values.shape
    width = means.shape[1]
    log_norms = -0.5 * (LOG_2PI + np.log(variances))
    precisions = -0.5 / variances
    constants = log_norms.sum(axis=0)
    columns = np.zeros((d, CHUNK_ROWS))
    logs = np.full((width, LANES), -np.inf)
    relative = np.zeros((width, LANES))
    bests = np.zeros(LANES)
    for begin in range(0, n, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, n - begin)
        whole = gather_columns(values, begin, rows, columns)
        for first in range(0, rows, LANES):
            best = spread(-np.inf)
            for k in range(n_states):
                if whole[first // LANES]:
                    total = spread(constants[k])
                    for c in range(d):
                        x = load(columns, c * CHUNK_ROWS + first)
                        deviation = subtract(x, spread(means[c, k]))
                        square = multiply(deviation, deviation)
                        total = add_product(square, spread(precisions[c, k]), total)
                else:
                    total = spread(0.0)
                    for c in range(d):
                        x = load(columns, c * CHUNK_ROWS + first)
                        deviation = subtract(x, spread(means[c, k]))
                        square = multiply(deviation, deviation)
                        term = add_product(
                            square, spread(precisions[c, k]), spread(log_norms[c, k])
                        )
                        total = add(total, where_number(x, term, spread(0.0)))
                store(logs, k * LANES, total)
                best = larger(best, total)
            for k in range(n_states):
                store(relative, k * LANES, exp(subtract(load(logs, k * LANES), best)))
            if first + LANES <= rows:
                store(peaks, begin + first, best)
                for block in range(0, width, LANES):
                    place = (begin + first) * width + block
                    transpose(relative, block * LANES, densities, place, width)
                continue
            store(bests, 0, best)
            for i in range(rows - first):
                peaks[begin + first + i] = bests[i]
                for k in range(width):
                    densities[begin + first + i, k] = relative[k, i]


@njit(cache=True)
def add_column(values, c, begin, n, seen, means, variances, shares, block, first, second):
    """Moments of one column over n rows, for eight states; rows without a cell ``seen`` not."""
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
def diagonal_sums(values, means, variances, shares):
    """As ``dense_sums`` for independent columns: counts (width,), first and second (d, width)."""
    n, d = values.shape
    width = means.shape[1]
    counts, first, second = np.zeros(width), np.zeros((d, width)), np.zeros((d, width))
    seen = np.zeros(CHUNK_ROWS, dtype=np.bool_)
    for begin in range(0, n, CHUNK_ROWS):
        rows = min(CHUNK_ROWS, n - begin)
        for i in range(rows):
            seen[i] = False
            for c in range(d):
                if not np.isnan(values[begin + i, c]):
                    seen[i] = True
                    break
        for block in range(0, width, LANES):
            count = spread(0.0)
            for i in range(rows):
                if seen[i]:
                    count = add(count, load(shares, (begin + i) * width + block))
            store(counts, block, add(load(counts, block), count))
            for c in range(d):
                add_column(
                    values, c, begin, rows, seen, means, variances, shares, block, first, second
                )
    return counts, first, second
