"""Compiled E-step of one normal where rows share their pattern of holes with few others.

Formulas as in ``gaussian``, but L^-1 is never formed: for about one row a pattern it would cost
more than all else.  Eight patterns with equally many observed columns are factored at a time, one
a lane; then their rows go through, one of each pattern at a time.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import BLOCK_ROWS, add_moments, mirror
from emlib.kernels.gaussian import LOG_2PI, SMALLEST_PIVOT
from emlib.kernels.lanes import (
    LANES,
    add,
    add_product,
    divide,
    larger,
    largest,
    load,
    multiply,
    negative,
    spread,
    square_root,
    store,
    subtract,
    total,
)
from emlib.kernels.lanes_log import log

MOST_ROWS = 16
"""Rows that go with one factorization: lanes that have none left wait for those that have."""


@njit(cache=True)
def equal_items(groups, observed_counts, d):
    """Runs of at most ``MOST_ROWS`` rows of one pattern, by observed columns, then by length.

    Returns lines of (pattern, first, last) places in the order of rows.  Empty rows are left out.
    """
    starts = np.zeros((d + 1) * MOST_ROWS + 1, dtype=np.int64)
    for g in range(groups.shape[0]):
        m = observed_counts[groups[g, 1]]
        for first in range(groups[g, 2], groups[g, 3] if m > 0 else groups[g, 2], MOST_ROWS):
            length = min(MOST_ROWS, groups[g, 3] - first)
            starts[m * MOST_ROWS + length] += 1
    starts = np.cumsum(starts)
    items = np.empty((starts[-1], 3), dtype=np.int64)
    for g in range(groups.shape[0]):
        m = observed_counts[groups[g, 1]]
        for first in range(groups[g, 2], groups[g, 3] if m > 0 else groups[g, 2], MOST_ROWS):
            length = min(MOST_ROWS, groups[g, 3] - first)
            key = m * MOST_ROWS + length - 1
            place = starts[key]
            starts[key] += 1
            items[place] = groups[g, 1], first, first + length
    return items


@njit(cache=True)
def gather_lower(covariance, columns, lane, lower):
    """The lower triangle in the order of ``columns`` into one lane of ``lower`` (d, d, 8)."""
    for a in range(columns.shape[0]):
        for b in range(a + 1):
            lower[a, b, lane] = covariance[columns[a], columns[b]]


@njit(inline="always")
def less_products(lower, a, b, count):
    """Entry (a, b) less the products of the first ``count`` entries of lines a and b."""
    d = lower.shape[0]
    even, odd = load(lower, (a * d + b) * LANES), spread(0.0)
    for c in range(0, count - 1, 2):
        left, right = (a * d + c) * LANES, (b * d + c) * LANES
        even = add_product(load(lower, left), negative(load(lower, right)), even)
        left, right = left + LANES, right + LANES
        odd = add_product(load(lower, left), negative(load(lower, right)), odd)
    if count % 2 == 1:
        left, right = (a * d + count - 1) * LANES, (b * d + count - 1) * LANES
        even = add_product(load(lower, left), negative(load(lower, right)), even)
    return add(even, odd)


@njit(cache=True)
def factor_lanes(lower, m, inverses, log_det):
    """Eliminate the first m columns of eight matrices ``lower`` (d, d, 8), in place.

    Leaves L and V where they were, and the conditional covariance below m.  ``inverses`` (d, 8)
    takes the inverses of the diagonal of L, ``log_det`` (8,) log |L|; False if any is singular.
    """
    d = lower.shape[0]
    logs, roots, excess = spread(0.0), spread(0.0), spread(-1.0)
    for b in range(d):
        count = min(b, m)
        pivot_inverse = spread(1.0)
        if b < m:
            variance = load(lower, (b * d + b) * LANES)
            pivot = less_products(lower, b, b, count)
            excess = larger(excess, subtract(spread(SMALLEST_PIVOT), divide(pivot, variance)))
            root = square_root(pivot)
            logs, roots = add(logs, log(root)), add(roots, root)
            pivot_inverse = divide(spread(1.0), root)
            store(inverses, b * LANES, pivot_inverse)
        for a in range(b if b >= m else b + 1, d):
            entry = less_products(lower, a, b, count)
            store(lower, (a * d + b) * LANES, multiply(entry, pivot_inverse))
    store(log_det, 0, logs)
    return largest(excess) < 0.0 and math.isfinite(total(roots))  # where one is NaN, so are they


@njit(cache=True)
def complete_lanes(lower, inverses, m, rest):
    """Turn deviations of the observed columns in ``rest`` (d, 8) into z, those of the others (0)
    into the negative of their conditional expectations; returns z'z."""
    d = lower.shape[0]
    distances = spread(0.0)
    for c in range(m):
        z = multiply(load(rest, c * LANES), load(inverses, c * LANES))
        distances = add_product(z, z, distances)
        lowered = negative(z)
        for a in range(c + 1, d):
            line = load(lower, (a * d + c) * LANES)
            store(rest, a * LANES, add_product(line, lowered, load(rest, a * LANES)))
    return distances


