"""Mixtures of multivariate t distributions, exact with any pattern of missing cells.

Peel and McLachlan (2000), Statistics and Computing 10, 339-348; McLachlan and Peel (2000), chapter
7; one component with holes: Lange, Little and Taylor (1989), JASA 84, 881-896, and Liu and Rubin
(1995), Statistica Sinica 5, 19-39.  A row of component k is normal with covariance Sigma_k / u,
where u is gamma(dof_k / 2, dof_k / 2); u and the missing cells are integrated out.  Degrees of
freedom that are estimated take an ECME step of their own, on the observed likelihood.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.models.base import Model, is_unconstrained
from emlib.models.collapse import NO_SIZE, check_collapse, refuse_empty_component
from emlib.models.covariance import Covariance
from emlib.models.dofs import (
    DofSetting,
    Evaluate,
    TailPass,
    check_dofs,
    excess_slopes,
    log_excess,
    log_precision,
    q_of_dofs,
)
from emlib.models.gaussian_mixture import (
    GaussianMixtureModel,
    GaussianMixtureParams,
    factored,
)
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step
from emlib.models.simplex import log
from emlib.models.special import xlogy
from emlib.models.student_sums import StudentSums
from emlib.models.sums import ComponentSums
from emlib.parallel import add_chunks

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StudentMixtureParams:
    """Weights (K,), locations (K, d), scatter matrices as the structure has them, dofs (K,).

    Infinite degrees of freedom make a component normal.
    """

    weights: Array
    means: Array
    covariances: Array
    dofs: Array


@dataclass(frozen=True)
class StudentMixtureModel(DofSetting, Model):
    """A mixture of ``n_components`` multivariate t distributions.

    Parameters
    ----------
    n_components : int
    covariance_type : str
        Structure of the scatter matrices, as in ``GaussianMixtureModel``.
    dofs : {"each", "common"}, float or list of float
        Degrees of freedom: estimated, one each or one for all; or given.
    """

    family: ClassVar[str] = "student_mixture"

    n_components: int
    covariance_type: str = "full"
    dofs: str | float | Sequence[float] = "each"

    def __post_init__(self) -> None:
        GaussianMixtureModel(self.n_components, self.covariance_type)
        object.__setattr__(self, "dofs", check_dofs(self.dofs, self.n_components))

    @property
    def cycle(self) -> tuple[Step, ...]:
        normal = Step(frozenset({"weights", "means", "covariances"}))
        if not self.estimates_dofs:
            return (normal,)
        return normal, Step(frozenset({"dofs"}), maximizes="loglik")

    @property
    def normal(self) -> GaussianMixtureModel:
        """The mixture of normals with the same weights, locations and scatter matrices."""
        return GaussianMixtureModel(self.n_components, self.covariance_type)

    @property
    def structure(self) -> Covariance:
        """The structure of the scatter matrices."""
        return self.normal.structure

    def n_parameters(self, data: Table) -> int:
        return self.normal.n_parameters(data) + self.n_dofs

    def prepare(self, data: Table) -> "StudentMixtureModel":
        """Check the data; see ``Model.prepare``."""
        self.normal.prepare(data)
        return self

    def e_step(
        self, params: StudentMixtureParams, data: Table, posterior: Posterior = EXACT
    ) -> StudentSums:
        from emlib.kernels.student import student_pass

        whiten, conditional, log_norm = self._factor(params, data)
        tails, m = 1.0 / params.dofs, _observed(data)
        means = np.ascontiguousarray(params.means)
        arguments = (
            log(params.weights), means, tails, whiten, conditional,
            log_norm + log_excess(tails, m), log_precision(tails, m), posterior.beta,
            posterior.uniforms(data.n),
        )  # fmt: skip
        counts, precisions, logs, first, second, loglik, magnitude = add_chunks(
            lambda groups: student_pass(*_view(data, groups), *arguments), data.chunks
        )
        if not self.structure.dense:
            second = np.diagonal(second, axis1=1, axis2=2).copy()
        magnitude += self.structure.rounding(precisions, params.covariances)
        weighted = ComponentSums(precisions, means, first, second, loglik, magnitude)
        return StudentSums(counts, logs, weighted)

    def m_step(
        self,
        stats: StudentSums,
        params: StudentMixtureParams,
        free: frozenset[str] | None = None,
    ) -> StudentMixtureParams:
        """McLachlan and Peel (2000), equations 7.19 to 7.24."""
        counts, sums = stats.counts, stats.weighted
        refuse_empty_component(counts)
        weights, means, covariances = params.weights, params.means, params.covariances
        if free is None or "weights" in free:
            weights = counts / counts.sum()
        if free is None or "means" in free:
            means = sums.reference + sums.first / sums.counts[:, None]
        if free is None or "covariances" in free:
            scatter = sums.about(means).second
            covariances = self.structure.m_step(counts, scatter, None, covariances)
            check_collapse(self.structure, weights, covariances)
        dofs = params.dofs
        if self.estimates_dofs and (free is None or "dofs" in free):
            dofs = self.dofs_of_gamma(counts, sums.counts, stats.log_precisions)
        return StudentMixtureParams(weights, means, covariances, dofs)

    def tail_passes(self, params: StudentMixtureParams, data: Table) -> Evaluate:
        from emlib.kernels.student import tail_pass

        whiten, _, log_norm = self._factor(params, data)
        means, m = np.ascontiguousarray(params.means), _observed(data)

        def evaluate(tails: Array) -> TailPass:
            arguments = (
                log(params.weights), means, tails, whiten, log_norm + log_excess(tails, m),
                *excess_slopes(tails, m),
            )  # fmt: skip
            return TailPass(*add_chunks(
                lambda groups: tail_pass(*_view(data, groups), *arguments), data.chunks
            ))  # fmt: skip

        return evaluate

    def q(self, stats: StudentSums, params: StudentMixtureParams) -> float:
        """McLachlan and Peel (2000), equations 7.14 to 7.17."""
        counts, sums = stats.counts, stats.weighted
        k, d = params.means.shape
        full = self.structure.full(params.covariances, k, d)
        second = sums.about(params.means).second
        if second.ndim == 2:
            second = second[:, :, None] * np.eye(d)
        distances = np.trace(np.linalg.solve(full, second), axis1=1, axis2=2)
        total = xlogy(counts, params.weights).sum()
        total -= 0.5 * (counts @ np.linalg.slogdet(full)[1] + distances.sum())
        return float(total) + q_of_dofs(params.dofs, counts, sums.counts, stats.log_precisions)

    def start(self, data: Table, responsibilities: Array) -> StudentMixtureParams:
        """As of normals, with degrees of freedom that EM can move from where they are free."""
        return self._with_dofs(self.normal.start(data, responsibilities), self.starting_dofs)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return self.normal.accepts_truth(truth)

    def from_truth(self, truth: dict[str, Any]) -> StudentMixtureParams:
        """A generator's parameters; dofs that the model is given stay."""
        free = self.estimates_dofs and "dofs" in truth
        dofs = np.asarray(truth["dofs"], dtype=np.float64) if free else self.starting_dofs
        return self._with_dofs(self.normal.from_truth(truth), dofs)

    def posterior(self, params: StudentMixtureParams, data: Table) -> Posteriors:
        return Posteriors(*self._rows(params, data)[0][:3])

    def sample(
        self, params: StudentMixtureParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows; returns them (n, d) and their components (n,)."""
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        return self._drawn(params, labels, _precisions(params.dofs[labels], 0.0, 0.0, rng), rng)

    def complete(
        self, params: StudentMixtureParams, data: Table, rng: np.random.Generator
    ) -> Array:
        """Draw components and precisions from their posterior, then cells as of normals."""
        from emlib.kernels.gaussian import conditional_draws

        (_, responsibilities, _, distances), whiten = self._rows(params, data)
        labels = draw_labels(responsibilities, params.weights, rng)
        observed, distance = data.observed.sum(axis=1), distances[np.arange(data.n), labels]
        precisions = _precisions(params.dofs[labels], observed, distance, rng)
        simulated, _ = self._drawn(params, labels, precisions, rng)
        return conditional_draws(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            simulated, labels, whiten,
        )  # fmt: skip

    def diagnose(self, params: StudentMixtureParams, stats: StudentSums) -> Diagnosis:
        """As of normals; ``boundary`` where an estimated dof is infinite."""
        normal = self.normal.diagnose(params, stats)  # type: ignore[arg-type]
        if self.estimates_dofs and np.isinf(params.dofs).any():
            return Diagnosis((*normal.flags, "boundary"), *list(vars(normal).values())[1:])
        return normal

    def parameter_error(self, params: StudentMixtureParams, truth: dict[str, Any]) -> float:
        """Root mean square distance of the locations; see ``matched_distance``."""
        return self.normal.parameter_error(params, truth)  # type: ignore[arg-type]

    def pack(
        self,
        params: StudentMixtureParams,
        coordinates: str = "natural",
        around: StudentMixtureParams | None = None,
    ) -> Array:
        """As of normals; then 1 / dof, or minus log dof, of those that are estimated."""
        normal = self.normal.pack(params, coordinates, around)  # type: ignore[arg-type]
        tail = self.pack_dofs(params.dofs, is_unconstrained(coordinates))
        return np.concatenate([normal, tail])

    def unpack(
        self, vector: Array, around: StudentMixtureParams, coordinates: str = "natural"
    ) -> StudentMixtureParams:
        normal, tail = np.split(vector, [len(vector) - self.n_dofs])
        dofs = self.unpack_dofs(tail, around.dofs, is_unconstrained(coordinates))
        return self._with_dofs(
            self.normal.unpack(normal, around, coordinates),  # type: ignore[arg-type]
            dofs,
        )

    def _with_dofs(self, normal: GaussianMixtureParams, dofs: Array) -> StudentMixtureParams:
        return StudentMixtureParams(normal.weights, normal.means, normal.covariances, dofs)

    def _factor(self, params: StudentMixtureParams, data: Table) -> tuple[Array, Array, Array]:
        """``factored`` scatter matrices: one for all where it is the same for all.

        Raises
        ------
        Degenerate
            If one is singular, or has no size next to the data.
        """
        if not (params.dofs > 0).all():
            raise Degenerate(f"degrees of freedom {params.dofs} are not positive")
        matrices = params.covariances
        if not self.structure.dense or matrices.ndim != 2:
            matrices = self.structure.full(matrices, *params.means.shape)
        matrices = matrices.reshape(-1, data.d, data.d)
        sizes = np.diagonal(matrices, axis1=1, axis2=2)
        if (sizes < NO_SIZE * data.column_moments[1]).any():
            k = int((sizes / data.column_moments[1]).min(axis=1).argmin())
            raise Degenerate(f"the scatter of component {k} shrank onto equal values")
        return factored(matrices, data)

    def _rows(
        self, params: StudentMixtureParams, data: Table
    ) -> tuple[tuple[Array, Array, Array, Array], Array]:
        """Logliks, responsibilities, completed rows and distances; and the whitening."""
        from emlib.kernels.student import student_rows

        matrices = self.structure.full(params.covariances, *params.means.shape)
        whiten, _, log_norm = factored(matrices, data)
        tails, m = 1.0 / params.dofs, _observed(data)
        rows = student_rows(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            log(params.weights), np.ascontiguousarray(params.means), tails, whiten,
            log_norm + log_excess(tails, m),
        )  # fmt: skip
        return rows, whiten

    def _drawn(
        self, params: StudentMixtureParams, labels: Any, precisions: Array, rng: Any
    ) -> tuple[Array, NDArray[np.int64]]:
        d = params.means.shape[1]
        full = self.structure.full(params.covariances, *params.means.shape)
        factors = np.linalg.cholesky(full)[labels]
        noise = rng.standard_normal((len(labels), d)) / np.sqrt(precisions)[:, None]
        return params.means[labels] + np.einsum("nij,nj->ni", factors, noise), labels


def _precisions(dofs: Array, observed: Any, distances: Any, rng: np.random.Generator) -> Array:
    """Draw u given the number and the squared distance of the observed cells."""
    finite = np.isfinite(dofs)
    tails = 1.0 / dofs
    mean = (1.0 + observed * tails) / (1.0 + distances * tails)
    shape = 0.5 * (np.where(finite, dofs, 1.0) + observed)
    return np.where(finite, mean * rng.gamma(shape) / shape, 1.0)


def _view(data: Table, groups: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    return (
        data.values, data.weights, data.order, groups,
        data.columns_of_pattern, data.observed_counts,
    )  # fmt: skip


def _observed(data: Table) -> Array:
    """Number of observed cells of each pattern, as a column."""
    return np.asarray(data.observed_counts, dtype=np.float64)[:, None]
