"""Compiled passes over discrete rows whose columns are independent given the class.

A missing cell drops out of its row's product.  Classes are the fastest index, so that the cells
of one row stream through small tables that stay in cache.
"""

import numpy as np
from numba import njit

from emlib.kernels.posterior import divide_row, divide_row_exactly

SUM_ROWS = 1024
"""Rows whose logliks are summed before they join the total; part of the order of sums."""


@njit(inline="always")
def sum_lines(codes, i, table, first, result):
    """``first`` (K,) plus the lines ``codes[i]`` of ``table`` (T, K), into ``result``.

    Four classes at a time stay in registers: a sum in memory would wait for itself.
    """
    n_components = first.shape[0]
    whole = n_components - n_components % 4
    for k in range(0, whole, 4):
        a, b, c, d = first[k], first[k + 1], first[k + 2], first[k + 3]
        for j in range(codes.shape[1]):
            line = codes[i, j]
            a += table[line, k]
            b += table[line, k + 1]
            c += table[line, k + 2]
            d += table[line, k + 3]
        result[k], result[k + 1], result[k + 2], result[k + 3] = a, b, c, d
    for k in range(whole, n_components):
        a = first[k]
        for j in range(codes.shape[1]):
            a += table[codes[i, j], k]
        result[k] = a


@njit(cache=True, nogil=True)
def level_pass(codes, members, weights, log_weights, table, beta, uniforms):
    """One E-step of categorical columns, some of which are told by their joint levels.

    Parameters
    ----------
    codes : (n, g)
        Joint levels of each row, lines of ``members``.
    members : (t, w)
        The levels that each joint level is made of, lines of ``table``.
    weights : (n,)
    log_weights : (K,)
    table : (T, K)
        Log probability of each level by class; a missing cell is a line of zeros.
    beta, uniforms
        Which posterior; see ``divide_row``.

    Returns
    -------
    counts (K,), level sums (T, K), loglik, magnitude; the last with 1 a row, since the log of a
    sum near one is rounded at the size of one
    """
    n, d = codes.shape
    n_components = log_weights.shape[0]
    n_joint, width = members.shape
    joint = np.zeros((n_joint, n_components))
    for t in range(n_joint):
        for w in range(width):
            for k in range(n_components):
                joint[t, k] += table[members[t, w], k]
    joint_sums = np.zeros((n_joint, n_components))
    counts = np.zeros(n_components)
    loglik = 0.0
    magnitude = 0.0
    row = np.empty(n_components)
    exact = beta == 1.0 and uniforms.shape[0] == 0
    for begin in range(0, n, SUM_ROWS):
        chunk_counts = np.zeros(n_components)
        chunk_loglik = 0.0
        chunk_magnitude = 0.0
        for i in range(begin, min(begin + SUM_ROWS, n)):
            if weights[i] == 0.0:
                continue
            sum_lines(codes, i, joint, log_weights, row)
            if exact:
                row_loglik = divide_row_exactly(row, row)
            else:
                uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
                row_loglik = divide_row(row, beta, uniform, row)
            chunk_loglik += weights[i] * row_loglik
            chunk_magnitude += weights[i] * (1.0 + abs(row_loglik))
            for k in range(n_components):
                row[k] *= weights[i]
                chunk_counts[k] += row[k]
            for j in range(d):
                line = codes[i, j]
                for k in range(n_components):
                    joint_sums[line, k] += row[k]
        counts += chunk_counts
        loglik += chunk_loglik
        magnitude += chunk_magnitude
    sums = np.zeros(table.shape)
    for t in range(n_joint):
        for w in range(width):
            for k in range(n_components):
                sums[members[t, w], k] += joint_sums[t, k]
    return counts, sums, loglik, magnitude


@njit(cache=True)
def level_sums(codes, responsibilities, n_levels):
    """Sums of responsibilities (n, K) by level, shape (n_levels, K)."""
    sums = np.zeros((n_levels, responsibilities.shape[1]))
    for i in range(codes.shape[0]):
        for j in range(codes.shape[1]):
            for k in range(responsibilities.shape[1]):
                sums[codes[i, j], k] += responsibilities[i, k]
    return sums


@njit(cache=True)
def level_posteriors(codes, log_weights, table):
    """Loglik (n,) and responsibilities (n, K) of rows; NaN where a row is impossible."""
    n = codes.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.empty((n, log_weights.shape[0]))
    for i in range(n):
        sum_lines(codes, i, table, log_weights, responsibilities[i])
        logliks[i] = divide_row(responsibilities[i], 1.0, -1.0, responsibilities[i])
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


@njit(cache=True, nogil=True)
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
