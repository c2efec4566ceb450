"""Central differences with steps in units of what the data can tell: a part of a standard error.

Fourth-order stencils; steps come from the curvature of the function itself, so neither units nor a
distance from zero matter.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

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
    columns = {
        i: _slope([function(moved) for moved in _stencil(at, i, steps[i])], steps[i])
        for i in np.flatnonzero(steps).tolist()
    }
    rows = len(next(iter(columns.values()))) if columns else len(function(at))
    result = np.zeros((rows, len(at)))
    for i, column in columns.items():
        result[:, i] = column
    return result


def hessian(function: Callable[[Array], float], at: Array, steps: Array) -> Array:
    """Symmetric matrix of second derivatives, shape (p, p); 0 where a step is 0."""
    result = np.zeros((len(at), len(at)))
    for i in np.flatnonzero(steps).tolist():
        later = np.where(np.arange(len(at)) >= i, steps, 0.0)
        rows = [gradient(function, moved, later) for moved in _stencil(at, i, steps[i])]
        result[i, i:] = result[i:, i] = _slope(rows, steps[i])[i:]
    return result


def shared_gradient(
    prepare: Callable[[Array], Any], at: Array, steps: Array
) -> Callable[[Callable[[Any], float]], Array]:
    """Gradient at one place of many functions of what ``prepare``, called once, makes there.

    Returns
    -------
    callable
        From a function of what ``prepare`` gives to its gradient, shape (p,).
    """
    made = {
        i: [prepare(moved) for moved in _stencil(at, i, steps[i])]
        for i in np.flatnonzero(steps).tolist()
    }

    def gradient_of(function: Callable[[Any], float]) -> Array:
        result = np.zeros(len(at))
        for i, points in made.items():
            result[i] = _slope([np.array(function(point)) for point in points], steps[i])
        return result

    return gradient_of


def _stencil(at: Array, i: int, step: float) -> list[Array]:
    """``at`` with coordinate i moved by -2, -1, 1 and 2 steps."""
    points = [at.copy() for _ in range(4)]
    for point, multiple in zip(points, (-2.0, -1.0, 1.0, 2.0), strict=True):
        point[i] = at[i] + multiple * step
    return points


def _slope(values: list[Array], step: float) -> Array:
    far_below, below, above, far_above = values
    return np.asarray((8.0 * (above - below) - (far_above - far_below)) / (12.0 * step))
