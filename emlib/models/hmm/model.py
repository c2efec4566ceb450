"""Hidden Markov models: one chain, any emission (Baum, Petrie, Soules and Weiss 1970; Rabiner
1989; Zucchini and MacDonald 2009).

Missing cells are integrated out; a step without an observed cell has density 1 in every state.
"""

from abc import abstractmethod
from dataclasses import KW_ONLY, dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.errors import InvalidData
from emlib.models.base import Model, is_unconstrained
from emlib.models.checks import refuse_empty
from emlib.models.hmm.chain import (
    Chain,
    ChainSums,
    Smoothed,
    StepDensities,
    by_sequence,
    padded_width,
)
from emlib.models.hmm.emission import Emission
from emlib.models.hmm.stationary import stationary_distribution
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors, Step

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="HMMModel")

FEW_SEQUENCES = 10
"""Fewer are simulated for a bootstrap sample, not drawn."""


@dataclass(frozen=True, eq=False)
class HMMStats:
    """Sums over sequences.

    Attributes
    ----------
    chain : ChainSums
    emission : sums of the emission
    loglik, magnitude : float
        Observed-data loglik, and the sum of the sizes of the steps' log densities, of one nat each
        at least.
    """

    chain: ChainSums
    emission: Any
    loglik: float
    magnitude: float

    def __add__(self, other: "HMMStats") -> "HMMStats":
        return HMMStats(
            self.chain + other.chain,
            self.emission + other.emission,
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )

    def scaled(self, factor: float) -> "HMMStats":
        """The sums with every unit weighted ``factor`` times as much."""
        return HMMStats(
            self.chain.scaled(factor), self.emission.scaled(factor), factor * self.loglik,
            factor * self.magnitude,
        )  # fmt: skip


