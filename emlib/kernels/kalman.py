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

SMALLEST_PIVOT = 1e-14
"""A pivot of R below this share of its diagonal entry is 0."""


@njit(cache=True)
def factor_noise(noise, observation, columns_of_pattern, observed_counts, diagonal):
    """Factor the observed block of R once a pattern of observed columns.

    Returns
    -------
    rotation : ndarray of shape (P, d, d)
        L^-1 in the rows of observed columns; for missing ones the regression of their noise on
        the observed noise.  Zeros where ``diagonal``.
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
    rotation = np.zeros((n_patterns, 1 if diagonal else d, 1 if diagonal else d))
    loadings = np.zeros((n_patterns, d, k))
    variances = np.zeros((n_patterns, d))
    hidden = np.zeros((n_patterns, d, d))
    lower = np.zeros((d, d))
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
            for b in range(min(a + 1, m)):
                total = noise[columns[a], columns[b]]
                for c in range(b):
                    total -= lower[a, c] * variances[p, c] * lower[b, c]
                if a == b:
                    lower[a, a] = 1.0
                    if total > SMALLEST_PIVOT * noise[columns[a], columns[a]]:
                        variances[p, a] = total
                elif variances[p, b] > 0.0:
                    lower[a, b] = total / variances[p, b]
                else:
                    lower[a, b] = 0.0
        for a in range(d):
            # Row a of L^-1; for a missing column, of -(its row of L) times L^-1.
            for b in range(min(a, m) - 1, -1, -1):
                total = lower[a, b]
                for c in range(b + 1, min(a, m)):
                    total += rotation[p, a, c] * lower[c, b]
                rotation[p, a, b] = -total
            if a < m:
                rotation[p, a, a] = 1.0
            for j in range(k):
                total = observation[columns[a], j]
                for b in range(min(a, m)):
                    total += rotation[p, a, b] * observation[columns[b], j]
                loadings[p, a, j] = total
        for a in range(m, d):
            for b in range(m, d):
                total = noise[columns[a], columns[b]]
                for c in range(m):
                    total -= lower[a, c] * variances[p, c] * lower[b, c]
                hidden[p, a, b] = total
            for b in range(m):
                rotation[p, a, b] = -rotation[p, a, b]
    return rotation, loadings, variances, hidden


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
def predict(transition, offset, noise, mean, covariance, scratch, next_mean, next_covariance):
    """A m + b and A P A' + Q."""
    k = mean.shape[0]
    for i in range(k):
        total = offset[i]
        for j in range(k):
            total += transition[i, j] * mean[j]
        next_mean[i] = total
        for j in range(k):
            total = 0.0
            for c in range(k):
                total += transition[i, c] * covariance[c, j]
            scratch[i, j] = total
    for i in range(k):
        for j in range(i + 1):
            total = noise[i, j]
            for c in range(k):
                total += scratch[i, c] * transition[j, c]
            next_covariance[i, j] = total
            next_covariance[j, i] = total


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
    means (n, k), covariances (n, k, k), logliks (S,), sizes (S,), collapsed
        ``sizes`` sums the steps' absolute logliks; ``collapsed`` is the first column whose
        prediction has no variance, -1 if none.
    """
    n_sequences, d, k = len(offsets) - 1, values.shape[1], len(initial_mean)
    n_states = len(values) + lead * n_sequences
    means = np.zeros((n_states, k))
    covariances = np.zeros((n_states, k, k))
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
        for t in range(length):
            here = first + t
            mean[:] = means[here]
            covariance[:, :] = covariances[here]
            if t >= lead:
                i = offsets[s] + t - lead
                p = pattern_of_row[i]
                m = observed_counts[p]
                columns = columns_of_pattern[p]
                rotate(values[i], observation_offset, columns, m, rotation[p], diagonal, rotated)
                update(
                    mean, covariance, rotated, loadings[p], variances[p], m,
                    innovations, spreads, gains,
                )  # fmt: skip
                step_loglik = 0.0
                for a in range(m):
                    if not spreads[a] > COLLAPSED * scales[columns[a]]:
                        return means, covariances, logliks, sizes, columns[a]
                    step_loglik -= 0.5 * (
                        LOG_2PI + math.log(spreads[a]) + innovations[a] ** 2 / spreads[a]
                    )
                chunk_loglik += step_loglik
                chunk_size += abs(step_loglik)
            if t + 1 < length:
                predict(
                    transition, transition_offset, transition_covariance,
                    mean, covariance, scratch, means[here + 1], covariances[here + 1],
                )  # fmt: skip
            if t + 1 == length or (t + 1) % CHUNK_STEPS == 0:
                logliks[s] += chunk_loglik
                sizes[s] += chunk_size
                chunk_loglik, chunk_size = 0.0, 0.0
    return means, covariances, logliks, sizes, -1


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
def smooth_pass(
    values, offsets, wanted, weights, lead, pattern_of_row, columns_of_pattern, observed_counts,
    transition, transition_covariance, observation_offset, rotation, loadings, variances, diagonal,
    means, covariances, keep,
):  # fmt: skip
    """Smooth in place what ``filter_pass`` predicted; sum the covariances that EM asks for.

    Backward recursions of Durbin and Koopman (2012), sections 4.4 and 4.5, without inverses.
    ``means`` become the smoothed ones, ``covariances`` too where ``keep``.  Noise is smoothed by
    itself and not as a difference of states, which loses its digits where it is small.

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
    curvature, ahead = np.empty((k, k)), np.empty((k, k))
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
        for t in range(length - 1, -1, -1):
            here = first + t
            mean[:] = means[here]
            covariance[:, :] = covariances[here]
            m, p, i = 0, -1, -1
            if t >= lead:
                i = offsets[s] + t - lead
                p = pattern_of_row[i]
                m = observed_counts[p]
                columns = columns_of_pattern[p]
                rotate(values[i], observation_offset, columns, m, rotation[p], diagonal, rotated)
                update(
                    mean, covariance, rotated, loadings[p], variances[p], m,
                    innovations, spreads, gains,
                )  # fmt: skip
            multiply(curvature, covariance, right)
            multiply(covariance, right, left)
            for a in range(k):
                for b in range(k):
                    smoothed[a, b] = covariance[a, b] - 0.5 * (left[a, b] + left[b, a])
                    mean[a] += covariance[a, b] * direction[b]
            if t + 1 < length:
                # Cov(w_t+1, x_t) = -Q N_t+1 A P_t, with N_t+1 A in `ahead`.
                multiply(ahead, covariance, right)
                multiply(transition_covariance, right, cross)
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
                along, bend = 0.0, 0.0
                for b in range(k):
                    along += gains[a, b] * direction[b]
                    total = 0.0
                    for j in range(k):
                        total += curvature[b, j] * gains[a, j]
                    moved[b] = total / spread
                    bend += gains[a, b] * moved[b] / spread
                factor = (innovations[a] - along) / spread
                bend += 1.0 / spread
                for b in range(k):
                    direction[b] += c[b] * factor
                    for j in range(k):
                        curvature[b, j] += bend * c[b] * c[j] - c[b] * moved[j] - moved[b] * c[j]
            multiply(curvature, transition_covariance, left)
            multiply(transition_covariance, left, right)
            for a in range(k):
                for b in range(k):
                    shock_covariance[a, b] = transition_covariance[a, b] - 0.5 * (
                        right[a, b] + right[b, a]
                    )
                    shocks[here, a] += transition_covariance[a, b] * direction[b]
            multiply(curvature, transition, ahead)
            multiply_transposed(transition, ahead, curvature)
            for a in range(k):
                total = 0.0
                for b in range(k):
                    total += transition[b, a] * direction[b]
                moved[a] = total
            direction[:] = moved
    return completed, shocks, step_covariances, pairs, initial


