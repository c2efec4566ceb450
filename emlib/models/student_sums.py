"""What the E-step of a mixture of t distributions sums over independent rows."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StudentSums:
    """Sums of the completed rows, weighted by their expected precisions u.

    Attributes
    ----------
    counts : ndarray of shape (K,)
    log_precisions : ndarray of shape (K,)
        Sums of E[log u].
    weighted : ComponentSums
        Its ``counts`` are the sums of E[u].
    """

    counts: Array
    log_precisions: Array
    weighted: ComponentSums

    @property
    def loglik(self) -> float:
        """Observed-data loglik."""
        return self.weighted.loglik

    @property
    def magnitude(self) -> float:
        """Sum of the rows' absolute logliks."""
        return self.weighted.magnitude

    def __add__(self, other: "StudentSums") -> "StudentSums":
        return StudentSums(
            self.counts + other.counts,
            self.log_precisions + other.log_precisions,
            self.weighted + other.weighted,
        )

    def scaled(self, factor: float) -> "StudentSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return StudentSums(
            factor * self.counts, factor * self.log_precisions, self.weighted.scaled(factor)
        )
