"""What emissions of whole numbers share."""

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table

Array = NDArray[np.float64]


def column_moments(data: Table, responsibilities: Array) -> tuple[Array, Array, Array]:
    """Observed cells (K, d) and their means (K, d) by state, and the overall means (d,)."""
    r = responsibilities * data.weights[:, None]
    y = np.where(data.observed, data.values, 0.0)
    seen = r.T @ data.observed
    overall, _ = data.column_moments
    means = np.where(seen > 0, (r.T @ y) / np.where(seen > 0, seen, 1.0), overall)
    return seen, means, overall
