"""Compiled pass of Gaussian mixtures with independent columns over a table with holes.

A missing cell has the component's mean and variance, whatever the other cells are: nothing is to
be factored.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import block_rows, gather_rows, weighted_sums
from emlib.kernels.gaussian import LOG_2PI
from emlib.kernels.posterior import divide_block


@njit(cache=True, fastmath={"contract"})
def add_distances(x, n, columns, m, mean, precision, distances):
    """Squared distances of n rows ``x`` (d, B) from ``mean``, in standard deviations."""
    distances[:n] = 0.0
    a = 0
    while a + 4 <= m:
        c0, c1, c2, c3 = columns[a], columns[a + 1], columns[a + 2], columns[a + 3]
        m0, m1, m2, m3 = mean[c0], mean[c1], mean[c2], mean[c3]
        p0, p1, p2, p3 = precision[c0], precision[c1], precision[c2], precision[c3]
        for i in range(n):
            d0, d1 = x[a, i] - m0, x[a + 1, i] - m1
            d2, d3 = x[a + 2, i] - m2, x[a + 3, i] - m3
            distances[i] += d0 * d0 * p0 + d1 * d1 * p1 + d2 * d2 * p2 + d3 * d3 * p3
        a += 4
    while a < m:
        centre, scale = mean[columns[a]], precision[columns[a]]
        for i in range(n):
            deviation = x[a, i] - centre
            distances[i] += deviation * deviation * scale
        a += 1


@njit(cache=True, fastmath={"reassoc", "contract"})
def add_column_moments(shares, x, n, columns, m, mean, first, second):
    """Add n weighted rows' deviations from ``mean`` and their squares; return the weights' sum."""
    count = 0.0
    for i in range(n):
        count += shares[i]
    for a in range(m):
        centre = mean[columns[a]]
        total = 0.0
        squares = 0.0
        for i in range(n):
            deviation = x[a, i] - centre
            product = shares[i] * deviation
            total += product
            squares += product * deviation
        first[columns[a]] += total
        second[columns[a]] += squares
    return count


@njit(cache=True)
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
    chunk_counts = np.zeros(n_components)
    chunk_first = np.zeros((n_components, d))
    chunk_second = np.zeros((n_components, d))
    chunk_loglik = 0.0
    chunk_magnitude = 0.0
    group_counts = np.zeros(n_components)
    log_norm = np.zeros(n_components)
    precisions = 1.0 / variances
    size = block_rows(d)
    x = np.zeros((d, size))
    joint = np.zeros((n_components, size))
    block_weights = np.zeros(size)
    block_uniforms = np.zeros(size if uniforms.shape[0] > 0 else 0)
    logliks = np.zeros(size)
    scratch = np.zeros(size)
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
            for i in range(n):
                block_weights[i] = weights[rows[i]]
            for i in range(min(n, block_uniforms.shape[0])):
                block_uniforms[i] = uniforms[rows[i]]
            for k in range(n_components):
                add_distances(x, n, columns, m, means[k], precisions[k], scratch)
                for i in range(n):
                    joint[k, i] = log_norm[k] - 0.5 * scratch[i]
            divide_block(joint, n, block_weights, beta, block_uniforms, logliks, scratch)
            block_loglik, block_magnitude = weighted_sums(block_weights, logliks, n)
            chunk_loglik += block_loglik
            chunk_magnitude += block_magnitude
            for k in range(n_components):
                group_counts[k] += add_column_moments(
                    joint[k], x, n, columns, m, means[k], chunk_first[k], chunk_second[k]
                )
        for k in range(n_components):
            chunk_counts[k] += group_counts[k]
            for a in range(m, d):
                chunk_second[k, columns[a]] += group_counts[k] * variances[k, columns[a]]
        if g + 1 == groups.shape[0] or groups[g + 1, 0] != groups[g, 0]:
            counts += chunk_counts
            first += chunk_first
            second += chunk_second
            loglik += chunk_loglik
            magnitude += chunk_magnitude
            chunk_counts[:] = 0.0
            chunk_first[:] = 0.0
            chunk_second[:] = 0.0
            chunk_loglik = 0.0
            chunk_magnitude = 0.0
    return counts, first, second, loglik, magnitude
