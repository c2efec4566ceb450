"""Gaussian mixtures, exact with any pattern of missing cells.

McLachlan and Peel (2000), chapter 3; with holes Ghahramani and Jordan (1994), Little and Rubin
(2019), section 11.2.  Missing cells are integrated out: the loglik is that of the observed cells.
"""

from dataclasses import dataclass, replace
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
    BOUNDS,
    check_collapse,
    eigenvalue_ratio,
    refuse_empty_component,
)
from emlib.models.covariance import COVARIANCES, FULL, ONE_COLUMN, TIED, Covariance
from emlib.models.matching import matched_distance
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.prior import PRIORS, ConjugatePrior
from emlib.models.records import Chunk, Degenerate, Diagnosis, Posteriors, Step
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy
from emlib.models.sums import ComponentSums
from emlib.parallel import add_chunks

Array = NDArray[np.float64]

SPURIOUS_RATIO = 1e-4

CHUNKED = 8_000
"""Rows times components up to which several steps go together: with more, what Python does between
them is little beside the steps that the end of a climb may leave unused."""

ALL = frozenset({"weights", "means", "covariances"})


@dataclass(frozen=True, eq=False)
class GaussianMixtureParams:
    """Weights (K,), means (K, d) and covariances in the shape of their structure:

    (d, d) tied (EEE), (K,) spherical (VII) and EII, (K, d) diag (VVI), EEI, VEI and EVI, and
    (K, d, d) full (VVV) and all others.
    """

    weights: Array
    means: Array
    covariances: Array


