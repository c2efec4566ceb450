"""Compiled recursions of hidden Markov chains: smoothing, in scaled and in log form; Viterbi;
simulation, with and without data.

Rabiner (1989), section III with the scaling of section V.A; Zucchini and MacDonald (2009),
chapters 3 to 5; backward sampling after Chib (1996).  Densities stand in a table whose lines
time steps point into (``rows``), since discrete data have few distinct lines.  States are padded
to a multiple of LANES with density zero, so that compilers see loops of fixed length.
"""

import math

import numpy as np
from numba import njit

LANES = 8

FAINT = 1e-150
"""A state's filtered share below this may have lost digits that later steps would ask for."""

SMALLEST_SCALE = 1e-100
"""A scaled density of one time step below this is left to the log form."""

CHUNK_STEPS = 1024
"""Steps whose pairs are summed apart; part of the order of sums."""

SMALLEST_TRANSITION = 1e-50
"""Where all transitions are above this, every state is reached again in one step, so that a
share below FAINT can never matter."""


@njit(cache=True)
def relative_densities(log_densities, densities, peaks):
    """Subtract each line's largest entry, which goes to ``peaks`` (0 where all are -inf)."""
    for i in range(log_densities.shape[0]):
        peak = -math.inf
        for k in range(log_densities.shape[1]):
            peak = max(peak, log_densities[i, k])
        peaks[i] = peak if peak > -math.inf else 0.0
        for k in range(log_densities.shape[1]):
            densities[i, k] = log_densities[i, k] - peaks[i]


@njit(cache=True, fastmath={"reassoc", "contract"})
def times_matrix(x, matrix, factor, n_states, out):
    """out = factor * x' matrix, eight lines of the matrix at a time."""
    width = matrix.shape[1]
    for block in range(0, width, LANES):
        for j in range(LANES):
            out[block + j] = 0.0
    for i in range(0, n_states, LANES):
        x0, x1, x2, x3 = x[i], x[i + 1], x[i + 2], x[i + 3]
        x4, x5, x6, x7 = x[i + 4], x[i + 5], x[i + 6], x[i + 7]
        for block in range(0, width, LANES):
            for lane in range(LANES):
                j = block + lane
                low = x0 * matrix[i, j] + x1 * matrix[i + 1, j]
                low += x2 * matrix[i + 2, j] + x3 * matrix[i + 3, j]
                high = x4 * matrix[i + 4, j] + x5 * matrix[i + 5, j]
                high += x6 * matrix[i + 6, j] + x7 * matrix[i + 7, j]
                out[j] += factor * (low + high)


@njit(cache=True, fastmath={"reassoc", "contract"})
def filter_scaled(
    densities, log_densities, rows, startprob, transmat, n_states, strict, filtered, scales
):  # fmt: skip
    """Forward pass of one sequence; False where scaled numbers cannot carry it.

    ``filtered`` (n, width) takes P(state | steps so far), ``scales`` (n,) the density of each
    step given those before, relative to the step's peak.  ``strict`` looks for shares that got
    lost where some transitions are too small to bring a state back.
    """
    width = startprob.shape[0]
    predicted = startprob.copy()
    joint = np.zeros(width)
    for t in range(rows.shape[0]):
        r = rows[t]
        total = 0.0
        for block in range(0, width, LANES):
            for lane in range(LANES):
                j = block + lane
                joint[j] = predicted[j] * densities[r, j]
                total += joint[j]
        if not total > SMALLEST_SCALE:
            return False
        scales[t] = total
        scale = 1.0 / total
        if strict:
            for j in range(n_states):
                if joint[j] * scale >= FAINT:
                    continue
                if predicted[j] > 0.0:
                    if log_densities[r, j] > -math.inf:
                        return False
                elif t > 0:
                    for i in range(n_states):
                        if filtered[t - 1, i] > 0.0 and transmat[i, j] > 0.0:
                            return False
        for block in range(0, width, LANES):
            for lane in range(LANES):
                filtered[t, block + lane] = joint[block + lane] * scale
        times_matrix(joint, transmat, scale, n_states, predicted)
    return True


