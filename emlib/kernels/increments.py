"""Compiled sums of the steps' log densities, a sequence's loglik (Rabiner 1989, equation 103)."""

import math

import numpy as np
from numba import njit

from emlib.kernels.lanes import LANES, load, store
from emlib.kernels.lanes_log import log

CHUNK_STEPS = 256
"""Steps that are summed apart; part of the order of sums."""


@njit(cache=True)
def log_scales(scales, peaks, rows, own_lines):
    """Turn ``scales`` (n,) into log densities of the steps, ``peaks`` those of their lines."""
    n = scales.shape[0]
    whole = n - n % LANES
    for place in range(0, whole, LANES):
        store(scales, place, log(load(scales, place)))
    for t in range(whole, n):
        scales[t] = math.log(scales[t])
    if own_lines:
        for t in range(n):
            scales[t] += peaks[t]
    else:
        for t in range(n):
            scales[t] += peaks[rows[t]]


@njit(cache=True, fastmath={"reassoc"})
def sum_chunk(increments):
    """Sum of some increments, and of their sizes, of one nat each at least."""
    total, size = 0.0, 0.0
    for t in range(increments.shape[0]):
        total += increments[t]
        size += max(abs(increments[t]), 1.0)
    return total, size


@njit(cache=True)
def sequence_sums(increments, offsets):
    """Of each sequence the sum of its increments, and that of their sizes, of one nat at least:
    a ratio near 1 has the rounding of 1, however small its log."""
    logliks = np.zeros(offsets.shape[0] - 1)
    sizes = np.zeros(offsets.shape[0] - 1)
    for s in range(offsets.shape[0] - 1):
        for begin in range(offsets[s], offsets[s + 1], CHUNK_STEPS):
            end = min(begin + CHUNK_STEPS, offsets[s + 1])
            total, size = sum_chunk(increments[begin:end])
            logliks[s] += total
            sizes[s] += size
    return logliks, sizes
