"""Moments of a table with holes that never fail: for starts and prior scales, not for climbs."""

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table

Array = NDArray[np.float64]


def component_moments(data: Table, responsibilities: Array) -> tuple[Array, Array, Array, Array]:
    """Available-case moments of each component.

    Means use the observed cells of each column.  In the scatter a missing cell counts as its
    component's mean plus the pooled available-case variance of its column, so every scatter
    matrix is positive semi-definite and, on complete data, exact.

    Parameters
    ----------
    data : Table
    responsibilities : ndarray of shape (n, K)

    Returns
    -------
    counts (K,), means (K, d), scatters (K, d, d), total variances (d,)
    """
    rows = data.informative
    observed = data.observed[rows]
    r = responsibilities[rows] * data.weights[rows, None]
    counts = r.sum(axis=0)
    origin, total_variance = data.column_moments
    deviation = np.where(observed, data.values[rows] - origin, 0.0)
    seen = r.T @ observed
    shift = (r.T @ deviation) / np.where(seen > 0, seen, 1.0)
    residuals = [np.where(observed, deviation - s, 0.0) for s in shift]
    square_sums = np.stack([w @ e**2 for w, e in zip(r.T, residuals, strict=True)])
    pooled_variance = square_sums.sum(axis=0) / np.maximum(seen.sum(axis=0), np.finfo(float).tiny)
    scatters = np.stack([(w[:, None] * e).T @ e for w, e in zip(r.T, residuals, strict=True)])
    diagonal = np.arange(data.d)
    scatters[:, diagonal, diagonal] += (counts[:, None] - seen) * pooled_variance
    return counts, origin + shift, scatters, total_variance