@njit(cache=True, fastmath={"reassoc", "contract"})
def smooth_scaled(
    densities, rows, transposed, n_states, weight, filtered, scales, shares, initial, pairs
):  # fmt: skip
    """Backward pass of one sequence after ``filter_scaled``.

    Adds ``weight`` times the smoothed probabilities to ``shares`` by line of the table, those of
    the first step to ``initial``, and to ``pairs`` those of pairs of states in a row, each still
    to be multiplied by its transition probability.
    """
    width = transposed.shape[0]
    backward = np.zeros(width)
    backward[:n_states] = 1.0
    ahead = np.zeros(width)
    chunk = np.zeros((width, width))
    for t in range(rows.shape[0] - 1, -1, -1):
        r = rows[t]
        for block in range(0, width, LANES):
            for lane in range(LANES):
                j = block + lane
                shares[r, j] += weight * filtered[t, j] * backward[j]
        if t == 0:
            break
        scale = 1.0 / scales[t]
        for block in range(0, width, LANES):
            for lane in range(LANES):
                j = block + lane
                # A state that cannot be is left out: its factor could overflow unseen.
                possible = filtered[t, j] > 0.0
                ahead[j] = scale * densities[r, j] * backward[j] if possible else 0.0
        for i in range(n_states):
            share = weight * filtered[t - 1, i]
            for block in range(0, width, LANES):
                for lane in range(LANES):
                    chunk[i, block + lane] += share * ahead[block + lane]
        if t % CHUNK_STEPS == 0 or t == 1:
            pairs += chunk
            chunk[:] = 0.0
        times_matrix(ahead, transposed, 1.0, n_states, backward)
    for j in range(n_states):
        initial[j] += weight * filtered[0, j] * backward[j]


@njit(cache=True)
def smooth(densities, log_densities, rows, offsets, weights, startprob, transmat, n_states):
    """Smoothed states of all sequences in scaled form.

    Returns ``shares`` (m, width), ``initial`` (width,), ``pairs`` (width, width) as
    ``smooth_scaled`` adds them, ``scales`` (n,) and ``left`` (n_sequences,), which is True for
    sequences that are left to ``smooth_in_logs``.
    """
    width = startprob.shape[0]
    longest = 0
    for s in range(offsets.shape[0] - 1):
        longest = max(longest, offsets[s + 1] - offsets[s])
    filtered = np.empty((longest, width))
    scales = np.ones(rows.shape[0])
    shares = np.zeros(densities.shape)
    initial = np.zeros(width)
    pairs = np.zeros((width, width))
    left = np.zeros(offsets.shape[0] - 1, dtype=np.bool_)
    strict = transmat[:n_states, :n_states].min() < SMALLEST_TRANSITION
    transposed = transmat.T.copy()
    for s in range(offsets.shape[0] - 1):
        if weights[s] == 0.0:
            continue
        steps = rows[offsets[s] : offsets[s + 1]]
        own = scales[offsets[s] : offsets[s + 1]]
        if not filter_scaled(
            densities, log_densities, steps, startprob, transmat, n_states, strict, filtered, own
        ):
            left[s] = True
            continue
        smooth_scaled(
            densities, steps, transposed, n_states, weights[s], filtered, own, shares, initial,
            pairs,
        )  # fmt: skip
    return shares, initial, pairs, scales, left


@njit(cache=True)
def log_sum(x):
    """log of the sum of exp(x), -inf where all of x is."""
    peak = x.max()
    if peak == -math.inf:
        return peak
    total = 0.0
    for value in x:
        total += math.exp(value - peak)
    return peak + math.log(total)


@njit(cache=True)
def filter_in_logs(log_densities, rows, log_start, log_transmat, filtered, increments):
    """Forward pass of one sequence in logs; the number of an impossible step, -1 if none.

    ``filtered`` (n, K) takes log P(state | steps so far), ``increments`` (n,) the log density of
    each step given those before.
    """
    n_states = log_start.shape[0]
    joint = np.empty(n_states)
    terms = np.empty(n_states)
    for t in range(rows.shape[0]):
        for j in range(n_states):
            if t == 0:
                joint[j] = log_start[j]
            else:
                for i in range(n_states):
                    terms[i] = filtered[t - 1, i] + log_transmat[i, j]
                joint[j] = log_sum(terms)
            joint[j] += log_densities[rows[t], j]
        increments[t] = log_sum(joint)
        if increments[t] == -math.inf:
            return t
        for j in range(n_states):
            filtered[t, j] = joint[j] - increments[t]
    return -1


@njit(cache=True)
def smooth_in_logs(
    log_densities, rows, offsets, weights, chosen, log_start, log_transmat,
    shares, initial, transitions, increments,
):  # fmt: skip
    """As ``smooth`` for the ``chosen`` sequences, exact whatever the sizes of the densities.

    ``transitions`` (K, K) takes the smoothed probabilities of pairs of states themselves.
    Increments from an impossible step on are -inf, and the sequence adds to no sum.
    """
    n_states = log_start.shape[0]
    terms = np.empty(n_states)
    for s in range(offsets.shape[0] - 1):
        if not chosen[s]:
            continue
        steps = rows[offsets[s] : offsets[s + 1]]
        n = steps.shape[0]
        filtered = np.empty((n, n_states))
        own = increments[offsets[s] : offsets[s + 1]]
        impossible = filter_in_logs(log_densities, steps, log_start, log_transmat, filtered, own)
        if impossible >= 0:
            own[impossible:] = -math.inf
            continue
        backward = np.zeros(n_states)
        ahead = np.empty(n_states)
        for t in range(n - 1, -1, -1):
            for j in range(n_states):
                shares[steps[t], j] += weights[s] * math.exp(filtered[t, j] + backward[j])
            if t == 0:
                break
            for j in range(n_states):
                ahead[j] = backward[j] + log_densities[steps[t], j] - own[t]
            for i in range(n_states):
                for j in range(n_states):
                    terms[j] = log_transmat[i, j] + ahead[j]
                    pair = filtered[t - 1, i] + terms[j]
                    if pair > -math.inf:
                        transitions[i, j] += weights[s] * math.exp(pair)
                backward[i] = log_sum(terms)
        for j in range(n_states):
            initial[j] += weights[s] * math.exp(filtered[0, j] + backward[j])