@dataclass(frozen=True)
class GaussianMixtureModel(Model):
    """A mixture of ``n_components`` normals.

    Parameters
    ----------
    n_components : int
    covariance_type : str
        "full", "tied", "diag", "spherical", or a code of mclust: see ``COVARIANCES``.
    prior : {None, "fraley_raftery"}
        A named conjugate prior makes EM ascend the penalized loglik.
    """

    family: ClassVar[str] = "gaussian_mixture"

    n_components: int
    covariance_type: str = "full"
    prior: str | ConjugatePrior | None = None

    def __post_init__(self) -> None:
        require_count("n_components", self.n_components)
        if self.covariance_type not in COVARIANCES:
            allowed = ", ".join(COVARIANCES)
            raise ValueError(f"covariance_type: {self.covariance_type!r} is not one of {allowed}")
        if not isinstance(self.prior, ConjugatePrior | str | None) or (
            isinstance(self.prior, str) and self.prior not in PRIORS
        ):
            raise ValueError(f"prior: {self.prior!r} is not one of {', '.join(PRIORS)}")
        if self.prior is not None and not self.structure.conjugate:
            able = ", ".join(name for name, other in COVARIANCES.items() if other.conjugate)
            raise ValueError(
                f"prior: covariance_type {self.covariance_type} has no conjugate prior; "
                f"with a prior it is one of {able}"
            )

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(ALL),)

    @property
    def structure(self) -> Covariance:
        """The covariance structure."""
        return COVARIANCES[self.covariance_type]

    @property
    def penalized(self) -> bool:
        return self.prior is not None

    def n_parameters(self, data: Table) -> int:
        k, d = self.n_components, data.d
        return k - 1 + k * d + self.structure.n_free(k, d)

    def prepare(self, data: Table) -> "GaussianMixtureModel":
        """Check the data and resolve a named prior; see ``Model.prepare``."""
        if self.covariance_type in ONE_COLUMN and data.d != 1:
            raise InvalidData(
                f"covariance_type {self.covariance_type} is for one column, not for {data.d}"
            )
        refuse_few(data, self.n_components)
        refuse_empty(data)
        refuse_constant(data)
        if isinstance(self.prior, str):
            resolved = ConjugatePrior.fraley_raftery(data, self.n_components, self.structure.dense)
            return replace(self, prior=resolved)
        return self

    def e_step(
        self, params: GaussianMixtureParams, data: Table, posterior: Posterior = EXACT
    ) -> ComponentSums:
        means = np.ascontiguousarray(params.means)
        spread = self._spread(params)
        noise = posterior.uniforms(data.n)

        def sums(groups: NDArray[np.int64]) -> tuple[Any, ...]:
            return self._pass(params.weights, means, spread, data, groups, posterior.beta, noise)

        counts, first, second, loglik, magnitude = add_chunks(sums, data.chunks)
        magnitude += self.structure.rounding(counts, params.covariances)
        return ComponentSums(counts, means, first, second, loglik, magnitude)

    def _pass(
        self, weights: Array, means: Array, spread: Array, data: Table, groups: NDArray[np.int64],
        beta: float, uniforms: Array,
    ) -> tuple[Any, ...]:  # fmt: skip
        """The E-step of some rows: counts, first and second moments, loglik and magnitude."""
        from emlib.kernels.gaussian import dense_pass
        from emlib.kernels.gaussian_diagonal import diagonal_pass
        from emlib.kernels.gaussian_em import logs

        arguments = (
            data.values, data.weights, data.order, groups, data.columns_of_pattern,
            data.observed_counts, logs(weights), means, spread, beta, uniforms,
        )  # fmt: skip
        if not self.structure.dense:
            return tuple(diagonal_pass(*arguments))
        *sums, singular = dense_pass(*arguments)
        if singular >= 0:
            raise singular_covariance(singular)
        return tuple(sums)

    def m_step(
        self,
        stats: ComponentSums,
        params: GaussianMixtureParams,
        free: frozenset[str] | None = None,
    ) -> GaussianMixtureParams:
        free = ALL if free is None else free
        counts, prior = stats.counts, self._prior
        if free == ALL and self._compiled:
            found = self._dense_m_step(stats)
            if found is not None:
                return found
        refuse_empty_component(counts)
        weights = counts / counts.sum() if "weights" in free else params.weights
        means = params.means
        if "means" in free:
            shift = stats.first / counts[:, None]
            means = stats.reference + shift
            if prior is not None:
                share = prior.shrinkage / (counts + prior.shrinkage)
                means = means + share[:, None] * (prior.mean - means)
        covariances = params.covariances
        if "covariances" in free:
            scatter = stats.about(means).second
            if prior is not None:
                scatter = prior.add_to(scatter, means, self.structure)
            dof = None if prior is None else prior.dof
            covariances = self.structure.m_step(counts, scatter, dof, params.covariances)
            check_collapse(self.structure, weights, covariances, means)
        return GaussianMixtureParams(weights, means, covariances)

    def em_chunk(
        self, params: GaussianMixtureParams, stats: ComponentSums, data: Table, n_steps: int
    ) -> Chunk | None:
        """Whole steps with free full or tied covariances; see ``Model.em_chunk``.

        A subclass may have steps of its own, which these are not.
        """
        few = data.n * self.n_components <= CHUNKED
        if not few or not self._compiled or type(self) is not GaussianMixtureModel:
            return None
        from emlib.kernels.gaussian_em import dense_em

        tied = self.structure is TIED
        done, weights, means, covariances, counts, first, second, logliks, magnitudes = dense_em(
            data.values, data.weights, data.order, data.groups, data.columns_of_pattern,
            data.observed_counts, *self._sums(stats), n_steps, tied, *BOUNDS,
        )  # fmt: skip

        def params_of(i: int) -> GaussianMixtureParams:
            matrices = covariances[i, 0] if tied else covariances[i]
            return GaussianMixtureParams(weights[i], means[i], matrices)

        def stats_of(i: int) -> ComponentSums:
            return ComponentSums(
                counts[i], means[i], first[i], second[i], float(logliks[i]), float(magnitudes[i])
            )

        return Chunk(logliks[:done].tolist(), magnitudes[:done].tolist(), params_of, stats_of)

    @property
    def _compiled(self) -> bool:
        return self.prior is None and self.structure in (FULL, TIED)

    def _sums(self, stats: ComponentSums) -> tuple[Array, Array, Array, Array]:
        return stats.counts, stats.reference, stats.first, stats.second

    def _dense_m_step(self, stats: ComponentSums) -> GaussianMixtureParams | None:
        """Free full or tied covariances; None where something collapsed, which then is named."""
        from emlib.kernels.gaussian_em import SOUND, dense_m_step

        tied = self.structure is TIED
        weights, means, covariances, end = dense_m_step(*self._sums(stats), tied, *BOUNDS)
        if end != SOUND:
            return None
        return GaussianMixtureParams(weights, means, covariances[0] if tied else covariances)

    def q(self, stats: ComponentSums, params: GaussianMixtureParams) -> float:
        """McLachlan and Peel (2000), equation 2.20, with expectations over missing cells too."""
        second = stats.about(params.means).second
        shares = xlogy(stats.counts, params.weights).sum()
        if self.structure.dense:
            full = self.full_covariances(params)
            log_det = np.linalg.slogdet(full)[1]
            distance = np.trace(np.linalg.solve(full, second), axis1=1, axis2=2)
        else:
            variances = self._variances(params)
            log_det = np.log(variances).sum(axis=1)
            distance = (second / variances).sum(axis=1)
        return float(shares - 0.5 * (stats.counts @ log_det + distance.sum()))

    def log_prior(self, params: GaussianMixtureParams) -> float:
        if self._prior is None:
            return 0.0
        return self._prior.log_density(params.means, params.covariances, self.structure)

    def start(self, data: Table, responsibilities: Array) -> GaussianMixtureParams:
        """Available-case means, and covariances shrunk to the pooled one.

        Each scatter matrix is pooled with d + 1 rows' worth of the within-component covariance,
        which itself takes one row's worth of the columns' total variances, so that a component
        of one row has a sound start.
        """
        counts, means, scatters, variances = component_moments(data, responsibilities)
        total, d = counts.sum(), data.d
        pooled = (scatters.sum(axis=0) + np.diag(variances)) / (total + 1.0)
        full = (scatters + (d + 1.0) * pooled) / (counts + d + 1.0)[:, None, None]
        weights = (counts + 1.0 / self.n_components) / (total + 1.0)
        return GaussianMixtureParams(weights, means, self.structure.from_full(weights, full))

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return truth.keys() >= ALL and len(truth["weights"]) == self.n_components

    def from_truth(self, truth: dict[str, Any]) -> GaussianMixtureParams:
        """A generator's weights, means and covariances (K, d, d), projected to the structure."""
        weights = np.asarray(truth["weights"], dtype=float)
        covariances = self.structure.from_full(weights, np.asarray(truth["covariances"]))
        return GaussianMixtureParams(weights, np.asarray(truth["means"]), covariances)

    def posterior(self, params: GaussianMixtureParams, data: Table) -> Posteriors:
        from emlib.kernels.gaussian import row_posteriors

        *rows, singular = row_posteriors(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            log(params.weights), np.ascontiguousarray(params.means), self.full_covariances(params),
        )  # fmt: skip
        if singular >= 0:
            raise singular_covariance(singular)
        return Posteriors(*rows)

    def full_covariances(self, params: GaussianMixtureParams) -> Array:
        """Covariance matrices of all components, shape (K, d, d)."""
        return self.structure.full(params.covariances, *params.means.shape)

    def sample(
        self, params: GaussianMixtureParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows; returns them (n, d) and their components (n,)."""
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        factors = np.linalg.cholesky(self.full_covariances(params))
        noise = rng.standard_normal((n, params.means.shape[1]))
        return params.means[labels] + np.einsum("nij,nj->ni", factors[labels], noise), labels

    def diagnose(self, params: GaussianMixtureParams, stats: ComponentSums) -> Diagnosis:
        """``spurious``: fewer than 2 d effective rows, or an eigenvalue ratio below 1e-4."""
        ratio = eigenvalue_ratio(self.structure, params.weights, params.covariances)
        smallest = float(stats.counts.min())
        spurious = smallest < 2 * params.means.shape[1] or ratio < SPURIOUS_RATIO
        return Diagnosis(("spurious",) if spurious else (), ratio, smallest)

    def parameter_error(self, params: GaussianMixtureParams, truth: dict[str, Any]) -> float:
        """Root mean square distance of the means; see ``matched_distance``."""
        return matched_distance(params.means, truth["means"], truth["covariances"])

    def complete(
        self, params: GaussianMixtureParams, data: Table, rng: np.random.Generator
    ) -> Array:
        """Draw components from their posterior, then cells from the conditional normal.

        By Matheron's rule: a row drawn from the component is moved as its conditional
        expectation moves when the observed cells take their values.
        """
        from emlib.kernels.gaussian import conditional_draws

        whiten, _, _ = factored(self.full_covariances(params), data)
        responsibilities = self.posterior(params, data).responsibilities
        labels = draw_labels(responsibilities, params.weights, rng)
        factors = np.linalg.cholesky(self.full_covariances(params))
        noise = rng.standard_normal((data.n, data.d))
        simulated = params.means[labels] + np.einsum("nij,nj->ni", factors[labels], noise)
        return conditional_draws(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            simulated, labels, whiten,
        )  # fmt: skip

    def pack(
        self,
        params: GaussianMixtureParams,
        coordinates: str = "natural",
        around: GaussianMixtureParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        centre = params if around is None else around
        return np.concatenate([
            pack_simplex(params.weights, unconstrained, centre.weights),
            params.means.ravel(),
            self.structure.pack(params.covariances, unconstrained, centre.covariances),
        ])  # fmt: skip

    def unpack(
        self, vector: Array, around: GaussianMixtureParams, coordinates: str = "natural"
    ) -> GaussianMixtureParams:
        unconstrained = is_unconstrained(coordinates)
        k, d = around.means.shape
        weights, means, covariances = np.split(vector, [k - 1, k - 1 + k * d])
        return GaussianMixtureParams(
            unpack_simplex(weights, around.weights, unconstrained),
            means.reshape(k, d),
            self.structure.unpack(covariances, k, d, unconstrained, around.covariances),
        )

    @property
    def _prior(self) -> ConjugatePrior | None:
        if isinstance(self.prior, str):
            raise RuntimeError("a named prior is resolved by prepare(data) first")
        return self.prior

    def _variances(self, params: GaussianMixtureParams) -> Array:
        variances = params.covariances
        if variances.ndim == 1:
            variances = np.repeat(variances[:, None], params.means.shape[1], axis=1)
        return np.ascontiguousarray(variances)

    def _spread(self, params: GaussianMixtureParams) -> Array:
        """Covariances (C, d, d), one for all where they are tied; or variances (K, d)."""
        if not self.structure.dense:
            return self._variances(params)
        d = params.means.shape[1]
        return np.ascontiguousarray(params.covariances.reshape(-1, d, d))


def factored(covariances: Array, data: Table) -> tuple[Array, Array, Array]:
    """Whitening, conditional covariances and log norms by pattern; see ``factor_patterns``.

    Raises
    ------
    Degenerate
        If a covariance is singular.
    """
    from emlib.kernels.gaussian import factor_patterns

    whiten, conditional, log_norm, singular = factor_patterns(
        np.ascontiguousarray(covariances), data.columns_of_pattern, data.observed_counts
    )
    if singular >= 0:
        raise singular_covariance(singular)
    return whiten, conditional, log_norm


def singular_covariance(k: int) -> Degenerate:
    """What is wrong with parameters whose component ``k`` has no density."""
    return Degenerate(f"the covariance of component {k} is singular")
