"""Coordinates of probabilities that sum to one, along the last axis.

Natural coordinates drop the last entry; unconstrained ones are log-odds against the entry that is
largest in the chart's centre, so that a probability of zero is -inf and nothing else suffers.
Probabilities that are below an ``edge`` in the centre can be frozen there: -inf too.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

VANISHING = 0.1
"""A parameter whose expected count is below this, and shrinks, is on its way to zero."""

SHRINKS = 1.0 - 1e-6


def vanishing(expected: Array, exposure: Array, current: Array) -> NDArray[np.bool_]:
    """Probabilities or rates on their way to zero.

    Parameters
    ----------
    expected, exposure : ndarray
        Expected counts behind each parameter, and what they are counts of: the M-step's parameter
        is their ratio.
    current : ndarray
        The parameters that they are expected under.
    """
    return np.asarray((expected < VANISHING) & (expected < SHRINKS * current * exposure))


def vanishing_shares(counts: Array, p: Array) -> NDArray[np.bool_]:
    """Probabilities (..., K) on their way to zero, from the expected counts behind them."""
    return vanishing(counts, counts.sum(axis=-1, keepdims=True), p)


def without(p: Array, gone: NDArray[np.bool_]) -> Array:
    """Probabilities (..., K) with those ``gone`` at zero."""
    kept = np.where(gone & ~gone.all(axis=-1, keepdims=True), 0.0, p)
    return np.asarray(kept / kept.sum(axis=-1, keepdims=True))


def log(probabilities: Array) -> Array:
    """Natural log with log 0 = -inf."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(probabilities))


def pack_simplex(
    p: Array, unconstrained: bool, around: Array | None = None, edge: float = 0.0
) -> Array:
    """Coordinates of ``p``, shape (..., K), as one vector of length (...) * (K - 1)."""
    if not unconstrained:
        return np.asarray(p[..., :-1]).ravel()
    around = p if around is None else around
    reference = _reference(around)
    odds = _odds(p, reference)
    if edge > 0.0:
        odds = np.where(around < edge, -np.inf, odds)
    return np.asarray(odds[~reference])


def unpack_simplex(vector: Array, around: Array, unconstrained: bool, edge: float = 0.0) -> Array:
    """Inverse of ``pack_simplex``; ``around`` has the shape of the result."""
    *lines, k = around.shape
    if not unconstrained:
        kept = vector.reshape(*lines, k - 1)
        return np.concatenate([kept, 1.0 - kept.sum(axis=-1, keepdims=True)], axis=-1)
    reference = _reference(around)
    odds = np.zeros(around.shape)
    odds[~reference] = vector
    if edge > 0.0:
        odds = np.where((around < edge) & np.isneginf(odds), _odds(around, reference), odds)
    odds -= odds.max(axis=-1, keepdims=True)
    share = np.exp(odds)
    return np.asarray(share / share.sum(axis=-1, keepdims=True))


def _odds(p: Array, reference: NDArray[np.bool_]) -> Array:
    logs = log(p)
    return np.asarray(logs - logs[reference].reshape(*p.shape[:-1], 1))


def _reference(p: Array) -> NDArray[np.bool_]:
    """Mask of the largest entry of each line, the first of several."""
    return np.asarray(np.arange(p.shape[-1]) == p.argmax(axis=-1)[..., None])
