"""Intervals: rows whose cells are known exactly, within limits, or not at all."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.data.regression import Regression
from emlib.data.table import LARGEST_VALUE
from emlib.errors import InvalidData


class ExactFit(NamedTuple):
    """Least squares of each column's exact cells on the design (1, covariates - their means).

    Attributes
    ----------
    lines : ndarray of shape (d, 1 + p)
    gram : ndarray of shape (d, 1 + p, 1 + p)
        Weighted products of the design's lines, over exact cells.
    cross : ndarray of shape (d, 1 + p)
        Design times residuals: zero but for rounding.
    second : ndarray of shape (d,)
        Sums of squared residuals.
    """

    lines: NDArray[np.float64]
    gram: NDArray[np.float64]
    cross: NDArray[np.float64]
    second: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Intervals(Regression):
    """A table whose cells lie in ``[values, upper]``, with covariates where there are any.

    Equal ends are an exact value, -inf or inf an open end, NaN in ``values`` a missing cell.
    Whatever reads the table as a plain one sees the exact cells as its observed ones.

    Attributes
    ----------
    upper : ndarray of shape (n, d)
        Upper ends; NaN exactly where ``values`` is.
    """

    upper: NDArray[np.float64]

    @classmethod
    def from_ends(
        cls,
        values: ArrayLike,
        upper: ArrayLike | None = None,
        covariates: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> "Intervals":
        """Build the view from lower and upper ends.

        Parameters
        ----------
        values : array-like of shape (n, d)
            Lower ends.
        upper : array-like of shape (n, d), optional
            Upper ends; the lower ones by default, so that every cell is exact.
        covariates : array-like of shape (n, p), optional
        weights : array-like of shape (n,), optional

        Raises
        ------
        InvalidData
            If an interval is empty, open at both ends, or has one end missing.
        """
        low = np.ascontiguousarray(values, dtype=np.float64)
        high = low if upper is None else np.ascontiguousarray(upper, dtype=np.float64)
        if high.shape != low.shape:
            raise InvalidData(f"upper of shape {high.shape}: that of the values is {low.shape}")
        high = np.where(np.isnan(low), np.nan, high)
        _check_ends(low, high, open_ends=upper is not None)
        exact = Regression.from_arrays(np.where(low == high, low, np.nan), covariates, weights)
        parts = {field.name: getattr(exact, field.name) for field in fields(exact)}
        return cls(**(parts | {"values": low}), upper=high)

    def _of_rows(self, rows: NDArray[np.int64]) -> "Intervals":
        return self.from_ends(self.values[rows], self.upper[rows], self.covariates[rows])

    @property
    def _contents(self) -> NDArray[np.float64]:
        return np.column_stack([super()._contents, self.upper])

    @cached_property
    def observed(self) -> NDArray[np.bool_]:
        """True where a cell is known exactly, shape (n, d)."""
        return np.asarray(self.values == self.upper)

    @cached_property
    def censored(self) -> NDArray[np.bool_]:
        """True where a cell is known to lie within limits, shape (n, d)."""
        return np.asarray(self.values < self.upper)

    @cached_property
    def informative(self) -> NDArray[np.bool_]:
        """True for rows with a cell that is not missing and positive weight, shape (n,)."""
        return np.asarray((self.observed | self.censored).any(axis=1) & (self.weights > 0))

    def exact_cells(self, rows: slice) -> NDArray[np.float64]:
        values = self.values[rows]
        return np.where(values == self.upper[rows], values, np.nan)

    @cached_property
    def nearest_values(self) -> NDArray[np.float64]:
        """Exact values, midpoints of intervals, limits of open ones, NaN else, shape (n, d)."""
        with np.errstate(invalid="ignore"):
            middle = self.values + 0.5 * (self.upper - self.values)
        low, high = np.isneginf(self.values), np.isposinf(self.upper)
        return np.where(low, self.upper, np.where(high, self.values, middle))

    @cached_property
    def exact_fit(self) -> ExactFit:
        """What a normal regression needs of the exact cells, whatever its parameters."""
        parts = []
        for j in range(self.d):
            rows = self.observed[:, j]
            design, y, w = self.design[rows], self.values[rows, j], self.weights[rows]
            root = np.sqrt(w)
            first = y[0] if len(y) else 0.0  # taken off first: y may be far from zero
            line = np.linalg.lstsq(root[:, None] * design, root * (y - first), rcond=None)[0]
            residual = y - first - design @ line
            line[0] += first
            gram = (design * w[:, None]).T @ design
            parts.append((line, gram, (w * residual) @ design, w @ residual**2))
        return ExactFit(*(np.stack(part) for part in zip(*parts, strict=True)))

    @cached_property
    def censored_rows(self) -> list[NDArray[np.int64]]:
        """Numbers of the rows whose cell is censored, a list by column."""
        return [np.flatnonzero(column) for column in self.censored.T]

    @cached_property
    def gram(self) -> NDArray[np.float64]:
        """As in ``exact_fit``, over exact and censored cells."""
        total = self.exact_fit.gram.copy()
        for j, rows in enumerate(self.censored_rows):
            design = self.design[rows]
            total[j] += (design * self.weights[rows, None]).T @ design
        return total


def _check_ends(low: NDArray[np.float64], high: NDArray[np.float64], open_ends: bool) -> None:
    def refuse(wrong: NDArray[np.bool_], why: str) -> None:
        if wrong.any():
            row, column = np.argwhere(wrong)[0]
            ends = f"[{low[row, column]:g}, {high[row, column]:g}]"
            raise InvalidData(f"row {row}, column {column}: {ends} {why}")

    if low.ndim != 2 or 0 in low.shape:
        raise InvalidData(f"data of shape {low.shape}: a table has rows and columns")
    here = ~np.isnan(low)
    refuse(here & np.isnan(high), "has no upper end (inf marks an open one)")
    refuse(here & (low > high), "is empty")
    refuse(here & np.isneginf(low) & np.isposinf(high), "says nothing (NaN marks a missing cell)")
    for ends in (low, high):
        size = np.where(here & (np.isfinite(ends) | (low == high)), np.abs(ends), 0.0)
        refuse(size > LARGEST_VALUE, f"has an end that is not below {LARGEST_VALUE:g} in size")
    if not open_ends:
        refuse(here & np.isinf(low), "is not a finite number")
