"""Whether the loglik of a censored normal regression has a maximum.

It is concave in (coefficients, 1) / scale, so it has none exactly where it never falls along some
direction: where a regression agrees with every cell (the scale goes to 0), or where the mean can
move off without contradicting any (Silvapulle and Burridge 1986, JRSS B 48, 100-106).  Looking for
such a direction is a linear program.  Where every cell is open on one side, the scale itself may
also be infinite.
"""

import numpy as np
from numpy.typing import NDArray

from emlib.data import Intervals
from emlib.models.special import erfcx, log_ndtr

Array = NDArray[np.float64]

PERFECT = 1e-10
"""Residuals this small next to the data's spread are none."""


def why_no_maximum(data: Intervals, column: int) -> str:
    """Why the loglik of a column has no maximum, to follow its name; empty where it has one."""
    exact, censored = data.observed[:, column], data.censored[:, column]
    live = (exact | censored) & (data.weights > 0)
    if not live.any():
        return " has no observed cell: nothing to estimate from"
    low, high = data.values[live, column], data.upper[live, column]
    exact, single = exact[live], " (n_samples=1)" if live.sum() == 1 else ""
    design = _standardized(data.covariates[live])
    rank = design.shape[1]
    if np.linalg.matrix_rank(design) < rank:
        return f": its {live.sum()} rows do not tell {rank - 1} covariates and an intercept apart"
    shift, size = _centre(data.nearest_values[live, column])
    low, high = (low - shift) / size, (high - shift) / size
    if _settles(design[exact], low[exact]):
        return ""
    if _direction(design, low, high, exact, highest_rate=0.0):
        return (
            f": nothing keeps the mean from infinity{single}: some of its rows, or all, are "
            "censored on one side only"
        )
    if _direction(design, low, high, exact, highest_rate=1.0):
        if exact.all() and rank == 1:
            return f" is constant in its observed cells{single}: its likelihood is unbounded"
        what = "one value agrees" if rank == 1 else "a regression agrees"
        return f": {what} with every cell{single}, so the likelihood is highest at scale 0"
    one_sided = np.isinf(low) | np.isinf(high)
    if one_sided.all() and _flattens(design, low, high, data.weights[live]):
        return ": its limits are less orderly than chance, so the likelihood rises with the scale"
    return ""


def _standardized(covariates: Array) -> Array:
    """The design (1, covariates), these shifted and scaled to [-1, 1]."""
    centred = covariates - covariates[0]
    spread = np.abs(centred).max(axis=0)
    return np.column_stack([np.ones(len(covariates)), centred / np.where(spread > 0, spread, 1.0)])


def _centre(values: Array) -> tuple[float, float]:
    """A shift and a size that take the values into [-1, 1]."""
    shift = float(values[0])
    size = float(np.abs(values - shift).max())
    return shift, size if size > 0 else 1.0


def _settles(design: Array, values: Array) -> bool:
    """Whether the exact values alone leave no direction: the usual case, which is cheap."""
    if len(values) <= design.shape[1]:
        return False
    line, _, rank, _ = np.linalg.lstsq(design, values, rcond=None)
    residual = values - design @ line
    return bool(rank == design.shape[1] and np.abs(residual).max() > PERFECT)


def _direction(
    design: Array, low: Array, high: Array, exact: NDArray[np.bool_], highest_rate: float
) -> bool:
    """Whether the loglik never falls along some direction of (line, rate = 1 / scale)."""
    from scipy.optimize import linprog

    left, right = np.isfinite(low) & ~exact, np.isfinite(high) & ~exact
    # design @ line - rate * low >= 0 and rate * high - design @ line >= 0
    slacks = np.vstack([
        np.column_stack([design[left], -low[left]]),
        np.column_stack([-design[right], high[right]]),
    ])  # fmt: skip
    gain = slacks.sum(axis=0)
    gain[-1] += 1.0
    equal = np.column_stack([design[exact], -low[exact]])
    found = linprog(
        -gain, A_ub=-slacks, b_ub=np.zeros(len(slacks)), A_eq=equal, b_eq=np.zeros(len(equal)),
        bounds=[(-1.0, 1.0)] * design.shape[1] + [(0.0, highest_rate)], method="highs",
    )  # fmt: skip
    return bool(gain @ np.asarray(found.x) > 1e-7)


def _flattens(design: Array, low: Array, high: Array, weights: Array) -> bool:
    """Whether one-sided cells are most probable at an infinite scale: a probit regression.

    There the rate is 0 and the limits do not matter; by concavity it stays there unless the
    slope of the loglik in the rate is positive.
    """
    from scipy.optimize import minimize

    side = np.where(np.isfinite(low), 1.0, -1.0)
    limits = np.where(np.isfinite(low), low, high)

    def loss(line: Array) -> tuple[float, Array]:
        z = side * (design @ line)
        return -float(weights @ log_ndtr(z)), -design.T @ (weights * side * _mills(z))

    best = minimize(loss, np.zeros(design.shape[1]), jac=True, method="BFGS")
    slope = -(weights * side * limits) @ _mills(side * (design @ best.x))
    return bool(slope <= 0)


def _mills(z: Array) -> Array:
    """Density over distribution function."""
    return np.asarray(np.sqrt(2.0 / np.pi) / erfcx(-z * np.sqrt(0.5)))
