"""Compiled passes of factor analyzers over a table with holes.

For the observed columns o of a row, with S_oo = L L' + Psi and M = I + L' Psi^-1 L (q x q; the
Woodbury form, Rubin and Thayer 1982, Ghahramani and Hinton 1996; rows of L and Psi are those of o):

    E[f | x_o]   = G (x_o - mu_o)     with G = M^-1 L' Psi^-1
    Cov[f | x_o] = M^-1
    log |S_oo|   = log |Psi| + log |M|
    distance     = e' Psi^-1 e + E[f]' E[f]     with e = x_o - mu_o - L E[f]

The last line has no cancellation where a noise variance is small.  Given the factors all cells are
independent, so that missing ones drop out of the complete-data likelihood: column j is regressed
on (1, f) over the rows that show it.  Sums are of the residuals about the current parameters.

``presence`` is 0 for a row of scatter (see ``emlib.data.summary``), which has no mean, no count
and no constant, 1 for all others.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.blocks import BLOCK_ROWS, add_scaled, dot
from emlib.kernels.gaussian import LOG_2PI
from emlib.kernels.posterior import divide_row


@njit(cache=True)
def factor_pattern(columns, m, loadings, noise, compact, gain, lower, covariance):
    """Fill L' (q, m), G (q, m), the Cholesky factor of M and M^-1; return the log norm."""
    q = loadings.shape[1]
    log_norm = -0.5 * m * LOG_2PI
    for i in range(m):
        c = columns[i]
        inverse = 1.0 / noise[c]
        log_norm -= 0.5 * math.log(noise[c])
        for a in range(q):
            compact[a, i] = loadings[c, a]
            gain[a, i] = loadings[c, a] * inverse
    for a in range(q):
        for b in range(a + 1):
            total = dot(compact[a], gain[b], m)
            if a == b:
                total += 1.0
            for c in range(b):
                total -= lower[a, c] * lower[b, c]
            if a == b:
                lower[a, a] = math.sqrt(total)
                log_norm -= math.log(lower[a, a])
            else:
                lower[a, b] = total / lower[b, b]
    for a in range(q):
        for b in range(a):
            add_scaled(-lower[a, b], gain[b], gain[a], m)
        scale = 1.0 / lower[a, a]
        for i in range(m):
            gain[a, i] *= scale
    for a in range(q - 1, -1, -1):
        for b in range(a + 1, q):
            add_scaled(-lower[b, a], gain[b], gain[a], m)
        scale = 1.0 / lower[a, a]
        for i in range(m):
            gain[a, i] *= scale
    for b in range(q):  # M^-1 column by column
        for a in range(q):
            total = 1.0 if a == b else 0.0
            for c in range(a):
                total -= lower[a, c] * covariance[c, b]
            covariance[a, b] = total / lower[a, a]
        for a in range(q - 1, -1, -1):
            total = covariance[a, b]
            for c in range(a + 1, q):
                total -= lower[c, a] * covariance[c, b]
            covariance[a, b] = total / lower[a, a]
    return log_norm


@njit(cache=True)
def score_row(row, columns, m, presence, mean, noise, compact, gain, score, residual):
    """Fill E[f] (q,) and e (m,) of one row; return its distance."""
    for i in range(m):
        residual[i] = row[columns[i]] - presence * mean[columns[i]]
    distance = 0.0
    q = score.shape[0]
    for a in range(q):
        score[a] = dot(gain[a], residual, m)
        distance += score[a] * score[a]
    for a in range(q):
        add_scaled(-score[a], compact[a], residual, m)
    for i in range(m):
        distance += residual[i] * residual[i] / noise[columns[i]]
    return distance


