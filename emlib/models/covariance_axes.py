"""Decomposed covariances lambda_k D_k A_k D_k' whose axes D_k are their own or common.

Own axes with a common shape (EEV, VEV): Celeux and Govaert (1995), section 4.3; the eigenvectors
of each scatter matrix.  Common axes with own shapes (EVE, VVE): Browne and McNicholas (2014, Adv.
Data Anal. Classif. 8, 217-226) give a step on the axes that raises Q; here it is the exact
maximum in each plane of two axes in turn (Flury and Gautschi 1986), from the current axes.

A chart turns the axes of its centre by a rotation in Cayley's coordinates, (2 - S)^-1 (2 + S) with
S skew; where eigenvalues tie, the centre's axes stand as they are.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from emlib.models.covariance_base import Array
from emlib.models.covariance_decomposed import MOST_ROUNDS, SETTLED, Decomposed, unit_scales
from emlib.models.records import Degenerate

GRADED = 1e-6
"""Smallest over largest eigenvalue from where on the smallest lose digits that matter."""

SMALLEST = 1e-280
"""In place of an eigenvalue that is zero or less."""


class _Turned(Decomposed):
    """Variances along axes (K, d, d) that are not the columns'."""

    dense: ClassVar[bool] = True

    def axes(self, covariances: Array, near: Array | None = None) -> Array:
        """Axes as columns, one matrix for each orientation; those next to ``near`` if given."""
        raise NotImplementedError

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        centre = self.axes(covariances if around is None else around)
        axes = centre if around is None else self.axes(covariances, centre)
        variances = np.einsum("kji,kjl,kli->ki", axes, covariances, axes)
        turns = skew_coordinates(np.swapaxes(centre, 1, 2) @ axes)
        return np.concatenate([self.pack_spectra(variances, unconstrained), turns.ravel()])

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        if around is None:
            raise ValueError(f"{self.name}: a chart of axes needs covariances that it is around")
        variances, turns = self.unpack_spectra(vector, n_components, d, unconstrained)
        centre = self.axes(around)
        return assembled(centre @ rotations(turns.reshape(len(centre), -1), d), variances)


class OwnAxes(_Turned):
    """EEV and VEV: a common shape, turned."""

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        squares, axes = eigen(scatter)
        volumes = None if current is None else unit_scales(current)
        return assembled(axes, self.spectra(counts, squares, volumes))

    def axes(self, covariances: Array, near: Array | None = None) -> Array:
        if near is None:
            return eigen(covariances)[1]
        pairs = zip(covariances, near, strict=True)
        return np.stack([diagonalizing(matrix[None], old) for matrix, old in pairs])


class CommonAxes(_Turned):
    """EVE and VVE: own variances along common axes."""

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        begin = shared_axes(scatter / counts[:, None, None] if current is None else current)
        axes, variances = turned(scatter, begin, lambda s: self.spectra(counts, s, None))
        return assembled(axes[None], variances)

    def axes(self, covariances: Array, near: Array | None = None) -> Array:
        if near is None:
            return shared_axes(covariances)[None]
        return diagonalizing(covariances, near[0])[None]


def assembled(axes: Array, variances: Array) -> Array:
    """Covariance matrices (K, d, d) of variances (K, d) along axes."""
    roots = axes * np.sqrt(variances)[:, None, :]
    matrices = roots @ np.swapaxes(roots, 1, 2)
    return np.asarray(0.5 * (matrices + np.swapaxes(matrices, 1, 2)))


def turned(matrices: Array, axes: Array, law: Callable[[Array], Array]) -> tuple[Array, Array]:
    """Turn axes plane by plane, the variances along them being the law's, until both settle.

    Parameters
    ----------
    matrices : ndarray of shape (K, d, d)
    axes : ndarray of shape (d, d)
        Where to begin.
    law : callable
        Variances (K, d) that belong to the diagonals (K, d) of the matrices along the axes.

    Returns
    -------
    axes (d, d), variances (K, d)
    """
    from emlib.kernels.axes import turn_planes

    axes = np.array(axes, order="C")
    along = np.ascontiguousarray(axes.T @ matrices @ axes)
    for _ in range(MOST_ROUNDS):
        variances = law(np.diagonal(along, axis1=1, axis2=2))
        if turn_planes(along, 1.0 / variances, axes) < SETTLED:
            break
    return axes, law(np.diagonal(along, axis1=1, axis2=2))


def diagonalizing(matrices: Array, axes: Array) -> Array:
    """Axes next to ``axes`` along which matrices (K, d, d) that share some are diagonal."""
    return turned(matrices, axes, np.array)[0]


def eigen(matrices: Array) -> tuple[Array, Array]:
    """Eigenvalues (K, d), ascending and never negative, and eigenvectors of each matrix.

    Where columns differ much in scale, the small eigenvalues of a general routine are rounding of
    the large ones; plane rotations from there on recover them (Demmel and Veselic 1992).
    """
    values, axes = np.linalg.eigh(matrices)
    for k in np.flatnonzero(values[:, 0] < GRADED * values[:, -1]):
        axes[k] = turned(matrices[k, None], axes[k], lambda s: np.maximum(s, SMALLEST))[0]
        values[k] = np.diagonal(axes[k].T @ matrices[k] @ axes[k])
        order = np.argsort(values[k])
        values[k], axes[k] = values[k, order], axes[k][:, order]
    return np.maximum(values, 0.0), axes


def shared_axes(covariances: Array) -> Array:
    """Axes of matrices (K, d, d) that share them, the best common ones of any others."""
    k = np.arange(1.0, len(covariances) + 1.0)
    shares = 1.0 + np.modf(k * 0.5 * (np.sqrt(5.0) - 1.0))[0]  # so that no two axes tie by chance
    traces = np.trace(covariances, axis1=1, axis2=2)
    if not (traces > 0).all():
        raise Degenerate(f"the scatter of component {traces.argmin()} is zero")
    _, axes = np.linalg.eigh(np.tensordot(shares / traces, covariances, 1))
    return diagonalizing(covariances, axes)


def rotations(turns: Array, d: int) -> Array:
    """Rotation matrices (m, d, d) of coordinates (m, d (d - 1) / 2)."""
    rows, columns = np.tril_indices(d, -1)
    skew = np.zeros((len(turns), d, d))
    skew[:, rows, columns] = turns
    skew[:, columns, rows] = -turns
    return np.asarray(np.linalg.solve(2.0 * np.eye(d) - skew, 2.0 * np.eye(d) + skew))


def skew_coordinates(turns: Array) -> Array:
    """Inverse of ``rotations``."""
    d = turns.shape[-1]
    skew = 2.0 * np.linalg.solve(turns + np.eye(d), turns - np.eye(d))
    return np.asarray(skew[:, *np.tril_indices(d, -1)])


EEV, VEV = OwnAxes("EEV"), OwnAxes("VEV")
EVE, VVE = CommonAxes("EVE"), CommonAxes("VVE")
