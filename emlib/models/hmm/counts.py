"""What emissions of whole numbers share."""

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.errors import InvalidData

Array = NDArray[np.float64]


def check_whole(table: Table) -> None:
    """Refuse observed cells that are no whole numbers >= 0.

    Raises
    ------
    InvalidData
    """
    y = np.where(table.observed, table.values, 0.0)
    wrong = (y < 0) | (y != np.floor(y))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidData(
            f"column {column} holds {float(y[row, column])!r}, not a whole number >= 0"
        )


def column_moments(data: Table, responsibilities: Array) -> tuple[Array, Array, Array]:
    """Observed cells (K, d) and their means (K, d) by state, and the overall means (d,)."""
    r = responsibilities * data.weights[:, None]
    y = np.where(data.observed, data.values, 0.0)
    seen = r.T @ data.observed
    overall, _ = data.column_moments
    means = np.where(seen > 0, (r.T @ y) / np.where(seen > 0, seen, 1.0), overall)
    return seen, means, overall
