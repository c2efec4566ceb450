"""CountRegression: rows of counts beside covariates, tallied by line of covariates."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emlib.data.regression import Regression

Array = NDArray[np.float64]


class Tally(NamedTuple):
    """Weighted sums over the rows that share a line of covariates.

    Attributes
    ----------
    covariates : ndarray of shape (l, p)
        The distinct lines.
    zeros, positives : ndarray of shape (l, d)
        Numbers of observed cells that are 0, and above.
    totals : ndarray of shape (l, d)
        Sums of the observed cells.
    """

    covariates: Array
    zeros: Array
    positives: Array
    totals: Array


@dataclass(frozen=True, eq=False)
class CountRegression(Regression):
    """Counts, NaN where missing, and covariates."""

    @cached_property
    def tally(self) -> Tally:
        """All that zero-inflated families need of the rows; one line without covariates."""
        if self.covariates.shape[1]:
            lines, line = np.unique(self.covariates, axis=0, return_inverse=True)
            line = line.ravel()
        else:
            lines, line = np.empty((1, 0)), np.zeros(self.n, dtype=np.int64)
        known = np.where(self.observed, self.values, 0.0)

        def summed(cells: Array) -> Array:
            weighted = self.weights[:, None] * cells
            return np.column_stack([np.bincount(line, column) for column in weighted.T])

        zero = self.observed & (known == 0)
        return Tally(lines, summed(zero), summed(self.observed & ~zero), summed(known))

    @cached_property
    def log_factorials(self) -> Array:
        """Sum over each row's observed cells of log(x!), shape (n,)."""
        from scipy.special import gammaln

        return np.asarray(gammaln(np.where(self.observed, self.values, 0.0) + 1.0).sum(axis=1))