@njit(cache=True)
def viterbi(log_densities, rows, offsets, log_start, log_transmat):
    """Most probable paths (Viterbi 1967); ties go to the lower state.

    Returns the states (n,) and the joint log density of each sequence and its path (S,).
    """
    n_states = log_start.shape[0]
    n = rows.shape[0]
    path = np.zeros(n, dtype=np.int64)
    before = np.zeros((n, n_states), dtype=np.int32)
    best_logs = np.empty(offsets.shape[0] - 1)
    score = np.empty(n_states)
    reached = np.empty(n_states)
    for s in range(offsets.shape[0] - 1):
        first, last = offsets[s], offsets[s + 1]
        for j in range(n_states):
            score[j] = log_start[j] + log_densities[rows[first], j]
        for t in range(first + 1, last):
            for j in range(n_states):
                best = 0
                for i in range(1, n_states):
                    if score[i] + log_transmat[i, j] > score[best] + log_transmat[best, j]:
                        best = i
                before[t, j] = best
                reached[j] = score[best] + log_transmat[best, j] + log_densities[rows[t], j]
            score[:] = reached
        path[last - 1] = score.argmax()
        best_logs[s] = score.max()
        for t in range(last - 1, first, -1):
            path[t - 1] = before[t, path[t]]
    return path, best_logs


@njit(cache=True)
def draw(chances, uniform):
    """One index by inversion of weights that need not sum to one."""
    threshold = uniform * chances.sum()
    reached = 0.0
    last = 0
    for k in range(chances.shape[0]):
        if chances[k] > 0.0:
            last = k
            reached += chances[k]
            if reached > threshold:
                return k
    return last


@njit(cache=True)
def draw_paths(log_densities, rows, offsets, log_start, log_transmat, uniforms):
    """Paths drawn from their posterior: filter forward, sample backward.

    Returns the states (n,) and ``increments`` (n,) as ``smooth_in_logs`` has them.
    """
    n_states = log_start.shape[0]
    path = np.zeros(rows.shape[0], dtype=np.int64)
    increments = np.zeros(rows.shape[0])
    chances = np.empty(n_states)
    for s in range(offsets.shape[0] - 1):
        first, last = offsets[s], offsets[s + 1]
        filtered = np.empty((last - first, n_states))
        impossible = filter_in_logs(
            log_densities, rows[first:last], log_start, log_transmat, filtered,
            increments[first:last],
        )  # fmt: skip
        if impossible >= 0:
            increments[first + impossible : last] = -math.inf
            continue
        for t in range(last - 1, first - 1, -1):
            for i in range(n_states):
                chances[i] = filtered[t - first, i]
                if t < last - 1:
                    chances[i] += log_transmat[i, path[t + 1]]
            peak = chances.max()
            for i in range(n_states):
                chances[i] = math.exp(chances[i] - peak)
            path[t] = draw(chances, uniforms[t])
    return path, increments


@njit(cache=True)
def simulate(startprob, transmat, offsets, uniforms):
    """State paths of the chain itself, shape (n,)."""
    path = np.zeros(uniforms.shape[0], dtype=np.int64)
    for s in range(offsets.shape[0] - 1):
        path[offsets[s]] = draw(startprob, uniforms[offsets[s]])
        for t in range(offsets[s] + 1, offsets[s + 1]):
            path[t] = draw(transmat[path[t - 1]], uniforms[t])
    return path


@njit(cache=True)
def count_path(path, rows, offsets, weights, shares, initial, transitions):
    """Add the weighted counts of hard paths to the sums of ``smooth_in_logs``."""
    for s in range(offsets.shape[0] - 1):
        initial[path[offsets[s]]] += weights[s]
        for t in range(offsets[s], offsets[s + 1]):
            shares[rows[t], path[t]] += weights[s]
            if t > offsets[s]:
                transitions[path[t - 1], path[t]] += weights[s]


@njit(cache=True)
def count_pairs(responsibilities, offsets, weights):
    """Weighted sums of products of the responsibilities of steps in a row, shape (K, K)."""
    n_states = responsibilities.shape[1]
    total = np.zeros((n_states, n_states))
    for s in range(offsets.shape[0] - 1):
        for t in range(offsets[s] + 1, offsets[s + 1]):
            for i in range(n_states):
                share = weights[s] * responsibilities[t - 1, i]
                for j in range(n_states):
                    total[i, j] += share * responsibilities[t, j]
    return total
