"""Central differences with steps in units of what the data can tell: a part of a standard error.

Fourth-order stencils; steps come from the curvature of the function itself, so neither units nor a
distance from zero matter.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEP = 0.05
"""Length of a step in standard errors, 1 / sqrt(|curvature|)."""

_ROUNDS = 40


def natural_steps(function: Callable[[Array], float], at: Array) -> Array:
    """A step for each coordinate; 0 where the coordinate is not finite (on the boundary).

    Parameters
    ----------
    function : callable
        A loglik, or anything else in nats.
    at : ndarray of shape (p,)
    """
    steps = np.zeros(len(at))
    for i, step, _ in _natural(function, at):
        steps[i] = step
    return steps


def natural_slopes(
    function: Callable[[Array], float], at: Array, near: Array | None = None
) -> tuple[Array, Array]:
    """Natural steps, and the gradient by them; 0 in coordinates on the boundary.

    Parameters
    ----------
    function, at
        As in ``natural_steps``.
    near : ndarray of shape (p,), optional
        Steps that were right not far from here: the search for these begins there.
    """
    steps, slopes = np.zeros(len(at)), np.zeros(len(at))
    for i, step, pair in _natural(function, at, near):
        (far_below, far_above), (below, above) = pair(2.0 * step), pair(step)
        steps[i] = step
        slopes[i] = _slope([far_below, below, above, far_above], step)
    return steps, slopes


def _natural(
    function: Callable[[Array], float], at: Array, near: Array | None = None
) -> Iterator[tuple[int, float, Callable[[float], tuple[float, float]]]]:
    """Coordinates with their steps, and what gives the function so far below and above, cached."""
    centre = function(at)
    rounding = 64 * np.finfo(float).eps * max(abs(centre), 1.0)
    for i in np.flatnonzero(np.isfinite(at)).tolist():
        pair = cache(partial(_pair, function, at, i))
        drop = partial(_drop, centre, pair)
        begin = 0.0 if near is None else float(near[i])
        yield i, _step(drop, abs(float(at[i])), rounding, begin), pair


def _pair(function: Callable[[Array], float], at: Array, i: int, h: float) -> tuple[float, float]:
    """The function one step below and above."""
    moved = at.copy()
    moved[i] = at[i] - h
    below = function(moved)
    moved[i] = at[i] + h
    return below, function(moved)


def _drop(centre: float, pair: Callable[[float], tuple[float, float]], h: float) -> float:
    """Twice the mean drop of the function one step to either side."""
    below, above = pair(h)
    return 2.0 * centre - above - below


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
        wanted = h * min(max(factor, 0.05), 100.0)
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


def _slope(values: Sequence[Any], step: float) -> Any:
    far_below, below, above, far_above = values
    return (8.0 * (above - below) - (far_above - far_below)) / (12.0 * step)
