"""Sequences: time steps with holes, in their order; whole sequences are the independent units."""

from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.data.table import Table, checked_weights
from emlib.errors import InvalidData


@dataclass(frozen=True, eq=False)
class Sequences(Table):
    """One or many sequences: a table of their time steps, one sequence after the other.

    Whatever treats time steps one by one (emissions, starts) reads it as a table, each step with
    its sequence's weight.

    Attributes
    ----------
    offsets : ndarray of shape (n_sequences + 1,)
        Sequence s is rows ``offsets[s]`` to ``offsets[s + 1]`` of ``values``.
    """

    offsets: NDArray[np.int64]

    @classmethod
    def from_arrays(
        cls,
        values: ArrayLike,
        lengths: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> "Sequences":
        """Build the view of concatenated sequences, NaN meaning missing.

        Parameters
        ----------
        values : array-like of shape (sum of lengths, d)
        lengths : array-like of shape (n_sequences,), optional
            One sequence by default.
        weights : array-like of shape (n_sequences,), optional
            A weight counts a whole sequence that often.

        Raises
        ------
        InvalidData
            If lengths, weights and values do not fit together; as ``Table.from_array`` else.
        """
        table = Table.from_array(values)
        sizes = np.array([table.n]) if lengths is None else np.asarray(lengths)
        whole = sizes.ndim == 1 and len(sizes) and np.array_equal(sizes, np.trunc(sizes))
        if not whole or (sizes < 1).any() or sizes.sum() != table.n:
            raise InvalidData(
                f"lengths: {sizes.tolist()} are not whole numbers >= 1 that sum to the "
                f"{table.n} time steps"
            )
        offsets = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        parts = {field.name: getattr(table, field.name) for field in fields(table)}
        sequences = cls(**parts, offsets=offsets)
        return sequences if weights is None else sequences.reweighted(np.asarray(weights))

    @property
    def n_sequences(self) -> int:
        """Number of sequences."""
        return len(self.offsets) - 1

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Time steps of each sequence, shape (n_sequences,)."""
        return np.diff(self.offsets)

    @property
    def unit_weights(self) -> NDArray[np.float64]:
        """Weights of the sequences, shape (n_sequences,)."""
        return self.weights[self.offsets[:-1]]

    def reweighted(self, unit_weights: NDArray[np.float64]) -> "Sequences":
        """The same sequences with other weights, one a sequence."""
        weights = checked_weights(unit_weights, self.n_sequences, "sequence")
        return replace(self, weights=np.repeat(weights, self.lengths))

    def part(self, units: NDArray[np.int64]) -> "Sequences":
        """The sequences ``units`` alone, by their numbers, in that order."""
        rows = np.concatenate([np.arange(self.offsets[u], self.offsets[u + 1]) for u in units])
        view = self.from_arrays(self.values[rows], self.lengths[units])
        return replace(view, weights=self.weights[rows])

    @cached_property
    def sorted_units(self) -> NDArray[np.int64]:
        """As ``Table.sorted_units``: by length, then by what the steps hold."""
        contents = np.where(np.isnan(self._contents), np.nan, self._contents + 0.0)
        steps = np.split(contents, self.offsets[1:-1])
        keys = [(len(one), one.tobytes()) for one in steps]
        return np.array(sorted(range(self.n_sequences), key=keys.__getitem__), dtype=np.int64)

    @cached_property
    def seen_sequences(self) -> NDArray[np.bool_]:
        """True for sequences with an observed cell, shape (n_sequences,)."""
        seen = self.observed.any(axis=1)
        return np.asarray(np.logical_or.reduceat(seen, self.offsets[:-1]))

    def copies(self) -> "Sequences":
        """The same data without weights: a sequence of integer weight w stands there w times.

        Raises
        ------
        InvalidData
            If a weight is no whole number.
        """
        counts = np.rint(self.unit_weights).astype(np.int64)
        if not np.array_equal(counts, self.unit_weights):
            raise InvalidData("sequences are drawn anew with whole numbers as weights only")
        units = np.repeat(np.arange(self.n_sequences), counts)
        return self.part(units).reweighted(np.ones(len(units)))

    @cached_property
    def steps(self) -> NDArray[np.int64]:
        """Numbers of all time steps, shape (n,)."""
        return np.arange(self.n)

    @cached_property
    def distinct(self) -> tuple[Table, NDArray[np.int64]]:
        """The distinct time steps, holes included, and each step's number among them (n,)."""
        canonical = np.ascontiguousarray(np.where(self.observed, self.values + 0.0, np.nan))
        line = np.int64 if self.d == 1 else np.dtype((np.void, canonical.strides[0]))
        keys = canonical.view(line).ravel()
        _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        return Table.from_array(self.values[first]), inverse.astype(np.int64)

    @cached_property
    def roughness(self) -> NDArray[np.float64]:
        """Mean square of successive differences of each column (von Neumann 1941), shape (d,).

        A scale that no trend inflates; the variance where no two neighbours are observed.
        """
        weights = self.weights[1:, None] * np.ones(self.d)
        weights[self.offsets[1:-1] - 1] = 0.0
        differences = np.diff(self.values, axis=0)
        seen = np.isfinite(differences)
        total = (weights * seen).sum(axis=0)
        squares = (weights * np.where(seen, differences, 0.0) ** 2).sum(axis=0)
        rough = squares / np.where(total > 0, total, 1.0)
        return np.where(rough > 0, rough, self.column_moments[1])
