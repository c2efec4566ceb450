"""Compiled: where a chain settles, and the M-step of a chain whose first state is drawn there."""

import math

import numpy as np
from numba import njit

REDUCIBLE = 1e-13
"""A singular value below this says that the chain falls apart."""

ROUNDS = 50
HALVINGS = 40
SETTLED = 1e-12


@njit(cache=True)
def settle(transmat):
    """The distribution that ``transmat`` keeps, and whether it is the only one.

    By the method of Grassmann, Taksar and Heyman (1985), which subtracts nothing, so that small
    probabilities keep their digits; by singular values where states are transient.
    """
    k = transmat.shape[0]
    a = transmat.copy()
    share = np.ones(k)
    for last in range(k - 1, 0, -1):
        away = 0.0
        for i in range(last):
            away += a[last, i]
        if away <= 0.0:
            return settle_reducible(transmat)
        for i in range(last):
            a[i, last] /= away
            for j in range(last):
                a[i, j] += a[i, last] * a[last, j]
    for state in range(1, k):
        share[state] = 0.0
        for i in range(state):
            share[state] += share[i] * a[i, state]
    return share / share.sum(), True


@njit(cache=True)
def settle_reducible(transmat):
    """One closed class is fine, whatever is transient."""
    k = transmat.shape[0]
    _, sizes, directions = np.linalg.svd(transmat.T - np.eye(k))
    share = np.abs(directions[k - 1])
    share[share < REDUCIBLE * share.max()] = 0.0
    return share / share.sum(), sizes[k - 2] >= REDUCIBLE


@njit(cache=True)
def expected_log(counts, probabilities):
    """Sum of counts * log(probabilities), 0 log 0 being 0."""
    total = 0.0
    flat_counts, flat = counts.ravel(), probabilities.ravel()
    for i in range(flat.shape[0]):
        if flat_counts[i] > 0.0:
            if flat[i] <= 0.0:
                return -math.inf
            total += flat_counts[i] * math.log(flat[i])
    return total


@njit(cache=True)
def maximize_tied(initial, transitions, transmat):
    """See ``emlib.models.hmm.stationary``."""
    k = initial.shape[0]
    share, _ = settle(transmat)
    here = expected_log(initial, share) + expected_log(transitions, transmat)
    weight = np.empty(k)
    aim = np.empty((k, k))
    for _ in range(ROUNDS):
        for i in range(k):
            weight[i] = initial[i] / share[i] if share[i] > 0.0 else 0.0
        deviation = np.linalg.solve(np.eye(k) - transmat + share, weight)
        lowest = deviation.min()
        for i in range(k):
            total = 0.0
            for j in range(k):
                aim[i, j] = transitions[i, j]
                aim[i, j] += transmat[i, j] * share[i] * (deviation[j] - lowest)
                total += aim[i, j]
            for j in range(k):
                aim[i, j] = aim[i, j] / total if total > 0.0 else transmat[i, j]
        part, found = 1.0, False
        moved, there = transmat, here
        for _ in range(HALVINGS):
            moved = transmat + part * (aim - transmat) if part < 1.0 else aim.copy()
            settled, only = settle(moved)
            if only:
                there = expected_log(initial, settled) + expected_log(transitions, moved)
                if there >= here:
                    share, found = settled, True
                    break
            part *= 0.5
        if not found:
            return transmat
        change = np.abs(moved - transmat).max()
        transmat, here = moved, there
        if change < SETTLED:
            break
    return transmat
