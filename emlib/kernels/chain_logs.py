"""Compiled recursions of hidden Markov chains in logs: smoothing where scaled numbers fail, Viterbi
paths, paths drawn with data and without.

Rabiner (1989), section III; backward sampling after Chib (1996).  Densities stand in a table
whose lines time steps point into (``rows``).
"""

import math

import numpy as np
from numba import njit


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
