"""Mixtures of linear regressions, with normal or t errors; responses may be missing.

De Veaux (1989), Computational Statistics and Data Analysis 8, 227-245; Gruen and Leisch (2007,
2008), flexmix.  Given the covariates and its component each response follows a line of its own,
independent of the others, so a missing one takes no part.  t errors: Lange, Little and Taylor
(1989), JASA 84, 881-896; their degrees of freedom take an ECME step (Liu and Rubin 1994).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Regression
from emlib.errors import InvalidData, require_count
from emlib.models.base import Model, is_unconstrained
from emlib.models.collapse import DEGENERATE_RATIO, EMPTY_SHARE, NO_SIZE
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
from emlib.models.gaussian_mixture import SPURIOUS_RATIO
from emlib.models.lines import LineSums, sampled_covariates
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step
from emlib.models.regression_sums import RegressionSums
from emlib.models.regressions import (
    check_design,
    line_error,
    lines_at,
    means_at,
    one_line,
    posteriors_of,
    started_lines,
)
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy
from emlib.models.truncated import LOG_ROOT_TWO_PI
from emlib.parallel import add_chunks

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RegressionMixtureParams:
    """Weights (K,); lines intercept (K, d), coef (K, d, p); scales (K, d); dofs (K,).

    Scales are the standard deviations of normal errors, those of t errors before they are
    stretched.  Infinite degrees of freedom make errors normal.
    """

    weights: Array
    intercept: Array
    coef: Array
    scales: Array
    dofs: Array


@dataclass(frozen=True)
class RegressionMixtureModel(DofSetting, Model):
    """A mixture of ``n_components`` linear regressions.

    Parameters
    ----------
    n_components : int
    equal_scales : bool
        Whether the components share the scale of each response.
    dofs : {"normal", "each", "common"}, float or list of float
        Degrees of freedom of the errors: infinite, estimated, or given.
    """

    family: ClassVar[str] = "regression_mixture"
    needs: ClassVar[tuple[str, ...]] = ("covariates",)
    search: ClassVar[tuple[str, ...]] = ("random", "short_em", "points")

    n_components: int
    equal_scales: bool = False
    dofs: str | float | Sequence[float] = "normal"

    def __post_init__(self) -> None:
        require_count("n_components", self.n_components)
        if not isinstance(self.equal_scales, bool | np.bool_):
            raise ValueError(f"equal_scales: {self.equal_scales!r} is neither true nor false")
        object.__setattr__(self, "dofs", check_dofs(self.dofs, self.n_components))

    @property
    def cycle(self) -> tuple[Step, ...]:
        lines = Step(frozenset({"weights", "intercept", "coef", "scales"}))
        if not self.estimates_dofs:
            return (lines,)
        return lines, Step(frozenset({"dofs"}), maximizes="loglik")

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Regression:
        return Regression.from_arrays(values, extras.get("covariates"), weights)

    def n_parameters(self, data: Regression) -> int:
        k, d, p = self.n_components, data.d, data.covariates.shape[1]
        return k - 1 + k * d * (1 + p) + (1 if self.equal_scales else k) * d + self.n_dofs

    def prepare(self, data: Regression) -> "RegressionMixtureModel":
        """Check that one regression of each response exists and leaves something; see ``Model``."""
        check_design(data, self.n_components)
        sizes = one_line(data)[2]
        exact = np.flatnonzero(sizes**2 <= NO_SIZE * data.column_moments[1])
        if len(exact):
            one = " (n_samples=1)" if data.informative.sum() == 1 else ""
            raise InvalidData(
                f"response {exact[0]} lies on one line exactly{one}: its likelihood is unbounded"
            )
        return self

    def e_step(
        self, params: RegressionMixtureParams, data: Regression, posterior: Posterior = EXACT
    ) -> RegressionSums:
        from emlib.kernels.regression import regression_pass

        tails = 1.0 / params.dofs
        heights, coef = self._lines(params, data)
        arguments = (
            log(params.weights), heights, coef, self._scales(params, data), tails,
            log_excess(tails, ONE) - LOG_ROOT_TWO_PI, log_precision(tails, ONE), posterior.beta,
            posterior.uniforms(data.n),
        )  # fmt: skip
        counts, cells, logs, gram, cross, second, loglik, magnitude = add_chunks(
            lambda groups: regression_pass(*_view(data, groups), *arguments), data.chunks
        )
        width = gram.shape[-1]
        lines = LineSums(
            params.intercept.ravel(), coef.reshape(-1, width - 1), data.covariate_means,
            gram.reshape(-1, width, width), cross.reshape(-1, width), second.ravel(),
        )  # fmt: skip
        return RegressionSums(counts, cells, logs, lines, loglik, magnitude)

    def m_step(
        self,
        stats: RegressionSums,
        params: RegressionMixtureParams,
        free: frozenset[str] | None = None,
    ) -> RegressionMixtureParams:
        """Weighted least squares, component by component."""
        free = frozenset(vars(params)) if free is None else free
        counts, cells = stats.counts, stats.cells
        if counts.min() <= EMPTY_SHARE * counts.sum() or cells.min() <= 0:
            raise Degenerate(f"component {cells.min(axis=1).argmin()} has no rows")
        weights = counts / counts.sum() if "weights" in free else params.weights
        shape = params.coef.shape
        here = stats.lines.about(params.intercept.ravel(), params.coef.reshape(-1, shape[2]))
        here = here.best(free)
        scales = params.scales
        if "scales" in free:
            scales = self._scales_of(cells, here.second.reshape(cells.shape))
        dofs = params.dofs
        if self.estimates_dofs and "dofs" in free:
            dofs = self.dofs_of_gamma(cells.sum(axis=1), stats.precisions, stats.log_precisions)
        return RegressionMixtureParams(
            weights, here.intercept.reshape(shape[:2]), here.coef.reshape(shape), scales, dofs
        )

    def tail_passes(self, params: RegressionMixtureParams, data: Regression) -> Evaluate:
        from emlib.kernels.regression import regression_tails

        heights, coef = self._lines(params, data)
        scales = self._scales(params, data)

        def evaluate(tails: Array) -> TailPass:
            arguments = (
                log(params.weights), heights, coef, scales, tails,
                log_excess(tails, ONE) - LOG_ROOT_TWO_PI, *excess_slopes(tails, ONE),
            )  # fmt: skip
            return TailPass(*add_chunks(
                lambda groups: regression_tails(*_view(data, groups), *arguments), data.chunks
            ))  # fmt: skip

        return evaluate

    def q(self, stats: RegressionSums, params: RegressionMixtureParams) -> float:
        lines = stats.lines.about(
            params.intercept.ravel(), params.coef.reshape(len(stats.lines.second), -1)
        )
        squares = lines.second.reshape(params.scales.shape) / params.scales**2
        total = xlogy(stats.counts, params.weights).sum()
        total -= (stats.cells * np.log(params.scales) + 0.5 * squares).sum()
        counts = stats.cells.sum(axis=1)
        return float(total) + q_of_dofs(params.dofs, counts, stats.precisions, stats.log_precisions)

    def start(self, data: Regression, responsibilities: Array) -> RegressionMixtureParams:
        """Weighted least squares, with a few rows' worth of the one line of all rows."""
        weights, intercept, coef, scales = started_lines(data, responsibilities)
        if self.equal_scales:
            scales = np.tile(np.sqrt(weights @ scales**2), (self.n_components, 1))
        return RegressionMixtureParams(weights, intercept, coef, scales, self.starting_dofs)

    def posterior(self, params: RegressionMixtureParams, data: Regression) -> Posteriors:
        means = means_at(params, data.covariates)
        tails = 1.0 / params.dofs[:, None]
        z = np.where(data.observed[:, None], data.values[:, None] - means, 0.0) / params.scales
        finite = np.where(tails > 0, tails, 1.0)
        spread = np.where(tails > 0, (1.0 / finite + 1.0) * np.log1p(finite * z**2), z**2)
        norms = log_excess(tails, ONE) - LOG_ROOT_TWO_PI - np.log(params.scales)
        cells = np.where(data.observed[:, None], norms - 0.5 * spread, 0.0)
        return posteriors_of(cells.sum(axis=2), params.weights, means, data)

    def expected(self, params: RegressionMixtureParams, covariates: Array) -> Array:
        """Expected responses in each component, shape (n, K, d)."""
        return means_at(params, covariates)

    def sample(
        self,
        params: RegressionMixtureParams,
        n: int,
        rng: np.random.Generator,
        covariates: Array | None = None,
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw responses (n, d) beside covariates (n, p), and their components (n,)."""
        z = sampled_covariates(covariates, n, params.coef[0])
        labels = rng.choice(self.n_components, size=n, p=params.weights)
        return self._drawn(params, z, labels, rng), labels

    def complete(
        self, params: RegressionMixtureParams, data: Regression, rng: np.random.Generator
    ) -> Array:
        """Draw components from their posterior, then the missing responses from their laws."""
        responsibilities = self.posterior(params, data).responsibilities
        labels = draw_labels(responsibilities, params.weights, rng)
        drawn = self._drawn(params, data.covariates, labels, rng)
        return np.where(data.observed, data.values, drawn)

    def diagnose(self, params: RegressionMixtureParams, stats: RegressionSums) -> Diagnosis:
        """``spurious``: fewer rows than twice a line's numbers, or a variance ratio below 1e-4."""
        variances = params.scales**2
        pooled = (stats.cells * variances).sum(axis=0) / stats.cells.sum(axis=0)
        ratio, smallest = float((variances / pooled).min()), float(stats.counts.min())
        few = smallest < 2 * (1 + params.coef.shape[2])
        flags: tuple[str, ...] = ("spurious",) if few or ratio < SPURIOUS_RATIO else ()
        if self.estimates_dofs and np.isinf(params.dofs).any():
            flags += ("boundary",)
        return Diagnosis(flags, ratio, smallest)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        names = {"weights", "intercept", "coef", "scales"}
        return names <= set(truth) and len(truth["weights"]) == self.n_components

    def from_truth(self, truth: dict[str, Any]) -> RegressionMixtureParams:
        """A generator's parameters; dofs that the model is given stay."""
        dofs = truth.get("dofs", self.starting_dofs) if self.estimates_dofs else self.starting_dofs
        names = ("weights", "intercept", "coef", "scales")
        arrays = {name: np.asarray(truth[name], dtype=np.float64) for name in names}
        return RegressionMixtureParams(**arrays, dofs=np.asarray(dofs, dtype=np.float64))

    def parameter_error(self, params: RegressionMixtureParams, truth: dict[str, Any]) -> float:
        """Root mean square error of the lines in true scales, labels matched."""
        return line_error(params, truth, np.asarray(truth["scales"]))

    def functionals(self, params: RegressionMixtureParams) -> dict[str, Array]:
        """The record, without degrees of freedom that are given."""
        named = super().functionals(params)
        return named if self.estimates_dofs else {n: a for n, a in named.items() if n != "dofs"}

    def pack(
        self,
        params: RegressionMixtureParams,
        coordinates: str = "natural",
        around: RegressionMixtureParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        centre = params if around is None else around
        scales = params.scales[:1] if self.equal_scales else params.scales
        return np.concatenate([
            pack_simplex(params.weights, unconstrained, centre.weights),
            params.intercept.ravel(),
            params.coef.ravel(),
            (np.log(scales) if unconstrained else scales).ravel(),
            self.pack_dofs(params.dofs, unconstrained),
        ])  # fmt: skip

    def unpack(
        self, vector: Array, around: RegressionMixtureParams, coordinates: str = "natural"
    ) -> RegressionMixtureParams:
        unconstrained = is_unconstrained(coordinates)
        k, d, p = around.coef.shape
        sizes = [k - 1, k * d, k * d * p, (1 if self.equal_scales else k) * d]
        weights, intercept, coef, scales, tails = np.split(vector, np.cumsum(sizes))
        scales = (np.exp(scales) if unconstrained else scales).reshape(-1, d)
        return RegressionMixtureParams(
            unpack_simplex(weights, around.weights, unconstrained),
            intercept.reshape(k, d),
            coef.reshape(k, d, p),
            np.array(np.broadcast_to(scales, (k, d))),
            self.unpack_dofs(tails, around.dofs, unconstrained),
        )

    def _scales_of(self, cells: Array, second: Array) -> Array:
        """Scales (K, d) from numbers of responses and sums of weighted squares.

        Raises
        ------
        Degenerate
            If a variance has no size next to the pooled one.
        """
        pooled = second.sum(axis=0) / cells.sum(axis=0)
        variances = np.tile(pooled, (len(cells), 1)) if self.equal_scales else second / cells
        if not (variances > DEGENERATE_RATIO * pooled).all():
            k, j = np.argwhere(~(variances > DEGENERATE_RATIO * pooled))[0]
            raise Degenerate(f"the scale of component {k} (response {j}) collapsed")
        return np.sqrt(variances)

    def _scales(self, params: RegressionMixtureParams, data: Regression) -> Array:
        """The scales, where they are more than rounding.

        Raises
        ------
        Degenerate
            If all components run through the responses exactly, or parameters are none.
        """
        if not ((params.dofs > 0).all() and (params.scales > 0).all()):
            raise Degenerate("scales and degrees of freedom are positive")
        if (params.scales**2 < NO_SIZE * data.column_moments[1]).any():
            raise Degenerate("lines run through all their responses exactly")
        return np.ascontiguousarray(params.scales)

    def _lines(self, params: RegressionMixtureParams, data: Regression) -> tuple[Array, Array]:
        """Heights (K, d) at the means of the covariates, and coefficients."""
        coef = np.ascontiguousarray(params.coef)
        return params.intercept + coef @ data.covariate_means, coef

    def _drawn(
        self,
        params: RegressionMixtureParams,
        covariates: Array,
        labels: NDArray[np.int64],
        rng: np.random.Generator,
    ) -> Array:
        means = lines_at(params, covariates, labels)
        noise = rng.standard_normal(means.shape)
        dofs = params.dofs[labels, None]
        half = np.where(np.isfinite(dofs), 0.5 * dofs, 1.0)
        stretch = np.where(np.isfinite(dofs), rng.gamma(half, size=means.shape) / half, 1.0)
        return means + params.scales[labels] * noise / np.sqrt(stretch)


ONE = np.ones(1)


def _view(data: Regression, groups: NDArray[np.int64]) -> tuple[NDArray[Any], ...]:
    return (
        data.values, data.weights, data.covariates, data.covariate_means, data.order, groups,
        data.columns_of_pattern, data.observed_counts,
    )  # fmt: skip
