"""How close a fit comes to what is known: classes, parameters, hidden cells.

Adjusted Rand index of Hubert and Arabie (1985), Comparing partitions. No fit sees these scores.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def adjusted_rand(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Adjusted Rand index of two labellings of the same rows, each of shape (n,).

    1 for the same partition whatever its labels, 0 on average for unrelated ones. NaN for n < 2.
    """
    n = len(a)
    if n < 2:
        return float("nan")
    a_codes, b_codes = _codes(a), _codes(b)
    shape = int(a_codes.max()) + 1, int(b_codes.max()) + 1
    pairs = np.bincount(a_codes * shape[1] + b_codes, minlength=shape[0] * shape[1])
    table = pairs.astype(float).reshape(shape)
    together = _pairs(table).sum()
    in_a, in_b = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = in_a * in_b / (n * (n - 1) / 2)
    largest = (in_a + in_b) / 2
    if largest == expected:  # both are one class, or both are all single rows
        return 1.0
    return float((together - expected) / (largest - expected))


def _codes(labels: NDArray[Any]) -> NDArray[np.int64]:
    """Labels as small numbers from 0 on; those that are such already stay, with gaps or not."""
    if labels.dtype.kind in "iu" and labels.min() >= 0 and labels.max() < 64:
        return labels.astype(np.int64)
    return np.asarray(np.unique(labels, return_inverse=True)[1].ravel())


def _pairs(counts: Floats) -> Floats:
    return counts * (counts - 1) / 2


def imputation_error(
    imputed: Floats, values: Floats, known: NDArray[np.bool_], levels: bool = False,
    spread: Floats | None = None,
) -> float:  # fmt: skip
    """Error of imputed cells against hidden ones.

    Parameters
    ----------
    imputed, values : ndarray of shape (n, d)
        The completed table; the measurements, NaN where nobody knows them.
    known : ndarray of shape (n, d), bool
        Cells that were hidden from the fit and whose value is known.
    levels : bool
        Whether cells are levels without an order.
    spread : ndarray of shape (d,), optional
        What ``column_spread`` says of ``values``, where it is known already.

    Returns
    -------
    float
        Root mean square error in each column's standard deviations, or the share of wrong levels;
        NaN if no known cell was hidden. Cells of constant columns have no such error.
    """
    if levels and known.any():
        return float(np.mean(imputed[known] != values[known]))
    spread = column_spread(values) if spread is None else spread
    rows, columns = np.nonzero(known & (spread > 0))
    if not len(rows):
        return float("nan")
    error = (imputed[rows, columns] - values[rows, columns]) / spread[columns]
    return float(np.sqrt(np.mean(error**2)))


def column_spread(values: Floats) -> Floats:
    """Standard deviation of each column's finite cells, shape (d,)."""
    return np.asarray(np.nanstd(np.where(np.isfinite(values), values, np.nan), axis=0))