@njit(cache=True)
def normal_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts, mean, covariance
):
    """One E-step; as ``gaussian.dense_pass`` for one component, and whether all is regular."""
    d = mean.shape[0]
    counts = np.zeros(1)
    first, second = np.zeros((1, d)), np.zeros((1, d, d))
    loglik, magnitude = 0.0, 0.0
    lower, inverses = np.zeros((d, d, LANES)), np.zeros((d, LANES))
    rest, deviations = np.zeros((d, LANES)), np.zeros((d, LANES))
    log_det, lane_logliks, lane_counts = np.zeros(LANES), np.zeros(LANES), np.zeros(LANES)
    block, shares = np.zeros((d, BLOCK_ROWS)), np.zeros(BLOCK_ROWS)
    scratch = np.zeros((2, BLOCK_ROWS))
    filled = 0
    block_loglik, block_magnitude = 0.0, 0.0
    items = equal_items(groups, observed_counts, d)
    begin = 0
    while begin < items.shape[0]:
        m = observed_counts[items[begin, 0]]
        lanes = 1
        while lanes < min(LANES, items.shape[0] - begin):
            if observed_counts[items[begin + lanes, 0]] != m:
                break
            lanes += 1
        most = 0
        for lane in range(LANES):
            item = begin + min(lane, lanes - 1)
            gather_lower(covariance, columns_of_pattern[items[item, 0]], lane, lower)
            most = max(most, items[item, 2] - items[item, 1])
        if not factor_lanes(lower, m, inverses, log_det):
            return counts, first, second, loglik, magnitude, False
        lane_counts[:] = 0.0
        for turn in range(most):
            for lane in range(lanes):
                item = begin + lane
                columns = columns_of_pattern[items[item, 0]]
                row = order[min(items[item, 1] + turn, items[item, 2] - 1)]
                for a in range(m):
                    deviations[a, lane] = values[row, columns[a]] - mean[columns[a]]
            rest[:m] = deviations[:m]
            rest[m:] = 0.0
            distances = complete_lanes(lower, inverses, m, rest)
            halves = multiply(distances, spread(-0.5))
            constant = subtract(spread(-0.5 * m * LOG_2PI), load(log_det, 0))
            store(lane_logliks, 0, add(constant, halves))
            for lane in range(lanes):
                item = begin + lane
                if items[item, 1] + turn >= items[item, 2]:
                    continue
                weight = weights[order[items[item, 1] + turn]]
                columns = columns_of_pattern[items[item, 0]]
                block_loglik += weight * lane_logliks[lane]
                block_magnitude += weight * abs(lane_logliks[lane])
                lane_counts[lane] += weight
                shares[filled] = weight
                for a in range(m):
                    block[columns[a], filled] = deviations[a, lane]
                for a in range(m, d):
                    block[columns[a], filled] = -rest[a, lane]
                filled += 1
                if filled == BLOCK_ROWS:
                    counts[0] += add_moments(shares, block, filled, d, scratch, first[0], second[0])
                    loglik += block_loglik
                    magnitude += block_magnitude
                    block_loglik, block_magnitude, filled = 0.0, 0.0, 0
        for lane in range(lanes):
            columns = columns_of_pattern[items[begin + lane, 0]]
            for a in range(m, d):
                for b in range(m, a + 1):
                    second[0, columns[a], columns[b]] += lane_counts[lane] * lower[a, b, lane]
        begin += lanes
    shares[filled : filled + LANES] = 0.0
    counts[0] += add_moments(shares, block, filled, d, scratch, first[0], second[0])
    mirror(second)
    return counts, first, second, loglik + block_loglik, magnitude + block_magnitude, True