@njit(cache=True, nogil=True)
def factor_pass(
    values, weights, presence, order, groups, columns_of_pattern, observed_counts,
    log_weights, means, loadings, noise, beta, uniforms,
):  # fmt: skip
    """One E-step.

    Returns, with g = (1, f) and e = x - mu - L f,

    shares (K,), gram (K, d, q+1, q+1) sums of E[g g'], cross (K, d, q+1) of E[e g],
    squares (K, d) of E[e^2], loglik, and the sum of its rows' sizes;

    the sums of column j over the rows that show it.
    """
    n_components, d, q = loadings.shape
    shares = np.zeros(n_components)
    gram = np.zeros((n_components, d, q + 1, q + 1))
    cross = np.zeros((n_components, d, q + 1))
    squares = np.zeros((n_components, d))
    loglik, magnitude, part, part_magnitude = 0.0, 0.0, 0.0, 0.0
    compact = np.zeros((n_components, q, d))
    gain = np.zeros((n_components, q, d))
    lower = np.zeros((q, q))
    covariance = np.zeros((n_components, q, q))
    log_norm = np.zeros(n_components)
    scores = np.zeros((n_components, q))
    residuals = np.zeros((n_components, d))
    joint = np.zeros(n_components)
    group_gram = np.zeros((n_components, q + 1, q + 1))
    group_cross = np.zeros((n_components, q + 1, d))
    group_squares = np.zeros((n_components, d))
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        if m == 0:
            continue
        columns = columns_of_pattern[p]
        for k in range(n_components):
            log_norm[k] = log_weights[k] + factor_pattern(
                columns, m, loadings[k], noise[k], compact[k], gain[k], lower, covariance[k]
            )
        group_gram[:] = 0.0
        group_cross[:] = 0.0
        group_squares[:] = 0.0
        for position in range(groups[g, 2], groups[g, 3]):
            if position % BLOCK_ROWS == 0:
                loglik += part
                magnitude += part_magnitude
                part, part_magnitude = 0.0, 0.0
            i = order[position]
            here, weight = presence[i], weights[i]
            for k in range(n_components):
                distance = score_row(
                    values[i], columns, m, here, means[k], noise[k],
                    compact[k], gain[k], scores[k], residuals[k],
                )  # fmt: skip
                joint[k] = here * log_norm[k] - 0.5 * distance
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            row_loglik = divide_row(joint, beta, uniform, joint)
            part += weight * row_loglik
            part_magnitude += weight * abs(row_loglik)
            for k in range(n_components):
                share = weight * joint[k]
                if share == 0.0:
                    continue
                score, residual = scores[k], residuals[k]
                group_gram[k, 0, 0] += share * here
                add_scaled(share * here, residual, group_cross[k, 0], m)
                for a in range(q):
                    group_gram[k, a + 1, 0] += share * here * score[a]
                    add_scaled(share * score[a], score, group_gram[k, a + 1, 1:], a + 1)
                    add_scaled(share * score[a], residual, group_cross[k, a + 1], m)
                for j in range(m):
                    group_squares[k, j] += share * residual[j] * residual[j]
        for k in range(n_components):
            count = group_gram[k, 0, 0]
            shares[k] += count
            for a in range(q):
                add_scaled(count, covariance[k, a], group_gram[k, a + 1, 1:], a + 1)
            for j in range(m):
                c = columns[j]
                squares[k, c] += group_squares[k, j]
                cross[k, c, 0] += group_cross[k, 0, j]
                for a in range(q):
                    spread = count * gain[k, a, j] * noise[k, c]  # of L M^-1 = Psi G'
                    cross[k, c, a + 1] += group_cross[k, a + 1, j] - spread
                    squares[k, c] += spread * compact[k, a, j]
                for a in range(q + 1):
                    for b in range(a + 1):
                        gram[k, c, a, b] += group_gram[k, a, b]
    for k in range(n_components):
        for c in range(d):
            for a in range(q + 1):
                for b in range(a):
                    gram[k, c, b, a] = gram[k, c, a, b]
    return shares, gram, cross, squares, loglik + part, magnitude + part_magnitude


@njit(cache=True)
def factor_posteriors(
    values, order, groups, columns_of_pattern, observed_counts, log_weights, means, loadings, noise
):  # fmt: skip
    """Row by row: loglik (n,), responsibilities (n, K), completed rows (n, d), E[f] (n, q)."""
    n_components, d, q = loadings.shape
    n = values.shape[0]
    logliks = np.zeros(n)
    responsibilities = np.zeros((n, n_components))
    completed = values.copy()
    latent = np.zeros((n, q))
    compact = np.zeros((n_components, q, d))
    gain = np.zeros((n_components, q, d))
    lower = np.zeros((q, q))
    covariance = np.zeros((q, q))
    log_norm = np.zeros(n_components)
    scores = np.zeros((n_components, q))
    residual = np.zeros(d)
    joint = np.zeros(n_components)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        for k in range(n_components):
            log_norm[k] = log_weights[k] + factor_pattern(
                columns, m, loadings[k], noise[k], compact[k], gain[k], lower, covariance
            )
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            for k in range(n_components):
                distance = score_row(
                    values[i], columns, m, 1.0, means[k], noise[k],
                    compact[k], gain[k], scores[k], residual,
                )  # fmt: skip
                joint[k] = log_norm[k] - 0.5 * distance
            logliks[i] = divide_row(joint, 1.0, -1.0, responsibilities[i])
            for k in range(n_components):
                add_scaled(responsibilities[i, k], scores[k], latent[i], q)
            for j in range(m, d):
                c = columns[j]
                total = 0.0
                for k in range(n_components):
                    expected = means[k, c] + dot(loadings[k, c], scores[k], q)
                    total += responsibilities[i, k] * expected
                completed[i, c] = total
    return logliks, responsibilities, completed, latent


@njit(cache=True)
def factor_draws(
    values, order, groups, columns_of_pattern, observed_counts,
    labels, means, loadings, noise, factor_noise, cell_noise,
):  # fmt: skip
    """Rows (n, d) with missing cells drawn given the observed ones and the component ``labels``.

    Standard normals ``factor_noise`` (n, q) draw the factors given the observed cells,
    ``cell_noise`` (n, d) the missing cells given the factors.
    """
    _, d, q = loadings.shape
    completed = values.copy()
    compact = np.zeros((q, d))
    gain = np.zeros((q, d))
    lower = np.zeros((q, q))
    covariance = np.zeros((q, q))
    residual = np.zeros(d)
    factors = np.zeros(q)
    for g in range(groups.shape[0]):
        p = groups[g, 1]
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        if m == d:
            continue
        factored = -1
        for position in range(groups[g, 2], groups[g, 3]):
            i = order[position]
            k = labels[i]
            if k != factored:
                factor_pattern(columns, m, loadings[k], noise[k], compact, gain, lower, covariance)
                factored = k
            score_row(
                values[i], columns, m, 1.0, means[k], noise[k], compact, gain, factors, residual
            )
            solved = factor_noise[i].copy()
            for a in range(q - 1, -1, -1):  # M = R R', so that R^-T z has covariance M^-1
                for b in range(a + 1, q):
                    solved[a] -= lower[b, a] * solved[b]
                solved[a] /= lower[a, a]
                factors[a] += solved[a]
            for j in range(m, d):
                c = columns[j]
                completed[i, c] = (
                    means[k, c]
                    + dot(loadings[k, c], factors, q)
                    + math.sqrt(noise[k, c]) * cell_noise[i, c]
                )
    return completed
