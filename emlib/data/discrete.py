"""Discrete: rows of whole numbers with holes, each distinct row kept once.

Contingency tables and counts repeat themselves: all that a family of such rows needs is how often
each distinct row was seen.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from emlib.data.table import Table
from emlib.errors import InvalidData

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

Coding = tuple[tuple[float, ...], ...]
"""Sorted codes of each column's levels."""

LARGEST_KEY = 2**62


@dataclass(frozen=True, eq=False)
class Rows:
    """Rows that a kernel reads.

    Attributes
    ----------
    values : ndarray of shape (m, d)
        As in the table, NaN where missing.
    codes : ndarray of shape (m, d), int32
        Position of each cell's level among the levels of all columns, one column's after the
        other; a missing cell has the position after the last.
    weights : ndarray of shape (m,)
        0 for a row without any observed cell.
    """

    values: Array
    codes: NDArray[np.int32]
    weights: Array

    @cached_property
    def log_factorials(self) -> Array:
        """Sum of the log factorials of each row's observed cells, shape (n,)."""
        from scipy.special import gammaln

        return np.asarray(gammaln(np.nan_to_num(self.values, nan=0.0) + 1.0).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Discrete(Table):
    """A table whose cells take few values each."""

    @cached_property
    def _coded(self) -> tuple[list[Array], NDArray[np.int32]]:
        levels, codes, offset = [], np.empty(self.values.shape, dtype=np.int32), 0
        for j in range(self.d):
            seen = self.observed[:, j]
            found, inverse = np.unique(self.values[seen, j], return_inverse=True)
            codes[seen, j] = inverse + offset
            levels.append(found)
            offset += len(found)
        codes[~self.observed] = offset
        return levels, codes

    @property
    def levels(self) -> list[Array]:
        """Sorted distinct values of each column."""
        return self._coded[0]

    @cached_property
    def live_levels(self) -> list[Array]:
        """Those of the rows that count, weights of zero left out."""
        live = np.zeros(sum(map(len, self.levels)) + 1, dtype=bool)
        live[self.distinct.codes] = True
        cuts = np.cumsum([len(found) for found in self.levels])[:-1]
        parts = zip(self.levels, np.split(live[:-1], cuts), strict=True)
        return [found[kept] for found, kept in parts]

    @cached_property
    def rows(self) -> Rows:
        """All rows, in their order."""
        return Rows(self.values, self._coded[1], self.weights * self.informative)

    @cached_property
    def distinct(self) -> Rows:
        """The distinct rows that count, in an order of their own, with their total weights."""
        codes = self.rows.codes[self.informative]
        if not len(codes):
            return Rows(self.values[:0], codes, np.zeros(0))
        _, first, inverse = np.unique(_keys(codes), return_index=True, return_inverse=True)
        weights = np.bincount(inverse, self.weights[self.informative]).astype(np.float64)
        rows = np.flatnonzero(self.informative)[first]
        return Rows(self.values[rows], codes[first], weights)

    def lines(self, levels: Coding) -> Ints:
        """Where each of the table's levels stands among ``levels``, one column's after the other.

        The last one, of missing cells, stands after the last; so does a level that occurs in rows
        of weight zero alone.

        Raises
        ------
        InvalidData
            If a row that counts has a level that is not among ``levels``.
        """
        if levels not in self._lines:
            self._lines[levels] = self._find(levels)
        return self._lines[levels]

    @cached_property
    def _lines(self) -> dict[Coding, Ints]:
        return {}

    def _find(self, levels: Coding) -> Ints:
        missing, offset, lines = sum(map(len, levels)), 0, []
        for j, (known, found) in enumerate(zip(levels, self.levels, strict=True)):
            unknown = ~np.isin(found, known)
            wrong = found[unknown & np.isin(found, self.live_levels[j])]
            if len(wrong):
                allowed = ", ".join(f"{level:g}" for level in known)
                self._refuse(j, wrong[0], f"is not one of the levels {allowed}")
            lines.append(np.where(unknown, missing, offset + np.searchsorted(known, found)))
            offset += len(known)
        return np.concatenate([*lines, [missing]]).astype(np.int64)

    def require_whole(self, what: str) -> None:
        """Refuse cells that are not 0, 1, 2, ...

        Parameters
        ----------
        what : str
            What a cell should be, for the text.

        Raises
        ------
        InvalidData
        """
        for j, found in enumerate(self.levels):
            wrong = found[(found < 0) | (found != np.trunc(found))]
            if len(wrong):
                self._refuse(j, wrong[0], f"is no {what}: 0, 1, 2, ...")

    def _refuse(self, column: int, value: float, why: str) -> NoReturn:
        row = int(np.flatnonzero(self.values[:, column] == value)[0])
        hint = "; Negative values in data" if value < 0 else ""
        raise InvalidData(
            f"row {row}, column {column}: {value:g} {why} (NaN marks a missing cell){hint}"
        )


def _keys(codes: NDArray[np.int32]) -> Ints:
    """One number a row, the same where the rows are, shape (n,)."""
    keys, size = np.zeros(len(codes), dtype=np.int64), 1
    for column in codes.T:
        low, high = int(column.min()), int(column.max())
        width = high - low + 1
        if size > LARGEST_KEY // width:
            distinct, keys = np.unique(keys, return_inverse=True)
            size = len(distinct)
        keys = keys * width + (column - low)
        size *= width
    return keys
