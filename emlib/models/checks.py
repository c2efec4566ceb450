"""What no family of continuous columns can be fitted to."""

import numpy as np

from emlib.data import Table
from emlib.errors import InvalidData


def refuse_empty(data: Table) -> None:
    """Raise ``InvalidData`` where a column has no observed cell in a row that counts."""
    live = data.observed & (data.weights > 0)[:, None]
    empty = np.flatnonzero(~live.any(axis=0))
    if len(empty):
        raise InvalidData(f"column {empty[0]} has no observed cell: nothing to estimate from")


def refuse_constant(data: Table) -> None:
    """Raise ``InvalidData`` where a column has one value only."""
    live = data.observed & (data.weights > 0)[:, None]
    varies = live & (data.values != data.first_observed)
    constant = np.flatnonzero(~varies.any(axis=0))
    if len(constant):
        single = " (n_samples=1)" if data.informative.sum() == 1 else ""
        raise InvalidData(
            f"column {constant[0]} is constant in its observed cells{single}: its likelihood is "
            "unbounded; drop the column"
        )
