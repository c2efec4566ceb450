"""Compiled passes of Gaussian mixtures over a table with holes.

For a row with observed columns o and missing columns u (Little and Rubin 2019, section 11.2; one
component of Ghahramani and Jordan 1994), with the Cholesky factor S_oo = L L':

    z = L^-1 (x_o - mu_o)          log N(x_o) = -|o|/2 log 2 pi - log |L| - z'z / 2
    E[x_u | x_o] - mu_u = V z      with V = S_uo L^-T
    Cov[x_u | x_o] = S_uu - V V'

L^-1, V and the conditional covariance are computed once for each pattern and component.  Sums are
taken about the current means, in a fixed order: chunk by chunk, pattern by pattern.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import (
    add_completed,
    add_moments,
    block_rows,
    complete_rows,
    gather_rows,
    mirror,
    weighted_sums,
)
from emlib.kernels.posterior import divide_block, divide_row

LOG_2PI = math.log(2.0 * math.pi)

SMALLEST_PIVOT = 1e-13
"""A Cholesky pivot below this share of its diagonal entry carries no correct digit."""


@njit(cache=True)
def factor_patterns(covariances, columns_of_pattern, observed_counts):
    """Factor every observed block once.

    Returns ``whiten`` (P, C, d, d) with L^-1 above V in pattern order, ``conditional``
    (P, C, d, d) with the conditional covariance in its leading block, ``log_norm`` (P, C), and
    the number of the first component whose block is singular (-1 if none).
    """
    n_patterns, d = columns_of_pattern.shape
    n_covariances = covariances.shape[0]
    whiten = np.zeros((n_patterns, n_covariances, d, d))
    conditional = np.zeros((n_patterns, n_covariances, d, d))
    log_norm = np.zeros((n_patterns, n_covariances))
    lower = np.empty((d, d))
    for p in range(n_patterns):
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        for k in range(n_covariances):
            log_det = 0.0
            for a in range(d):
                # Rows a >= m continue the factorization's columns: they are V itself.
                for b in range(min(a + 1, m)):
                    total = covariances[k, columns[a], columns[b]]
                    for c in range(b):
                        total -= lower[a, c] * lower[b, c]
                    if a == b:
                        if not total > SMALLEST_PIVOT * covariances[k, columns[a], columns[a]]:
                            return whiten, conditional, log_norm, k
                        lower[a, a] = math.sqrt(total)
                        log_det += math.log(lower[a, a])
                    else:
                        lower[a, b] = total / lower[b, b]
            log_norm[p, k] = -0.5 * m * LOG_2PI - log_det
            inverse = whiten[p, k]
            for b in range(m):
                inverse[b, b] = 1.0 / lower[b, b]
                for a in range(b + 1, m):
                    total = 0.0
                    for c in range(b, a):
                        total -= lower[a, c] * inverse[c, b]
                    inverse[a, b] = total / lower[a, a]
            for a in range(m, d):
                for b in range(m):
                    inverse[a, b] = lower[a, b]
                for b in range(m, a + 1):
                    total = covariances[k, columns[a], columns[b]]
                    for c in range(m):
                        total -= lower[a, c] * lower[b, c]
                    conditional[p, k, a - m, b - m] = total
                    conditional[p, k, b - m, a - m] = total
    return whiten, conditional, log_norm, -1


@njit(cache=True)
def dense_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, whiten, conditional, log_norm, beta, uniforms,
):  # fmt: skip
    """One E-step with full or tied covariances.

    Returns the sums about ``means`` of the completed rows - ``counts`` (K,), ``first`` (K, d),
    ``second`` (K, d, d) - the loglik and the sum of its rows' sizes.  Rows of one pattern go
    through in blocks that stay in cache; logliks are summed by chunk first, since the rounding of
    one long sum would exceed what a climb takes for rounding.
    """
    n_components, d = means.shape
    tied = log_norm.shape[1] == 1
    counts = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    loglik = 0.0
    magnitude = 0.0
    chunk_loglik = 0.0
    chunk_magnitude = 0.0
    size = block_rows(n_components * d)
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
        if g > 0 and groups[g, 0] != groups[g - 1, 0]:
            loglik += chunk_loglik
            magnitude += chunk_magnitude
            chunk_loglik = 0.0
            chunk_magnitude = 0.0
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        group_first[:] = 0.0
        group_second[:] = 0.0
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            n = rows.shape[0]
            gather_rows(values, rows, columns, m, x)
            for i in range(n):
                block_weights[i] = weights[rows[i]]
            for i in range(min(n, block_uniforms.shape[0])):
                block_uniforms[i] = uniforms[rows[i]]
            for k in range(n_components):
                c = 0 if tied else k
                complete_rows(
                    x, n, columns, m, means[k], whiten[p, c], deviations[k], distances, scratch
                )
                for i in range(n):
                    joint[k, i] = log_weights[k] + log_norm[p, c] - 0.5 * distances[i]
            divide_block(joint, n, block_weights, beta, block_uniforms, logliks, scratch[0])
            block_loglik, block_magnitude = weighted_sums(block_weights, logliks, n)
            chunk_loglik += block_loglik
            chunk_magnitude += block_magnitude
            for k in range(n_components):
                group_counts[k] += add_moments(
                    joint[k], deviations[k], n, scratch, group_first[k], group_second[k]
                )
        for k in range(n_components):
            counts[k] += group_counts[k]
            add_completed(
                group_counts[k], group_first[k], group_second[k],
                conditional[p, 0 if tied else k], columns, m, first[k], second[k],
            )  # fmt: skip
    mirror(second)
    return counts, first, second, loglik + chunk_loglik, magnitude + chunk_magnitude


@njit(cache=True)
def complete_row(row, columns, m, mean, whiten, deviation):
    """Fill ``deviation`` with the completed row minus ``mean``; return z'z.

    ``columns`` is ascending in both parts, so the lower triangle of the conditional block lands
    in the lower triangle of the sums.
    """
    d = mean.shape[0]
    distance = 0.0
    for a in range(m, d):
        deviation[columns[a]] = 0.0
    for a in range(m):
        z = 0.0
        for b in range(a + 1):
            z += whiten[a, b] * (row[columns[b]] - mean[columns[b]])
        distance += z * z
        for u in range(m, d):
            deviation[columns[u]] += whiten[u, a] * z
    for a in range(m):
        deviation[columns[a]] = row[columns[a]] - mean[columns[a]]
    return distance


@njit(cache=True)
def row_posteriors(
    values, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, whiten, log_norm,
):  # fmt: skip
    """Row by row: loglik (n,), responsibilities (n, K) and completed rows (n, d).

    A missing cell is completed by its conditional expectation; this pass serves prediction,
    never a climb.
    """
    n_components, d = means.shape
    n = values.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.zeros((n, n_components))
    completed = values.copy()
    log_joint = np.zeros(n_components)
    deviations = np.zeros((n_components, d))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            for k in range(n_components):
                c = k if log_norm.shape[1] > 1 else 0
                log_joint[k] = (
                    log_weights[k]
                    + log_norm[p, c]
                    - 0.5
                    * complete_row(values[i], columns, m, means[k], whiten[p, c], deviations[k])
                )
            logliks[i] = divide_row(log_joint, 1.0, -1.0, responsibilities[i])
            for a in range(m, d):
                total = 0.0
                for k in range(n_components):
                    c = columns[a]
                    total += responsibilities[i, k] * (means[k, c] + deviations[k, c])
                completed[i, columns[a]] = total
    return logliks, responsibilities, completed


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
