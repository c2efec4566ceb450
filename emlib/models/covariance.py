"""Covariance structures of Gaussian mixtures, a registry of small classes.

scikit-learn's four names, and the fourteen codes of mclust (Celeux and Govaert 1995, Pattern
Recognition 28, 781-793) with E and V for one column: three letters for the volume, the shape and
the orientation of the components, equal (E), varying (V) or along the axes (I).  Each knows its
parameter array, its M-step from the components' scatter about their new means, its conjugate
prior where it has one (Fraley and Raftery 2007, section 2.2) and its coordinates.
"""

import math
from functools import lru_cache
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.models.covariance_axes import EEV, EVE, VEV, VVE
from emlib.models.covariance_base import Array, Covariance
from emlib.models.covariance_decomposed import EVI, EVV, VEE, VEI

__all__ = ["COVARIANCES", "ONE_COLUMN", "Covariance"]


@lru_cache(maxsize=64)
def _lower(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of a lower triangle, and its diagonal."""
    return (*np.tril_indices(d), np.arange(d))


class _Dense(Covariance):
    """Matrices; unconstrained coordinates are the log-Cholesky ones (Pinheiro and Bates 1996)."""

    dense = True
    conjugate: ClassVar[bool] = True

    def pooled(self, weights: Array, covariances: Array) -> Array:
        """Within-component covariance (d, d)."""
        return covariances if covariances.ndim == 2 else np.tensordot(weights, covariances, 1)

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        d = covariances.shape[-1]
        matrices: Array = covariances.reshape(-1, d, d)
        rows, columns, diagonal = _lower(d)
        if unconstrained:
            matrices = np.asarray(np.linalg.cholesky(matrices), dtype=np.float64)
            matrices[:, diagonal, diagonal] = np.log(matrices[:, diagonal, diagonal])
        return matrices[:, rows, columns].ravel()

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        shape = self.shape(n_components, d)
        rows, columns, diagonal = _lower(d)
        matrices = np.zeros((math.prod(shape[:-2]), d, d))
        matrices[:, rows, columns] = vector.reshape(len(matrices), -1)
        if unconstrained:
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

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        extra = 0.0 if prior_dof is None else prior_dof + scatter.shape[-1] + 2.0
        return scatter / (counts + extra)[:, None, None]

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return covariances.copy()

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances


class Tied(_Dense):
    """One matrix for all components (mclust's EEE)."""

    name = "tied"
    shared = True

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (d, d)

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
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
    conjugate = True

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components, d)

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        extra = 0.0 if prior_dof is None else prior_dof + 3.0
        return scatter / (counts + extra)[:, None]

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return np.diagonal(covariances, axis1=1, axis2=2).copy()

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances[:, :, None] * np.eye(d)


class Spherical(Covariance):
    """One variance a component (mclust's VII)."""

    name = "spherical"
    conjugate = True

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components,)

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        d = scatter.shape[1]
        extra = 0.0 if prior_dof is None else prior_dof + 2.0 + d
        return scatter.sum(axis=1) / (counts * d + extra)

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return np.trace(covariances, axis1=1, axis2=2) / covariances.shape[-1]

    def scale_share(self, n_components: int, d: int) -> float:
        return 1.0 / d

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances[:, None, None] * np.eye(d)


class TiedDiagonal(Diagonal):
    """One variance a column for all components, in an array (K, d)."""

    name = "EEI"
    shared = True

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        extra = 0.0 if prior_dof is None else prior_dof + 2.0 + len(counts)
        return _repeated(scatter.sum(axis=0) / (counts.sum() + extra), len(counts))

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return self.m_step(
            weights, weights[:, None] * super().from_full(weights, covariances), None
        )

    def scale_share(self, n_components: int, d: int) -> float:
        return 1.0 / n_components

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        return super().pack(covariances[0], unconstrained)

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        return _repeated(np.exp(vector) if unconstrained else vector, n_components)

    def n_free(self, n_components: int, d: int) -> int:
        return d


class TiedSpherical(Spherical):
    """One variance for all components and columns, in an array (K,)."""

    name = "EII"
    shared = True

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        n_components, d = scatter.shape
        extra = 0.0 if prior_dof is None else prior_dof + 2.0 + n_components * d
        return _repeated(scatter.sum() / (counts.sum() * d + extra), n_components)

    def from_full(self, weights: Array, covariances: Array) -> Array:
        return _repeated(weights @ super().from_full(weights, covariances), len(weights))

    def scale_share(self, n_components: int, d: int) -> float:
        return 1.0 / (n_components * d)

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        return super().pack(covariances[:1], unconstrained)

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        return _repeated((np.exp(vector) if unconstrained else vector)[0], n_components)

    def n_free(self, n_components: int, d: int) -> int:
        return 1


def _repeated(covariance: Array, n_components: int) -> Array:
    return np.repeat(np.asarray(covariance)[None], n_components, axis=0)


FULL, TIED, DIAGONAL, SPHERICAL = Full(), Tied(), Diagonal(), Spherical()
EEI, EII = TiedDiagonal(), TiedSpherical()

COVARIANCES: dict[str, Covariance] = {
    "full": FULL, "tied": TIED, "diag": DIAGONAL, "spherical": SPHERICAL,
    "EII": EII, "VII": SPHERICAL,
    "EEI": EEI, "VEI": VEI, "EVI": EVI, "VVI": DIAGONAL,
    "EEE": TIED, "VEE": VEE, "EVE": EVE, "VVE": VVE,
    "EEV": EEV, "VEV": VEV, "EVV": EVV, "VVV": FULL,
    "E": EII, "V": SPHERICAL,
}  # fmt: skip

ONE_COLUMN = ("E", "V")
"""Codes for data of one column."""
