"""Compiled M-step of Gaussian mixtures with full or tied covariances, and whole EM steps of them.

``dense_em`` does what ``dense_pass`` and ``dense_m_step`` do in turn, bit for bit: nothing of it
goes through Python, which costs more than the arithmetic where rows are few.
"""

import math

import numpy as np
from numba import njit

from emlib.kernels.collapse import all_have_size
from emlib.kernels.gaussian import dense_pass

SOUND, EMPTY, COLLAPSED = 0, 1, 2
"""How an M-step ends: parameters, a component without rows, one without size."""


@njit(cache=True)
def logs(probabilities):
    """Natural logs, log 0 = -inf."""
    result = np.empty(probabilities.shape[0])
    for k in range(probabilities.shape[0]):
        p = probabilities[k]
        result[k] = math.log(p) if p > 0.0 else -math.inf
    return result


@njit(cache=True)
def dense_m_step(counts, reference, first, second, tied, empty_share, unresolved, ratio, own):
    """Maximizer of Q from sums about ``reference``, and how it ended.

    Scatters about the new means follow by the parallel-axis theorem.  The bounds are those of
    ``emlib.models.collapse``.
    """
    n_components, d = first.shape
    total = 0.0
    for k in range(n_components):
        total += counts[k]
    weights = counts / total
    means = np.empty((n_components, d))
    covariances = np.empty((1 if tied else n_components, d, d))
    for k in range(n_components):
        if counts[k] <= empty_share * total:
            return weights, means, covariances, EMPTY
    if tied:
        covariances[:] = 0.0
    for k in range(n_components):
        for a in range(d):
            means[k, a] = reference[k, a] + first[k, a] / counts[k]
        for a in range(d):
            shift = reference[k, a] - means[k, a]
            moved = first[k, a] + counts[k] * shift
            for b in range(a + 1):
                other = reference[k, b] - means[k, b]
                scatter = second[k, a, b] + shift * first[k, b] + moved * other
                if tied:
                    covariances[0, a, b] += scatter
                else:
                    covariances[k, a, b] = scatter / counts[k]
    if tied:
        covariances /= total
    for matrix in covariances:
        for a in range(d):
            for b in range(a):
                matrix[b, a] = matrix[a, b]
    sound = _have_size(weights, means, covariances, tied, unresolved, ratio, own)
    return weights, means, covariances, SOUND if sound else COLLAPSED


@njit(cache=True)
def _have_size(weights, means, covariances, tied, unresolved, ratio, own):
    n_components, d = means.shape
    pooled = np.zeros((d, d))
    for k in range(covariances.shape[0]):
        share = 1.0 if tied else weights[k]
        for a in range(d):
            for b in range(d):
                pooled[a, b] += share * covariances[k, a, b]
    for a in range(d):
        middle = 0.0
        for k in range(n_components):
            middle += weights[k] * means[k, a]
        between = 0.0
        for k in range(n_components):
            between += weights[k] * (means[k, a] - middle) ** 2
        if pooled[a, a] <= unresolved * between:
            return False
    return all_have_size(pooled, covariances[: 0 if tied else n_components], ratio, own)


@njit(cache=True)
def dense_em(
    values, row_weights, order, groups, columns_of_pattern, observed_counts,
    counts, reference, first, second, n_steps, tied, empty_share, unresolved, ratio, own,
):  # fmt: skip
    """EM steps from the sums of an E-step on; as many as are sound, at most ``n_steps``.

    Returns their number, and for each the parameters and the sums about the means: weights
    (S, K), means (S, K, d), covariances (S, C, d, d), counts (S, K), first (S, K, d), second
    (S, K, d, d), loglik and magnitude (S,).
    """
    n_components, d = first.shape
    uniforms = np.empty(0)
    all_weights = np.empty((n_steps, n_components))
    all_means = np.empty((n_steps, n_components, d))
    all_covariances = np.empty((n_steps, 1 if tied else n_components, d, d))
    all_counts = np.empty((n_steps, n_components))
    all_first = np.empty((n_steps, n_components, d))
    all_second = np.empty((n_steps, n_components, d, d))
    logliks = np.empty(n_steps)
    magnitudes = np.empty(n_steps)
    done = 0
    while done < n_steps:
        weights, means, covariances, end = dense_m_step(
            counts, reference, first, second, tied, empty_share, unresolved, ratio, own
        )
        if end != SOUND:
            break
        counts, first, second, loglik, magnitude, singular = dense_pass(
            values, row_weights, order, groups, columns_of_pattern, observed_counts,
            logs(weights), means, covariances, 1.0, uniforms,
        )  # fmt: skip
        if singular >= 0:
            break
        reference = means
        all_weights[done], all_means[done], all_covariances[done] = weights, means, covariances
        all_counts[done], all_first[done], all_second[done] = counts, first, second
        logliks[done], magnitudes[done] = loglik, magnitude
        done += 1
        if not math.isfinite(loglik):
            break
    return (
        done, all_weights, all_means, all_covariances, all_counts, all_first, all_second,
        logliks, magnitudes,
    )  # fmt: skip
