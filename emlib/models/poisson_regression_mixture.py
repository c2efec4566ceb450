"""Mixtures of Poisson regressions with log links; counts may be missing.

Wedel, DeSarbo, Bult and Ramaswamy (1993), Journal of Applied Econometrics 8, 397-411; Gruen and
Leisch (2008), flexmix.  Given the covariates and its component each count is Poisson, independent
of the others, so a missing one takes no part.  A Poisson regression has no sums that would do for
all coefficients, so the statistics keep the rows with their responsibilities, and the M-step takes
one Newton step that is halved until Q rises (generalized EM).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Regression
from emlib.data.count_regression import CountRegression
from emlib.errors import InvalidData, require_count
from emlib.models.base import Model, is_unconstrained
from emlib.models.checks import require_whole
from emlib.models.collapse import refuse_empty_component
from emlib.models.lines import poisson_step, sampled_covariates
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.records import Diagnosis, Posteriors, Step
from emlib.models.regressions import (
    check_design,
    line_error,
    lines_at,
    means_at,
    posteriors_of,
    started_lines,
)
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy

Array = NDArray[np.float64]

ALL = frozenset({"weights", "intercept", "coef"})


@dataclass(frozen=True, eq=False)
class PoissonRegressionMixtureParams:
    """Weights (K,), and log rates intercept (K, d) + coef (K, d, p) @ covariates."""

    weights: Array
    intercept: Array
    coef: Array


@dataclass(frozen=True, eq=False)
class CountSums:
    """The rows, and how much of each belongs to each component.

    Attributes
    ----------
    shares : ndarray of shape (n, K)
        Weight times responsibility, 0 for rows without a count.
    totals, seen : ndarray of shape (n, d)
        Counts, 0 where missing; and 1 where seen.
    design : ndarray of shape (n, 1 + p)
        A column of ones, and the covariates about ``origin`` (p,).
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks.
    """

    shares: Array
    totals: Array
    seen: Array
    design: Array
    origin: Array
    loglik: float
    magnitude: float

    def __add__(self, other: "CountSums") -> "CountSums":
        turn = np.eye(1 + len(self.origin))
        turn[0, 1:] = other.origin - self.origin
        return CountSums(
            np.concatenate([self.shares, other.shares]),
            np.concatenate([self.totals, other.totals]),
            np.concatenate([self.seen, other.seen]),
            np.concatenate([self.design, other.design @ turn]),
            self.origin,
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )


@dataclass(frozen=True)
class PoissonRegressionMixtureModel(Model):
    """A mixture of ``n_components`` Poisson regressions.

    Parameters
    ----------
    n_components : int
    """

    family: ClassVar[str] = "poisson_regression_mixture"
    needs: ClassVar[tuple[str, ...]] = ("covariates",)
    search: ClassVar[tuple[str, ...]] = ("random", "short_em", "points")
    sums: ClassVar[frozenset[str]] = frozenset({"mixed"})  # they are the rows: averages would grow

    n_components: int

    def __post_init__(self) -> None:
        require_count("n_components", self.n_components)

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(ALL),)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> CountRegression:
        return CountRegression.from_arrays(values, extras.get("covariates"), weights)

    def n_parameters(self, data: Regression) -> int:
        k, p = self.n_components, data.covariates.shape[1]
        return k - 1 + k * data.d * (1 + p)

    def check_cells(self, data: CountRegression) -> None:
        require_whole(data)

    def prepare(self, data: CountRegression) -> "PoissonRegressionMixtureModel":
        """Check that cells are counts and that one regression of each exists; see ``Model``."""
        self.check_cells(data)
        check_design(data, self.n_components)
        empty = ~(data.observed & (data.values > 0) & (data.weights > 0)[:, None]).any(axis=0)
        if empty.any():
            raise InvalidData(f"response {empty.argmax()} has no count above zero: its rate is 0")
        return self

    def e_step(
        self,
        params: PoissonRegressionMixtureParams,
        data: CountRegression,
        posterior: Posterior = EXACT,
    ) -> CountSums:
        from emlib.kernels.regression import poisson_rows

        coef, origin = np.ascontiguousarray(params.coef), data.covariate_means
        shares, loglik, magnitude = poisson_rows(
            data.values, data.weights, data.covariates, origin, data.order, data.groups,
            data.columns_of_pattern, data.observed_counts, log(params.weights),
            params.intercept + coef @ origin, coef, data.log_factorials, posterior.beta,
            posterior.uniforms(data.n),
        )  # fmt: skip
        totals = np.where(data.observed, data.values, 0.0)
        seen = data.observed.astype(np.float64)
        return CountSums(shares, totals, seen, data.design, origin, loglik, magnitude)

    def m_step(
        self,
        stats: CountSums,
        params: PoissonRegressionMixtureParams,
        free: frozenset[str] | None = None,
    ) -> PoissonRegressionMixtureParams:
        """One Newton step a line; then its height, and the weights, in closed form."""
        free = ALL if free is None else free
        counts = stats.shares.sum(axis=0)
        refuse_empty_component(counts)
        weights = counts / counts.sum() if "weights" in free else params.weights
        intercept, coef = params.intercept.copy(), params.coef.copy()
        shares = np.ascontiguousarray(stats.shares.T)
        for k, j in np.ndindex(*intercept.shape):
            cells, totals = shares[k] * stats.seen[:, j], shares[k] * stats.totals[:, j]
            if totals.any() and np.isfinite(intercept[k, j]):
                intercept[k, j], coef[k, j] = poisson_step(
                    totals, cells, stats.design, stats.origin, float(intercept[k, j]), coef[k, j],
                    free,
                )  # fmt: skip
            elif "intercept" in free:  # nothing but zeros: the rate is 0, whatever the slopes
                intercept[k, j] = -np.inf
        return PoissonRegressionMixtureParams(weights, intercept, coef)

    def q(self, stats: CountSums, params: PoissonRegressionMixtureParams) -> float:
        total = float(xlogy(stats.shares.sum(axis=0), params.weights).sum())
        heights = params.intercept + params.coef @ stats.origin
        log_rates = heights + np.einsum("np,kdp->nkd", stats.design[:, 1:], params.coef)
        for k in range(self.n_components):
            rates = np.exp(log_rates[:, k])
            above = np.where(stats.totals > 0, log_rates[:, k], 0.0)
            terms = np.where(
                stats.shares[:, k, None] > 0, stats.totals * above - stats.seen * rates, 0.0
            )
            total += float(stats.shares[:, k] @ terms.sum(axis=1))
        return total

    def start(self, data: CountRegression, responsibilities: Array) -> Any:
        """Least squares on the logs of the counts, a half added."""
        logs = Regression.from_arrays(np.log(data.values + 0.5), data.covariates, data.weights)
        weights, intercept, coef, _ = started_lines(logs, responsibilities)
        return PoissonRegressionMixtureParams(weights, intercept, coef)

    def posterior(
        self, params: PoissonRegressionMixtureParams, data: CountRegression
    ) -> Posteriors:
        log_rates, rates = means_at(params, data.covariates), self.expected(params, data.covariates)
        counts = np.where(data.observed, data.values, 0.0)[:, None]
        above = counts * np.where(counts > 0, log_rates, 0.0)
        cells = np.where(data.observed[:, None], above - rates, 0.0)
        log_density = cells.sum(axis=2) - data.log_factorials[:, None]
        return posteriors_of(log_density, params.weights, rates, data)

    def expected(self, params: PoissonRegressionMixtureParams, covariates: Array) -> Array:
        """Expected counts in each component, shape (n, K, d)."""
        return np.asarray(np.exp(means_at(params, covariates)))

    def sample(
        self,
        params: PoissonRegressionMixtureParams,
        n: int,
        rng: np.random.Generator,
        covariates: Array | None = None,
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw counts (n, d) beside covariates (n, p), and their components (n,)."""
        z = sampled_covariates(covariates, n, params.coef[0])
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        return rng.poisson(np.exp(lines_at(params, z, labels))).astype(np.float64), labels

    def complete(
        self,
        params: PoissonRegressionMixtureParams,
        data: CountRegression,
        rng: np.random.Generator,
    ) -> Array:
        """Draw components from their posterior, then the missing counts from their laws."""
        responsibilities = self.posterior(params, data).responsibilities
        labels = draw_labels(responsibilities, params.weights, rng)
        drawn = rng.poisson(np.exp(lines_at(params, data.covariates, labels)))
        return np.where(data.observed, data.values, drawn)

    def diagnose(self, params: PoissonRegressionMixtureParams, stats: CountSums) -> Diagnosis:
        """``boundary``: a component all of whose counts of a response are 0."""
        flags = () if np.isfinite(params.intercept).all() else ("boundary",)
        return Diagnosis(flags, smallest_component=float(stats.shares.sum(axis=0).min()))

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return set(truth) == ALL and len(truth["weights"]) == self.n_components

    def from_truth(self, truth: dict[str, Any]) -> PoissonRegressionMixtureParams:
        """A generator's parameters."""
        arrays = {name: np.asarray(truth[name], dtype=np.float64) for name in ALL}
        return PoissonRegressionMixtureParams(**arrays)

    def parameter_error(
        self, params: PoissonRegressionMixtureParams, truth: dict[str, Any]
    ) -> float:
        """Root mean square error of the lines of log rates, labels matched."""
        return line_error(params, truth, np.ones_like(np.asarray(truth["intercept"])))

    def pack(
        self,
        params: PoissonRegressionMixtureParams,
        coordinates: str = "natural",
        around: PoissonRegressionMixtureParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        centre = params if around is None else around
        odds = pack_simplex(params.weights, unconstrained, centre.weights)
        return np.concatenate([odds, params.intercept.ravel(), params.coef.ravel()])

    def unpack(
        self,
        vector: Array,
        around: PoissonRegressionMixtureParams,
        coordinates: str = "natural",
    ) -> PoissonRegressionMixtureParams:
        k, d, p = around.coef.shape
        weights, intercept, coef = np.split(vector, [k - 1, k - 1 + k * d])
        return PoissonRegressionMixtureParams(
            unpack_simplex(weights, around.weights, is_unconstrained(coordinates)),
            intercept.reshape(k, d),
            coef.reshape(k, d, p),
        )
