"""What families with covariates share: lines intercept + covariates @ coef, one a column."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def centred_design(covariates: Array, origin: Array) -> Array:
    """The design (1, covariates - origin), shape (n, 1 + p)."""
    return np.column_stack([np.ones(len(covariates)), covariates - origin])


def directions(free: frozenset[str], origin: Array) -> Array:
    """What may move, as columns in coordinates of the centred design, shape (1 + p, k)."""
    full = np.eye(1 + len(origin))
    if {"intercept", "coef"} <= free:
        return full
    if "coef" in free:
        full[0, 1:] = origin
        return full[:, 1:]
    return full[:, :1] if "intercept" in free else full[:, :0]


def sampled_covariates(covariates: Array | None, n: int, coef: Array) -> Array:
    """The covariates that n rows are drawn beside.

    Raises
    ------
    ValueError
        If there are none, or of another shape, where the model has coefficients.
    """
    p = coef.shape[1]
    if covariates is None and p == 0:
        return np.empty((n, 0))
    if covariates is None or np.shape(covariates) != (n, p):
        raise ValueError(f"covariates: drawing {n} rows needs them, of shape ({n}, {p})")
    return np.asarray(covariates, dtype=np.float64)
