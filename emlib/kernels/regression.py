"""Compiled passes of mixtures of linear regressions over rows of responses.

Given its component, each observed response is normal or t about a line in the covariates,
independent of the others; a missing one takes no part.  Covariates are centred block by block;
residuals are those from the current lines.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import BLOCK_ROWS, add_scaled, dot
from emlib.kernels.posterior import divide_row
from emlib.kernels.student import tail_distance, tail_slopes


@njit(cache=True)
def residual_block(values, covariates, origin, rows, columns, m, heights, coef, design, residuals):
    """Fill ``design`` (1 + p, B) and ``residuals`` (K, d, B), by position in the pattern."""
    n = rows.shape[0]
    for i in range(n):
        design[0, i] = 1.0
    for c in range(origin.shape[0]):
        for i in range(n):
            design[c + 1, i] = covariates[rows[i], c] - origin[c]
    for k in range(heights.shape[0]):
        for a in range(m):
            column = columns[a]
            for i in range(n):
                residuals[k, a, i] = values[rows[i], column] - heights[k, column]
            for c in range(origin.shape[0]):
                add_scaled(-coef[k, column, c], design[c + 1], residuals[k, a], n)


@njit(cache=True)
def joint_block(residuals, n, columns, m, log_weights, norms, scales, tails, joint):
    """Fill ``joint`` (B, K) with log weights plus log densities of the observed responses."""
    for k in range(scales.shape[0]):
        for i in range(n):
            joint[i, k] = log_weights[k]
        for a in range(m):
            scale = scales[k, columns[a]]
            norm = norms[k] - math.log(scale)
            for i in range(n):
                z = residuals[k, a, i] / scale
                joint[i, k] += norm - 0.5 * tail_distance(z * z, 1, tails[k])


@njit(cache=True, nogil=True)
def regression_pass(
    values, weights, covariates, origin, order, groups, columns_of_pattern, observed_counts,
    log_weights, heights, coef, scales, tails, norms, mean_log, beta, uniforms,
):  # fmt: skip
    """One E-step.

    ``heights`` (K, d) are the lines at ``origin``; ``norms`` and ``mean_log`` (K,) belong to the
    tails.  Returns ``counts`` (K,), ``cells`` (K, d) of observed responses, sums of E[log u]
    (K,), and with cells weighted by E[u] the sums ``gram`` (K, d, 1 + p, 1 + p) of the centred
    design, ``cross`` (K, d, 1 + p) and ``second`` (K, d) of the residuals; loglik and the sum of
    its rows' sizes.
    """
    n_components, d = heights.shape
    width = origin.shape[0] + 1
    counts = np.zeros(n_components)
    cells = np.zeros((n_components, d))
    logs = np.zeros(n_components)
    gram = np.zeros((n_components, d, width, width))
    cross = np.zeros((n_components, d, width))
    second = np.zeros((n_components, d))
    loglik = 0.0
    magnitude = 0.0
    design = np.zeros((width, BLOCK_ROWS))
    residuals = np.zeros((n_components, d, BLOCK_ROWS))
    joint = np.zeros((BLOCK_ROWS, n_components))
    shares = np.zeros(BLOCK_ROWS)
    heavy = np.zeros(BLOCK_ROWS)
    scratch = np.zeros(BLOCK_ROWS)
    block = np.zeros((width, width))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        for begin in range(groups[g, 2], groups[g, 3], BLOCK_ROWS):
            rows = order[begin : min(begin + BLOCK_ROWS, groups[g, 3])]
            n = rows.shape[0]
            residual_block(
                values, covariates, origin, rows, columns, m, heights, coef, design, residuals
            )
            joint_block(residuals, n, columns, m, log_weights, norms, scales, tails, joint)
            block_loglik, block_magnitude = 0.0, 0.0
            for i in range(n):
                weight = weights[rows[i]]
                uniform = uniforms[rows[i]] if uniforms.shape[0] > 0 else -1.0
                row_loglik = divide_row(joint[i], beta, uniform, joint[i])
                block_loglik += weight * row_loglik
                block_magnitude += weight * abs(row_loglik)
            loglik += block_loglik
            magnitude += block_magnitude
            for k in range(n_components):
                total = 0.0
                for i in range(n):
                    shares[i] = weights[rows[i]] * joint[i, k]
                    total += shares[i]
                counts[k] += total
                for a in range(m):
                    column = columns[a]
                    cells[k, column] += total
                    for i in range(n):
                        heavy[i] = shares[i]
                    if tails[k] > 0.0:
                        for i in range(n):
                            z = residuals[k, a, i] / scales[k, column]
                            stretch = tails[k] * z * z
                            logs[k] += shares[i] * (mean_log[k] - math.log1p(stretch))
                            heavy[i] *= (1.0 + tails[k]) / (1.0 + stretch)
                    for i in range(n):
                        scratch[i] = heavy[i] * residuals[k, a, i]
                    second[k, column] += dot(scratch, residuals[k, a], n)
                    for b in range(width):
                        cross[k, column, b] += dot(scratch, design[b], n)
                    if a == 0 or tails[k] > 0.0:  # responses of a normal row share their weight
                        for b in range(width):
                            for i in range(n):
                                scratch[i] = heavy[i] * design[b, i]
                            for c in range(b + 1):
                                block[b, c] = dot(scratch, design[c], n)
                    for b in range(width):
                        for c in range(b + 1):
                            gram[k, column, b, c] += block[b, c]
    for b in range(width):
        for c in range(b):
            gram[:, :, c, b] = gram[:, :, b, c]
    return counts, cells, logs, gram, cross, second, loglik, magnitude


@njit(cache=True, nogil=True)
def regression_tails(
    values, weights, covariates, origin, order, groups, columns_of_pattern, observed_counts,
    log_weights, heights, coef, scales, tails, norms, norm_slopes, norm_bends,
):  # fmt: skip
    """Loglik, sum of its rows' sizes, gradient (K,) and Hessian (K, K) in the tails."""
    n_components, d = heights.shape
    loglik = 0.0
    magnitude = 0.0
    gradient = np.zeros(n_components)
    hessian = np.zeros((n_components, n_components))
    design = np.zeros((origin.shape[0] + 1, BLOCK_ROWS))
    residuals = np.zeros((n_components, d, BLOCK_ROWS))
    joint = np.zeros((BLOCK_ROWS, n_components))
    pull = np.zeros(n_components)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        for begin in range(groups[g, 2], groups[g, 3], BLOCK_ROWS):
            rows = order[begin : min(begin + BLOCK_ROWS, groups[g, 3])]
            n = rows.shape[0]
            residual_block(
                values, covariates, origin, rows, columns, m, heights, coef, design, residuals
            )
            joint_block(residuals, n, columns, m, log_weights, norms, scales, tails, joint)
            block_loglik, block_magnitude = 0.0, 0.0
            for i in range(n):
                weight = weights[rows[i]]
                row_loglik = divide_row(joint[i], 1.0, -1.0, joint[i])
                block_loglik += weight * row_loglik
                block_magnitude += weight * abs(row_loglik)
                for k in range(n_components):
                    slope = m * norm_slopes[k]
                    bend = m * norm_bends[k]
                    for a in range(m):
                        z = residuals[k, a, i] / scales[k, columns[a]]
                        cell_slope, cell_bend = tail_slopes(z * z, 1, tails[k])
                        slope += cell_slope
                        bend += cell_bend
                    pull[k] = joint[i, k] * slope
                    gradient[k] += weight * pull[k]
                    hessian[k, k] += weight * joint[i, k] * (bend + slope * slope)
                for k in range(n_components):
                    for j in range(n_components):
                        hessian[k, j] -= weight * pull[k] * pull[j]
            loglik += block_loglik
            magnitude += block_magnitude
    return loglik, magnitude, gradient, hessian


