"""Compiled sums over smoothed states, and paths of states, for state-space models."""

import math

import numpy as np
from numba import njit

from emlib.kernels.kalman import CHUNK_STEPS


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
