"""What a covariance structure of Gaussian components gives."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Covariance(ABC):
    """One structure; ``dense`` ones keep scatter matrices, the others scatter by column."""

    name: ClassVar[str]
    dense: ClassVar[bool] = False
    shared: ClassVar[bool] = False
    """Whether all components have the same covariance."""
    conjugate: ClassVar[bool] = False
    """Whether it takes the conjugate prior."""

    @abstractmethod
    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        """Shape of the parameter array."""

    @abstractmethod
    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        """Maximize Q (plus the log prior) given scatter about the means.

        Parameters
        ----------
        counts : ndarray of shape (K,)
        scatter : ndarray of shape (K, d, d) or (K, d)
            Prior scale and the shrinkage of the means already added where a prior is declared.
        prior_dof : float, optional
            The prior's degrees of freedom, None for maximum likelihood.
        current : ndarray, optional
            The covariances so far, where the structures without a closed form begin.

        Raises
        ------
        Degenerate
            Where a structure has no maximizer because a component's scatter is singular.
        """

    @abstractmethod
    def from_full(self, weights: Array, covariances: Array) -> Array:
        """Project covariance matrices (K, d, d) to the structure: the M-step's answer to them."""

    @abstractmethod
    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        """Covariance matrices of all components, shape (K, d, d)."""

    def pooled(self, weights: Array, covariances: Array) -> Array:
        """Within-component covariance, in the shape of one component's."""
        return np.tensordot(weights, covariances, 1)

    def scale_share(self, n_components: int, d: int) -> float:
        """Share of the prior's scale that each component's scatter (each column's) takes."""
        return 1.0

    def rounding(self, counts: Array, covariances: Array) -> float:
        """What the structure itself adds to the magnitude of a loglik, the yardstick of rounding.

        Rounding of free covariances is of second order where Q is at its maximum; by default 0.
        """
        return 0.0

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        """Free coordinates in the chart around other covariances (around themselves if None).

        By default the entries, and the logs of variances where unconstrained.
        """
        flat = covariances.ravel()
        return np.log(flat) if unconstrained else flat.copy()

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        """Inverse of ``pack``."""
        return (np.exp(vector) if unconstrained else vector).reshape(self.shape(n_components, d))

    def n_free(self, n_components: int, d: int) -> int:
        """Number of free parameters."""
        return int(np.prod(self.shape(n_components, d)))
