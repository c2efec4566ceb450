"""Regression: rows with holes, each beside covariates without any."""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.data.table import LARGEST_VALUE, Table
from emlib.errors import InvalidData


@dataclass(frozen=True, eq=False)
class Regression(Table):
    """A table of responses and what they are regressed on.

    Attributes
    ----------
    covariates : ndarray of shape (n, p)
        Float64 and finite, without a column of ones; p may be 0.
    """

    covariates: NDArray[np.float64]

    @classmethod
    def from_arrays(
        cls,
        values: ArrayLike,
        covariates: ArrayLike | None = None,
        weights: ArrayLike | None = None,
    ) -> Self:
        """Build the view, NaN among the values meaning missing.

        Parameters
        ----------
        values : array-like of shape (n, d)
        covariates : array-like of shape (n, p), optional
        weights : array-like of shape (n,), optional

        Raises
        ------
        InvalidData
            If a covariate is missing, or rows do not fit; as ``Table.from_array`` else.
        """
        table = Table.from_array(values, weights)
        parts = {field.name: getattr(table, field.name) for field in fields(table)}
        return cls(**parts, covariates=checked_covariates(covariates, table.n))

    def _of_rows(self, rows: NDArray[np.int64]) -> Self:
        return self.from_arrays(self.values[rows], self.covariates[rows])

    @property
    def _contents(self) -> NDArray[np.float64]:
        return np.column_stack([super()._contents, self.covariates])

    @cached_property
    def covariate_means(self) -> NDArray[np.float64]:
        """Weighted mean of each covariate over the informative rows, shape (p,)."""
        rows = self.informative
        if not rows.any():
            return np.zeros(self.covariates.shape[1])
        first = self.covariates[rows][0]  # means of far-away numbers keep their digits
        shift = self.weights[rows] @ (self.covariates[rows] - first)
        return first + shift / self.total_weight

    @cached_property
    def design(self) -> NDArray[np.float64]:
        """The design (1, covariates - their means), shape (n, 1 + p)."""
        return np.column_stack([np.ones(self.n), self.covariates - self.covariate_means])


def checked_covariates(covariates: ArrayLike | None, n: int) -> NDArray[np.float64]:
    """Covariates as a finite array of n rows; none of them by default.

    Raises
    ------
    InvalidData
        If they are not.
    """
    if covariates is None:
        return np.empty((n, 0))
    z = np.ascontiguousarray(covariates, dtype=np.float64)
    if z.ndim != 2 or len(z) != n:
        raise InvalidData(f"covariates of shape {z.shape}: the {n} rows need shape ({n}, p)")
    wrong = ~(np.abs(z) <= LARGEST_VALUE)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise InvalidData(
            f"covariates: row {row}, column {column}: {float(z[row, column])!r} is not a finite "
            "number (only the modelled columns may have missing cells)"
        )
    return z
