"""Moments of a table with holes that never fail: for starts and prior scales, not for climbs."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data.table import Table, row_blocks

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
    k, d = responsibilities.shape[1], data.d
    origin, total_variance = data.column_moments
    counts, seen, shift = np.zeros(k), np.zeros((k, d)), np.zeros((k, d))
    for rows, observed, deviation in _deviations(data, origin):
        r = (responsibilities[rows] * _weights(data, rows)).T
        counts += r.sum(axis=1)
        seen += r.sum(axis=1)[:, None] if observed is None else r @ observed
        shift += r @ deviation
    shift /= np.where(seen > 0, seen, 1.0)
    scatters = np.zeros((k, d, d))
    for rows, observed, deviation in _deviations(data, origin):
        r = (responsibilities[rows] * _weights(data, rows)).T
        for own, moved, scatter in zip(r, shift, scatters, strict=True):
            residual = deviation - moved
            if observed is not None:
                residual *= observed
            scatter += (own[:, None] * residual).T @ residual
    diagonal = np.arange(d)
    squares = scatters[:, diagonal, diagonal].sum(axis=0)
    pooled_variance = squares / np.maximum(seen.sum(axis=0), np.finfo(float).tiny)
    scatters[:, diagonal, diagonal] += (counts[:, None] - seen) * pooled_variance
    return counts, origin + shift, scatters, total_variance


def _weights(data: Table, rows: slice) -> Array:
    return (data.weights[rows] * data.informative[rows])[:, None]


def _deviations(data: Table, origin: Array) -> Iterator[tuple[slice, Any, Array]]:
    """By blocks of rows: which cells are observed (None: all), and deviations, 0 where not."""
    for rows in row_blocks(data.n):
        deviation = data.values[rows] - origin
        if data.complete:
            yield rows, None, deviation
            continue
        observed = data.observed[rows]
        yield rows, observed, np.where(observed, deviation, 0.0)
