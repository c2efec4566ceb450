"""Covariance structures of Gaussian mixtures, a registry of small classes.

Each knows its parameter array (in scikit-learn's shape), its M-step from the components' scatter
about their new means, its conjugate prior (Fraley and Raftery 2007, section 2.2, here derived
for every structure) and its coordinates.
"""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Covariance(ABC):
    """One structure; ``dense`` ones keep scatter matrices, the others scatter by column."""

    name: ClassVar[str]
    dense: ClassVar[bool] = False

    @abstractmethod
    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        """Shape of the parameter array."""

    @abstractmethod
    def m_step(self, counts: Array, scatter: Array, prior_dof: float | None) -> Array:
        """Maximize Q (plus the log prior) given scatter about the means.

        Parameters
        ----------
        counts : ndarray of shape (K,)
        scatter : ndarray of shape (K, d, d) or (K, d)
            Prior scale and the shrinkage of the means already added where a prior is declared.
        prior_dof : float, optional
            The prior's degrees of freedom, None for maximum likelihood.
        """

    @abstractmethod
    def from_full(self, weights: Array, covariances: Array) -> Array:
        """Project covariance matrices (K, d, d) to the structure."""

    @abstractmethod
    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        """Covariance matrices of all components, shape (K, d, d)."""

    def pooled(self, weights: Array, covariances: Array) -> Array:
        """Within-component covariance, in the shape of one component's."""
        return np.tensordot(weights, covariances, 1)

    def scale_share(self, n_components: int, d: int) -> float:
        """Share of the prior's scale that each component's scatter (each column's) takes."""
        return 1.0

    def pack(self, covariances: Array, unconstrained: bool) -> Array:
        """Free entries as a vector; logs of variances where unconstrained."""
        flat = covariances.ravel()
        return np.log(flat) if unconstrained else flat.copy()

    def unpack(self, vector: Array, n_components: int, d: int, unconstrained: bool) -> Array:
        """Inverse of ``pack``."""
        return (np.exp(vector) if unconstrained else vector).reshape(self.shape(n_components, d))

    def n_free(self, n_components: int, d: int) -> int:
        """Number of free parameters."""
        return int(np.prod(self.shape(n_components, d)))


class _Dense(Covariance):
    """Matrices; unconstrained coordinates are the log-Cholesky ones (Pinheiro and Bates 1996)."""

    dense = True

    def pooled(self, weights: Array, covariances: Array) -> Array:
        """Within-component covariance (d, d)."""
        return covariances if covariances.ndim == 2 else np.tensordot(weights, covariances, 1)

    def pack(self, covariances: Array, unconstrained: bool) -> Array:
        d = covariances.shape[-1]
        matrices: Array = covariances.reshape(-1, d, d)
        rows, columns = np.tril_indices(d)
        if unconstrained:
            matrices = np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)
            diagonal = np.arange(d)
            matrices[:, diagonal, diagonal] = np.log(matrices[:, diagonal, diagonal])
        return matrices[:, rows, columns].ravel()

    def unpack(self, vector: Array, n_components: int, d: int, unconstrained: bool) -> Array:
        shape = self.shape(n_components, d)
        rows, columns = np.tril_indices(d)
        matrices = np.zeros((int(np.prod(shape[:-2])), d, d))
        matrices[:, rows, columns] = vector.reshape(len(matrices), -1)
        if unconstrained:
            diagonal = np.arange(d)
            matrices[:, diagonal, diagonal] = np.exp(matrices[:, diagonal, diagonal])
            matrices = matrices @ matrices.transpose(0, 2, 1)
        else:
            matrices[:, columns, rows] = matrices[:, rows, columns]
        return matrices.reshape(shape)

    def n_free(self, n_components: int, d: int) -> int:
        return int(np.prod(self.shape(n_components, d)[:-2])) * d * (d + 1) // 2


class Full(_Dense):
    """One matrix a component (mclust's VVV)."""

    name = "full"

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components, d, d)

    def m_step(self, counts: Array, scatter: Array, prior_dof: float | None) -> Array:
        extra = 0.0 if prior_dof is None else prior_dof + scatter.shape[-1] + 2.0
        return scatter / (counts + extra)[:, None, None]

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return covariances.copy()

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances


class Tied(_Dense):
    """One matrix for all components (mclust's EEE)."""

    name = "tied"

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (d, d)

    def m_step(self, counts: Array, scatter: Array, prior_dof: float | None) -> Array:
        n_components, d = scatter.shape[:2]
        extra = 0.0 if prior_dof is None else prior_dof + d + 1.0 + n_components
        return scatter.sum(axis=0) / (counts.sum() + extra)

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return np.einsum("k,kij->ij", weights, covariances)

    def scale_share(self, n_components: int, d: int) -> float:
        return 1.0 / n_components

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return np.broadcast_to(covariances, (n_components, d, d))


class Diagonal(Covariance):
    """One variance a component and column (mclust's VVI)."""

    name = "diag"

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components, d)

    def m_step(self, counts: Array, scatter: Array, prior_dof: float | None) -> Array:
        extra = 0.0 if prior_dof is None else prior_dof + 3.0
        return scatter / (counts + extra)[:, None]

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return np.diagonal(covariances, axis1=1, axis2=2).copy()

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances[:, :, None] * np.eye(d)


class Spherical(Covariance):
    """One variance a component (mclust's VII)."""

    name = "spherical"

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components,)

    def m_step(self, counts: Array, scatter: Array, prior_dof: float | None) -> Array:
        d = scatter.shape[1]
        extra = 0.0 if prior_dof is None else prior_dof + 2.0 + d
        return scatter.sum(axis=1) / (counts * d + extra)

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return np.trace(covariances, axis1=1, axis2=2) / covariances.shape[-1]

    def scale_share(self, n_components: int, d: int) -> float:
        return 1.0 / d

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)


COVARIANCES: dict[str, Covariance] = {
    structure.name: structure for structure in (Full(), Tied(), Diagonal(), Spherical())
}
