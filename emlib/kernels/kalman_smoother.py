"""Compiled Kalman smoother: states, noise and missing cells given a whole sequence."""

import numpy as np
from numba import njit

from emlib.kernels.kalman import multiply, rotate, same_to_rounding, update, update_mean


@njit(cache=True)
def multiply_transposed(a, b, out):
    """out = a' b, square."""
    k = a.shape[0]
    for i in range(k):
        for j in range(k):
            out[i, j] = 0.0
    for c in range(k):
        for i in range(k):
            factor = a[c, i]
            for j in range(k):
                out[i, j] += factor * b[c, j]


@njit(cache=True)
def multiply_vector(a, x, out):
    """out = a' x."""
    k = len(x)
    for i in range(k):
        total = 0.0
        for j in range(k):
            total += a[j, i] * x[j]
        out[i] = total


@njit(cache=True)
def smooth_pass(
    values, offsets, wanted, weights, lead, pattern_of_row, columns_of_pattern, observed_counts,
    transition, transition_covariance, observation_offset, rotation, loadings, variances, diagonal,
    means, covariances, steady, keep,
):  # fmt: skip
    """Smooth in place what ``filter_pass`` predicted; sum the covariances that EM asks for.

    Backward recursions of Durbin and Koopman (2012), sections 4.4 and 4.5, without inverses.
    ``means`` become the smoothed ones, ``covariances`` too where ``keep``.  Noise is smoothed by
    itself and not as a difference of states, which loses its digits where it is small.  Where
    both recursions have come to rest, covariances are those of the step after.

    Returns
    -------
    completed : ndarray of shape (n, d)
        The observations, missing cells at their conditional expectation.
    shocks : ndarray of shape (n_states, k)
        Smoothed means of the noise w_t that leads to each state; 0 for first states.
    step_covariances : ndarray of shape (P, 2, k, k)
        Weighted sums of the states' covariances by the step's pattern, first steps of a
        sequence apart (at 0).
    pairs : ndarray of shape (2, 2 k, 2 k)
        Weighted sums of the joint covariances of (w_t, x_t-1), first ones of a sequence apart.
    initial : ndarray of shape (k, k)
        Weighted sum of the covariances of first states.
    """
    n_sequences, d, k = len(offsets) - 1, values.shape[1], transition.shape[0]
    completed = values.copy()
    shocks = np.zeros(means.shape)
    step_covariances = np.zeros((len(columns_of_pattern), 2, k, k))
    pairs = np.zeros((2, 2 * k, 2 * k))
    initial = np.zeros((k, k))
    mean, covariance, smoothed = np.empty(k), np.empty((k, k)), np.empty((k, k))
    direction, moved = np.empty(k), np.empty(k)
    curvature, ahead, before = np.empty((k, k)), np.empty((k, k)), np.zeros((k, k))
    left, right, cross = np.empty((k, k)), np.empty((k, k)), np.empty((k, k))
    shock_covariance = np.empty((k, k))
    rotated, innovations, spreads = np.zeros(d), np.zeros(d), np.zeros(d)
    gains = np.zeros((d, k))
    for s in range(n_sequences):
        if not wanted[s]:
            continue
        first = offsets[s] + s * lead
        length = offsets[s + 1] - offsets[s] + lead
        w = weights[s]
        direction[:] = 0.0
        curvature[:, :] = 0.0
        rests = 0
        for t in range(length - 1, -1, -1):
            here = first + t
            mean[:] = means[here]
            m, p, i = 0, -1, -1
            known = t + 1 < length and steady[here + 1]
            frozen = known and rests >= 2
            if t >= lead:
                i = offsets[s] + t - lead
                p = pattern_of_row[i]
                m = observed_counts[p]
                columns = columns_of_pattern[p]
                rotate(values[i], observation_offset, columns, m, rotation[p], diagonal, rotated)
                if known:
                    update_mean(mean, rotated, loadings[p], m, innovations, spreads, gains)
                else:
                    covariance[:, :] = covariances[here]
                    update(
                        mean, covariance, rotated, loadings[p], variances[p], m,
                        innovations, spreads, gains,
                    )  # fmt: skip
            else:
                covariance[:, :] = covariances[here]
            if not frozen:
                multiply(curvature, covariance, right)
                multiply(covariance, right, left)
                for a in range(k):
                    for b in range(k):
                        smoothed[a, b] = covariance[a, b] - 0.5 * (left[a, b] + left[b, a])
                if t + 1 < length:
                    # Cov(w_t+1, x_t) = -Q N_t+1 A P_t, with N_t+1 A in `ahead`.
                    multiply(ahead, covariance, right)
                    multiply(transition_covariance, right, cross)
            for a in range(k):
                for b in range(k):
                    mean[a] += covariance[a, b] * direction[b]
            if t + 1 < length:
                kind = 0 if t == 0 else 1
                for a in range(k):
                    for b in range(k):
                        pairs[kind, a, b] += w * shock_covariance[a, b]
                        pairs[kind, a, k + b] -= w * cross[a, b]
                        pairs[kind, k + a, b] -= w * cross[b, a]
                        pairs[kind, k + a, k + b] += w * smoothed[a, b]
            if t == 0:
                initial += w * smoothed
            if p >= 0:
                kind = 0 if t == 0 else 1
                for a in range(k):
                    for b in range(k):
                        step_covariances[p, kind, a, b] += w * smoothed[a, b]
                for a in range(m, d):
                    total = observation_offset[columns[a]] + rotated[a]
                    for b in range(k):
                        total += loadings[p, a, b] * mean[b]
                    completed[i, columns[a]] = total
            means[here] = mean
            if keep:
                covariances[here] = smoothed
            if t == 0:
                continue
            for a in range(m - 1, -1, -1):
                # r = c v / f + L' r and N = c c' / f + L' N L, with L = I - g c' / f.
                c = loadings[p, a]
                spread = spreads[a]
                if spread <= 0.0:
                    continue
                along = 0.0
                for b in range(k):
                    along += gains[a, b] * direction[b]
                factor = (innovations[a] - along) / spread
                for b in range(k):
                    direction[b] += c[b] * factor
                if frozen:
                    continue
                bend = 1.0 / spread
                for b in range(k):
                    total = 0.0
                    for j in range(k):
                        total += curvature[b, j] * gains[a, j]
                    moved[b] = total / spread
                    bend += gains[a, b] * moved[b] / spread
                for b in range(k):
                    for j in range(k):
                        curvature[b, j] += bend * c[b] * c[j] - c[b] * moved[j] - moved[b] * c[j]
            for a in range(k):
                for b in range(k):
                    shocks[here, a] += transition_covariance[a, b] * direction[b]
            multiply_vector(transition, direction, moved)
            direction[:] = moved
            if frozen:
                continue
            multiply(curvature, transition_covariance, left)
            multiply(transition_covariance, left, right)
            for a in range(k):
                for b in range(k):
                    shock_covariance[a, b] = transition_covariance[a, b] - 0.5 * (
                        right[a, b] + right[b, a]
                    )
            multiply(curvature, transition, ahead)
            multiply_transposed(transition, ahead, curvature)
            rests = rests + 1 if known and same_to_rounding(curvature, before) else 0
            if rests:
                curvature[:, :] = before
            else:
                before[:, :] = curvature
    return completed, shocks, step_covariances, pairs, initial
