"""Compiled pass of Gaussian mixtures with independent columns over a table with holes.

A missing cell has the component's mean and variance, whatever the other cells are: nothing is to
be factored.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.gaussian import LOG_2PI
from emlib.kernels.posterior import divide_row


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