@dataclass(frozen=True)
class HMMModel(Model):
    """A chain of ``n_states`` and an emission; a family is a subclass with its emission.

    Parameters
    ----------
    n_states : int
    startprob : {"free", "stationary"}
        Whether the first state has probabilities of its own, shared by all sequences, or those
        where the chain settles (Zucchini and MacDonald 2009, section 1.3.2).
    """

    params_type: ClassVar[type]
    traits: ClassVar[frozenset[str]] = frozenset({"classes", "distances", "order"})
    search: ClassVar[tuple[str, ...]] = ("segments", "kmeans", "random", "short_em")

    rows: ClassVar[bool] = False

    n_states: int
    _: KW_ONLY
    startprob: str = "free"

    def __post_init__(self) -> None:
        Chain(self.n_states, self.startprob)

    @property
    @abstractmethod
    def emission(self) -> Emission:
        """What the states emit."""

    @cached_property
    def chain(self) -> Chain:
        """How the states follow each other."""
        return Chain(self.n_states, self.startprob)

    @property
    def n_components(self) -> int:  # type: ignore[override]
        """The states are what responsibilities range over."""
        return self.n_states

    def with_components(self: Self, n_components: int) -> Self:
        return replace(self, n_states=n_components)

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(self.chain.names | frozenset(self.emission.names)),)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Sequences:
        return Sequences.from_arrays(values, extras.get("lengths"), weights)

    def n_parameters(self, data: Sequences) -> int:
        return self.chain.n_free + self.emission.n_free(data.d)

    def prepare(self: Self, data: Sequences) -> Self:
        """Check the data; see ``Model.prepare``."""
        if not isinstance(data, Sequences):
            raise InvalidData("a hidden Markov model reads sequences: Sequences.from_arrays")
        steps = int(data.informative.sum())
        if steps < self.n_states:
            raise InvalidData(
                f"n_samples={steps} time steps with an observed cell: fewer than the "
                f"{self.n_states} states"
            )
        refuse_empty(data)
        return self

    def e_step(self, params: Any, data: Sequences, posterior: Posterior = EXACT) -> HMMStats:
        """Forward-backward; see ``Model.e_step``.

        Raises
        ------
        FloatingPointError
            If a sequence has probability zero.
        """
        table, steps = self._densities(params, data)
        weights = data.unit_weights * data.seen_sequences
        smoothed = self.chain.smooth(params, steps, data, weights, posterior)
        logliks, sizes = by_sequence(smoothed.increments, data)
        if not np.isfinite(logliks).all():
            _refuse_impossible(smoothed, data, FloatingPointError)
        return HMMStats(
            smoothed.sums,
            self.emission.sums(params, table, smoothed.shares),
            float(weights @ logliks),
            float(weights @ sizes),
        )

    def free_energy(self, params: Any, data: Sequences, beta: float) -> float:
        """Over whole paths; see ``Model.free_energy``."""
        weights = data.unit_weights * data.seen_sequences
        steps = self._densities(params, data)[1]
        return float(weights @ self.chain.free_energies(params, steps, data, beta))

    def m_step(self, stats: HMMStats, params: Any, free: frozenset[str] | None = None) -> Any:
        free = self.cycle[0].free if free is None else free
        startprob, transmat = self.chain.m_step(stats.chain, params, free)
        emitted = self.emission.m_step(stats.emission, params, free)
        return self.params_type(startprob, transmat, **emitted)

    def q(self, stats: HMMStats, params: Any) -> float:
        """Rabiner (1989), equation 39, with expectations over missing cells too."""
        return self.chain.q(stats.chain, params) + self.emission.q(stats.emission, params)

    def start(self, data: Sequences, responsibilities: Array) -> Any:
        """See ``Chain.start`` and the emission's."""
        startprob, transmat = self.chain.start(data, responsibilities)
        return self.params_type(startprob, transmat, **self.emission.start(data, responsibilities))

    def posterior(self, params: Any, data: Sequences) -> Posteriors:
        """Smoothed states and completed steps; a sequence of probability zero has loglik -inf,
        and responsibilities that sum to 0."""
        smoothed = self._smoothed_steps(params, data)
        responsibilities = smoothed.shares[:, : self.n_states].copy()
        completed = self.emission.completed(params, data, responsibilities)
        logliks, _ = by_sequence(smoothed.increments, data)
        return Posteriors(logliks, responsibilities, completed)

    def decode(self, params: Any, data: Sequences) -> tuple[NDArray[np.int64], Array]:
        """Most probable paths (n,), and their joint log densities with the data (n_sequences,).

        Raises
        ------
        InvalidData
            If a sequence has probability zero.
        """
        path, best = self.chain.best_paths(params, self._densities(params, data)[1], data)
        if not np.isfinite(best).all():
            _refuse_impossible(self._smoothed_steps(params, data), data, InvalidData)
        return path, best

    def complete(self, params: Any, data: Sequences, rng: np.random.Generator) -> Array:
        """Draw paths by filtering forward and sampling backward, then cells given the states."""
        steps = self._densities(params, data)[1]
        states, increments = self.chain.draw(params, steps, data, rng.random(data.n))
        if not np.isfinite(increments).all():
            _refuse_impossible(self._smoothed_steps(params, data), data, InvalidData)
        return self.emission.draw(params, data, states, rng)

    def sample(
        self, params: Any, n: int, rng: np.random.Generator
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw one sequence of n steps; returns it (n, d) and its states (n,)."""
        states = self._simulate(params, np.array([0, n]), rng)
        return self.emission.sample(params, states, rng), states

    def bootstrapped(self, params: Any, data: Sequences, rng: np.random.Generator) -> Sequences:
        """Sequences drawn with replacement; few ones are simulated from ``params`` instead, of
        the same lengths and holes, one of integer weight w simulated w times."""
        if (data.unit_weights * data.seen_sequences).sum() >= FEW_SEQUENCES:
            resampled: Sequences = super().bootstrapped(params, data, rng)
            return resampled
        copies = data.copies()
        states = self._simulate(params, copies.offsets, rng)
        values = self.emission.sample(params, states, rng)
        values[~copies.observed] = np.nan
        return self.view(values, lengths=copies.lengths)

    def diagnose(self, params: Any, stats: HMMStats) -> Diagnosis:
        """``boundary``: a probability of the chain or the emission at 0; and the emission's."""
        found = self.emission.diagnose(params, stats.emission)
        startprob, transmat = self.chain.settled(stats.chain, params)
        if min(transmat.min(), 1.0 if self.chain.tied else startprob.min()) == 0:
            flags = tuple(sorted({*found.flags, "boundary"}))
            return Diagnosis(flags, found.eigenvalue_ratio, found.smallest_component)
        return found

    def settled(self, params: Any, stats: HMMStats) -> Any:
        """Probabilities and rates on their way to zero at zero."""
        startprob, transmat = self.chain.settled(stats.chain, params)
        return self.params_type(
            startprob, transmat, **self.emission.settled(params, stats.emission)
        )

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        names = {"startprob", "transmat", *self.emission.names}
        return names <= set(truth) and len(truth["startprob"]) == self.n_states

    def from_truth(self, truth: dict[str, Any]) -> Any:
        """A generator's parameters; the chain's own start where it is tied."""
        transmat = np.asarray(truth["transmat"], dtype=float)
        startprob = np.asarray(truth["startprob"], dtype=float)
        if self.chain.tied:
            startprob = stationary_distribution(transmat)
        return self.params_type(startprob, transmat, **self.emission.from_truth(truth))

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        return self.emission.parameter_error(params, truth)

    def pack(self, params: Any, coordinates: str = "natural", around: Any = None) -> Array:
        unconstrained = is_unconstrained(coordinates)
        around = params if around is None else around
        return np.concatenate([
            self.chain.pack(params, unconstrained, around),
            self.emission.pack(params, unconstrained, around),
        ])  # fmt: skip

    def unpack(self, vector: Array, around: Any, coordinates: str = "natural") -> Any:
        unconstrained = is_unconstrained(coordinates)
        chain, emission = np.split(vector, [self.chain.n_free])
        startprob, transmat = self.chain.unpack(chain, around, unconstrained)
        return self.params_type(
            startprob, transmat, **self.emission.unpack(emission, around, unconstrained)
        )

    def _densities(self, params: Any, data: Sequences) -> tuple[Table, StepDensities]:
        table, rows = self.emission.support(data)
        width = padded_width(self.n_states)
        relative, peaks = self.emission.densities(params, table, width)

        def logs() -> Array:
            out = np.full((table.n, self.n_states), -np.inf)
            self.emission.log_densities(params, table, out)
            return out

        return table, StepDensities(relative, peaks, rows, table is data, logs)

    def _smoothed_steps(self, params: Any, data: Sequences) -> Smoothed:
        """Step by step, every sequence with weight 1."""
        steps = self._densities(params, data)[1].by_step()
        return self.chain.smooth(params, steps, data, np.ones(data.n_sequences), EXACT)

    def _simulate(
        self, params: Any, offsets: NDArray[np.int64], rng: np.random.Generator
    ) -> NDArray[np.int64]:
        from emlib.kernels.chain_logs import simulate

        uniforms = rng.random(int(offsets[-1]))
        transmat = np.ascontiguousarray(params.transmat)
        states: NDArray[np.int64] = simulate(params.startprob, transmat, offsets, uniforms)
        return states


def _refuse_impossible(smoothed: Smoothed, data: Sequences, error: type[Exception]) -> None:
    step = int(np.flatnonzero(~np.isfinite(smoothed.increments))[0])
    number = int(np.searchsorted(data.offsets, step, side="right")) - 1
    raise error(
        f"sequence {number} has probability zero under these parameters: its step "
        f"{step - int(data.offsets[number])} cannot follow the steps before it"
    )
