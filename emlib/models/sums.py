"""Sums of completed rows by component: the sufficient statistics of everything Gaussian.

They add over rows, and carry their reference points so that nothing is lost far from zero.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ComponentSums:
    """Sums of the completed rows about a reference point a component.

    Attributes
    ----------
    counts : ndarray of shape (K,)
    reference : ndarray of shape (K, d)
    first : ndarray of shape (K, d)
        Sums of deviations from the reference.
    second : ndarray of shape (K, d, d) or (K, d)
        Sums of their products, of their squares where columns are independent.
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks, to which structures add
        what their rounding is (``Covariance.rounding``).
    """

    counts: Array
    reference: Array
    first: Array
    second: Array
    loglik: float
    magnitude: float

    def __add__(self, other: "ComponentSums") -> "ComponentSums":
        moved = other.about(self.reference)
        return ComponentSums(
            self.counts + moved.counts,
            self.reference,
            self.first + moved.first,
            self.second + moved.second,
            self.loglik + moved.loglik,
            self.magnitude + moved.magnitude,
        )

    def scaled(self, factor: float) -> "ComponentSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return ComponentSums(
            factor * self.counts, self.reference, factor * self.first, factor * self.second,
            factor * self.loglik, factor * self.magnitude,
        )  # fmt: skip

    def about(self, reference: Array) -> "ComponentSums":
        """The same sums about other reference points (the parallel-axis theorem)."""
        shift = self.reference - reference
        moved = self.first + self.counts[:, None] * shift
        if self.second.ndim == 2:
            second = self.second + shift * (self.first + moved)
        else:
            cross = shift[:, :, None] * self.first[:, None, :]
            second = self.second + cross + moved[:, :, None] * shift[:, None, :]
        return replace(self, reference=reference, first=moved, second=second)
