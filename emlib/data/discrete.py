"""Discrete: rows of whole numbers with holes, each distinct row kept once.

Contingency tables and counts repeat themselves: all that a family of such rows needs is how often
each distinct row was seen.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from emlib.data.table import Table
from emlib.errors import InvalidData
from emlib.parallel import chunk_bounds

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

Coding = tuple[tuple[float, ...], ...]
"""Sorted codes of each column's levels."""

BUNDLE_LEVELS = 64
"""Joint levels of columns that are looked up together: few enough to stay in cache."""

SMALL_NUMBER = 4096
"""Whole numbers below are told apart by counting, others by sorting."""

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
    sizes : tuple of int
        Number of levels of each column.
    """

    values: Array
    codes: NDArray[np.int32]
    weights: Array
    sizes: tuple[int, ...]

    @cached_property
    def chunks(self) -> list[slice]:
        """Rows chunk by chunk."""
        return [slice(*ends) for ends in pairwise(chunk_bounds(len(self.codes)))]

    @cached_property
    def bundles(self) -> "Bundles":
        """Neighbouring columns with few levels, told by their joint level."""
        offsets = np.concatenate([[0], np.cumsum(self.sizes)]).astype(np.int64)
        missing = offsets[-1]
        lines = [np.arange(a, b) for a, b in pairwise(offsets)]
        holes = (self.codes == missing).any(axis=0)
        lines = [np.append(a, missing) if h else a for a, h in zip(lines, holes, strict=True)]
        limit = max(1, min(BUNDLE_LEVELS, len(self.codes) // 16))
        codes, members, base = [], [], 0
        for columns in _bundled([len(a) for a in lines], limit):
            joint = np.zeros(len(self.codes), dtype=np.int64)
            for j in columns:
                within = np.minimum(self.codes[:, j] - offsets[j], self.sizes[j])
                joint = joint * len(lines[j]) + within
            grid = np.meshgrid(*(lines[j] for j in columns), indexing="ij")
            members.append(np.stack([axis.ravel() for axis in grid], axis=1))
            codes.append(joint + base)
            base += len(members[-1])
        width = max(part.shape[1] for part in members)
        padded = [np.pad(m, ((0, 0), (0, width - m.shape[1])), constant_values=missing)
                  for m in members]  # fmt: skip
        return Bundles(np.stack(codes, axis=1).astype(np.int32), np.concatenate(padded))

    @cached_property
    def log_factorials(self) -> Array:
        """Sum of the log factorials of each row's observed cells, shape (n,)."""
        from scipy.special import gammaln

        return np.asarray(gammaln(np.nan_to_num(self.values, nan=0.0) + 1.0).sum(axis=1))


class Bundles(NamedTuple):
    """Codes (m, g) of joint levels, and the levels (t, w) that each of those is made of."""

    codes: NDArray[np.int32]
    members: Ints


@dataclass(frozen=True, eq=False)
class Discrete(Table):
    """A table whose cells take few values each."""

    @cached_property
    def _coded(self) -> tuple[list[Array], NDArray[np.int32]]:
        levels, codes, offset = [], np.empty(self.values.shape, dtype=np.int32), 0
        for j in range(self.d):
            seen = self.observed[:, j]
            found, inverse = _distinct(self.values[seen, j])
            codes[seen, j] = inverse + offset
            levels.append(found)
            offset += len(found)
        codes[~self.observed] = offset
        return levels, codes

    @property
    def levels(self) -> list[Array]:
        """Sorted distinct values of each column."""
        return self._coded[0]

    @property
    def _sizes(self) -> tuple[int, ...]:
        return tuple(map(len, self.levels))

    @cached_property
    def live_levels(self) -> list[Array]:
        """Those of the rows that count, weights of zero left out."""
        live = np.zeros(sum(self._sizes) + 1, dtype=bool)
        live[self.distinct.codes] = True
        cuts = np.cumsum(self._sizes)[:-1]
        parts = zip(self.levels, np.split(live[:-1], cuts), strict=True)
        return [found[kept] for found, kept in parts]

    @cached_property
    def rows(self) -> Rows:
        """All rows, in their order."""
        return Rows(self.values, self._coded[1], self.weights * self.informative, self._sizes)

    @cached_property
    def distinct(self) -> Rows:
        """The distinct rows that count, in an order of their own, with their total weights."""
        codes = self.rows.codes[self.informative]
        if not len(codes):
            return Rows(self.values[:0], codes, np.zeros(0), self._sizes)
        keys = _keys(codes, self._sizes)
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        weights = np.bincount(inverse, self.weights[self.informative]).astype(np.float64)
        rows = np.flatnonzero(self.informative)[first]
        return Rows(self.values[rows], codes[first], weights, self._sizes)

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

    def _refuse(self, column: int, value: float, why: str) -> NoReturn:
        row = int(np.flatnonzero(self.values[:, column] == value)[0])
        hint = "; Negative values in data" if value < 0 else ""
        raise InvalidData(
            f"row {row}, column {column}: {value:g} {why} (NaN marks a missing cell){hint}"
        )


def _distinct(values: Array) -> tuple[Array, Ints]:
    """Sorted distinct values, and the place of each among them."""
    if len(values) and values.min() >= 0 and values.max() < SMALL_NUMBER:
        whole = values.astype(np.int64)
        if (whole == values).all():
            seen = np.bincount(whole) > 0
            return np.flatnonzero(seen).astype(np.float64), (np.cumsum(seen) - 1)[whole]
    return np.unique(values, return_inverse=True)


def _keys(codes: NDArray[np.int32], sizes: tuple[int, ...]) -> Ints:
    """One number a row, the same where the rows are, shape (n,)."""
    keys, n_keys, offset, missing = np.zeros(len(codes), dtype=np.int64), 1, 0, sum(sizes)
    for column, size in zip(codes.T, sizes, strict=True):
        if n_keys > LARGEST_KEY // (size + 1):
            distinct, keys = np.unique(keys, return_inverse=True)
            n_keys = len(distinct)
        keys = keys * (size + 1) + np.where(column == missing, size, column - offset)
        n_keys *= size + 1
        offset += size
    return keys


def _bundled(sizes: list[int], limit: int) -> list[range]:
    """Runs of columns whose sizes have a product of at most ``limit``; longer ones stay alone."""
    runs, product = [range(1)], sizes[0]
    for j, size in enumerate(sizes[1:], start=1):
        if product * size <= limit:
            runs[-1], product = range(runs[-1].start, j + 1), product * size
        else:
            runs.append(range(j, j + 1))
            product = size
    return runs
