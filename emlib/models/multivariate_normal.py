"""One multivariate normal with any pattern of missing cells: the classic missing-data EM.

Little and Rubin (2019), section 11.2; Schafer (1997), section 5.3.  It is the Gaussian mixture of
one component, whose E-step, M-step and everything else it uses.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.models.base import Model
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from emlib.models.matching import matched_distance
from emlib.models.posterior import EXACT, Posterior
from emlib.models.prior import ConjugatePrior
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step
from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]

ROWS_A_PATTERN = 8
"""With fewer rows a pattern, on average, patterns are factored eight at a time."""

OF_MIXTURE = {"mean": "means", "covariance": "covariances"}


@dataclass(frozen=True, eq=False)
class MultivariateNormalParams:
    """Mean (d,) and covariance (d, d)."""

    mean: Array
    covariance: Array


@dataclass(frozen=True)
class MultivariateNormalModel(Model):
    """A normal with a free covariance matrix.

    Parameters
    ----------
    prior : {None, "fraley_raftery"}
        A named conjugate prior makes EM ascend the penalized loglik, which is bounded.
    """

    family: ClassVar[str] = "multivariate_normal"
    traits: ClassVar[frozenset[str]] = frozenset()
    posteriors: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[tuple[str, ...]] = ("random",)
    n_components: ClassVar[int] = 1  # type: ignore[misc]

    prior: str | ConjugatePrior | None = None

    def __post_init__(self) -> None:
        self._mixture  # noqa: B018 - checks the prior

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(frozenset(OF_MIXTURE)),)

    @property
    def penalized(self) -> bool:
        return self.prior is not None

    def n_parameters(self, data: Table) -> int:
        return self._mixture.n_parameters(data)

    def prepare(self, data: Table) -> "MultivariateNormalModel":
        """Check the data and resolve a named prior; see ``Model.prepare``."""
        return MultivariateNormalModel(self._mixture.prepare(data).prior)

    def e_step(
        self, params: MultivariateNormalParams, data: Table, posterior: Posterior = EXACT
    ) -> ComponentSums:
        with _one_normal():
            if data.n < ROWS_A_PATTERN * len(data.groups):
                return _by_eight_patterns(params, data)
            return self._mixture.e_step(_mixed(params), data, posterior)

    def m_step(
        self,
        stats: ComponentSums,
        params: MultivariateNormalParams,
        free: frozenset[str] | None = None,
    ) -> MultivariateNormalParams:
        names = frozenset(OF_MIXTURE[name] for name in (OF_MIXTURE if free is None else free))
        with _one_normal():
            return _single(self._mixture.m_step(stats, _mixed(params), names))

    def q(self, stats: ComponentSums, params: MultivariateNormalParams) -> float:
        return self._mixture.q(stats, _mixed(params))

    def log_prior(self, params: MultivariateNormalParams) -> float:
        return self._mixture.log_prior(_mixed(params))

    def start(self, data: Table, responsibilities: Array) -> MultivariateNormalParams:
        """Available-case moments, shrunk by a few rows' worth so that the start is sound."""
        return _single(self._mixture.start(data, responsibilities))

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return "mean" in truth and "covariance" in truth

    def from_truth(self, truth: dict[str, Any]) -> MultivariateNormalParams:
        """A generator's mean (d,) and covariance (d, d)."""
        return MultivariateNormalParams(np.asarray(truth["mean"]), np.asarray(truth["covariance"]))

    def posterior(self, params: MultivariateNormalParams, data: Table) -> Posteriors:
        return self._mixture.posterior(_mixed(params), data)._replace(responsibilities=None)

    def complete(
        self, params: MultivariateNormalParams, data: Table, rng: np.random.Generator
    ) -> Array:
        """Draw the missing cells from the conditional normal."""
        return self._mixture.complete(_mixed(params), data, rng)

    def sample(
        self, params: MultivariateNormalParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, None]:
        """Draw n rows (n, d); there are no latent classes."""
        return self._mixture.sample(_mixed(params), n, rng)[0], None

    def diagnose(self, params: MultivariateNormalParams, stats: ComponentSums) -> Diagnosis:
        """No flags: what is spurious in a mixture is an estimate here."""
        return Diagnosis()

    def parameter_error(self, params: MultivariateNormalParams, truth: dict[str, Any]) -> float:
        """Distance of the means in units of the columns' root mean variance."""
        covariance = np.asarray(truth["covariance"])
        return matched_distance(
            params.mean[None], np.asarray(truth["mean"])[None], covariance[None]
        )

    def pack(
        self,
        params: MultivariateNormalParams,
        coordinates: str = "natural",
        around: MultivariateNormalParams | None = None,
    ) -> Array:
        return self._mixture.pack(_mixed(params), coordinates)

    def unpack(
        self, vector: Array, around: MultivariateNormalParams, coordinates: str = "natural"
    ) -> MultivariateNormalParams:
        return _single(self._mixture.unpack(vector, _mixed(around), coordinates))

    @property
    def _mixture(self) -> GaussianMixtureModel:
        return GaussianMixtureModel(1, "full", self.prior)


def _mixed(params: MultivariateNormalParams) -> GaussianMixtureParams:
    return GaussianMixtureParams(np.ones(1), params.mean[None], params.covariance[None])


def _single(params: GaussianMixtureParams) -> MultivariateNormalParams:
    return MultivariateNormalParams(params.means[0], params.covariances[0])


def _by_eight_patterns(params: MultivariateNormalParams, data: Table) -> ComponentSums:
    from emlib.kernels.normal import normal_pass

    mean = np.ascontiguousarray(params.mean)
    counts, first, second, loglik, magnitude, regular = normal_pass(
        data.values, data.weights, data.order, data.groups, data.columns_of_pattern,
        data.observed_counts, mean, np.ascontiguousarray(params.covariance),
    )  # fmt: skip
    if not regular:
        raise Degenerate("the covariance is singular")
    return ComponentSums(counts, mean[None], first, second, loglik, magnitude)


@contextmanager
def _one_normal() -> Iterator[None]:
    """Say of a collapse what it means where there is one component."""
    try:
        yield
    except Degenerate:
        raise Degenerate(
            "the covariance is singular: the likelihood of these data is unbounded"
        ) from None
