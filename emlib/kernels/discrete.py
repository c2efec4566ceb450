"""Compiled passes over discrete rows whose columns are independent given the class.

A missing cell drops out of its row's product.  Classes are the fastest index, so that the cells
of one row stream through small tables that stay in cache.
"""

import numpy as np
from numba import njit

from emlib.kernels.posterior import divide_row

SUM_ROWS = 1024
"""Rows whose logliks are summed before they join the total; part of the order of sums."""


@njit(cache=True)
def level_pass(codes, weights, log_weights, table, beta, uniforms):
    """One E-step of categorical columns.

    Parameters
    ----------
    codes : (n, d)
        Lines of ``table``; a missing cell is a line of zeros.
    weights : (n,)
    log_weights : (K,)
    table : (T, K)
        Log probability of each level by class.
    beta, uniforms
        Which posterior; see ``divide_row``.

    Returns
    -------
    counts (K,), level sums (T, K), loglik, magnitude; the last with 1 a row, since the log of a
    sum near one is rounded at the size of one
    """
    n, d = codes.shape
    n_components = log_weights.shape[0]
    counts = np.zeros(n_components)
    sums = np.zeros(table.shape)
    loglik = 0.0
    magnitude = 0.0
    log_joint = np.empty(n_components)
    for begin in range(0, n, SUM_ROWS):
        chunk_counts = np.zeros(n_components)
        chunk_sums = np.zeros(table.shape)
        chunk_loglik = 0.0
        chunk_magnitude = 0.0
        for i in range(begin, min(begin + SUM_ROWS, n)):
            if weights[i] == 0.0:
                continue
            for k in range(n_components):
                log_joint[k] = log_weights[k]
            for j in range(d):
                line = codes[i, j]
                for k in range(n_components):
                    log_joint[k] += table[line, k]
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(log_joint, beta, uniform, log_joint)
            chunk_loglik += weights[i] * row_loglik
            chunk_magnitude += weights[i] * (1.0 + abs(row_loglik))
            for k in range(n_components):
                log_joint[k] *= weights[i]
                chunk_counts[k] += log_joint[k]
            for j in range(d):
                line = codes[i, j]
                for k in range(n_components):
                    chunk_sums[line, k] += log_joint[k]
        counts += chunk_counts
        sums += chunk_sums
        loglik += chunk_loglik
        magnitude += chunk_magnitude
    return counts, sums, loglik, magnitude


@njit(cache=True)
def level_posteriors(codes, log_weights, table):
    """Loglik (n,) and responsibilities (n, K) of rows; NaN where a row is impossible."""
    n, d = codes.shape
    n_components = log_weights.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.empty((n, n_components))
    for i in range(n):
        log_joint = responsibilities[i]
        log_joint[:] = log_weights
        for j in range(d):
            line = codes[i, j]
            for k in range(n_components):
                log_joint[k] += table[line, k]
        logliks[i] = divide_row(log_joint, 1.0, -1.0, log_joint)
    return logliks, responsibilities


@njit(cache=True)
def add_counts(values, log_weights, rates, log_rates, log_joint):
    """Log joint of one row of Poisson counts by class, without the factorials."""
    n_components = log_weights.shape[0]
    for k in range(n_components):
        log_joint[k] = log_weights[k]
    for j in range(values.shape[0]):
        count = values[j]
        if count > 0.0:
            for k in range(n_components):
                log_joint[k] += count * log_rates[j, k] - rates[j, k]
        elif count == 0.0:
            for k in range(n_components):
                log_joint[k] -= rates[j, k]


@njit(cache=True)
def count_pass(values, log_factorials, weights, log_weights, rates, log_rates, beta, uniforms):
    """One E-step of Poisson columns.

    Parameters
    ----------
    values : (n, d)
        Counts, NaN where missing.
    log_factorials : (n,)
        Sum over each row's observed cells.
    rates, log_rates : (d, K)

    Returns
    -------
    counts (K,), sums (2, d, K) of the observed counts and of the responsibilities that saw them,
    loglik, magnitude; the last with 1 a row, as in ``level_pass``, and with the factorials, from
    which the rest is subtracted
    """
    n, d = values.shape
    n_components = log_weights.shape[0]
    counts = np.zeros(n_components)
    sums = np.zeros((2, d, n_components))
    loglik = 0.0
    magnitude = 0.0
    log_joint = np.empty(n_components)
    for begin in range(0, n, SUM_ROWS):
        chunk_counts = np.zeros(n_components)
        chunk_sums = np.zeros((2, d, n_components))
        chunk_loglik = 0.0
        chunk_magnitude = 0.0
        for i in range(begin, min(begin + SUM_ROWS, n)):
            if weights[i] == 0.0:
                continue
            add_counts(values[i], log_weights, rates, log_rates, log_joint)
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(log_joint, beta, uniform, log_joint)
            chunk_loglik += weights[i] * (row_loglik - log_factorials[i])
            chunk_magnitude += weights[i] * (1.0 + abs(row_loglik) + log_factorials[i])
            for k in range(n_components):
                log_joint[k] *= weights[i]
                chunk_counts[k] += log_joint[k]
            for j in range(d):
                count = values[i, j]
                if count >= 0.0:
                    for k in range(n_components):
                        chunk_sums[0, j, k] += count * log_joint[k]
                        chunk_sums[1, j, k] += log_joint[k]
        counts += chunk_counts
        sums += chunk_sums
        loglik += chunk_loglik
        magnitude += chunk_magnitude
    return counts, sums, loglik, magnitude


@njit(cache=True)
def count_posteriors(values, log_factorials, log_weights, rates, log_rates):
    """Loglik (n,) and responsibilities (n, K) of rows; NaN where a row is impossible."""
    n = values.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.empty((n, log_weights.shape[0]))
    for i in range(n):
        add_counts(values[i], log_weights, rates, log_rates, responsibilities[i])
        logliks[i] = divide_row(responsibilities[i], 1.0, -1.0, responsibilities[i])
        logliks[i] -= log_factorials[i]
    return logliks, responsibilities
