"""Counts with excess zeros: a cell is a structural zero, or Poisson.

Lambert (1992), Technometrics 34, 1-14: the Poisson part regressed on covariates where there are
any, one probability of a structural zero a column.  Columns are independent given the covariates,
so a missing cell takes no part.  With covariates the M-step takes one Newton step that is halved
until Q rises (generalized EM); everything else is in closed form.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.count_regression import CountRegression, Tally
from emlib.errors import InvalidData
from emlib.models.base import Model, is_unconstrained
from emlib.models.checks import require_whole
from emlib.models.lines import centred_design, poisson_step, sampled_covariates
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors, Step
from emlib.models.simplex import log
from emlib.models.special import expit, logit, xlog1py, xlogy

Array = NDArray[np.float64]

ALL = frozenset({"inflation", "intercept", "coef"})


@dataclass(frozen=True, eq=False)
class ZeroInflatedPoissonParams:
    """Probabilities of a structural zero (d,), and log rates intercept (d,) + z @ coef (d, p)."""

    inflation: Array
    intercept: Array
    coef: Array


@dataclass(frozen=True, eq=False)
class ZeroSums:
    """A tally of the data, and how many of its zeros are structural, shape (l, d)."""

    tally: Tally
    structural: Array
    loglik: float
    magnitude: float

    def __add__(self, other: "ZeroSums") -> "ZeroSums":
        return ZeroSums(
            Tally(*(np.concatenate(pair) for pair in zip(self.tally, other.tally, strict=True))),
            np.concatenate([self.structural, other.structural]),
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )

    @property
    def exposed(self) -> Array:
        """Expected numbers of cells that are Poisson, shape (l, d)."""
        return self.tally.positives + self.tally.zeros - self.structural


@dataclass(frozen=True)
class ZeroInflatedPoissonModel(Model):
    """Independent columns of zero-inflated counts; no settings."""

    family: ClassVar[str] = "zero_inflated_poisson"
    traits: ClassVar[frozenset[str]] = frozenset()
    # Near the boundary the M-step looks at the observed likelihood, not at what else EM may ascend.
    posteriors: ClassVar[frozenset[str]] = frozenset({"sampled"})
    sums: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[tuple[str, ...]] = ("random",)
    n_components: ClassVar[int] = 1  # type: ignore[misc]

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(ALL),)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> CountRegression:
        return CountRegression.from_arrays(values, extras.get("covariates"), weights)

    def n_parameters(self, data: CountRegression) -> int:
        return data.d * (2 + data.covariates.shape[1])

    def check_cells(self, data: CountRegression) -> None:
        require_whole(data)

    def prepare(self, data: CountRegression) -> "ZeroInflatedPoissonModel":
        """Check that every column's parameters can be told apart; see ``Model.prepare``."""
        self.check_cells(data)
        for j, (zeros, positives) in enumerate(
            zip(data.tally.zeros.T, data.tally.positives.T, strict=True)
        ):
            live = zeros + positives > 0
            if not live.any():
                raise InvalidData(f"column {j} has no observed cell: nothing to estimate from")
            if not positives.any():
                one = " (n_samples=1)" if data.informative.sum() == 1 else ""
                raise InvalidData(
                    f"column {j} has no count above zero{one}: its rate and its share of "
                    "structural zeros cannot be told apart"
                )
            design = centred_design(data.tally.covariates[live], data.covariate_means)
            size = np.abs(design).max(axis=0)
            if np.linalg.matrix_rank(design / np.where(size > 0, size, 1.0)) < design.shape[1]:
                raise InvalidData(
                    f"column {j}: its rows do not tell {design.shape[1] - 1} covariates and an "
                    "intercept apart"
                )
        return self

    def e_step(
        self, params: ZeroInflatedPoissonParams, data: CountRegression, posterior: Posterior = EXACT
    ) -> ZeroSums:
        tally = data.tally
        log_rates = params.intercept + tally.covariates @ params.coef.T
        rates = np.exp(log_rates)
        log_zero, share = _zeros(params.inflation, rates)
        terms = np.stack([
            tally.zeros * log_zero,
            xlog1py(tally.positives, -params.inflation),
            tally.totals * log_rates,
            -tally.positives * rates,
        ])  # fmt: skip
        constant = data.weights @ data.log_factorials
        loglik, size = float(terms.sum() - constant), float(abs(terms).sum() + constant)
        return ZeroSums(tally, _structural(tally.zeros, share, posterior), loglik, size)

    def m_step(
        self,
        stats: ZeroSums,
        params: ZeroInflatedPoissonParams,
        free: frozenset[str] | None = None,
    ) -> ZeroInflatedPoissonParams:
        free = ALL if free is None else free
        inflation, intercept, coef = params.inflation, params.intercept, params.coef
        exposed, structural = stats.exposed, stats.structural.sum(axis=0)
        if "coef" in free and coef.shape[1]:
            weights = exposed.sum(axis=1)
            origin = weights @ stats.tally.covariates / weights.sum()
            design = centred_design(stats.tally.covariates, origin)
            columns = zip(stats.tally.totals.T, exposed.T, intercept, coef, strict=True)
            lines = [
                poisson_step(totals, cells, design, origin, height, slopes, free)
                for totals, cells, height, slopes in columns
            ]
            intercept, coef = (np.array(part) for part in zip(*lines, strict=True))
        rates = np.exp(intercept + stats.tally.covariates @ coef.T)
        if "intercept" in free:
            gain = stats.tally.totals.sum(axis=0) / (exposed * rates).sum(axis=0)
            intercept, rates = intercept + np.log(gain), rates * gain
        if "inflation" in free:
            inflation = structural / (structural + exposed.sum(axis=0))
            # The loglik is concave in the inflation: where it falls from 0 on, 0 is the best.
            # EM would take forever, so it is taken once less than one zero is structural.
            none = (structural < 1.0) & (_slope_at_none(stats.tally, rates) <= 0)
            inflation = np.where(none, 0.0, inflation)
        return ZeroInflatedPoissonParams(inflation, intercept, coef)

    def q(self, stats: ZeroSums, params: ZeroInflatedPoissonParams) -> float:
        exposed = stats.exposed
        log_rates = params.intercept + stats.tally.covariates @ params.coef.T
        shares = xlogy(stats.structural, params.inflation) + xlog1py(exposed, -params.inflation)
        return float((shares + stats.tally.totals * log_rates - exposed * np.exp(log_rates)).sum())

    def start(self, data: CountRegression, responsibilities: Array) -> ZeroInflatedPoissonParams:
        """Half of the zeros structural, coefficients 0."""
        half = ZeroSums(data.tally, 0.5 * data.tally.zeros, 0.0, 0.0)
        nothing = np.zeros(data.d)
        flat = ZeroInflatedPoissonParams(
            nothing, nothing, np.zeros((data.d, data.covariates.shape[1]))
        )
        start = self.m_step(half, flat, frozenset({"intercept"}))
        total = half.structural.sum(axis=0) + half.exposed.sum(axis=0)
        inflation = half.structural.sum(axis=0) / total
        return ZeroInflatedPoissonParams(inflation, start.intercept, start.coef)

    def posterior(self, params: ZeroInflatedPoissonParams, data: CountRegression) -> Posteriors:
        log_rates = params.intercept + data.covariates @ params.coef.T
        rates = np.exp(log_rates)
        log_zero, _ = _zeros(params.inflation, rates)
        known = np.where(data.observed, data.values, 0.0)
        above = np.log1p(-params.inflation) + known * log_rates - rates
        cells = np.where(data.observed, np.where(known == 0, log_zero, above), 0.0)
        completed = np.where(data.observed, known, (1.0 - params.inflation) * rates)
        return Posteriors(cells.sum(axis=1) - data.log_factorials, None, completed)

    def structural(self, params: ZeroInflatedPoissonParams, data: CountRegression) -> Array:
        """Probability that each cell is a structural zero, given its count if seen, (n, d)."""
        rates = np.exp(params.intercept + data.covariates @ params.coef.T)
        _, share = _zeros(params.inflation, rates)
        return np.where(data.observed, np.where(data.values == 0, share, 0.0), params.inflation)

    def complete(
        self, params: ZeroInflatedPoissonParams, data: CountRegression, rng: np.random.Generator
    ) -> Array:
        """Draw the missing cells from their columns' laws."""
        drawn, _ = self.sample(params, data.n, rng, data.covariates)
        return np.where(data.observed, data.values, drawn)

    def sample(
        self,
        params: ZeroInflatedPoissonParams,
        n: int,
        rng: np.random.Generator,
        covariates: Array | None = None,
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows, beside covariates (n, p) where the model has them."""
        z = sampled_covariates(covariates, n, params.coef)
        counts = rng.poisson(np.exp(params.intercept + z @ params.coef.T)).astype(np.float64)
        counts[rng.random(counts.shape) < params.inflation] = 0.0
        return counts, np.zeros(n, dtype=np.int64)

    def diagnose(self, params: ZeroInflatedPoissonParams, stats: ZeroSums) -> Diagnosis:
        """``boundary``: no structural zeros, or the loglik falls from none of them on."""
        rates = np.exp(params.intercept + stats.tally.covariates @ params.coef.T)
        none = _slope_at_none(stats.tally, rates) <= 0
        return Diagnosis(("boundary",) if (none | (params.inflation == 0)).any() else ())

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return set(truth) >= ALL

    def from_truth(self, truth: dict[str, Any]) -> ZeroInflatedPoissonParams:
        names = ("inflation", "intercept", "coef")
        return ZeroInflatedPoissonParams(*(np.asarray(truth[n], dtype=np.float64) for n in names))

    def parameter_error(self, params: ZeroInflatedPoissonParams, truth: dict[str, Any]) -> float:
        """Root mean square error of inflation, intercepts and coefficients."""
        if params.coef.shape != np.shape(truth["coef"]):
            return float("nan")
        true = self.pack(self.from_truth(truth))
        return float(np.sqrt(((self.pack(params) - true) ** 2).mean()))

    def functionals(self, params: ZeroInflatedPoissonParams) -> dict[str, Array]:
        """The record, and the rates where covariates are 0."""
        return {**super().functionals(params), "rates": np.exp(params.intercept)}

    def pack(
        self,
        params: ZeroInflatedPoissonParams,
        coordinates: str = "natural",
        around: ZeroInflatedPoissonParams | None = None,
    ) -> Array:
        inflation = params.inflation
        if is_unconstrained(coordinates):
            inflation = logit(inflation)
        return np.concatenate([inflation, params.intercept, params.coef.ravel()])

    def unpack(
        self, vector: Array, around: ZeroInflatedPoissonParams, coordinates: str = "natural"
    ) -> ZeroInflatedPoissonParams:
        d, p = around.coef.shape
        inflation, intercept, coef = np.split(vector, [d, 2 * d])
        if is_unconstrained(coordinates):
            inflation = expit(inflation)
        return ZeroInflatedPoissonParams(inflation, intercept, coef.reshape(d, p))


def _zeros(inflation: Array, rates: Array) -> tuple[Array, Array]:
    """Log probability of a zero, and the share of the structural ones in it."""
    log_structural = log(inflation)
    log_zero = np.logaddexp(log_structural, np.log1p(-inflation) - rates)
    return log_zero, np.exp(log_structural - log_zero)


def _structural(zeros: Array, share: Array, posterior: Posterior) -> Array:
    """How many of the zeros the posterior says are structural."""
    if posterior.rng is not None:
        whole = np.floor(zeros)
        return posterior.rng.binomial(whole.astype(np.int64), share) + (zeros - whole) * share
    if posterior.beta == np.inf:
        return zeros * (share >= 0.5)
    return zeros * (share if posterior.beta == 1.0 else expit(posterior.beta * logit(share)))


def _slope_at_none(tally: Tally, rates: Array) -> Array:
    """Derivative of the loglik in the inflation where that is 0, shape (d,)."""
    with np.errstate(over="ignore", invalid="ignore"):
        excess = np.where(tally.zeros > 0, tally.zeros * np.expm1(rates), 0.0)
    return np.asarray((excess - tally.positives).sum(axis=0))
