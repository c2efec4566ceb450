"""Convergence curves as MLflow draws them: few points, and one grid for cells that are compared."""

import numpy as np

CURVE_POINTS = 200


def thin(steps: np.ndarray, limit: int = CURVE_POINTS) -> np.ndarray:
    """Choose at most `limit` points of a curve, logarithmically spaced, first and last included.

    Parameters
    ----------
    steps : ndarray of int, shape (m,)
        Iterations, increasing.
    limit : int
        The most points to keep, at least 2.

    Returns
    -------
    ndarray of int, shape (at most limit,)
        Increasing positions in `steps`; all of them if there are no more than `limit`.
    """
    steps = np.asarray(steps, dtype=np.int64)
    if steps.size <= limit:
        return np.arange(steps.size)
    span = steps[-1] - steps[0]
    targets = np.unique(np.rint(np.geomspace(1, span + 1, limit)).astype(np.int64)) - 1
    positions = np.searchsorted(steps, steps[0] + targets)
    return np.unique(np.minimum(positions, steps.size - 1))


def shared_grid(curves: list[np.ndarray], limit: int = CURVE_POINTS) -> np.ndarray:
    """One increasing grid of iterations for curves that are compared, to the end of the longest.

    Parameters
    ----------
    curves : list of ndarray of int
        The iterations of each curve.
    limit : int
        The most points to keep.

    Returns
    -------
    ndarray of int, shape (at most limit,)
    """
    if not curves:
        return np.empty(0, dtype=np.int64)
    steps = np.unique(np.concatenate(curves).astype(np.int64))
    return steps[thin(steps, limit)]


def hold(grid: np.ndarray, steps: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Read a curve on a grid: the last value at or before each point, kept after the curve's end.

    Parameters
    ----------
    grid : ndarray of int, shape (g,)
    steps : ndarray of int, shape (m,)
        The curve's own iterations, increasing.
    values : ndarray, shape (m,)

    Returns
    -------
    ndarray, shape (g,)
        NaN where the grid lies before the curve's first point.
    """
    positions = np.searchsorted(steps, grid, side="right") - 1
    held = np.asarray(values, dtype=float)[np.maximum(positions, 0)]
    return np.where(positions >= 0, held, np.nan)
