"""Compiled passes of t mixtures over a table with holes.

The marginal of a t is a t with the same degrees of freedom.  With z'z the squared distance of the
m observed cells and tail = 1 / dof (0: the normal),

    log t(x_o) = log N(x_o) + z'z / 2 + excess_m - (dof + m) / 2 log(1 + tail z'z)
    E[u] = (1 + m tail) / (1 + tail z'z)
    E[log u] = mean_log_m - log(1 + tail z'z)

What depends on the pattern and the component alone comes in tables; the rest is that of
``emlib.kernels.gaussian``.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import (
    add_completed,
    add_moments,
    block_rows,
    gather_rows,
    gather_weights,
    mirror,
    weighted_sums,
    whiten_rows,
)
from emlib.kernels.gaussian import complete_row
from emlib.kernels.posterior import divide_block, divide_row


@njit(cache=True)
def tail_distance(distance, m, tail):
    """(dof + m) log(1 + distance / dof), which is the distance itself for the normal."""
    if tail == 0.0:
        return distance
    return (1.0 / tail + m) * math.log1p(tail * distance)


@njit(cache=True, nogil=True)
def student_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, tails, whiten, conditional, log_norm, mean_log, beta, uniforms,
):  # fmt: skip
    """One E-step, as ``gaussian.dense_pass``.

    ``log_norm`` and ``mean_log`` are (P, K).  Returns ``counts`` (K,), sums of E[u] and E[log u]
    (K,), the sums about ``means`` with rows weighted by E[u] - ``first`` (K, d), ``second``
    (K, d, d), to which missing cells add their conditional scatter - the loglik and the sum of
    its rows' sizes.
    """
    n_components, d = means.shape
    tied = whiten.shape[1] == 1
    counts = np.zeros(n_components)
    precisions = np.zeros(n_components)
    log_precisions = np.zeros(n_components)
    first = np.zeros((n_components, d))
    second = np.zeros((n_components, d, d))
    loglik = 0.0
    magnitude = 0.0
    group_counts = np.zeros(n_components)
    group_precisions = np.zeros(n_components)
    group_logs = np.zeros(n_components)
    group_first = np.zeros((n_components, d))
    group_second = np.zeros((n_components, d, d))
    square = np.zeros((d, d))
    size = block_rows(n_components * d)
    x = np.zeros((d, size))
    deviations = np.zeros((n_components, d, size))
    distances = np.zeros((n_components, size))
    joint = np.zeros((n_components, size))
    block_weights = np.zeros(size)
    block_uniforms = np.zeros(size if uniforms.shape[0] > 0 else 0)
    logliks = np.zeros(size)
    scratch = np.zeros((2, size))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        group_counts[:] = 0.0
        group_precisions[:] = 0.0
        group_logs[:] = 0.0
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
                whiten_rows(
                    x, n, columns, m, means[k], whiten[p, 0 if tied else k],
                    deviations[k], distances[k],
                )  # fmt: skip
                constant = log_weights[k] + log_norm[p, k]
                for i in range(n):
                    joint[k, i] = constant - 0.5 * tail_distance(distances[k, i], m, tails[k])
            divide_block(joint, n, block_weights, beta, block_uniforms, logliks)
            block_loglik, block_magnitude = weighted_sums(block_weights, logliks, n)
            loglik += block_loglik
            magnitude += block_magnitude
            for k in range(n_components):
                for i in range(n):
                    share = joint[k, i]
                    stretch = tails[k] * distances[k, i]
                    joint[k, i] = share * (1.0 + m * tails[k]) / (1.0 + stretch)
                    group_counts[k] += share
                    group_logs[k] += share * (mean_log[p, k] - math.log1p(stretch))
                group_precisions[k] += add_moments(
                    joint[k], deviations[k], n, m, scratch, group_first[k], group_second[k]
                )
        for k in range(n_components):
            counts[k] += group_counts[k]
            precisions[k] += group_precisions[k]
            log_precisions[k] += group_logs[k]
            c = 0 if tied else k
            add_completed(
                group_counts[k], group_first[k], group_second[k],
                whiten[p, c], conditional[p, c], columns, m, square, first[k], second[k],
            )  # fmt: skip
    mirror(second)
    return counts, precisions, log_precisions, first, second, loglik, magnitude


@njit(cache=True)
def tail_slopes(distance, m, tail):
    """First and second derivative of -tail_distance / 2 in the tail."""
    y = tail * distance
    rest = 1.0 / (1.0 + y)
    if y < 1e-2:
        h = 0.0
        bend = 0.0
        for j in range(9, 0, -1):  # [log(1 + y) - y / (1 + y)] / y^2 as a power series
            sign = 1.0 - 2.0 * (j % 2)
            h = h * y + sign * (j + 1.0) / (j + 2.0)
            bend = bend * y + sign * j * (j + 1.0) / (j + 2.0)
        h = h * y + 0.5
    else:
        h = (math.log1p(y) - y * rest) / (y * y)
        bend = (rest * rest - 2.0 * h) / y
    slope = 0.5 * distance * (distance * h - m * rest)
    curvature = 0.5 * distance * distance * (distance * bend + m * rest * rest)
    return slope, curvature


@njit(cache=True, nogil=True)
def tail_pass(
    values, weights, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, tails, whiten, log_norm, norm_slopes, norm_bends,
):  # fmt: skip
    """Loglik, sum of its rows' sizes, gradient (K,) and Hessian (K, K) in the tails.

    ``norm_slopes`` and ``norm_bends`` (P, K) are the derivatives of the log norms.
    """
    n_components, d = means.shape
    tied = whiten.shape[1] == 1
    loglik = 0.0
    magnitude = 0.0
    gradient = np.zeros(n_components)
    hessian = np.zeros((n_components, n_components))
    size = block_rows(d)
    x = np.zeros((d, size))
    deviations = np.zeros((d, size))
    distances = np.zeros((n_components, size))
    joint = np.zeros((size, n_components))
    pull = np.zeros(n_components)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        for begin in range(groups[g, 2], groups[g, 3], size):
            rows = order[begin : min(begin + size, groups[g, 3])]
            n = rows.shape[0]
            gather_rows(values, rows, columns, m, x)
            for k in range(n_components):
                whiten_rows(
                    x, n, columns, m, means[k], whiten[p, 0 if tied else k],
                    deviations, distances[k],
                )  # fmt: skip
                for i in range(n):
                    joint[i, k] = (
                        log_weights[k]
                        + log_norm[p, k]
                        - 0.5 * tail_distance(distances[k, i], m, tails[k])
                    )
            for i in range(n):
                weight = weights[rows[i]]
                row_loglik = divide_row(joint[i], 1.0, -1.0, joint[i])
                loglik += weight * row_loglik
                magnitude += weight * abs(row_loglik)
                for k in range(n_components):
                    slope, curvature = tail_slopes(distances[k, i], m, tails[k])
                    slope += norm_slopes[p, k]
                    pull[k] = joint[i, k] * slope
                    gradient[k] += weight * pull[k]
                    hessian[k, k] += (
                        weight * joint[i, k] * (norm_bends[p, k] + curvature + slope * slope)
                    )
                for k in range(n_components):
                    for j in range(n_components):
                        hessian[k, j] -= weight * pull[k] * pull[j]
    return loglik, magnitude, gradient, hessian


@njit(cache=True)
def student_rows(
    values, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, tails, whiten, log_norm,
):  # fmt: skip
    """Row by row: loglik (n,), responsibilities (n, K), completed rows (n, d), distances (n, K).

    As ``gaussian.row_posteriors``: this pass serves prediction, never a climb.
    """
    n_components, d = means.shape
    n = values.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.zeros((n, n_components))
    distances = np.zeros((n, n_components))
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
                distances[i, k] = complete_row(
                    values[i], columns, m, means[k],
                    whiten[p, k if whiten.shape[1] > 1 else 0], deviations[k],
                )  # fmt: skip
                log_joint[k] = (
                    log_weights[k]
                    + log_norm[p, k]
                    - 0.5 * tail_distance(distances[i, k], m, tails[k])
                )
            logliks[i] = divide_row(log_joint, 1.0, -1.0, responsibilities[i])
            for a in range(m, d):
                total = 0.0
                for k in range(n_components):
                    c = columns[a]
                    total += responsibilities[i, k] * (means[k, c] + deviations[k, c])
                completed[i, columns[a]] = total
    return logliks, responsibilities, completed, distances
