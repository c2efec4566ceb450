"""Compiled pass of Gaussian mixtures with independent columns over a table with holes.

A missing cell has the component's mean and variance, whatever the other cells are: nothing is to
be factored.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import block_rows, gather_rows, gather_weights, weighted_sums
from emlib.kernels.gaussian import LOG_2PI
from emlib.kernels.lanes import (
    LANES,
    add,
    add_product,
    load,
    multiply,
    spread,
    store,
    subtract,
    total,
)
from emlib.kernels.posterior import divide_block


@njit(cache=True)
def squared_distances(x, n, columns, m, mean, precision, distances):
    """Squared distances of n rows ``x`` (d, B) from ``mean``, in standard deviations."""
    width = x.shape[1]
    for place in range(0, n, LANES):
        even, odd = spread(0.0), spread(0.0)  # two sums, which need not wait for each other
        for a in range(m):
            c = columns[a]
            deviation = subtract(load(x, a * width + place), spread(mean[c]))
            scaled = multiply(deviation, spread(precision[c]))
            even, odd = odd, add_product(scaled, deviation, even)
        store(distances, place, add(even, odd))


@njit(cache=True)
def add_column_moments(shares, x, n, columns, m, mean, first, second):
    """Add n weighted rows' deviations from ``mean`` and their squares; return the weights' sum.

    ``shares`` are 0 from n to the next multiple of ``LANES``.
    """
    width = x.shape[1]
    count = spread(0.0)
    for place in range(0, n, LANES):
        count = add(count, load(shares, place))
    for a in range(m):
        centre = spread(mean[columns[a]])
        sums, squares = spread(0.0), spread(0.0)
        for place in range(0, n, LANES):
            deviation = subtract(load(x, a * width + place), centre)
            product = multiply(load(shares, place), deviation)
            sums = add(sums, product)
            squares = add_product(product, deviation, squares)
        first[columns[a]] += total(sums)
        second[columns[a]] += total(squares)
    return total(count)


@njit(cache=True, nogil=True)
def diagonal_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, variances, beta, uniforms,
):  # fmt: skip
    """One E-step; as ``gaussian.dense_pass``, with ``second`` of shape (K, d)."""
    n_components, d = means.shape
    counts = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d))
    loglik = 0.0
    magnitude = 0.0
    group_counts = np.zeros(n_components)
    log_norm = np.zeros(n_components)
    precisions = 1.0 / variances
    size = block_rows(d)
    x = np.zeros((d, size))
    joint = np.zeros((n_components, size))
    block_weights = np.zeros(size)
    block_uniforms = np.zeros(size if uniforms.shape[0] > 0 else 0)
    logliks = np.zeros(size)
    distances = np.zeros(size)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        for k in range(n_components):
            log_norm[k] = log_weights[k] - 0.5 * m * LOG_2PI
            for a in range(m):
                log_norm[k] -= 0.5 * math.log(variances[k, columns[a]])
        for begin in range(groups[g, 2], groups[g, 3] if m > 0 else groups[g, 2], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            n = rows.shape[0]
            gather_rows(values, rows, columns, m, x)
            gather_weights(weights, rows, block_weights)
            for i in range(min(n, block_uniforms.shape[0])):
                block_uniforms[i] = uniforms[rows[i]]
            for k in range(n_components):
                squared_distances(x, n, columns, m, means[k], precisions[k], distances)
                for i in range(n):
                    joint[k, i] = log_norm[k] - 0.5 * distances[i]
            divide_block(joint, n, block_weights, beta, block_uniforms, logliks)
            block_loglik, block_magnitude = weighted_sums(block_weights, logliks, n)
            loglik += block_loglik
            magnitude += block_magnitude
            for k in range(n_components):
                group_counts[k] += add_column_moments(
                    joint[k], x, n, columns, m, means[k], first[k], second[k]
                )
        for k in range(n_components):
            counts[k] += group_counts[k]
            for a in range(m, d):
                second[k, columns[a]] += group_counts[k] * variances[k, columns[a]]
    return counts, first, second, loglik, magnitude
