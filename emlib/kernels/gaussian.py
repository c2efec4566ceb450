"""Compiled passes of Gaussian mixtures over a table with holes.

For a row with observed columns o and missing columns u (Little and Rubin 2019, section 11.2; one
component of Ghahramani and Jordan 1994), with the Cholesky factor S_oo = L L':

    z = L^-1 (x_o - mu_o)                     log N(x_o) = -|o|/2 log 2 pi - log |L| - z'z / 2
    E[x_u | x_o] - mu_u = C (x_o - mu_o)      with C = S_uo S_oo^-1 = V L^-1, V = S_uo L^-T
    Cov[x_u | x_o] = S_uu - V V'

L^-1, C and the conditional covariance are computed once for each pattern and component.  Sums are
taken about the current means, in a fixed order: pattern by pattern, block by block.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import (
    add_completed,
    add_moments,
    add_scaled,
    block_rows,
    gather_rows,
    gather_weights,
    mirror,
    weighted_sums,
    whiten_rows,
)
from emlib.kernels.posterior import divide_block

LOG_2PI = math.log(2.0 * math.pi)

SMALLEST_PIVOT = 1e-13
"""A Cholesky pivot below this share of its diagonal entry carries no correct digit."""


@njit(cache=True)
def factor_pattern(covariances, columns, m, lower, whiten, conditional, log_norm):
    """Factor the observed block of every covariance (C, d, d).

    Fills ``whiten`` (C, d, d) with L^-1 above C, in pattern order, ``conditional`` (C, d, d) with
    the conditional covariance in its leading block, and ``log_norm`` (C,); ``lower`` (d, d) is
    scratch.  Returns the number of the first component whose block is singular (-1 if none).
    """
    n_covariances, d, _ = covariances.shape
    for k in range(n_covariances):
        matrix, inverse = covariances[k], whiten[k]
        log_det = 0.0
        for a in range(d):
            # Rows a >= m continue the factorization's columns: they are V itself.
            for b in range(min(a, m)):
                total = matrix[columns[a], columns[b]]
                for c in range(b):
                    total -= lower[a, c] * lower[b, c]
                lower[a, b] = total * inverse[b, b]
            if a < m:
                total = matrix[columns[a], columns[a]]
                for c in range(a):
                    total -= lower[a, c] * lower[a, c]
                if not total > SMALLEST_PIVOT * matrix[columns[a], columns[a]]:
                    return k
                root = math.sqrt(total)
                log_det += math.log(root)
                inverse[a, a] = 1.0 / root
        log_norm[k] = -0.5 * m * LOG_2PI - log_det
        for a in range(m):
            inverse[a, :a] = 0.0
            for c in range(a):
                scale = lower[a, c]
                for b in range(c + 1):
                    inverse[a, b] -= scale * inverse[c, b]
            scale = inverse[a, a]
            for b in range(a):
                inverse[a, b] *= scale
        for a in range(m, d):
            inverse[a, :m] = 0.0
            for c in range(m):
                scale = lower[a, c]
                for b in range(c + 1):
                    inverse[a, b] += scale * inverse[c, b]
            for b in range(m, a + 1):
                total = matrix[columns[a], columns[b]]
                for c in range(m):
                    total -= lower[a, c] * lower[b, c]
                conditional[k, a - m, b - m] = total
                conditional[k, b - m, a - m] = total
    return -1


@njit(cache=True)
def factor_patterns(covariances, columns_of_pattern, observed_counts):
    """``factor_pattern`` of all patterns: for passes that come back to them, or serve prediction.

    Returns ``whiten`` and ``conditional`` (P, C, d, d), ``log_norm`` (P, C), and the number of the
    first component with a singular block (-1 if none).
    """
    n_patterns, d = columns_of_pattern.shape
    n_covariances = covariances.shape[0]
    whiten = np.zeros((n_patterns, n_covariances, d, d))
    conditional = np.zeros((n_patterns, n_covariances, d, d))
    log_norm = np.zeros((n_patterns, n_covariances))
    lower = np.empty((d, d))
    for p in range(n_patterns):
        singular = factor_pattern(
            covariances, columns_of_pattern[p], observed_counts[p], lower,
            whiten[p], conditional[p], log_norm[p],
        )  # fmt: skip
        if singular >= 0:
            return whiten, conditional, log_norm, singular
    return whiten, conditional, log_norm, -1


@njit(cache=True, nogil=True)
def dense_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, covariances, beta, uniforms,
):  # fmt: skip
    """One E-step with full (K, d, d) or tied (1, d, d) covariances.

    Returns the sums about ``means`` of the completed rows - ``counts`` (K,), ``first`` (K, d),
    ``second`` (K, d, d) - the loglik, the sum of its rows' sizes, and the number of the first
    component whose covariance is singular (-1 if none).  Rows of one pattern go through in blocks
    that stay in cache.
    """
    n_components, d = means.shape
    n_covariances = covariances.shape[0]
    counts = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    loglik = 0.0
    magnitude = 0.0
    size = block_rows(n_components * d)
    whiten = np.zeros((n_covariances, d, d))
    conditional = np.zeros((n_covariances, d, d))
    log_norm = np.zeros(n_covariances)
    square = np.zeros((d, d))
    group_counts = np.zeros(n_components)
    group_first = np.zeros((n_components, d))
    group_second = np.zeros((n_components, d, d))
    x = np.zeros((d, size))
    deviations = np.zeros((n_components, d, size))
    joint = np.zeros((n_components, size))
    block_weights = np.zeros(size)
    block_uniforms = np.zeros(size if uniforms.shape[0] > 0 else 0)
    logliks = np.zeros(size)
    distances = np.zeros(size)
    scratch = np.zeros((2, size))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        singular = factor_pattern(covariances, columns, m, square, whiten, conditional, log_norm)
        if singular >= 0:
            return counts, first, second, loglik, magnitude, singular
        group_counts[:] = 0.0
        group_first[:] = 0.0
        group_second[:] = 0.0
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            n = rows.shape[0]
            gather_rows(values, rows, columns, m, x)
            gather_weights(weights, rows, block_weights)
            for i in range(min(n, block_uniforms.shape[0])):
                block_uniforms[i] = uniforms[rows[i]]
            for k in range(n_components):
                c = min(k, n_covariances - 1)
                whiten_rows(x, n, columns, m, means[k], whiten[c], deviations[k], distances)
                for i in range(n):
                    joint[k, i] = log_weights[k] + log_norm[c] - 0.5 * distances[i]
            divide_block(joint, n, block_weights, beta, block_uniforms, logliks)
            block_loglik, block_magnitude = weighted_sums(block_weights, logliks, n)
            loglik += block_loglik
            magnitude += block_magnitude
            for k in range(n_components):
                group_counts[k] += add_moments(
                    joint[k], deviations[k], n, m, scratch, group_first[k], group_second[k]
                )
        for k in range(n_components):
            counts[k] += group_counts[k]
            c = min(k, n_covariances - 1)
            add_completed(
                group_counts[k], group_first[k], group_second[k],
                whiten[c], conditional[c], columns, m, square, first[k], second[k],
            )  # fmt: skip
    mirror(second)
    return counts, first, second, loglik, magnitude, -1


@njit(cache=True)
def complete_row(row, columns, m, mean, whiten, deviation):
    """Fill ``deviation`` with the completed row minus ``mean``; return z'z."""
    d = mean.shape[0]
    distance = 0.0
    for a in range(m):
        deviation[columns[a]] = row[columns[a]] - mean[columns[a]]
    for a in range(d):
        total = 0.0
        for b in range(min(a + 1, m)):
            total += whiten[a, b] * deviation[columns[b]]
        if a < m:
            distance += total * total
        else:
            deviation[columns[a]] = total
    return distance


