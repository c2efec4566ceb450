"""Counts: rows of counts in categories, some of which nobody looked at."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emlib.data.table import Table

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Counts(Table):
    """A table whose rows with the same pattern of observed cells are told by their sums."""

    @cached_property
    def totals(self) -> Array:
        """Weighted sums of the rows of each pattern, 0 where not observed, shape (p, d)."""
        sums = np.zeros(self.patterns.shape)
        _, pattern, first, last = self.groups.T
        for p, a, b in zip(pattern.tolist(), first.tolist(), last.tolist(), strict=True):
            rows = self.order[a:b]
            sums[p] += self.weights[rows] @ np.where(self.patterns[p], self.values[rows], 0.0)
        return sums

    @cached_property
    def log_coefficients(self) -> Array:
        """Log of each row's multinomial coefficient, over its observed cells, shape (n,)."""
        from scipy.special import gammaln

        known = np.where(self.observed, self.values, 0.0)
        return np.asarray(gammaln(known.sum(axis=1) + 1.0) - gammaln(known + 1.0).sum(axis=1))
