"""Compiled posterior of units' latent classes: exact, tempered, hard or drawn."""

import math

import numpy as np
from numba import njit

from emlib.kernels.lanes import (
    LANES,
    add,
    divide,
    exp,
    larger,
    load,
    multiply,
    spread,
    store,
    subtract,
)
from emlib.kernels.lanes_log import log


@njit(inline="always")
def divide_row_exactly(log_joint, responsibilities):
    """``divide_row`` for the exact posterior, without a branch that depends on the row."""
    n_components = log_joint.shape[0]
    peak = log_joint[0]
    for k in range(1, n_components):
        peak = max(peak, log_joint[k])
    total = 0.0
    for k in range(n_components):
        responsibilities[k] = math.exp(log_joint[k] - peak)
        total += responsibilities[k]
    share = 1.0 / total
    for k in range(n_components):
        responsibilities[k] *= share
    return peak + math.log(total)


@njit(cache=True)
def divide_row(log_joint, beta, uniform, responsibilities):
    """Turn log joint densities into responsibilities; return the log of their sum.

    ``beta`` 1 is the exact posterior, below 1 tempered, infinite hard; a ``uniform`` in [0, 1)
    draws one component from the exact posterior instead.  ``responsibilities`` may be
    ``log_joint`` itself.
    """
    if beta == 1.0 and uniform < 0.0:
        return divide_row_exactly(log_joint, responsibilities)
    n_components = log_joint.shape[0]
    best = 0
    for k in range(1, n_components):
        if log_joint[k] > log_joint[best]:
            best = k
    peak = log_joint[best]
    total = 0.0
    if beta != 1.0 and beta != math.inf and uniform < 0.0:
        tempered_total = 0.0
        for k in range(n_components):
            total += math.exp(log_joint[k] - peak)
            responsibilities[k] = math.exp(beta * (log_joint[k] - peak))
            tempered_total += responsibilities[k]
        for k in range(n_components):
            responsibilities[k] /= tempered_total
        return peak + math.log(total)
    for k in range(n_components):
        responsibilities[k] = math.exp(log_joint[k] - peak)
        total += responsibilities[k]
    loglik = peak + math.log(total)
    if uniform >= 0.0:
        threshold = uniform * total
        drawn = 0
        reached = responsibilities[0]
        while reached <= threshold and drawn < n_components - 1:
            drawn += 1
            reached += responsibilities[drawn]
        for k in range(n_components):
            responsibilities[k] = 1.0 if k == drawn else 0.0
    else:
        for k in range(n_components):
            responsibilities[k] = 1.0 if k == best else 0.0
    return loglik


@njit(cache=True)
def divide_block(log_joint, n, weights, beta, uniforms, logliks):
    """``divide_row`` for n units, ``log_joint`` (K, B) with B a multiple of ``LANES``.

    ``log_joint`` becomes the responsibilities times the units' ``weights`` (B,), which are 0 from
    n to the next multiple of ``LANES``; ``logliks`` (B,) takes the logs of the sums.
    ``uniforms`` is empty or (B,).
    """
    n_components, width = log_joint.shape
    if beta != 1.0 or uniforms.shape[0] > 0:
        row = np.empty(n_components)
        for i in range(n):
            row[:] = log_joint[:, i]
            uniform = uniforms[i] if uniforms.shape[0] > 0 else -1.0
            logliks[i] = divide_row(row, beta, uniform, row)
            log_joint[:, i] = weights[i] * row
        log_joint[:, n : min(n + LANES, width)] = 0.0
        return
    for place in range(0, n, LANES):
        peak = load(log_joint, place)
        for k in range(1, n_components):
            peak = larger(peak, load(log_joint, k * width + place))
        whole = spread(0.0)
        for k in range(n_components):
            share = exp(subtract(load(log_joint, k * width + place), peak))
            store(log_joint, k * width + place, share)
            whole = add(whole, share)
        store(logliks, place, add(peak, log(whole)))
        scale = divide(load(weights, place), whole)
        for k in range(n_components):
            share = multiply(load(log_joint, k * width + place), scale)
            store(log_joint, k * width + place, share)
