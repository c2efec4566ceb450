"""Table: independent rows with holes.

Rows stay in chunks in their own order; within a chunk they are grouped by pattern of observed
cells.  Nothing is ever filled in: a missing cell is NaN and no kernel reads it.  Nor are rows
copied: beside an array of float64, which may be mapped from a file, a table takes a few numbers a
row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.errors import InvalidData
from emlib.parallel import chunk_bounds

if TYPE_CHECKING:
    from emlib.data.summary import Summary

BLOCK_ROWS = 1 << 12
"""Rows that NumPy works on at a time where all would take as much memory as the data."""

LARGEST_VALUE = 1e150
"""Squares of larger values overflow double precision."""


@dataclass(frozen=True, eq=False)
class Table:
    """Rows of numbers with missing cells.

    Attributes
    ----------
    values : ndarray of shape (n, d)
        Float64, NaN where a cell is missing.
    weights : ndarray of shape (n,)
        Non-negative row weights; an integer weight equals that many copies of the row.
    patterns : ndarray of shape (p, d)
        The distinct patterns of observed cells.
    columns_of_pattern : ndarray of shape (p, d)
        Column indices of each pattern, observed ones first, ascending within both parts.
    observed_counts : ndarray of shape (p,)
        Number of observed columns of each pattern.
    order : ndarray of shape (n,)
        Row numbers, chunk after chunk, grouped by pattern within a chunk.
    groups : ndarray of shape (g, 4)
        Runs of ``order`` in one chunk with one pattern: chunk, pattern, first, last (exclusive).
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    patterns: NDArray[np.bool_]
    columns_of_pattern: NDArray[np.int64]
    observed_counts: NDArray[np.int64]
    order: NDArray[np.int64]
    groups: NDArray[np.int64]

    @classmethod
    def from_array(cls, values: ArrayLike, weights: ArrayLike | None = None) -> Self:
        """Build the view of a two-dimensional array, NaN meaning missing.

        Parameters
        ----------
        values : array-like of shape (n, d)
        weights : array-like of shape (n,), optional
            Non-negative row weights, 1 by default.

        Raises
        ------
        InvalidData
            If the array is not two-dimensional, is empty, holds infinite or overflowing values,
            or if the weights do not fit.
        """
        x = np.ascontiguousarray(values, dtype=np.float64)
        if x.ndim != 2 or 0 in x.shape:
            raise InvalidData(f"data of shape {x.shape}: a table has rows and columns")
        w = checked_weights(weights, len(x))
        patterns, pattern_of_row = _distinct_patterns(x)
        order, groups = _group(pattern_of_row, len(x))
        columns = np.argsort(~patterns, axis=1, kind="stable").astype(np.int64)
        counts = patterns.sum(axis=1).astype(np.int64)
        return cls(x, w, patterns, columns, counts, order, groups)

    @property
    def n(self) -> int:
        """Number of rows."""
        return int(self.values.shape[0])

    @property
    def d(self) -> int:
        """Number of columns."""
        return int(self.values.shape[1])

    @property
    def unit_weights(self) -> NDArray[np.float64]:
        """Weights of the independent units: the rows."""
        return self.weights

    def reweighted(self, unit_weights: NDArray[np.float64]) -> Self:
        """The same rows with other weights, one a unit."""
        return replace(self, weights=checked_weights(unit_weights, self.n))

    def part(self, units: NDArray[np.int64]) -> Self:
        """The units ``units`` alone, by their numbers, in that order; all weights may be 0."""
        view = self._of_rows(units)
        return replace(view, weights=self.weights[units])

    def _of_rows(self, rows: NDArray[np.int64]) -> Self:
        return self.from_array(self.values[rows])

    @cached_property
    def sorted_units(self) -> NDArray[np.int64]:
        """Units sorted by all that they hold: draws along it do not depend on their order."""
        return sorted_lines(self._contents)

    @property
    def _contents(self) -> NDArray[np.float64]:
        """All that a row holds, one line a row."""
        return np.column_stack([self.values, self.weights])

    @property
    def complete(self) -> bool:
        """Whether no cell is missing."""
        return bool(self.patterns.all())

    @cached_property
    def observed(self) -> NDArray[np.bool_]:
        """True where a cell is observed, shape (n, d)."""
        return ~np.isnan(self.values)

    @cached_property
    def informative(self) -> NDArray[np.bool_]:
        """True for rows with at least one observed cell and positive weight, shape (n,)."""
        counted = self.weights > 0
        if not self.observed_counts.all():
            counted &= self.observed_counts[self.pattern_of_row] > 0
        return counted

    @cached_property
    def chunks(self) -> list[NDArray[np.int64]]:
        """``groups``, chunk by chunk."""
        return np.split(self.groups, np.flatnonzero(np.diff(self.groups[:, 0])) + 1)

    @cached_property
    def pattern_of_row(self) -> NDArray[np.int64]:
        """Number of each row's pattern, shape (n,)."""
        result = np.empty(self.n, dtype=np.int64)
        result[self.order] = np.repeat(self.groups[:, 1], self.groups[:, 3] - self.groups[:, 2])
        return result

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights of the informative rows: the n of BIC."""
        return float(self.weights.sum(where=self.informative))

    @cached_property
    def column_moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Available-case mean and variance of each column, two arrays of shape (d,)."""
        origin = self.first_observed
        total, shift = np.zeros(self.d), np.zeros(self.d)
        for w, deviation in self.deviations(origin):
            total += w.sum(axis=0)
            shift += (w * deviation).sum(axis=0)
        safe = np.where(total > 0, total, 1.0)
        mean = origin + shift / safe
        squares = np.zeros(self.d)
        for w, deviation in self.deviations(mean):
            squares += (w * deviation**2).sum(axis=0)
        return mean, squares / safe

    def exact_cells(self, rows: slice) -> NDArray[np.float64]:
        """Values of some rows, NaN where a cell is not observed."""
        return self.values[rows]

    def deviations(
        self, centre: NDArray[np.float64]
    ) -> Iterator[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """Cells' weights, and their deviations from ``centre`` (0 where missing), by blocks."""
        for rows in row_blocks(self.n):
            deviation = self.exact_cells(rows) - centre
            seen = ~np.isnan(deviation)
            deviation[~seen] = 0.0
            yield self.weights[rows, None] * seen, deviation

    @cached_property
    def first_observed(self) -> NDArray[np.float64]:
        """The first observed value of each column (0 where there is none), shape (d,)."""
        found = np.full(self.d, np.nan)
        for rows in row_blocks(self.n):
            lacking = np.flatnonzero(np.isnan(found))
            if not len(lacking):
                break
            cells = self.exact_cells(rows)[:, lacking]
            first = (~np.isnan(cells)).argmax(axis=0)
            found[lacking] = cells[first, np.arange(len(lacking))]
        return np.nan_to_num(found, nan=0.0)

    @cached_property
    def canonical_order(self) -> NDArray[np.int64]:
        """Informative rows sorted by value: draws along it do not depend on the rows' order."""
        rows = np.flatnonzero(self.informative)
        return rows[sorted_lines(self.values[rows])]

    @cached_property
    def total_moments(self) -> tuple[NDArray[np.float64], ...]:
        """``component_moments`` where all rows are of one component."""
        from emlib.data.moments import component_moments

        return component_moments(self, np.ones((self.n, 1)))

    @cached_property
    def summary(self) -> "Summary":
        """The rows in as few numbers as a normal loglik needs."""
        from emlib.data.summary import summarize

        return summarize(self)

    def draw_row(self, probability: NDArray[np.float64], uniform: float) -> int:
        """Row number drawn with ``probability * weight`` by inversion along the canonical order.

        A row of weight 2 is drawn exactly as two copies of it would be, for the same ``uniform``.
        """
        cumulative = np.cumsum((probability * self.weights)[self.canonical_order])
        position = np.searchsorted(cumulative, uniform * cumulative[-1], side="right")
        return int(self.canonical_order[min(int(position), len(cumulative) - 1)])


def checked_weights(weights: ArrayLike | None, n: int, unit: str = "row") -> NDArray[np.float64]:
    if weights is None:
        return np.ones(n)
    w = np.ascontiguousarray(weights, dtype=np.float64)
    if w.shape != (n,):
        raise InvalidData(f"weights of shape {w.shape}: one weight a {unit} is ({n},)")
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() == 0:
        raise InvalidData("weights must be finite, not negative, and not all zero")
    return w


def sorted_lines(lines: NDArray[np.float64]) -> NDArray[np.int64]:
    """The order that sorts lines by all their numbers, the first ones first; NaN comes last.

    Numbers seldom tie: only lines that tie in the first are compared in the others.
    """
    order = np.argsort(lines[:, 0], kind="stable")
    first = lines[order, 0]
    equal = (first[1:] == first[:-1]) | np.isnan(first[:-1])
    tied = np.flatnonzero(np.append(equal, False) | np.append(False, equal))
    order[tied] = order[tied][np.lexsort(lines[order[tied]].T[::-1])]
    return order


def row_blocks(n: int) -> list[slice]:
    """Rows by blocks that take little memory."""
    return [slice(first, min(first + BLOCK_ROWS, n)) for first in range(0, n, BLOCK_ROWS)]


def _distinct_patterns(
    values: NDArray[np.float64],
) -> tuple[NDArray[np.bool_], NDArray[np.int64] | None]:
    """Distinct patterns of observed cells in a canonical order, and each row's pattern number,
    None where all cells are observed; every cell is looked at once, and its size checked."""
    n, d = values.shape
    keys: NDArray[np.uint8] | None = None
    for rows in row_blocks(n):
        cells = values[rows]
        missing = np.isnan(cells)
        too_large = np.abs(cells) > LARGEST_VALUE
        if too_large.any():
            row, column = np.argwhere(too_large)[0]
            raise InvalidData(
                f"row {rows.start + row}, column {column}: {float(cells[row, column])!r} is not a "
                f"finite number below {LARGEST_VALUE:g} in size (NaN marks a missing cell)"
            )
        if missing.any():
            if keys is None:
                keys = np.zeros((n, -(-d // 8)), dtype=np.uint8)
                keys[: rows.start] = np.packbits(np.ones(d, dtype=bool))
            keys[rows] = np.packbits(~missing, axis=1)
        elif keys is not None:
            keys[rows] = np.packbits(np.ones(d, dtype=bool))
    if keys is None:
        return np.ones((1, d), dtype=bool), None
    whole = keys.view(np.dtype((np.void, keys.shape[1]))).ravel()
    _, first, inverse = np.unique(whole, return_index=True, return_inverse=True)
    patterns = np.unpackbits(keys[first], axis=1, count=d).astype(bool)
    return patterns, inverse.astype(np.int64)


def _group(
    pattern_of_row: NDArray[np.int64] | None, n: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order rows by (chunk, pattern, row) and list the runs."""
    order = np.arange(n)
    bounds = chunk_bounds(n)
    groups: list[Any] = []
    for chunk, (begin, end) in enumerate(pairwise(bounds)):
        if pattern_of_row is None:
            groups.append([[chunk, 0, begin, end]])
            continue
        inside = begin + np.argsort(pattern_of_row[begin:end], kind="stable")
        order[begin:end] = inside
        pattern = pattern_of_row[inside]
        first = np.concatenate([[0], np.flatnonzero(np.diff(pattern)) + 1])
        last = np.append(first[1:], end - begin)
        lines = [np.full(len(first), chunk), pattern[first], begin + first, begin + last]
        groups.append(np.column_stack(lines))
    return order, np.ascontiguousarray(np.concatenate(groups), dtype=np.int64)
