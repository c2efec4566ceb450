"""What models refuse: settings that are no numbers of anything, data that no fit makes sense of."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.data.table import row_blocks
from emlib.errors import InvalidData


def refuse_few(data: Table, n_components: int) -> None:
    """Raise ``InvalidData`` where a mixture has more components than rows that count."""
    rows = int(data.informative.sum())
    if rows < n_components:
        raise InvalidData(
            f"n_samples={rows} rows with an observed cell: fewer than the {n_components} "
            "components of the mixture"
        )


def refuse_empty(data: Table) -> None:
    """Raise ``InvalidData`` where a column has no observed cell in a row that counts."""
    empty = np.flatnonzero(~_in_some_row(data, lambda cells: ~np.isnan(cells)))
    if len(empty):
        raise InvalidData(f"column {empty[0]} has no observed cell: nothing to estimate from")


def refuse_constant(data: Table) -> None:
    """Raise ``InvalidData`` where a column has one value only."""
    first = data.first_observed
    varies = _in_some_row(data, lambda cells: ~np.isnan(cells) & (cells != first))
    constant = np.flatnonzero(~varies)
    if len(constant):
        single = " (n_samples=1)" if data.informative.sum() == 1 else ""
        raise InvalidData(
            f"column {constant[0]} is constant in its observed cells{single}: its likelihood is "
            "unbounded; drop the column"
        )


def _in_some_row(
    data: Table, of_cells: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> NDArray[np.bool_]:
    """For each column whether something is true of a cell in a row that counts."""
    found = np.zeros(data.d, dtype=bool)
    for rows in row_blocks(data.n):
        counted = data.weights[rows, None] > 0
        found |= (of_cells(data.exact_cells(rows)) & counted).any(axis=0)
        if found.all():
            break
    return found


def require_whole(data: Table, what: str = "count") -> None:
    """Raise ``InvalidData`` where an observed cell is not 0, 1, 2, ...

    Parameters
    ----------
    data : Table
    what : str
        What a cell should be, for the text.
    """
    values = np.where(data.observed, data.values, 0.0)
    wrong = (values < 0) | (values != np.trunc(values))
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        negative = "; Negative values in data" if values[row, column] < 0 else ""
        raise InvalidData(
            f"row {row}, column {column}: {values[row, column]:g} is no {what}: 0, 1, 2, ... "
            f"(NaN marks a missing cell){negative}"
        )
