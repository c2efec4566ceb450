"""Mixtures of factor analyzers, exact with any pattern of missing cells.

Ghahramani and Hinton (1996); McLachlan and Peel (2000), chapter 8, where each component has its
own noise; with isotropic noise the mixtures of probabilistic principal component analyzers of
Tipping and Bishop (1999), Neural Computation 11, 443-482.  In component k

    x = mu_k + L_k f + e,    f ~ N(0, I_q),    e ~ N(0, Psi_k)

The complete data are component, factors and observed cells: given the factors the cells of a row
are independent, so that missing ones are integrated out by leaving them out.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.data.moments import component_moments
from emlib.errors import InvalidData, require_count
from emlib.models.base import Model, is_unconstrained
from emlib.models.checks import (
    refuse_constant,
    refuse_empty,
    refuse_few,
)
from emlib.models.collapse import (
    DEGENERATE_RATIO,
    check_collapse,
    eigenvalue_ratio,
    refuse_empty_component,
)
from emlib.models.covariance import COVARIANCES
from emlib.models.factor_sums import FactorSums
from emlib.models.gaussian_mixture import SPURIOUS_RATIO
from emlib.models.matching import matched_distance
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.principal import principal_factors
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step
from emlib.models.rotation import (
    canonical,
    checked_mask,
    factor_blocks,
    n_rotations,
    pack_loadings,
    rotatable,
    unpack_loadings,
)
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy
from emlib.parallel import add_chunks

Array = NDArray[np.float64]

NOISES = ("diagonal", "isotropic")
ALL = frozenset({"weights", "means", "loadings", "noise_variances"})

BOUNDARY_SHARE = 1e-3
"""A column whose noise is a smaller share of its variance is a Heywood case."""


@dataclass(frozen=True, eq=False)
class MixtureOfFactorAnalyzersParams:
    """Weights (K,), means (K, d), loadings (K, d, q), noise variances (K, d) or isotropic (K,)."""

    weights: Array
    means: Array
    loadings: Array
    noise_variances: Array


@dataclass(frozen=True)
class MixtureOfFactorAnalyzersModel(Model):
    """A mixture of ``n_components`` factor analyzers with ``n_factors`` factors each.

    Parameters
    ----------
    n_components, n_factors : int
    noise : {"diagonal", "isotropic"}
        One noise variance a component and column, or one a component.
    loadings_mask : sequence of shape (d, n_factors), optional
        False where a loading is held at zero, in every component.
    """

    family: ClassVar[str] = "mixture_of_factor_analyzers"

    n_components: int
    n_factors: int = 1
    noise: str = "diagonal"
    loadings_mask: Sequence[Sequence[bool]] | None = None

    def __post_init__(self) -> None:
        for name in ("n_components", "n_factors"):
            require_count(name, getattr(self, name))
        if self.noise not in NOISES:
            raise ValueError(f"noise: {self.noise!r} is not one of {', '.join(NOISES)}")
        if self.loadings_mask is not None:
            mask = checked_mask(self.loadings_mask, self.n_factors)
            object.__setattr__(self, "loadings_mask", tuple(map(tuple, mask.tolist())))

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(ALL),)

    @property
    def isotropic(self) -> bool:
        """Whether a component has one noise variance for all columns."""
        return self.noise == "isotropic"

    def mask(self, d: int) -> NDArray[np.bool_]:
        """True where a loading is free, shape (d, q)."""
        if self.loadings_mask is None:
            return np.ones((d, self.n_factors), dtype=bool)
        return np.array(self.loadings_mask, dtype=bool)

    def n_parameters(self, data: Table) -> int:
        k, d, mask = self.n_components, data.d, self.mask(data.d)
        free = int(mask.sum()) - n_rotations(factor_blocks(mask))
        return k - 1 + k * (d + free + (1 if self.isotropic else d))

    def prepare(self, data: Table) -> "MixtureOfFactorAnalyzersModel":
        """Check the data; see ``Model.prepare``.

        Rows no more than q + 1 lie in a plane of q dimensions, whatever stands in their holes,
        so that the noise could vanish.
        """
        d, rows = data.d, int(data.informative.sum())
        if self.n_factors > d:
            raise InvalidData(f"n_factors: {self.n_factors} factors of n_features={d} columns")
        if self.loadings_mask is not None and len(self.loadings_mask) != d:
            raise InvalidData(
                f"loadings_mask: {len(self.loadings_mask)} rows for n_features={d} columns"
            )
        refuse_empty(data)
        if rows <= min(self.n_factors + 1, d):
            raise InvalidData(
                f"n_samples={rows} rows with an observed cell: the likelihood of "
                f"{self.n_factors} factors of {d} columns is unbounded"
            )
        refuse_few(data, self.n_components)
        if not self.isotropic:
            refuse_constant(data)
        elif not data.column_moments[1].any():
            raise InvalidData("all columns are constant: the likelihood is unbounded")
        return self

    def e_step(
        self, params: MixtureOfFactorAnalyzersParams, data: Table, posterior: Posterior = EXACT
    ) -> FactorSums:
        from emlib.kernels.factors import factor_pass

        rows = data.summary if self.n_components == 1 else data
        presence = data.summary.presence if self.n_components == 1 else np.ones(data.n)
        arguments = (
            rows.columns_of_pattern, rows.observed_counts, *self._arrays(params), posterior.beta,
            posterior.uniforms(len(rows.values)),
        )  # fmt: skip
        shares, gram, cross, squares, loglik, magnitude = add_chunks(
            lambda groups: factor_pass(
                rows.values, rows.weights, presence, rows.order, groups, *arguments
            ),
            rows.chunks,
        )
        reference = _coefficients(params)
        return FactorSums(shares, reference, gram, cross, squares, loglik, magnitude)

    def m_step(
        self,
        stats: FactorSums,
        params: MixtureOfFactorAnalyzersParams,
        free: frozenset[str] | None = None,
    ) -> MixtureOfFactorAnalyzersParams:
        free = ALL if free is None else free
        shares = stats.shares
        refuse_empty_component(shares)
        weights = shares / shares.sum() if "weights" in free else params.weights
        moving = np.zeros(stats.reference.shape[1:], dtype=bool)
        moving[:, 0] = "means" in free
        if "loadings" in free:
            moving[:, 1:] = self.mask(len(moving))
        fitted = stats.about(_coefficients(params)).regress(moving)
        noise = params.noise_variances
        if "noise_variances" in free:
            squares, counts = fitted.squares, fitted.counts
            if self.isotropic:
                noise = squares.sum(axis=1) / counts.sum(axis=1)
            else:
                seen = counts > 0
                noise = np.where(seen, squares / np.where(seen, counts, 1.0), noise)
        means, loadings = fitted.reference[..., 0], fitted.reference[..., 1:]
        moved = MixtureOfFactorAnalyzersParams(weights, means, loadings, noise)
        if "noise_variances" in free:
            self._check_collapse(moved)
        return moved

    def q(self, stats: FactorSums, params: MixtureOfFactorAnalyzersParams) -> float:
        """Expected log density of components, factors and observed cells."""
        noise = self.noise_by_column(params)
        squares = stats.about(_coefficients(params)).squares
        shares = xlogy(stats.shares, params.weights).sum()
        return float(shares - 0.5 * (stats.counts * np.log(noise) + squares / noise).sum())

    def start(self, data: Table, responsibilities: Array) -> MixtureOfFactorAnalyzersParams:
        """Principal components of each component's available-case covariance.

        In a mixture this takes d + 1 rows' worth of the pooled covariance first, so that a
        component of one row has a sound start.
        """
        counts, means, scatters, variances = component_moments(data, responsibilities)
        total, d, extra = counts.sum(), data.d, 0.0
        if self.n_components > 1:
            extra = d + 1.0
            pooled = (scatters.sum(axis=0) + np.diag(variances)) / (total + 1.0)
            scatters = scatters + extra * pooled
        weights = (counts + 1.0 / self.n_components) / (total + 1.0)
        covariances = scatters / (counts + extra)[:, None, None]
        mask = self.mask(d)
        parts = [principal_factors(matrix, mask, self.isotropic) for matrix in covariances]
        loadings, noise = (np.stack(arrays) for arrays in zip(*parts, strict=True))
        return MixtureOfFactorAnalyzersParams(weights, means, loadings, noise)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        shape = np.shape(truth.get("loadings", ()))
        return len(shape) == 3 and shape[::2] == (self.n_components, self.n_factors)

    def from_truth(self, truth: dict[str, Any]) -> MixtureOfFactorAnalyzersParams:
        """A generator's parameters; isotropic noise is the average of (K, d)."""
        names = ("weights", "means", "loadings", "noise_variances")
        weights, means, loadings, noise = (np.asarray(truth[n], dtype=float) for n in names)
        if self.isotropic and noise.ndim == 2:
            noise = noise.mean(axis=1)
        elif not self.isotropic and noise.ndim == 1:
            noise = np.repeat(noise[:, None], means.shape[1], axis=1)
        loadings = np.where(self.mask(means.shape[1]), loadings, 0.0)
        return MixtureOfFactorAnalyzersParams(weights, means, loadings, noise)

    def posterior(self, params: MixtureOfFactorAnalyzersParams, data: Table) -> Posteriors:
        """Beside the rest, scores: E[f | x], over components too."""
        from emlib.kernels.factors import factor_posteriors

        return Posteriors(*factor_posteriors(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            *self._arrays(params),
        ))  # fmt: skip

    def complete(
        self, params: MixtureOfFactorAnalyzersParams, data: Table, rng: np.random.Generator
    ) -> Array:
        """Draw components from their posterior, factors given these, cells given both."""
        from emlib.kernels.factors import factor_draws

        responsibilities = self.posterior(params, data).responsibilities
        labels = draw_labels(responsibilities, params.weights, rng)
        normals = rng.standard_normal((data.n, self.n_factors + data.d))
        factor_noise, cell_noise = np.split(normals, [self.n_factors], axis=1)
        _, *arrays = self._arrays(params)
        return factor_draws(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            labels, *arrays, np.ascontiguousarray(factor_noise), cell_noise,
        )  # fmt: skip

    def sample(
        self, params: MixtureOfFactorAnalyzersParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows; returns them (n, d) and their components (n,)."""
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        factors = rng.standard_normal((n, self.n_factors))
        noise = rng.standard_normal((n, params.means.shape[1]))
        common = np.einsum("nja,na->nj", params.loadings[labels], factors)
        scale = np.sqrt(self.noise_by_column(params))[labels]
        return params.means[labels] + common + scale * noise, labels

    def noise_by_column(self, params: MixtureOfFactorAnalyzersParams) -> Array:
        """Noise variances of all components and columns, shape (K, d)."""
        noise = params.noise_variances
        if self.isotropic:
            noise = np.repeat(noise[:, None], params.means.shape[1], axis=1)
        return np.ascontiguousarray(noise)

    def covariances(self, params: MixtureOfFactorAnalyzersParams) -> Array:
        """L L' + Psi of all components, shape (K, d, d)."""
        noise = self.noise_by_column(params)
        common = params.loadings @ params.loadings.transpose(0, 2, 1)
        return np.asarray(common + noise[:, :, None] * np.eye(noise.shape[1]))

    def communalities(self, params: MixtureOfFactorAnalyzersParams) -> Array:
        """Share of each column's variance that the factors explain, shape (K, d)."""
        common = (params.loadings**2).sum(axis=2)
        return np.asarray(common / (common + self.noise_by_column(params)))

    def canonical(self, params: MixtureOfFactorAnalyzersParams) -> MixtureOfFactorAnalyzersParams:
        """The same densities with loadings rotated by convention; see ``rotation.canonical``."""
        noise = self.noise_by_column(params)
        pairs = zip(params.loadings, noise, strict=True)
        loadings = [canonical(one, its, self._blocks(noise.shape[1])) for one, its in pairs]
        return MixtureOfFactorAnalyzersParams(
            params.weights, params.means, np.stack(loadings), params.noise_variances
        )

    def diagnose(self, params: MixtureOfFactorAnalyzersParams, stats: FactorSums) -> Diagnosis:
        """Flags of where a climb ended.

        ``boundary``: a noise variance below a thousandth of its column's, a Heywood case; the
        likelihood is bounded there.  ``spurious``: fewer than 2 d effective rows in a component, or
        an eigenvalue below 1e-4 of the pooled covariance's.
        """
        flags = ["boundary"] if self._at_boundary(params).any() else []
        if self.n_components == 1:
            return Diagnosis(tuple(flags))
        ratio = eigenvalue_ratio(COVARIANCES["full"], params.weights, self.covariances(params))
        smallest = float(stats.shares.min())
        if smallest < 2 * params.means.shape[1] or ratio < SPURIOUS_RATIO:
            flags.append("spurious")
        return Diagnosis(tuple(flags), ratio, smallest)

    def parameter_error(
        self, params: MixtureOfFactorAnalyzersParams, truth: dict[str, Any]
    ) -> float:
        """Root mean square distance of the means; see ``matched_distance``."""
        true = self.from_truth(truth)
        return matched_distance(params.means, true.means, self.covariances(true))

    def functionals(self, params: MixtureOfFactorAnalyzersParams) -> dict[str, Array]:
        return {**super().functionals(params), "communalities": self.communalities(params)}

    def not_identified(
        self, params: MixtureOfFactorAnalyzersParams
    ) -> dict[str, NDArray[np.bool_]]:
        """Loadings that a rotation moves."""
        k, d, _ = params.loadings.shape
        return {"loadings": np.stack([rotatable(self.mask(d))] * k)}

    def pack(
        self,
        params: MixtureOfFactorAnalyzersParams,
        coordinates: str = "natural",
        around: MixtureOfFactorAnalyzersParams | None = None,
    ) -> Array:
        """Weights, means, loadings up to rotation, noise; Heywood cases are frozen."""
        unconstrained, around = is_unconstrained(coordinates), around or params
        blocks = self._blocks(params.means.shape[1])
        pairs = zip(params.loadings, around.loadings, strict=True)
        noise = params.noise_variances
        if unconstrained:
            noise = np.where(self._at_boundary(around), -np.inf, np.log(noise))
        return np.concatenate([
            pack_simplex(params.weights, unconstrained, around.weights),
            params.means.ravel(),
            *(pack_loadings(one, blocks, centre) for one, centre in pairs),
            noise.ravel(),
        ])  # fmt: skip

    def unpack(
        self, vector: Array, around: MixtureOfFactorAnalyzersParams, coordinates: str = "natural"
    ) -> MixtureOfFactorAnalyzersParams:
        unconstrained = is_unconstrained(coordinates)
        k, d = around.means.shape
        blocks, shape = self._blocks(d), around.noise_variances.shape
        n_noise = int(np.prod(shape))
        weights, means, loadings, noise = np.split(
            vector, [k - 1, k - 1 + k * d, len(vector) - n_noise]
        )
        noise = noise.reshape(shape)
        if unconstrained:
            noise = np.where(np.isneginf(noise), around.noise_variances, np.exp(noise))
        pairs = zip(loadings.reshape(k, -1), around.loadings, strict=True)
        return MixtureOfFactorAnalyzersParams(
            unpack_simplex(weights, around.weights, unconstrained),
            means.reshape(k, d),
            np.stack([unpack_loadings(one, blocks, centre) for one, centre in pairs]),
            noise,
        )

    def _blocks(self, d: int) -> list[Any]:
        return factor_blocks(self.mask(d))

    def _at_boundary(self, params: MixtureOfFactorAnalyzersParams) -> NDArray[np.bool_]:
        """Noise variances that are Heywood cases, of the shape of these."""
        if self.isotropic:
            return np.zeros(params.noise_variances.shape, dtype=bool)
        return 1.0 - self.communalities(params) < BOUNDARY_SHARE

    def _arrays(self, params: MixtureOfFactorAnalyzersParams) -> tuple[Array, ...]:
        noise = self.noise_by_column(params)
        if not (noise > 0).all():
            k, j = np.argwhere(~(noise > 0))[0]
            raise Degenerate(f"component {k}, column {j}: the noise variance is {noise[k, j]!r}")
        means, loadings = map(np.ascontiguousarray, (params.means, params.loadings))
        return log(params.weights), means, loadings, noise

    def _check_collapse(self, params: MixtureOfFactorAnalyzersParams) -> None:
        """Raise ``Degenerate`` where a covariance is singular, relative to the pooled one.

        No relative eigenvalue is below the smallest noise share over d, so that matrices are
        made near a collapse only.  A vanishing noise variance alone is none (Heywood).
        """
        common = (params.loadings**2).sum(axis=2)
        noise = self.noise_by_column(params)
        pooled = params.weights @ (common + noise)
        if self.isotropic:
            smallest = params.noise_variances / pooled.mean()
            if not smallest.min() > DEGENERATE_RATIO:
                raise Degenerate(f"the noise variance of component {smallest.argmin()} collapsed")
        elif not (noise > noise.shape[1] * DEGENERATE_RATIO * pooled).all():
            check_collapse(COVARIANCES["full"], params.weights, self.covariances(params))


def _coefficients(params: MixtureOfFactorAnalyzersParams) -> Array:
    return np.concatenate([params.means[..., None], params.loadings], axis=-1)