@njit(cache=True)
def row_posteriors(
    values, order, groups, columns_of_pattern, observed_counts, log_weights, means, covariances
):
    """Row by row: loglik (n,), responsibilities (n, K) and completed rows (n, d).

    A missing cell is completed by its conditional expectation; this pass serves prediction,
    never a climb.  The last is the first component whose covariance is singular (-1 if none).
    """
    n_components, d = means.shape
    n_covariances = covariances.shape[0]
    n = values.shape[0]
    all_logliks = np.zeros(n)
    responsibilities = np.zeros((n, n_components))
    completed = values.copy()
    size = block_rows(n_components * d)
    whiten = np.zeros((n_covariances, d, d))
    conditional = np.zeros((n_covariances, d, d))
    log_norm = np.zeros(n_covariances)
    lower = np.zeros((d, d))
    x = np.zeros((d, size))
    deviations = np.zeros((n_components, d, size))
    joint = np.zeros((n_components, size))
    ones = np.ones(size)
    uniforms = np.zeros(0)
    logliks = np.zeros(size)
    distances = np.zeros(size)
    scratch = np.zeros((2, size))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        singular = factor_pattern(covariances, columns, m, lower, whiten, conditional, log_norm)
        if singular >= 0:
            return all_logliks, responsibilities, completed, singular
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            gather_rows(values, rows, columns, m, x)
            for k in range(n_components):
                c = min(k, n_covariances - 1)
                whiten_rows(
                    x, rows.shape[0], columns, m, means[k], whiten[c], deviations[k], distances
                )
                for i in range(rows.shape[0]):
                    joint[k, i] = log_weights[k] + log_norm[c] - 0.5 * distances[i]
            divide_block(joint, rows.shape[0], ones, 1.0, uniforms, logliks)
            for i in range(rows.shape[0]):
                all_logliks[rows[i]] = logliks[i]
                for k in range(n_components):
                    responsibilities[rows[i], k] = joint[k, i]
            for u in range(m, d):
                expected = scratch[0]
                expected[:] = 0.0
                for k in range(n_components):
                    slopes = whiten[min(k, n_covariances - 1), u]
                    given = scratch[1]
                    given[:] = means[k, columns[u]]
                    for b in range(m):
                        add_scaled(slopes[b], deviations[k, b], given, rows.shape[0])
                    for i in range(rows.shape[0]):
                        expected[i] += joint[k, i] * given[i]
                for i in range(rows.shape[0]):
                    completed[rows[i], columns[u]] = expected[i]
    return all_logliks, responsibilities, completed, -1


@njit(cache=True)
def conditional_draws(
    values, order, groups, columns_of_pattern, observed_counts, simulated, labels, whiten
):
    """Rows of their components given the observed cells, shape (n, d), by Matheron's rule.

    ``simulated`` (n, d) are draws from each row's component ``labels`` (n,); the conditional
    expectation about them, in place of the mean, is a draw from the conditional distribution.
    """
    d = values.shape[1]
    completed = values.copy()
    deviation = np.zeros(d)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            c = labels[i] if whiten.shape[1] > 1 else 0
            complete_row(values[i], columns, m, simulated[i], whiten[p, c], deviation)
            for a in range(m, d):
                completed[i, columns[a]] = simulated[i, columns[a]] + deviation[columns[a]]
    return completed