@njit(cache=True)
def centred_products(left, right, weights, kinds, reference):
    """Sums of deviations of (left, right) from the reference of their kind, and of products.

    Returns counts (2,), first (2, a + b) and second (2, a + b, a + b).
    """
    n, width = len(left), left.shape[1]
    size = width + right.shape[1]
    counts = np.zeros(2)
    first, second = np.zeros((2, size)), np.zeros((2, size, size))
    part_counts = np.zeros(2)
    part_first, part_second = np.zeros((2, size)), np.zeros((2, size, size))
    deviation = np.empty(size)
    for i in range(n):
        w = weights[i]
        if w > 0.0:
            kind = kinds[i]
            for a in range(width):
                deviation[a] = left[i, a] - reference[kind, a]
            for a in range(width, size):
                deviation[a] = right[i, a - width] - reference[kind, a]
            part_counts[kind] += w
            for a in range(size):
                scaled = w * deviation[a]
                part_first[kind, a] += scaled
                for b in range(a + 1):
                    part_second[kind, a, b] += scaled * deviation[b]
        if i + 1 == n or (i + 1) % CHUNK_STEPS == 0:
            counts += part_counts
            first += part_first
            second += part_second
            part_counts[:] = 0.0
            part_first[:] = 0.0
            part_second[:] = 0.0
    for a in range(size):
        for b in range(a + 1, size):
            second[:, a, b] = second[:, b, a]
    return counts, first, second


