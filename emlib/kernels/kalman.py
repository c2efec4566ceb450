"""Compiled Kalman filter and smoother with any cells of a time step missing.

Observations are taken one by one (Koopman and Durbin 2000; Durbin and Koopman 2012, sections 6.4
and 4.4): the observed block of R is factored as L D L', rows are multiplied by L^-1, and each of
them is a scalar update.  No matrix is inverted, so singular state covariances need no care.
"""

import math

import numpy as np
from numba import njit

LOG_2PI = math.log(2.0 * math.pi)

CHUNK_STEPS = 1024
"""Steps whose numbers are summed apart; part of the order of sums."""

COLLAPSED = 1e-10
"""A variance of prediction below this share of its column's scale is no variance."""

WIDE = 100.0
"""A spread above this many times the noise's variance asks for Joseph's form."""

STEADY = 1e-15
"""A covariance that moves less than this from one step to the next has come to rest."""

SMALLEST_PIVOT = 1e-14
"""A pivot of R below this share of its diagonal entry is 0."""


@njit(cache=True)
def factor_noise(
    noise, observation, columns_of_pattern, observed_counts, diagonal, rotation, loadings,
    variances, hidden,
):  # fmt: skip
    """Factor the observed block of R once a pattern of observed columns.

    Parameters
    ----------
    rotation : ndarray of shape (P, d, d)
        Comes as zeros, as all that follow.  Takes L^-1 in the rows of observed columns; for
        missing ones the regression of their noise on the observed noise.  Unused where
        ``diagonal``.
    loadings : ndarray of shape (P, d, k)
        Rows of L^-1 C for observed columns; for missing ones what remains of C given the
        observed noise.
    variances : ndarray of shape (P, d)
        D, for observed columns.
    hidden : ndarray of shape (P, d, d)
        Covariance of the missing columns' noise given the observed noise, rows and columns from
        the number of observed ones on.
    """
    n_patterns, d = columns_of_pattern.shape
    k = observation.shape[1]
    upper = np.zeros((d, d))  # L', so that inner loops run along its lines
    rest = np.zeros(d)
    for p in range(n_patterns):
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        if diagonal:
            for a in range(d):
                column = columns[a]
                loadings[p, a] = observation[column]
                if a < m:
                    variances[p, a] = noise[column, column]
                else:
                    hidden[p, a, a] = noise[column, column]
            continue
        for a in range(d):
            for b in range(a + 1):
                rest[b] = noise[columns[a], columns[b]]
            loadings[p, a] = observation[columns[a]]
            # Line a of R less what the observed columns before say of it; with what they say,
            # line a of L^-1 and of L^-1 C (for a missing column, of the regression on them).
            for b in range(min(a, m)):
                if variances[p, b] == 0.0:
                    upper[b, a] = 0.0
                    continue
                product = rest[b]
                factor = product / variances[p, b]
                upper[b, a] = factor
                for c in range(b + 1, a + 1):
                    rest[c] -= product * upper[b, c]
                for c in range(b + 1):
                    rotation[p, a, c] -= factor * rotation[p, b, c]
                for j in range(k):
                    loadings[p, a, j] -= factor * loadings[p, b, j]
            if a < m:
                rotation[p, a, a] = 1.0
                if rest[a] > SMALLEST_PIVOT * noise[columns[a], columns[a]]:
                    variances[p, a] = rest[a]
                continue
            for b in range(m):
                rotation[p, a, b] = -rotation[p, a, b]
            for b in range(m, a + 1):
                hidden[p, a, b] = rest[b]
                hidden[p, b, a] = rest[b]


@njit(cache=True)
def rotate(row, offset, columns, m, rotation, diagonal, out):
    """Multiply a step's deviations from the offset by L^-1 (for missing columns: regress)."""
    d = columns.shape[0]
    if diagonal:
        for a in range(m):
            out[a] = row[columns[a]] - offset[columns[a]]
        for a in range(m, d):
            out[a] = 0.0
        return
    for a in range(d):
        out[a] = 0.0
    for b in range(m):
        deviation = row[columns[b]] - offset[columns[b]]
        for a in range(b, d):
            out[a] += rotation[a, b] * deviation


