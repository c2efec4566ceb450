"""How small a component is next to the others: the scale-free rules for collapse.

The likelihood of a mixture with unequal covariances is unbounded (Day 1969); a component whose
covariance has no size next to the pooled within-component one is on its way there.
"""

import numpy as np
from numpy.typing import NDArray

from emlib.models.covariance import Covariance
from emlib.models.records import Degenerate

Array = NDArray[np.float64]

DEGENERATE_RATIO = 1e-10
NO_SIZE = 1e-20
"""A variance below this share of its column's own is rounding: what it belongs to shrank onto
values that are equal, or fit exactly."""
TINY = np.finfo(float).tiny

EMPTY_SHARE = 1e-10
"""A component with a smaller share of the rows has none."""

NO_DIGITS = 1e-13
"""An eigenvalue below this share of the covariance's own diagonal has no correct digit."""

UNRESOLVED = 1e-20
"""Pooled over between-component variance where doubles no longer tell the rows of one component."""

BOUNDS = (EMPTY_SHARE, UNRESOLVED, DEGENERATE_RATIO, NO_DIGITS)
"""As compiled M-steps take them."""


def refuse_empty_component(counts: Array) -> None:
    """Raise ``Degenerate`` where a component has no rows left, ``counts`` (K,) being all theirs."""
    if counts.min() <= EMPTY_SHARE * counts.sum():
        raise Degenerate(f"component {counts.argmin()} has no rows")


def check_collapse(
    structure: Covariance, weights: Array, covariances: Array, means: Array | None = None
) -> None:
    """Raise ``Degenerate`` where a covariance has no size next to the pooled one.

    Where all components collapse together in a column, the pooled one has no size next to the
    distances of the ``means``.  A matrix minus the bound times its yardstick is positive definite
    exactly where every relative eigenvalue is above the bound.  The yardstick of the pooled matrix
    is its own diagonal, so the rule knows no units.  Where the pooled matrix is nearly singular
    itself, a component may pass and yet be beyond what doubles hold: it is refused too.
    """
    pooled = structure.pooled(weights, covariances)
    if means is not None:
        within = np.diagonal(pooled) if structure.dense else pooled
        between = weights @ (means - weights @ means) ** 2
        if (within <= UNRESOLVED * (between if within.ndim else between.mean())).any():
            raise Degenerate("the pooled covariance collapsed next to the distances of the means")
    if not structure.dense:
        collapsed = covariances <= DEGENERATE_RATIO * pooled
        if collapsed.any():
            k = np.argwhere(collapsed)[0][0]
            raise Degenerate(f"the covariance of component {k} collapsed")
        return
    from emlib.kernels.collapse import all_have_size

    each = covariances if covariances.ndim == 3 else np.empty((0, *pooled.shape))
    if all_have_size(pooled, each, DEGENERATE_RATIO, NO_DIGITS):
        return
    rests = [pooled - DEGENERATE_RATIO * np.diag(np.diagonal(pooled))]
    if covariances.ndim == 3:
        rests.extend(covariances - DEGENERATE_RATIO * pooled)
        own = np.eye(covariances.shape[-1]) * covariances
        rests.extend(covariances - NO_DIGITS * own)
    smallest = [np.linalg.eigvalsh(rest / max(np.trace(pooled), TINY)).min() for rest in rests]
    k = int(np.argmin(smallest)) - 1
    part = "pooled covariance" if k < 0 else f"covariance of component {k % len(covariances)}"
    raise Degenerate(f"the {part} collapsed")


def eigenvalue_ratio(structure: Covariance, weights: Array, covariances: Array) -> float:
    """Smallest eigenvalue of a component's covariance relative to the pooled one."""
    pooled = structure.pooled(weights, covariances)
    if not structure.dense:
        return float((covariances / pooled).min())
    if covariances.ndim == 2:
        return 1.0
    factor = np.linalg.cholesky(pooled)
    half = np.linalg.solve(factor, covariances)
    whitened = np.linalg.solve(factor, half.transpose(0, 2, 1))
    return float(np.linalg.eigvalsh(whitened).min())
