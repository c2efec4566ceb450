"""Compiled posterior of one unit's latent class: exact, tempered, hard or drawn."""

import math

from numba import njit


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
