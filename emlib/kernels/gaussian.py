"""Compiled passes of Gaussian mixtures over a table with holes.

For a row with observed columns o and missing columns u (Little and Rubin 2019, section 11.2; one
component of Ghahramani and Jordan 1994), with the Cholesky factor S_oo = L L':

    z = L^-1 (x_o - mu_o)          log N(x_o) = -|o|/2 log 2 pi - log |L| - z'z / 2
    E[x_u | x_o] - mu_u = V z      with V = S_uo L^-T
    Cov[x_u | x_o] = S_uu - V V'

L^-1, V and the conditional covariance are computed once for each pattern and component.  Sums are
taken about the current means, chunk by chunk in a fixed order.
"""

import math

import numpy as np
from numba import njit

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
def divide_row(log_joint, beta, uniform, responsibilities):
    """Turn log joint densities into responsibilities; return the log of their sum.

    ``beta`` 1 is the exact posterior, below 1 tempered, infinite hard; a ``uniform`` in [0, 1)
    draws one component from the exact posterior instead.
    """
    n_components = log_joint.shape[0]
    best = 0
    for k in range(1, n_components):
        if log_joint[k] > log_joint[best]:
            best = k
    peak = log_joint[best]
    total = 0.0
    for k in range(n_components):
        responsibilities[k] = math.exp(log_joint[k] - peak)
        total += responsibilities[k]
    loglik = peak + math.log(total)
    if uniform >= 0.0:
        threshold = uniform * total
        drawn = 0
        reached = responsibilities[0]
        while reached <= threshold and drawn < n_components - 1:
            drawn += 1
            reached += responsibilities[drawn]
        for k in range(n_components):
            responsibilities[k] = 1.0 if k == drawn else 0.0
    elif beta == math.inf:
        for k in range(n_components):
            responsibilities[k] = 1.0 if k == best else 0.0
    elif beta == 1.0:
        for k in range(n_components):
            responsibilities[k] /= total
    else:
        total = 0.0
        for k in range(n_components):
            responsibilities[k] = math.exp(beta * (log_joint[k] - peak))
            total += responsibilities[k]
        for k in range(n_components):
            responsibilities[k] /= total
    return loglik


@njit(cache=True)
def dense_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, whiten, conditional, log_norm, beta, uniforms,
):  # fmt: skip
    """One E-step with full or tied covariances.

    Returns the sums about ``means`` of the completed rows - ``counts`` (K,), ``first`` (K, d),
    ``second`` (K, d, d) - the loglik and the sum of its rows' sizes.
    """
    n_components, d = means.shape
    n_covariances = log_norm.shape[1]
    counts = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    loglik = 0.0
    magnitude = 0.0
    chunk_counts = np.zeros(n_components)
    chunk_first = np.zeros((n_components, d))
    chunk_second = np.zeros((n_components, d, d))
    chunk_loglik = 0.0
    chunk_magnitude = 0.0
    group_counts = np.zeros(n_components)
    deviations = np.zeros((n_components, d))
    log_joint = np.zeros(n_components)
    responsibilities = np.zeros(n_components)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            if m == 0 or weights[i] == 0.0:
                continue
            for k in range(n_components):
                c = k if n_covariances > 1 else 0
                log_joint[k] = (
                    log_weights[k]
                    + log_norm[p, c]
                    - 0.5
                    * complete_row(values[i], columns, m, means[k], whiten[p, c], deviations[k])
                )
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(log_joint, beta, uniform, responsibilities)
            chunk_loglik += weights[i] * row_loglik
            chunk_magnitude += weights[i] * abs(row_loglik)
            for k in range(n_components):
                r = weights[i] * responsibilities[k]
                if r == 0.0:
                    continue
                group_counts[k] += r
                for a in range(d):
                    scaled = r * deviations[k, a]
                    chunk_first[k, a] += scaled
                    for b in range(a + 1):
                        chunk_second[k, a, b] += scaled * deviations[k, b]
        for k in range(n_components):
            chunk_counts[k] += group_counts[k]
            block = conditional[p, k if n_covariances > 1 else 0]
            for a in range(d - m):
                for b in range(a + 1):
                    chunk_second[k, columns[m + a], columns[m + b]] += group_counts[k] * block[a, b]
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
    for k in range(n_components):
        for a in range(d):
            for b in range(a):
                second[k, b, a] = second[k, a, b]
    return counts, first, second, loglik, magnitude


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
def diagonal_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, variances, beta, uniforms,
):  # fmt: skip
    """One E-step with independent columns; as ``dense_pass``, with ``second`` of shape (K, d)."""
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
    log_joint = np.zeros(n_components)
    log_norm = np.zeros(n_components)
    responsibilities = np.zeros(n_components)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        for k in range(n_components):
            log_norm[k] = log_weights[k] - 0.5 * m * LOG_2PI
            for a in range(m):
                log_norm[k] -= 0.5 * math.log(variances[k, columns[a]])
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            if m == 0 or weights[i] == 0.0:
                continue
            for k in range(n_components):
                distance = 0.0
                for a in range(m):
                    c = columns[a]
                    deviation = values[i, c] - means[k, c]
                    distance += deviation * deviation / variances[k, c]
                log_joint[k] = log_norm[k] - 0.5 * distance
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(log_joint, beta, uniform, responsibilities)
            chunk_loglik += weights[i] * row_loglik
            chunk_magnitude += weights[i] * abs(row_loglik)
            for k in range(n_components):
                r = weights[i] * responsibilities[k]
                group_counts[k] += r
                for a in range(m):
                    c = columns[a]
                    deviation = values[i, c] - means[k, c]
                    chunk_first[k, c] += r * deviation
                    chunk_second[k, c] += r * deviation * deviation
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
