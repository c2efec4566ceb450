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
    a_codes = np.unique(a, return_inverse=True)[1]
    b_codes = np.unique(b, return_inverse=True)[1]
    table = np.zeros((a_codes.max() + 1, b_codes.max() + 1))
    np.add.at(table, (a_codes, b_codes), 1.0)
    together = _pairs(table).sum()
    in_a, in_b = _pairs(table.sum(axis=1)).sum(), _pairs(table.sum(axis=0)).sum()
    expected = in_a * in_b / (n * (n - 1) / 2)
    largest = (in_a + in_b) / 2
    if largest == expected:  # both are one class, or both are all single rows
        return 1.0
    return float((together - expected) / (largest - expected))


def _pairs(counts: Floats) -> Floats:
    return counts * (counts - 1) / 2


def imputation_rmse(imputed: Floats, values: Floats, hidden: NDArray[np.bool_]) -> float:
    """Error of imputed cells against the hidden ones, in each column's standard deviations.

    Parameters
    ----------
    imputed, values : ndarray of shape (n, d)
        The completed table; the measurements, NaN where nobody knows them.
    hidden : ndarray of shape (n, d), bool
        Cells that were hidden from the fit.

    Returns
    -------
    float
        NaN if no known cell was hidden.
    """
    known = hidden & ~np.isnan(values)
    if not known.any():
        return float("nan")
    error = (imputed - values) / np.nanstd(values, axis=0)
    return float(np.sqrt(np.mean(error[known] ** 2)))