@njit(cache=True)
def error_covariances(
    step_covariances, step_weights, columns_of_pattern, observed_counts, observation, loadings,
    hidden,
):  # fmt: skip
    """Covariances of (v_t, x_t) given what is observed, v_t = y_t - C x_t - d, summed by kind.

    Returns an array of shape (2, d + k, d + k).
    """
    n_patterns, d, k = loadings.shape
    result = np.zeros((2, d + k, d + k))
    known = np.empty((d, k))
    along = np.empty((d, k))
    for p in range(n_patterns):
        m = observed_counts[p]
        columns = columns_of_pattern[p]
        # An observed cell's error is known but for the state; a missing one's in part.
        for a in range(d):
            for j in range(k):
                known[a, j] = observation[columns[a], j]
                if a >= m:
                    known[a, j] -= loadings[p, a, j]
        for kind in range(2):
            if step_weights[p, kind] == 0.0:
                continue
            states = step_covariances[p, kind]
            for a in range(k):
                for b in range(k):
                    result[kind, d + a, d + b] += states[a, b]
            for a in range(d):
                for j in range(k):
                    total = 0.0
                    for c in range(k):
                        total += known[a, c] * states[c, j]
                    along[a, j] = total
                    result[kind, columns[a], d + j] -= total
                    result[kind, d + j, columns[a]] -= total
                for b in range(a + 1):
                    total = 0.0
                    if b >= m:
                        total = step_weights[p, kind] * hidden[p, a, b]
                    for c in range(k):
                        total += along[a, c] * known[b, c]
                    result[kind, columns[a], columns[b]] += total
                    if a != b:
                        result[kind, columns[b], columns[a]] += total
    return result


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


@njit(cache=True)
def follow(transition, offset, starts, noise, offsets):
    """States from first states ``starts`` (S, k) and transition noise (n, k), shape (n, k)."""
    states = np.empty(noise.shape)
    k = noise.shape[1]
    for s in range(len(offsets) - 1):
        states[offsets[s]] = starts[s]
        for i in range(offsets[s] + 1, offsets[s + 1]):
            for a in range(k):
                total = offset[a] + noise[i, a]
                for b in range(k):
                    total += transition[a, b] * states[i - 1, b]
                states[i, a] = total
    return states


@njit(cache=True)
def interpolated(values, offsets, otherwise):
    """Fill holes by straight lines in time within a sequence, ends by the nearest value."""
    filled = values.copy()
    for s in range(len(offsets) - 1):
        for c in range(values.shape[1]):
            last = -1
            for i in range(offsets[s], offsets[s + 1]):
                if math.isnan(values[i, c]):
                    continue
                for j in range(last + 1 if last >= 0 else offsets[s], i):
                    share = (j - last) / (i - last) if last >= 0 else 1.0
                    before = values[last, c] if last >= 0 else values[i, c]
                    filled[j, c] = before + share * (values[i, c] - before)
                last = i
            for j in range(last + 1 if last >= 0 else offsets[s], offsets[s + 1]):
                filled[j, c] = values[last, c] if last >= 0 else otherwise[c]
    return filled