@njit(cache=True)
def update(mean, covariance, rotated, loadings, variances, m, innovations, spreads, gains):
    """Take the observations of one step, one by one; mean and covariance move in place.

    Row a of ``gains`` becomes P c, with ``innovations`` v and ``spreads`` f = c' P c + r.  Where
    little is left of P (a wide start) P - g g' / f loses digits; Joseph's form gives them back.
    """
    k = mean.shape[0]
    for a in range(m):
        c = loadings[a]
        gain = gains[a]
        innovation = rotated[a]
        spread = variances[a]
        for i in range(k):
            total = 0.0
            for j in range(k):
                total += covariance[i, j] * c[j]
            gain[i] = total
            innovation -= c[i] * mean[i]
            spread += c[i] * total
        innovations[a] = innovation
        spreads[a] = spread
        if spread <= 0.0:
            continue
        share = innovation / spread
        for i in range(k):
            mean[i] += gain[i] * share
            scaled = gain[i] / spread
            for j in range(k):
                covariance[i, j] -= scaled * gain[j]
        if spread > WIDE * variances[a] > 0.0:
            for i in range(k):
                along = 0.0
                for j in range(k):
                    along += covariance[i, j] * c[j]
                along = (along - variances[a] * gain[i] / spread) / spread
                for j in range(k):
                    covariance[i, j] -= along * gain[j]
            for i in range(k):
                for j in range(i):
                    covariance[i, j] = 0.5 * (covariance[i, j] + covariance[j, i])
                    covariance[j, i] = covariance[i, j]


@njit(cache=True)
def update_mean(mean, rotated, loadings, m, innovations, spreads, gains):
    """Take the observations of one step with gains that are known already."""
    k = mean.shape[0]
    for a in range(m):
        innovation = rotated[a]
        for i in range(k):
            innovation -= loadings[a, i] * mean[i]
        innovations[a] = innovation
        if spreads[a] > 0.0:
            for i in range(k):
                mean[i] += gains[a, i] * innovation / spreads[a]


@njit(cache=True)
def same_to_rounding(one, other):
    """Whether two covariances differ by rounding only."""
    for i in range(one.shape[0]):
        for j in range(i + 1):
            bound = STEADY * math.sqrt(abs(one[i, i] * one[j, j]))
            if abs(one[i, j] - other[i, j]) > bound:
                return False
    return True


@njit(cache=True)
def multiply(a, b, out):
    """out = a b, square."""
    k = a.shape[0]
    for i in range(k):
        for j in range(k):
            out[i, j] = 0.0
        for c in range(k):
            factor = a[i, c]
            for j in range(k):
                out[i, j] += factor * b[c, j]


@njit(cache=True)
def predict_mean(transition, offset, mean, result):
    """A m + b."""
    k = mean.shape[0]
    for i in range(k):
        total = offset[i]
        for j in range(k):
            total += transition[i, j] * mean[j]
        result[i] = total


@njit(cache=True)
def predict(transition, noise, covariance, scratch, result):
    """A P A' + Q."""
    k = covariance.shape[0]
    multiply(transition, covariance, scratch)
    for i in range(k):
        for j in range(i + 1):
            total = noise[i, j]
            for c in range(k):
                total += scratch[i, c] * transition[j, c]
            result[i, j] = total
            result[j, i] = total


