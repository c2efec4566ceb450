"""Central differences with steps in units of what the data can tell: a part of a standard error.

Fourth-order stencils; steps come from the curvature of the function itself, so neither units nor a
distance from zero matter.
"""

import math
from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.05
"""Length of a step in standard errors, 1 / sqrt(|curvature|)."""

_ROUNDS = 40


def natural_steps(
    function: Callable[[Array], float], at: Array, near: Array | None = None
) -> Array:
    """A step for each coordinate; 0 where the coordinate is not finite (on the boundary).

    Parameters
    ----------
    function : callable
        A loglik, or anything else in nats.
    at : ndarray of shape (p,)
    near : ndarray of shape (p,), optional
        Steps that were right not far from here: the search for these begins there.
    """
    steps = np.zeros(len(at))
    centre = function(at)
    rounding = 64 * np.finfo(float).eps * max(abs(centre), 1.0)
    for i in np.flatnonzero(np.isfinite(at)).tolist():
        begin = 0.0 if near is None else float(near[i])
        drop = partial(_drop, function, at, i, centre)
        steps[i] = _step(drop, abs(at[i]), rounding, begin)
    return steps


def _drop(function: Callable[[Array], float], at: Array, i: int, centre: float, h: float) -> float:
    """Twice the mean drop of the function one step to either side."""
    moved = at.copy()
    moved[i] = at[i] + h
    above = function(moved)
    moved[i] = at[i] - h
    return 2.0 * centre - above - function(moved)


def _step(drop: Callable[[float], float], size: float, rounding: float, begin: float) -> float:
    """Find h with |drop(h)| near STEP squared; widest sound one where the function is flat."""
    h, largest = begin or 1e-4 * max(size, 1.0), math.inf
    widest = 1e3 * max(size, 1.0)
    for _ in range(_ROUNDS):
        fallen = abs(drop(h))
        if not math.isfinite(fallen):
            largest = h
            h *= 0.1
            continue
        if STEP**2 / 4 < fallen < 4 * STEP**2:
            break
        factor = STEP / math.sqrt(fallen) if fallen > rounding else 10.0
        wanted = h * min(max(factor, 0.05), 20.0)
        if wanted >= largest:
            wanted = 0.5 * (h + largest)
            if wanted < 1.05 * h:
                break
        if wanted > widest:
            return 1e-3 * max(size, 1.0)  # no curvature at all: any step will do
        h = wanted
    return h


def gradient(function: Callable[[Array], float], at: Array, steps: Array) -> Array:
    """Gradient, shape (p,); 0 in coordinates whose step is 0."""
    result = jacobian(lambda vector: np.array([function(vector)]), at, steps)
    return np.asarray(result[0])


def jacobian(function: Callable[[Array], Array], at: Array, steps: Array) -> Array:
    """Jacobian of a vector function, shape (m, p); columns of steps 0 are 0."""
    columns: dict[int, Array] = {}
    for i in np.flatnonzero(steps).tolist():
        values = []
        for multiple in (-2.0, -1.0, 1.0, 2.0):
            moved = at.copy()
            moved[i] = at[i] + multiple * steps[i]
            values.append(function(moved))
        far_below, below, above, far_above = values
        columns[i] = (8.0 * (above - below) - (far_above - far_below)) / (12.0 * steps[i])
    rows = len(next(iter(columns.values()))) if columns else len(function(at))
    result = np.zeros((rows, len(at)))
    for i, column in columns.items():
        result[:, i] = column
    return result


def hessian(function: Callable[[Array], float], at: Array, steps: Array) -> Array:
    """Symmetric matrix of second derivatives, shape (p, p); 0 where a step is 0."""
    result = jacobian(lambda vector: gradient(function, vector, steps), at, steps)
    return 0.5 * (result + result.T)
