"""Linear Gaussian state-space models, exact with any cells of a time step missing.

x_1 ~ N(mu, P);  x_t = A x_t-1 + b + w_t, w_t ~ N(0, Q);  y_t = C x_t + d + v_t, v_t ~ N(0, R).

Shumway and Stoffer (1982), and section 6.4 of their book for missing cells; Ghahramani and Hinton
(1996); Durbin and Koopman (2012) for the recursions; Holmes (2013) for what is held.  Where P is
held singular, x_1 is mu plus noise that knows no parameter, so that mu is estimated from the
equations that x_1 enters (Holmes 2013, section 5.2).

The likelihood is unbounded only where an observation is predicted without error, and only that is
``Degenerate``.  A Q, R or P that alone goes to 0 (a constant level, a Heywood case) is a
``boundary`` of a bounded likelihood.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.models.base import is_unconstrained
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors, Step
from emlib.models.state_space.chart import Chart, free_entries, gauge_rank, in_basis_of
from emlib.models.state_space.moments import (
    StateSpaceStats,
    initial_shift,
    moved_with_mean,
    pooled,
    regression,
    residual_products,
)
from emlib.models.state_space.params import (
    COVARIANCES,
    NAMES,
    StateSpaceParams,
)
from emlib.models.state_space.settings import StateSpaceSettings
from emlib.models.state_space.smoother import Layout, Smoothed, expectations, predicted, smoothed
from emlib.models.state_space.start import principal_components, randomized

Array = NDArray[np.float64]

BOUNDARY = 0.05
"""A variance of which all noise terms together tell less, as a number of terms, is not told from
zero: it is worth about half as many nats."""

GAUGE_MOVES = 1e-8
"""What moves less along the gauge, relative to the largest of its array, does not move."""


@dataclass(frozen=True, eq=False)
class StateSpaceModel(StateSpaceSettings):
    """A linear Gaussian state-space model.

    Its parameters are those of ``StateSpaceSettings``.
    """

    family: ClassVar[str] = "state_space"
    traits: ClassVar[frozenset[str]] = frozenset({"factors", "order"})
    posteriors: ClassVar[frozenset[str]] = frozenset()
    sums: ClassVar[frozenset[str]] = frozenset()  # noises are those at the E-step's parameters
    search: ClassVar[tuple[str, ...]] = ("pca", "random")

    @property
    def cycle(self) -> tuple[Step, ...]:
        everything = frozenset(NAMES)
        if not self._anchored:
            return (Step(everything),)
        return Step(everything - self._anchored), Step(self._anchored)

    def e_step(
        self, params: StateSpaceParams, data: Sequences, posterior: Posterior = EXACT
    ) -> StateSpaceStats:
        if not posterior.is_exact:
            raise NotImplementedError("state_space has no latent classes to temper or draw")
        return expectations(params, self.layout(data), self.integrate_missing_steps)

    def m_step(
        self,
        stats: StateSpaceStats,
        params: StateSpaceParams,
        free: frozenset[str] | None = None,
    ) -> StateSpaceParams:
        """Regressions of x_t on x_t-1 and of y_t on x_t, and moments of x_1."""
        held = self.held(len(params.observation))
        free = (frozenset(NAMES) if free is None else free) - set(held)
        new = {name: getattr(params, name) for name in NAMES}
        before = stats.params
        for sums, matrix, offset, noise in self._equations(stats, params):
            old, old_offset = getattr(before, matrix), getattr(before, offset)
            change, change_offset = regression(
                pooled(sums), new[matrix] - old, new[offset] - old_offset,
                matrix in free, offset in free,
            )  # fmt: skip
            if matrix in free:
                new[matrix] = old + change
            if offset in free:
                new[offset] = old_offset + change_offset
            count = sums.counts.sum()
            if noise in free and count > 0:
                products = residual_products(sums, change, change_offset)
                new[noise] = self._structured(noise, products / count)
        initial = stats.initial
        if "initial_mean" in free and self._anchored:
            new["initial_mean"] = before.initial_mean + initial_shift(
                stats, StateSpaceParams(**new)
            )
        elif "initial_mean" in free:
            new["initial_mean"] = initial.reference[0] + initial.first[0] / initial.counts[0]
        if "initial_covariance" in free:
            products = initial.about(new["initial_mean"][None]).second[0]
            new["initial_covariance"] = self._structured(
                "initial_covariance", products / initial.counts[0]
            )
        return StateSpaceParams(**new)

    def q(self, stats: StateSpaceStats, params: StateSpaceParams) -> float:
        """Shumway and Stoffer (1982), equation 6, halved; held equations are left out."""
        held = set(self.held(len(params.observation)))
        before, total = stats.params, 0.0
        for sums, matrix, offset, noise in self._equations(stats, params):
            if {matrix, offset, noise} <= held and not (self._anchored - held):
                continue
            products = residual_products(
                sums,
                getattr(params, matrix) - getattr(before, matrix),
                getattr(params, offset) - getattr(before, offset),
            )
            total += _normal(products, getattr(params, noise), sums.counts.sum())
        if not self._anchored and not {"initial_mean", "initial_covariance"} <= held:
            products = stats.initial.about(params.initial_mean[None]).second[0]
            total += _normal(products, params.initial_covariance, stats.initial.counts[0])
        return total

    def start(self, data: Sequences, responsibilities: Array) -> StateSpaceParams:
        """Principal components as states; see ``principal_components``."""
        held = self.held(data.d)
        start = principal_components(data, self.n_states, held)
        structured = {
            name: self._structured(name, getattr(start, name))
            for name in COVARIANCES
            if name not in held
        }
        return replace(start, **structured)

    def random_start(self, data: Sequences, rng: np.random.Generator) -> StateSpaceParams:
        """Random dynamics and loadings at the scales of the data; see ``randomized``."""
        start = self.start(data, np.ones((data.n, 1)))
        return randomized(start, data, self.held(data.d), rng)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return np.shape(truth.get("transition", 0.0)) == (self.n_states, self.n_states)

    def from_truth(self, truth: dict[str, Any]) -> StateSpaceParams:
        """A generator's parameters, projected to the structures; what is held stays."""
        arrays = {name: np.array(truth[name], dtype=np.float64) for name in NAMES}
        for name in COVARIANCES:
            arrays[name] = self._structured(name, arrays[name])
        return StateSpaceParams(**(arrays | self.held(len(arrays["observation"]))))

    def parameter_error(self, params: StateSpaceParams, truth: dict[str, Any]) -> float:
        """Root mean square error of A in the basis of the truth's states."""
        true = StateSpaceParams(**{name: np.asarray(truth[name]) for name in NAMES})
        if true.observation.shape != params.observation.shape:
            return float("nan")
        error = in_basis_of(params, true) - true.transition
        return float(np.sqrt((error**2).mean()))

    def diagnose(self, params: StateSpaceParams, stats: StateSpaceStats) -> Diagnosis:
        """``boundary``: an estimated covariance is next to singular, for all that the data say.

        Along some direction all noise terms together keep their whole variance given all
        observations, but for a part that is worth next to nothing.
        """
        return Diagnosis(("boundary",) if self._vanishing(params, stats) else ())

    def at_boundary(
        self, params: StateSpaceParams, stats: StateSpaceStats
    ) -> dict[str, NDArray[np.bool_]]:
        """All of a covariance that is next to singular."""
        names = self._vanishing(params, stats)
        return {name: np.ones(getattr(params, name).shape, dtype=bool) for name in names}

    def _vanishing(self, params: StateSpaceParams, stats: StateSpaceStats) -> list[str]:
        """Estimated covariances that ``diagnose`` speaks of."""
        held, found = self.held(len(params.observation)), []
        for name, (count, spread) in stats.spreads.items():
            if name not in held and count > 0:
                learned = count - _relative_eigenvalues(spread, getattr(params, name))
                if not learned.min() >= BOUNDARY:
                    found.append(name)
        return found

    def posterior(self, params: StateSpaceParams, data: Sequences) -> Posteriors:
        layout, run = self.smoothed(params, data)
        return Posteriors(run.logliks, None, run.completed, run.means[layout.rows])

    def predicted_states(self, params: StateSpaceParams, data: Sequences) -> Array:
        """Means of the states given the past of their sequence, shape (n, k)."""
        layout = self.layout(data)
        run, _ = predicted(params, layout, np.ones(data.n_sequences, bool), np.zeros(data.d))
        return np.asarray(run[0][layout.rows])

    def smoothed(
        self, params: StateSpaceParams, data: Sequences, keep: bool = False
    ) -> tuple[Layout, Smoothed]:
        """The smoother's run, covariances of single states only where ``keep``."""
        layout = self.layout(data)
        everyone = np.ones(data.n_sequences, dtype=bool)
        return layout, smoothed(params, layout, everyone, np.zeros(data.d), keep)

    def complete(
        self, params: StateSpaceParams, data: Sequences, rng: np.random.Generator
    ) -> Array:
        """Simulation smoother: a draw of the whole, moved as expectations move with what is
        observed (Durbin and Koopman 2002)."""
        drawn = self.simulate(params, data.lengths, rng)[0]
        holed = np.where(data.observed, drawn, np.nan)
        view = self.view(holed, data.unit_weights, lengths=data.lengths)
        expected, simulated = (self.smoothed(params, v)[1].completed for v in (data, view))
        return np.where(data.observed, data.values, expected + drawn - simulated)

    def bootstrapped(
        self, params: StateSpaceParams, data: Sequences, rng: np.random.Generator
    ) -> Sequences:
        """Sequences drawn from ``params``, of the same lengths and with the same holes.

        A sequence of integer weight w is drawn w times.
        """
        copies = data.copies()
        drawn = self.simulate(params, copies.lengths, rng)[0]
        return self.view(np.where(copies.observed, drawn, np.nan), lengths=copies.lengths)

    def simulate(
        self, params: StateSpaceParams, lengths: NDArray[np.int64], rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Draw sequences; returns their steps (n, d) and states (n, k)."""
        from emlib.kernels.states import follow

        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
        n, k, d = int(offsets[-1]), self.n_states, len(params.observation)
        noise = rng.standard_normal((n, k)) @ _root(params.transition_covariance).T
        starts = rng.standard_normal((len(lengths), k)) @ _root(params.initial_covariance).T
        starts = params.initial_mean + starts
        if self.initial_time == 0:
            starts = starts @ params.transition.T + params.transition_offset + noise[offsets[:-1]]
        states = follow(
            np.ascontiguousarray(params.transition), params.transition_offset, starts, noise,
            offsets,
        )  # fmt: skip
        errors = rng.standard_normal((n, d)) @ _root(params.observation_covariance).T
        return states @ params.observation.T + params.observation_offset + errors, states

    def sample(
        self, params: StateSpaceParams, n: int, rng: np.random.Generator
    ) -> tuple[Array, Array]:
        """Draw one sequence of n steps; returns it (n, d) and its states (n, k)."""
        return self.simulate(params, np.array([n]), rng)

    def n_parameters(self, data: Sequences) -> int:
        """All free entries, less the dimension of the gauge that the held ones leave."""
        chart = self._chart(self._generic(data.d), False)
        return free_entries(chart.centre, chart.types) - chart.rank

    def pack(
        self,
        params: StateSpaceParams,
        coordinates: str = "natural",
        around: StateSpaceParams | None = None,
    ) -> Array:
        return self._chart(around or params, is_unconstrained(coordinates)).pack(params)

    def unpack(
        self, vector: Array, around: StateSpaceParams, coordinates: str = "natural"
    ) -> StateSpaceParams:
        return self._chart(around, is_unconstrained(coordinates)).unpack(vector)

    def functionals(self, params: StateSpaceParams) -> dict[str, Array]:
        """The record's arrays, and the moduli of A's eigenvalues, which know no basis."""
        moduli = np.sort(np.abs(np.linalg.eigvals(params.transition)))[::-1]
        return {**super().functionals(params), "transition_moduli": moduli}

    def not_identified(self, params: StateSpaceParams) -> dict[str, NDArray[np.bool_]]:
        """What another basis or origin of the state would change."""
        here = self.functionals(params)
        open_entries = {name: np.zeros(array.shape, dtype=bool) for name, array in here.items()}
        for ends in self._chart(params, True).along_orbit():
            above, below = (self.functionals(end) for end in ends)
            for name, array in here.items():
                moved = np.abs(above[name] - below[name])
                open_entries[name] |= moved > GAUGE_MOVES * np.abs(array).max(initial=0.0)
        return open_entries

    def _equations(
        self, stats: StateSpaceStats, params: StateSpaceParams
    ) -> tuple[tuple[Any, str, str, str], ...]:
        """Sums, matrix, offset and noise of both equations; x_1 moves with mu where anchored."""
        transitions, observations, before = stats.transitions, stats.observations, stats.params
        if self._anchored:
            shift = params.initial_mean - before.initial_mean
            transitions = moved_with_mean(transitions, before.transition, shift)
            observations = moved_with_mean(observations, before.observation, shift)
        return (
            (transitions, "transition", "transition_offset", "transition_covariance"),
            (observations, "observation", "observation_offset", "observation_covariance"),
        )

    def _chart(self, centre: StateSpaceParams, unconstrained: bool) -> Chart:
        if self.initial_covariance_type == "auto" and "initial_covariance" not in self.fixed:
            raise RuntimeError("initial_covariance_type 'auto' is resolved by prepare(data) first")
        d = len(centre.observation)
        last = self._charts.get(unconstrained)
        if last is None or last.centre is not centre:
            if d not in self._ranks:
                self._ranks[d] = gauge_rank(self._generic(d), self._types(d))
            last = Chart(centre, self._types(d), self._ranks[d], unconstrained)
            self._charts[unconstrained] = last
        return last

    @cached_property
    def _charts(self) -> dict[bool, Chart]:
        """The last charts, since derivatives ask for the same ones again and again."""
        return {}

    @cached_property
    def _ranks(self) -> dict[int, int]:
        return {}


def _normal(products: Array, covariance: Array, count: float) -> float:
    """Sum of log densities, constants left out; minus infinity where there is no density."""
    sign, log_det = np.linalg.slogdet(covariance)
    if sign <= 0:
        return -np.inf if count > 0 else 0.0
    return float(-0.5 * (count * log_det + np.trace(np.linalg.solve(covariance, products))))


def _root(covariance: Array) -> Array:
    """A matrix B with B B' the covariance, which may be singular."""
    values, vectors = np.linalg.eigh(covariance)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _relative_eigenvalues(matrix: Array, covariance: Array) -> Array:
    """Eigenvalues of a matrix relative to a covariance, ascending; NaN where that is singular."""
    try:
        factor = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        return np.full(len(covariance), np.nan)
    half = np.linalg.solve(factor, matrix)
    return np.linalg.eigvalsh(np.linalg.solve(factor, half.T))
