"""Sums of a factor analyzer's E-step: each column regressed on (1, f) over the rows that show it.

They add over rows, and are about reference parameters, so that nothing is lost far from zero or
where a noise variance is small.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FactorSums:
    """Sums of expectations, with g = (1, f) and e = x_j - reference_j g.

    Attributes
    ----------
    shares : ndarray of shape (K,)
        Effective rows of the components.
    reference : ndarray of shape (K, d, q + 1)
        Means and loadings that residuals are about.
    gram : ndarray of shape (K, d, q + 1, q + 1)
        E[g g'] over the rows that show column j; its first entry is their number.
    cross : ndarray of shape (K, d, q + 1)
        E[e g].
    squares : ndarray of shape (K, d)
        E[e^2].
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks.
    """

    shares: Array
    reference: Array
    gram: Array
    cross: Array
    squares: Array
    loglik: float
    magnitude: float

    @property
    def counts(self) -> Array:
        """Effective rows of component k that show column j, shape (K, d)."""
        return np.asarray(self.gram[..., 0, 0])

    def __add__(self, other: "FactorSums") -> "FactorSums":
        moved = other.about(self.reference)
        return FactorSums(
            self.shares + moved.shares,
            self.reference,
            self.gram + moved.gram,
            self.cross + moved.cross,
            self.squares + moved.squares,
            self.loglik + moved.loglik,
            self.magnitude + moved.magnitude,
        )

    def scaled(self, factor: float) -> "FactorSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return FactorSums(
            factor * self.shares, self.reference, factor * self.gram, factor * self.cross,
            factor * self.squares, factor * self.loglik, factor * self.magnitude,
        )  # fmt: skip

    def about(self, reference: Array) -> "FactorSums":
        """The same sums about other means and loadings."""
        shift = reference - self.reference
        cross = self.cross - np.einsum("kjab,kjb->kja", self.gram, shift)
        squares = self.squares - np.einsum("kja,kja->kj", shift, self.cross + cross)
        return replace(self, reference=reference, cross=cross, squares=squares)

    def regress(self, free: NDArray[np.bool_]) -> "FactorSums":
        """The sums about the least-squares coefficients; those not ``free`` stay.

        A column that component k never sees keeps its coefficients.

        Parameters
        ----------
        free : ndarray of shape (d, q + 1), bool
        """
        moving = free & (self.counts > 0)[..., None]
        both = moving[..., :, None] & moving[..., None, :]
        identity = np.eye(moving.shape[-1])
        left = np.where(both, self.gram, identity)
        right = np.where(moving, self.cross, 0.0)
        shift = np.linalg.solve(left, right[..., None])[..., 0]
        return self.about(self.reference + shift)
