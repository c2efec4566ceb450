"""What the E-step of a mixture of regressions sums over independent rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emlib.models.lines import LineSums

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegressionSums:
    """Sums over the observed responses of each component.

    Attributes
    ----------
    counts : ndarray of shape (K,)
        Rows.
    cells : ndarray of shape (K, d)
        Observed responses.
    log_precisions : ndarray of shape (K,)
        Sums of E[log u] over the responses.
    lines : LineSums
        Of K * d lines, responses weighted by E[u].
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks.
    """

    counts: Array
    cells: Array
    log_precisions: Array
    lines: LineSums
    loglik: float
    magnitude: float

    def __add__(self, other: "RegressionSums") -> "RegressionSums":
        return RegressionSums(
            self.counts + other.counts, self.cells + other.cells,
            self.log_precisions + other.log_precisions, self.lines + other.lines,
            self.loglik + other.loglik, self.magnitude + other.magnitude,
        )  # fmt: skip

    def scaled(self, factor: float) -> "RegressionSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return RegressionSums(
            factor * self.counts, factor * self.cells, factor * self.log_precisions,
            self.lines.scaled(factor), factor * self.loglik, factor * self.magnitude,
        )  # fmt: skip

    @property
    def precisions(self) -> Array:
        """Sums of E[u] over the responses, shape (K,)."""
        return self.lines.gram[:, 0, 0].reshape(self.cells.shape).sum(axis=1)
