"""Decomposed covariances lambda_k C_k, det C_k = 1, whose volumes or shapes are shared.

Celeux and Govaert (1995), sections 4.2 and 4.3; the codes are mclust's (volume, shape,
orientation; E equal, V varying, I along the columns).  Where volumes vary and shapes do not, each
is given the other in turn; in logarithms the problem is convex, so there is one answer.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np

from emlib.models.covariance_base import Array, Covariance
from emlib.models.records import Degenerate

SETTLED = 1e-12
"""Largest relative change of an iterated M-step that has come to its end."""

MOST_ROUNDS = 1000
"""Every round raises Q, so a climb stays monotone also where this ends an M-step."""

INFLATION_SHARE = 1.0 / 16.0
"""A row's magnitude for each unit of variance inflation; falls of up to 1/130 were measured."""

MOST_INFLATED = 1e13
"""Beyond it no digit is left."""


class Decomposed(Covariance):
    """Volumes lambda_k and unit-volume shapes, one for all components (E) or one each (V)."""

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]
        self.volume, self.shape_letter, self.orientation = tuple(name)

    def shape(self, n_components: int, d: int) -> tuple[int, ...]:
        return (n_components, d, d) if self.dense else (n_components, d)

    def from_full(self, weights: Array, covariances: Array) -> Array:
        scatter = weights[:, None, None] * covariances
        if not self.dense:
            scatter = np.diagonal(scatter, axis1=1, axis2=2)
        return self.m_step(weights, scatter, None)

    def full(self, covariances: Array, n_components: int, d: int) -> Array:
        return covariances if self.dense else covariances[:, :, None] * np.eye(d)

    def n_free(self, n_components: int, d: int) -> int:
        lines = {"I": 0, "E": 1, "V": n_components}
        turns = lines[self.orientation] * (d * (d - 1) // 2)
        return lines[self.volume] + lines[self.shape_letter] * (d - 1) + turns

    def spectra(self, counts: Array, squares: Array, volumes: Array | None) -> Array:
        """Variances (K, d) along given axes that maximize Q; ``squares`` are sums along them."""
        return LAWS[self.volume + self.shape_letter](counts, squares, volumes)

    def rounding(self, counts: Array, covariances: Array) -> float:
        """Rows times the variance inflation of their columns, S_jj (S^-1)_jj.

        A matrix in doubles satisfies its structure to rounding only, and off the structure the
        loglik has a slope: it moves by some epsilon times the inflation.
        """
        if not self.dense:
            return 0.0
        most = MOST_INFLATED * covariances.shape[-1]
        try:
            inflations = np.einsum("kii,kii->k", covariances, np.linalg.inv(covariances))
        except np.linalg.LinAlgError:
            inflations = np.full(len(counts), most)
        return float(INFLATION_SHARE * (counts @ np.clip(inflations, 0.0, most)))

    def pack_volumes(self, volumes: Array, unconstrained: bool) -> Array:
        kept = lines(volumes, self.volume)
        return np.log(kept) if unconstrained else kept

    def unpack_volumes(self, vector: Array, n_components: int, unconstrained: bool) -> Array:
        return repeated(np.exp(vector) if unconstrained else vector, n_components)

    def pack_spectra(self, variances: Array, unconstrained: bool) -> Array:
        """Volumes, then log shapes without their last entry."""
        logs = np.log(variances)
        means = logs.mean(axis=1)
        shapes = lines((logs - means[:, None])[:, :-1], self.shape_letter)
        return np.concatenate([self.pack_volumes(np.exp(means), unconstrained), shapes.ravel()])

    def unpack_spectra(
        self, vector: Array, n_components: int, d: int, unconstrained: bool
    ) -> tuple[Array, Array]:
        """Variances (K, d), and what is left of the vector."""
        n_volumes = 1 if self.volume == "E" else n_components
        n_shapes = (d - 1) * (1 if self.shape_letter == "E" else n_components)
        volumes, free, rest = np.split(vector, [n_volumes, n_volumes + n_shapes])
        logs = free.reshape(-1, d - 1) if d > 1 else np.zeros((1, 0))
        logs = np.column_stack([logs, -logs.sum(axis=1)])
        scale = self.unpack_volumes(volumes, n_components, unconstrained)
        return scale[:, None] * repeated(np.exp(logs), n_components), rest


def lines(array: Array, letter: str) -> Array:
    """The distinct lines of an array over components: the first where all are equal."""
    return array[:1] if letter == "E" else array


def repeated(array: Array, n_components: int) -> Array:
    """One line a component, from one or K."""
    return np.array(np.broadcast_to(array, (n_components, *array.shape[1:])))


class AlongColumns(Decomposed):
    """VEI and EVI: variances (K, d) of independent columns."""

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        volumes = None if current is None else np.exp(np.log(current).mean(axis=1))
        return self.spectra(counts, scatter, volumes)

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        return self.pack_spectra(covariances, unconstrained)

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        return self.unpack_spectra(vector, n_components, d, unconstrained)[0]


class Scaled(Decomposed):
    """VEE and EVV: volumes times matrices of determinant 1, in log-Cholesky coordinates.

    These know no axes, so nothing is singular where eigenvalues tie.
    """

    dense: ClassVar[bool] = True

    def m_step(
        self, counts: Array, scatter: Array, prior_dof: float | None, current: Array | None = None
    ) -> Array:
        d = scatter.shape[-1]
        if self.name == "EVV":
            sizes = unit_scales(scatter)
            return scatter / sizes[:, None, None] * (sizes.sum() / counts.sum())
        volumes = np.ones(len(counts)) if current is None else unit_scales(current)

        def given(volumes: Array) -> tuple[Array, Array]:
            common = np.einsum("k,kij->ij", 1.0 / volumes, scatter)
            common = common / unit_scales(common[None])
            try:
                distances = np.trace(np.linalg.solve(common, scatter), axis1=1, axis2=2)
            except np.linalg.LinAlgError:
                raise Degenerate("the scatter of all components is singular") from None
            return common, distances / (d * counts)

        common, volumes = settle(given, volumes)
        return volumes[:, None, None] * common

    def pack(self, covariances: Array, unconstrained: bool, around: Array | None = None) -> Array:
        d = covariances.shape[-1]
        factors = np.linalg.cholesky(covariances)
        logs = np.log(np.diagonal(factors, axis1=1, axis2=2))
        means = logs.mean(axis=1)
        below = factors[:, *np.tril_indices(d, -1)] / np.exp(means)[:, None]
        free = lines(np.hstack([(logs - means[:, None])[:, :-1], below]), self.shape_letter)
        volumes = self.pack_volumes(np.exp(2.0 * means), unconstrained)
        return np.concatenate([volumes, free.ravel()])

    def unpack(
        self,
        vector: Array,
        n_components: int,
        d: int,
        unconstrained: bool,
        around: Array | None = None,
    ) -> Array:
        n_volumes = 1 if self.volume == "E" else n_components
        volumes = self.unpack_volumes(vector[:n_volumes], n_components, unconstrained)
        matrices = 1 if self.shape_letter == "E" else n_components
        free = vector[n_volumes:].reshape(matrices, -1)
        factors = np.zeros((matrices, d, d))
        diagonal = np.arange(d)
        logs = free[:, : d - 1]
        factors[:, diagonal, diagonal] = np.exp(np.column_stack([logs, -logs.sum(axis=1)]))
        factors[:, *np.tril_indices(d, -1)] = free[:, d - 1 :]
        return volumes[:, None, None] * (factors @ factors.transpose(0, 2, 1))


def unit_scales(matrices: Array) -> Array:
    """det^(1/d) of each matrix, shape (K,).

    Raises
    ------
    Degenerate
        If one is not positive.
    """
    signs, logs = np.linalg.slogdet(matrices)
    if (signs <= 0).any() or not np.isfinite(logs).all():
        raise Degenerate(f"the scatter of component {np.argmin(signs)} is singular")
    return np.asarray(np.exp(logs / matrices.shape[-1]))


def settle(given: Callable[[Array], tuple[Array, Array]], volumes: Array) -> tuple[Array, Array]:
    """Alternate between what belongs to the volumes and the volumes that belong to it."""
    for _ in range(MOST_ROUNDS):
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            shapes, better = given(volumes)
        if not ((better > 0) & np.isfinite(better)).all():
            raise Degenerate(f"the volume of component {better.argmin()} is zero or infinite")
        moved = np.abs(np.log(better / volumes)).max()
        volumes = better
        if moved < SETTLED:
            break
    return shapes, volumes


def _equal_equal(counts: Array, squares: Array, volumes: Array | None) -> Array:
    return repeated(_positive(squares.sum(axis=0, keepdims=True)) / counts.sum(), len(counts))


def _varying_equal(counts: Array, squares: Array, volumes: Array | None) -> Array:
    d = squares.shape[1]

    def given(volumes: Array) -> tuple[Array, Array]:
        common = _positive((squares / volumes[:, None]).sum(axis=0))
        common = common / np.exp(np.log(common).mean())
        return common, (squares / common).sum(axis=1) / (d * counts)

    common, volumes = settle(given, np.ones(len(counts)) if volumes is None else volumes)
    with np.errstate(over="ignore"):
        return _positive(volumes[:, None] * common)


def _equal_varying(counts: Array, squares: Array, volumes: Array | None) -> Array:
    sizes = np.exp(np.log(_positive(squares)).mean(axis=1))
    return squares / sizes[:, None] * (sizes.sum() / counts.sum())


def _varying_varying(counts: Array, squares: Array, volumes: Array | None) -> Array:
    return _positive(squares) / counts[:, None]


def _positive(squares: Array) -> Array:
    if not ((squares > 0) & np.isfinite(squares)).all():
        raise Degenerate("the scatter of a component is singular")
    return squares


LAWS = {
    "EE": _equal_equal,
    "VE": _varying_equal,
    "EV": _equal_varying,
    "VV": _varying_varying,
}
"""M-steps of variances along given axes, by the letters of volume and shape."""

VEI, EVI = AlongColumns("VEI"), AlongColumns("EVI")
VEE, EVV = Scaled("VEE"), Scaled("EVV")
