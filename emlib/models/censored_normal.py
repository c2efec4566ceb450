"""Normal columns with censored cells, regressed on covariates where there are any (tobit).

Dempster, Laird and Rubin (1977), section 4.2; regression: Schmee and Hahn (1979), made exact EM by
Aitkin (1981): a censored value's conditional variance counts in the scale.  Given the covariates
columns are independent, so a missing cell takes no part.  A column's loglik is concave in
coefficients / scale and 1 / scale (Olsen 1978; Burridge 1981): there is one optimum.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Intervals
from emlib.errors import InvalidData
from emlib.models.base import Model, is_unconstrained
from emlib.models.censored_existence import why_no_maximum
from emlib.models.lines import LineSums, moved_sums, sampled_covariates
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Degenerate, Posteriors, Step
from emlib.models.truncated import LOG_ROOT_TWO_PI, draw_truncated, truncated_moments

Array = NDArray[np.float64]

ALL = frozenset({"intercept", "coef", "scales"})


@dataclass(frozen=True, eq=False)
class CensoredNormalParams:
    """Intercepts (d,), coefficients (d, p) and standard deviations (d,), one line a column."""

    intercept: Array
    coef: Array
    scales: Array


@dataclass(frozen=True, eq=False)
class CensoredSums:
    """Sums of the expected residuals of each column, and of their expected squares.

    Attributes
    ----------
    lines : LineSums
        Of d lines.
    loglik, magnitude : float
        Observed-data loglik, and the sum of the rows' absolute logliks.
    """

    lines: LineSums
    loglik: float
    magnitude: float

    def __add__(self, other: "CensoredSums") -> "CensoredSums":
        return CensoredSums(
            self.lines + other.lines, self.loglik + other.loglik, self.magnitude + other.magnitude
        )

    def scaled(self, factor: float) -> "CensoredSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return CensoredSums(
            self.lines.scaled(factor), factor * self.loglik, factor * self.magnitude
        )


@dataclass(frozen=True)
class CensoredNormalModel(Model):
    """Independent normal columns, cells exact, censored or missing; no settings."""

    family: ClassVar[str] = "censored_normal"
    traits: ClassVar[frozenset[str]] = frozenset()
    posteriors: ClassVar[frozenset[str]] = frozenset()
    search: ClassVar[tuple[str, ...]] = ("random",)
    n_components: ClassVar[int] = 1  # type: ignore[misc]

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(ALL),)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Intervals:
        return Intervals.from_ends(values, extras.get("upper"), extras.get("covariates"), weights)

    def n_parameters(self, data: Intervals) -> int:
        return data.d * (2 + data.covariates.shape[1])

    def prepare(self, data: Intervals) -> "CensoredNormalModel":
        """Check that every column's loglik has a maximum; see ``Model.prepare``."""
        for j in range(data.d):
            reason = why_no_maximum(data, j)
            if reason:
                raise InvalidData(f"column {j}{reason}")
        return self

    def e_step(
        self, params: CensoredNormalParams, data: Intervals, posterior: Posterior = EXACT
    ) -> CensoredSums:
        if not posterior.is_exact:
            raise NotImplementedError(f"{self.family}: there are no classes to temper or to draw")
        origin = data.covariate_means
        lines = np.column_stack([params.intercept + params.coef @ origin, params.coef])
        exact, scales = data.exact_fit, params.scales
        cross, second = moved_sums(exact.gram, exact.cross, exact.second, lines - exact.lines)
        squares = 0.5 * second / scales**2
        constants = exact.gram[:, 0, 0] * (np.log(scales) + LOG_ROOT_TWO_PI)
        loglik = -(squares + constants).sum()
        magnitude = (squares + abs(constants)).sum()
        for j, rows in enumerate(data.censored_rows):
            design, weights = data.design[rows], data.weights[rows]
            means = design @ lines[j]
            low, high = data.values[rows, j], data.upper[rows, j]
            log_chance, z, square = truncated_moments(
                (low - means) / scales[j], (high - means) / scales[j]
            )
            cross[j] += scales[j] * ((weights * z) @ design)
            second[j] += scales[j] ** 2 * (weights @ square)
            loglik += weights @ log_chance
            magnitude -= weights @ log_chance
        sums = LineSums(params.intercept, params.coef, origin, data.gram, cross, second)
        return CensoredSums(sums, float(loglik), float(magnitude))

    def m_step(
        self,
        stats: CensoredSums,
        params: CensoredNormalParams,
        free: frozenset[str] | None = None,
    ) -> CensoredNormalParams:
        free = ALL if free is None else free
        lines = stats.lines.about(params.intercept, params.coef).best(free)
        scales = params.scales
        if "scales" in free:
            if not (lines.second > 0).all():
                raise Degenerate(f"the scale of column {lines.second.argmin()} collapsed")
            scales = np.sqrt(lines.second / lines.gram[:, 0, 0])
        return CensoredNormalParams(lines.intercept, lines.coef, scales)

    def q(self, stats: CensoredSums, params: CensoredNormalParams) -> float:
        lines = stats.lines.about(params.intercept, params.coef)
        squares = (lines.second / params.scales**2).sum()
        return -float(lines.gram[:, 0, 0] @ np.log(params.scales) + 0.5 * squares)

    def start(self, data: Intervals, responsibilities: Array) -> CensoredNormalParams:
        """Least squares on exact values, limits and midpoints of intervals."""
        guess = data.nearest_values
        first = np.isfinite(guess).argmax(axis=0)
        height = np.nan_to_num(guess[first, np.arange(data.d)])
        flat = CensoredNormalParams(
            height, np.zeros((data.d, data.covariates.shape[1])), np.ones(data.d)
        )
        exact = Intervals.from_ends(guess, None, data.covariates, data.weights)
        return self.m_step(self.e_step(flat, exact), flat)

    def posterior(self, params: CensoredNormalParams, data: Intervals) -> Posteriors:
        loglik, residual, _ = self._cells(params, data)
        completed = np.where(data.observed, data.values, self._means(params, data) + residual)
        return Posteriors(loglik.sum(axis=1), None, completed)

    def complete(
        self, params: CensoredNormalParams, data: Intervals, rng: np.random.Generator
    ) -> Array:
        """Draw censored cells between their limits and missing ones from their column's normal."""
        means = self._means(params, data)
        uniforms, noise = rng.random(means.shape), rng.standard_normal(means.shape)
        low, high = self._limits(params, data)
        noise[data.censored] = draw_truncated(low, high, uniforms[data.censored])
        drawn = means + params.scales * noise
        low, high = data.values[data.censored], data.upper[data.censored]
        drawn[data.censored] = np.clip(drawn[data.censored], low, high)
        return np.where(data.observed, data.values, drawn)

    def sample(
        self,
        params: CensoredNormalParams,
        n: int,
        rng: np.random.Generator,
        covariates: Array | None = None,
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows, not censored, beside their covariates (n, p) where the model has them."""
        z = sampled_covariates(covariates, n, params.coef)
        noise = rng.standard_normal((n, len(params.scales)))
        values = params.intercept + z @ params.coef.T + params.scales * noise
        return values, np.zeros(n, dtype=np.int64)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return set(truth) == ALL

    def from_truth(self, truth: dict[str, Any]) -> CensoredNormalParams:
        return CensoredNormalParams(
            *(np.asarray(truth[n]) for n in ("intercept", "coef", "scales"))
        )

    def parameter_error(self, params: CensoredNormalParams, truth: dict[str, Any]) -> float:
        """Root mean square error of intercepts and coefficients in true standard deviations."""
        if params.coef.shape != np.shape(truth["coef"]):
            return float("nan")
        line = np.column_stack([params.intercept, params.coef])
        true = np.column_stack([truth["intercept"], truth["coef"]])
        return float(np.sqrt((((line - true) / truth["scales"][:, None]) ** 2).mean()))

    def pack(
        self,
        params: CensoredNormalParams,
        coordinates: str = "natural",
        around: CensoredNormalParams | None = None,
    ) -> Array:
        scales = np.log(params.scales) if is_unconstrained(coordinates) else params.scales
        return np.concatenate([params.intercept, params.coef.ravel(), scales])

    def unpack(
        self, vector: Array, around: CensoredNormalParams, coordinates: str = "natural"
    ) -> CensoredNormalParams:
        d, p = around.coef.shape
        intercept, coef, scales = np.split(vector, [d, d + d * p])
        if is_unconstrained(coordinates):
            scales = np.exp(scales)
        return CensoredNormalParams(intercept, coef.reshape(d, p), scales)

    def _means(self, params: CensoredNormalParams, data: Intervals) -> Array:
        return np.asarray(params.intercept + data.covariates @ params.coef.T)

    def _limits(self, params: CensoredNormalParams, data: Intervals) -> tuple[Array, Array]:
        """Limits of the censored cells in standard deviations from their means."""
        means = self._means(params, data)[data.censored]
        scales = np.broadcast_to(params.scales, data.values.shape)[data.censored]
        low, high = data.values[data.censored], data.upper[data.censored]
        return (low - means) / scales, (high - means) / scales

    def _cells(self, params: CensoredNormalParams, data: Intervals) -> tuple[Array, Array, Array]:
        """Loglik, expected residual and expected squared residual of each cell, 0 where missing."""
        z = np.where(data.observed, data.values - self._means(params, data), 0.0) / params.scales
        log_density = -0.5 * z**2 - np.log(params.scales) - LOG_ROOT_TWO_PI
        loglik, square = np.where(data.observed, log_density, 0.0), z**2
        moments = truncated_moments(*self._limits(params, data))
        loglik[data.censored], z[data.censored], square[data.censored] = moments
        return loglik, z * params.scales, square * params.scales**2