@njit(cache=True)
def poisson_rows(
    values, weights, covariates, origin, order, groups, columns_of_pattern, observed_counts,
    log_weights, heights, coef, log_factorials, beta, uniforms,
):  # fmt: skip
    """Weighted responsibilities (n, K) of Poisson regressions, loglik, sum of its rows' sizes.

    ``heights`` (K, d) are the log rates at ``origin``, ``log_factorials`` (n,) sums over a row.
    """
    n_components = heights.shape[0]
    shares = np.zeros((values.shape[0], n_components))
    loglik, magnitude, part, part_magnitude = 0.0, 0.0, 0.0, 0.0
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        for position in range(groups[g, 2], groups[g, 3]):
            if position % BLOCK_ROWS == 0:
                loglik += part
                magnitude += part_magnitude
                part, part_magnitude = 0.0, 0.0
            i = order[position]
            for k in range(n_components):
                total = log_weights[k] - log_factorials[i]
                for a in range(m):
                    c = columns_of_pattern[p, a]
                    log_rate = heights[k, c]
                    for q in range(origin.shape[0]):
                        log_rate += coef[k, c, q] * (covariates[i, q] - origin[q])
                    if values[i, c] > 0.0:  # a rate of 0 may not meet a count of 0
                        total += values[i, c] * log_rate
                    total -= math.exp(log_rate)
                shares[i, k] = total
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(shares[i], beta, uniform, shares[i])
            part += weights[i] * row_loglik
            part_magnitude += weights[i] * abs(row_loglik)
            for k in range(n_components):
                shares[i, k] *= weights[i]
    return shares, loglik + part, magnitude + part_magnitude
