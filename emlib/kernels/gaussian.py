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

from emlib.kernels.posterior import divide_row

LOG_2PI = math.log(2.0 * math.pi)

SMALLEST_PIVOT = 1e-13
"""A Cholesky pivot below this share of its diagonal entry carries no correct digit."""


BLOCK_ROWS = 64
"""Rows that go through the compiled loops together; part of the order of sums."""


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
def add_scaled(scale, x, y, n):
    """y += scale * x on the first n entries."""
    for i in range(n):
        y[i] += scale * x[i]


@njit(cache=True, fastmath={"reassoc", "contract"})
def dot(x, y, n):
    """Sum of products of the first n entries, summed in the order of the vector units."""
    total = 0.0
    for i in range(n):
        total += x[i] * y[i]
    return total


@njit(cache=True)
def complete_rows(values, rows, columns, m, mean, whiten, deviations, distances, z):
    """``complete_row`` for a block of rows, in pattern order and one column after the other.

    ``deviations`` (d, B) takes the completed rows minus ``mean``, ``distances`` (B,) z'z.
    """
    d, n = mean.shape[0], rows.shape[0]
    distances[:n] = 0.0
    for a in range(m, d):
        deviations[a, :n] = 0.0
    for a in range(m):
        c = columns[a]
        for i in range(n):
            deviations[a, i] = values[rows[i], c] - mean[c]
    for a in range(m):
        z[:n] = 0.0
        for b in range(a + 1):
            add_scaled(whiten[a, b], deviations[b], z, n)
        for i in range(n):
            distances[i] += z[i] * z[i]
        for u in range(m, d):
            add_scaled(whiten[u, a], z, deviations[u], n)


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
    group_counts = np.zeros(n_components)
    group_first = np.zeros((n_components, d))
    group_second = np.zeros((n_components, d, d))
    deviations = np.zeros((n_components, d, BLOCK_ROWS))
    joint = np.zeros((BLOCK_ROWS, n_components))
    shares = np.zeros((n_components, BLOCK_ROWS))
    distances = np.zeros(BLOCK_ROWS)
    scratch = np.zeros(BLOCK_ROWS)
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
        for begin in range(groups[g, 2], groups[g, 3], BLOCK_ROWS):
            rows = order[begin : min(begin + BLOCK_ROWS, groups[g, 3])]
            n = rows.shape[0]
            for k in range(n_components):
                c = 0 if tied else k
                complete_rows(
                    values, rows, columns, m, means[k], whiten[p, c],
                    deviations[k], distances, scratch,
                )  # fmt: skip
                for i in range(n):
                    joint[i, k] = log_weights[k] + log_norm[p, c] - 0.5 * distances[i]
            for i in range(n):
                weight = weights[rows[i]]
                uniform = uniforms[rows[i]] if uniforms.shape[0] > 0 else -1.0
                row_loglik = divide_row(joint[i], beta, uniform, joint[i])
                chunk_loglik += weight * row_loglik
                chunk_magnitude += weight * abs(row_loglik)
                for k in range(n_components):
                    shares[k, i] = weight * joint[i, k]
            for k in range(n_components):
                for i in range(n):
                    group_counts[k] += shares[k, i]
                for a in range(d):
                    for i in range(n):
                        scratch[i] = shares[k, i] * deviations[k, a, i]
                        group_first[k, a] += scratch[i]
                    for b in range(a + 1):
                        group_second[k, a, b] += dot(scratch, deviations[k, b], n)
        for k in range(n_components):
            counts[k] += group_counts[k]
            block = conditional[p, 0 if tied else k]
            for a in range(d):
                first[k, columns[a]] += group_first[k, a]
                for b in range(a + 1):
                    total = group_second[k, a, b]
                    if b >= m:
                        total += group_counts[k] * block[a - m, b - m]
                    second[k, max(columns[a], columns[b]), min(columns[a], columns[b])] += total
    for k in range(n_components):
        for a in range(d):
            for b in range(a):
                second[k, b, a] = second[k, a, b]
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
