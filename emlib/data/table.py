"""Table: independent rows with holes.

Rows stay in chunks of fixed size in their own order; within a chunk they are grouped by pattern
of observed cells, and one table of patterns lets all chunks share factorizations.  Nothing is
ever filled in: a missing cell is NaN and no kernel reads it.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.errors import InvalidData

if TYPE_CHECKING:
    from emlib.data.summary import Summary

CHUNK_ROWS = 1024
"""Rows a chunk; part of the numerical definition, since it fixes the order of sums."""

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
        observed = ~np.isnan(x)
        finite = np.where(observed, x, 0.0)
        if np.abs(finite).max() > LARGEST_VALUE:
            row, column = np.argwhere(np.abs(finite) > LARGEST_VALUE)[0]
            raise InvalidData(
                f"row {row}, column {column}: {float(x[row, column])!r} is not a finite number "
                f"below {LARGEST_VALUE:g} in size (NaN marks a missing cell)"
            )
        w = checked_weights(weights, len(x))
        patterns, pattern_of_row = _distinct_patterns(observed)
        order, groups = _group(pattern_of_row)
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
        return np.lexsort(self._contents.T[::-1]).astype(np.int64)

    @property
    def _contents(self) -> NDArray[np.float64]:
        """All that a row holds, one line a row."""
        return np.column_stack([self.values, self.weights])

    @cached_property
    def observed(self) -> NDArray[np.bool_]:
        """True where a cell is observed, shape (n, d)."""
        return ~np.isnan(self.values)

    @cached_property
    def informative(self) -> NDArray[np.bool_]:
        """True for rows with at least one observed cell and positive weight, shape (n,)."""
        return np.asarray(self.observed.any(axis=1) & (self.weights > 0))

    @cached_property
    def pattern_of_row(self) -> NDArray[np.int64]:
        """Number of each row's pattern, shape (n,)."""
        result = np.empty(self.n, dtype=np.int64)
        result[self.order] = np.repeat(self.groups[:, 1], self.groups[:, 3] - self.groups[:, 2])
        return result

    @cached_property
    def total_weight(self) -> float:
        """Sum of the weights of the informative rows: the n of BIC."""
        return float(self.weights[self.informative].sum())

    @cached_property
    def column_moments(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Available-case mean and variance of each column, two arrays of shape (d,)."""
        w = self.weights[:, None] * self.observed
        total = w.sum(axis=0)
        safe = np.where(total > 0, total, 1.0)
        origin = self.first_observed
        deviation = np.where(self.observed, self.values - origin, 0.0)
        shift = (w * deviation).sum(axis=0) / safe
        residual = np.where(self.observed, deviation - shift, 0.0)
        return origin + shift, (w * residual**2).sum(axis=0) / safe

    @cached_property
    def first_observed(self) -> NDArray[np.float64]:
        """The first observed value of each column (0 where there is none), shape (d,)."""
        first = self.observed.argmax(axis=0)
        return np.nan_to_num(self.values[first, np.arange(self.d)], nan=0.0)

    @cached_property
    def canonical_order(self) -> NDArray[np.int64]:
        """Informative rows sorted by value: draws along it do not depend on the rows' order."""
        rows = np.flatnonzero(self.informative)
        return rows[np.lexsort(self.values[rows].T[::-1])]

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


def _distinct_patterns(
    observed: NDArray[np.bool_],
) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
    """Distinct rows of ``observed`` in a canonical order, and each row's pattern number."""
    if observed.all():
        return observed[:1].copy(), np.zeros(len(observed), dtype=np.int64)
    packed = np.packbits(observed, axis=1)
    keys = packed.view(np.dtype((np.void, packed.shape[1]))).ravel()
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return observed[first], inverse.astype(np.int64)


def _group(pattern_of_row: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order rows by (chunk, pattern, row) and list the runs."""
    n = len(pattern_of_row)
    chunk = np.arange(n) // CHUNK_ROWS
    order = np.lexsort((pattern_of_row, chunk)).astype(np.int64)
    sorted_chunk, sorted_pattern = chunk[order], pattern_of_row[order]
    changes = (np.diff(sorted_chunk) != 0) | (np.diff(sorted_pattern) != 0)
    first = np.concatenate([[0], np.flatnonzero(changes) + 1])
    last = np.concatenate([first[1:], [n]])
    groups = np.column_stack([sorted_chunk[first], sorted_pattern[first], first, last])
    return order, np.ascontiguousarray(groups, dtype=np.int64)