@njit(cache=True)
def filter_pass(
    values, offsets, wanted, lead, pattern_of_row, columns_of_pattern, observed_counts, scales,
    transition, transition_offset, transition_covariance, observation_offset,
    initial_mean, initial_covariance, rotation, loadings, variances, diagonal,
):  # fmt: skip
    """Predictions of every state from the past.

    State t of sequence s is line ``offsets[s] + s * lead + t``; with ``lead`` 1 the first state
    comes before the first observation.

    Returns
    -------
    means (n, k), covariances (n, k, k), steady (n,), logliks (S,), sizes (S,), collapsed
        ``steady`` marks states whose covariance, and what is observed of them, are as one step
        before: the recursion has come to rest, and gains need not be computed again.  ``sizes``
        sums the steps' absolute logliks; ``collapsed`` is the first column whose prediction has
        no variance, -1 if none.
    """
    n_sequences, d, k = len(offsets) - 1, values.shape[1], len(initial_mean)
    n_states = len(values) + lead * n_sequences
    means = np.zeros((n_states, k))
    covariances = np.zeros((n_states, k, k))
    steady = np.zeros(n_states, dtype=np.bool_)
    logliks = np.zeros(n_sequences)
    sizes = np.zeros(n_sequences)
    mean, covariance = np.empty(k), np.empty((k, k))
    scratch = np.empty((k, k))
    rotated, innovations, spreads = np.zeros(d), np.zeros(d), np.zeros(d)
    gains = np.zeros((d, k))
    for s in range(n_sequences):
        if not wanted[s]:
            continue
        first = offsets[s] + s * lead
        length = offsets[s + 1] - offsets[s] + lead
        means[first] = initial_mean
        covariances[first] = initial_covariance
        chunk_loglik, chunk_size = 0.0, 0.0
        rests = False
        for t in range(length):
            here = first + t
            mean[:] = means[here]
            if t >= lead:
                i = offsets[s] + t - lead
                p = pattern_of_row[i]
                m = observed_counts[p]
                columns = columns_of_pattern[p]
                rotate(values[i], observation_offset, columns, m, rotation[p], diagonal, rotated)
                steady[here] = rests and p == pattern_of_row[i - 1]
                if steady[here]:
                    update_mean(mean, rotated, loadings[p], m, innovations, spreads, gains)
                else:
                    covariance[:, :] = covariances[here]
                    update(
                        mean, covariance, rotated, loadings[p], variances[p], m,
                        innovations, spreads, gains,
                    )  # fmt: skip
                step_loglik = 0.0
                for a in range(m):
                    if not spreads[a] > COLLAPSED * scales[columns[a]]:
                        return means, covariances, steady, logliks, sizes, columns[a]
                    step_loglik -= 0.5 * (
                        LOG_2PI + math.log(spreads[a]) + innovations[a] ** 2 / spreads[a]
                    )
                chunk_loglik += step_loglik
                chunk_size += abs(step_loglik)
            else:
                covariance[:, :] = covariances[here]
            if t + 1 < length and steady[here]:
                covariances[here + 1] = covariances[here]
                predict_mean(transition, transition_offset, mean, means[here + 1])
            elif t + 1 < length:
                predict_mean(transition, transition_offset, mean, means[here + 1])
                predict(transition, transition_covariance, covariance, scratch,
                        covariances[here + 1])  # fmt: skip
                rests = t >= lead and same_to_rounding(covariances[here + 1], covariances[here])
                if rests:
                    covariances[here + 1] = covariances[here]
            if t + 1 == length or (t + 1) % CHUNK_STEPS == 0:
                logliks[s] += chunk_loglik
                sizes[s] += chunk_size
                chunk_loglik, chunk_size = 0.0, 0.0
    return means, covariances, steady, logliks, sizes, -1


@njit(cache=True)
def filtered_states(
    values, offsets, lead, pattern_of_row, columns_of_pattern, observed_counts,
    observation_offset, rotation, loadings, variances, diagonal, means, covariances,
):  # fmt: skip
    """Move predictions to what the step's own observations say, in place."""
    d, k = values.shape[1], means.shape[1]
    rotated, innovations, spreads = np.zeros(d), np.zeros(d), np.zeros(d)
    gains = np.zeros((d, k))
    for s in range(len(offsets) - 1):
        for i in range(offsets[s], offsets[s + 1]):
            here = i + (s + 1) * lead
            p = pattern_of_row[i]
            m = observed_counts[p]
            columns = columns_of_pattern[p]
            rotate(values[i], observation_offset, columns, m, rotation[p], diagonal, rotated)
            update(
                means[here], covariances[here], rotated, loadings[p], variances[p], m,
                innovations, spreads, gains,
            )  # fmt: skip
