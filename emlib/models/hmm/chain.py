"""The hidden chain: where a sequence starts, how it moves; it never knows what is emitted.

Rabiner (1989), equations 40a and 40b; with the first state tied to the chain Zucchini and
MacDonald (2009), section 4.2.4.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.errors import require_count
from emlib.models.hmm.stationary import maximize_tied, stationary_distribution
from emlib.models.posterior import Posterior
from emlib.models.records import Degenerate
from emlib.models.scratch import scratch
from emlib.models.simplex import log, pack_simplex, unpack_simplex, vanishing_shares, without
from emlib.models.special import xlogy

Array = NDArray[np.float64]

STARTS = ("free", "stationary")

BOUNDARY = 1e-8
"""A probability below this is flagged as one at 0, and frozen in charts around it."""


@dataclass(frozen=True, eq=False)
class ChainSums:
    """Expected counts: of first states (K,), and of pairs of states in a row (K, K)."""

    initial: Array
    transitions: Array

    def __add__(self, other: "ChainSums") -> "ChainSums":
        return ChainSums(self.initial + other.initial, self.transitions + other.transitions)

    def scaled(self, factor: float) -> "ChainSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return ChainSums(factor * self.initial, factor * self.transitions)


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What a pass over all sequences gives; the large arrays are the thread's until the next pass.

    Attributes
    ----------
    sums : ChainSums
    shares : ndarray of shape (m, width)
        Weighted posterior probabilities of the states, added up by line of the table of
        densities; zero in the padding.
    increments : ndarray of shape (n,)
        Log density of each step given those before; -inf from an impossible step on.
    """

    sums: ChainSums
    shares: Array
    increments: Array


@dataclass(frozen=True)
class Chain:
    """A chain of ``n_states`` whose first state is free, or drawn from where the chain settles."""

    n_states: int
    startprob: str

    def __post_init__(self) -> None:
        require_count("n_states", self.n_states)
        if self.startprob not in STARTS:
            raise ValueError(f"startprob: {self.startprob!r} is not one of {', '.join(STARTS)}")

    @property
    def tied(self) -> bool:
        """Whether the first state follows from the transitions."""
        return self.startprob == "stationary"

    @property
    def names(self) -> frozenset[str]:
        """Parameters that move of their own."""
        return frozenset({"transmat"} if self.tied else {"startprob", "transmat"})

    @property
    def n_free(self) -> int:
        """Number of free parameters."""
        k = self.n_states
        return k * (k - 1) + (0 if self.tied else k - 1)

    def smooth(
        self, params: Any, steps: "StepDensities", data: Sequences, weights: Array,
        posterior: Posterior,
    ) -> Smoothed:  # fmt: skip
        """Posterior of the states given the densities of the steps."""
        if posterior.rng is not None:
            path, increments = self.draw(params, steps, data, posterior.uniforms(data.n))
            return self._counted(path, increments, steps, data, weights)
        exact = _smooth(params.startprob, params.transmat, steps, data, weights)
        if posterior.beta == 1.0:
            return exact
        increments = exact.increments.copy()
        if posterior.beta == np.inf:
            path, _ = self.best_paths(params, steps, data)
            return self._counted(path, increments, steps, data, weights)
        # The posterior of a whole path, to a power: each of its factors to that power.
        tempered = _smooth(
            params.startprob**posterior.beta, params.transmat**posterior.beta,
            steps.tempered(posterior.beta), data, weights,
        )  # fmt: skip
        return Smoothed(tempered.sums, tempered.shares, increments)

    def free_energies(
        self, params: Any, steps: "StepDensities", data: Sequences, beta: float
    ) -> Array:
        """Of each sequence: 1/beta log of the sum over paths of their density to the power beta."""
        if beta == np.inf:
            return self.best_paths(params, steps, data)[1]
        smoothed = _smooth(
            params.startprob**beta, params.transmat**beta, steps.tempered(beta), data,
            data.unit_weights,
        )  # fmt: skip
        return by_sequence(smoothed.increments, data)[0] / beta

    def best_paths(
        self, params: Any, steps: "StepDensities", data: Sequences
    ) -> tuple[NDArray[np.int64], Array]:
        """Most probable paths (n,), and their log densities with the data (n_sequences,)."""
        from emlib.kernels.chain_logs import viterbi

        path, best = viterbi(
            steps.logs(), steps.rows, data.offsets, log(params.startprob), log(params.transmat)
        )
        return path, best

    def draw(
        self, params: Any, steps: "StepDensities", data: Sequences, uniforms: Array
    ) -> tuple[NDArray[np.int64], Array]:
        """Paths (n,) drawn from their posterior, and the increments of the loglik (n,)."""
        from emlib.kernels.chain_logs import draw_paths

        path, increments = draw_paths(
            steps.logs(), steps.rows, data.offsets, log(params.startprob), log(params.transmat),
            uniforms,
        )  # fmt: skip
        return path, increments

    def m_step(self, sums: ChainSums, params: Any, free: frozenset[str]) -> tuple[Array, Array]:
        """Initial and transition probabilities; states without counts keep theirs."""
        startprob, transmat = params.startprob, params.transmat
        if self.tied:
            if "transmat" in free:
                transmat = maximize_tied(sums.initial, sums.transitions, transmat)
                startprob = stationary_distribution(transmat)
            return startprob, transmat
        if "transmat" in free:
            transmat = shares_of(sums.transitions, transmat)
        if "startprob" in free:
            startprob = shares_of(sums.initial, startprob)
        return startprob, transmat

    def q(self, sums: ChainSums, params: Any) -> float:
        """Rabiner's auxiliary function, the terms of the chain."""
        first = xlogy(sums.initial, params.startprob).sum()
        return float(first + xlogy(sums.transitions, params.transmat).sum())

    def start(self, data: Sequences, responsibilities: Array) -> tuple[Array, Array]:
        """From soft counts of first states and of pairs, with one count more a line, spread."""
        from emlib.kernels.chain_logs import count_pairs

        k = self.n_states
        seen = np.any(data.observed, axis=1, keepdims=True)
        r = np.ascontiguousarray(np.where(seen, responsibilities, 1.0 / k))
        weights = data.unit_weights * data.seen_sequences
        pairs = count_pairs(r, data.offsets, weights) + 1.0 / k
        transmat = pairs / pairs.sum(axis=1, keepdims=True)
        if self.tied:
            return stationary_distribution(transmat), transmat
        first = weights @ r[data.offsets[:-1]] + 1.0 / k
        return first / first.sum(), transmat

    def settled(self, sums: ChainSums, params: Any) -> tuple[Array, Array]:
        """Initial and transition probabilities, those on their way to zero at zero."""
        transmat = settled_shares(sums.transitions, params.transmat)
        if self.tied:
            try:
                return stationary_distribution(transmat), transmat
            except Degenerate:  # at the zeros it falls apart: they are kept inside
                return params.startprob, params.transmat
        return settled_shares(sums.initial, params.startprob), transmat

    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        """Coordinates of the probabilities that move of their own."""
        transmat = pack_simplex(params.transmat, unconstrained, around.transmat, BOUNDARY)
        if self.tied:
            return transmat
        startprob = pack_simplex(params.startprob, unconstrained, around.startprob, BOUNDARY)
        return np.concatenate([startprob, transmat])

    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> tuple[Array, Array]:
        """Inverse of ``pack``."""
        at = 0 if self.tied else self.n_states - 1
        transmat = unpack_simplex(vector[at:], around.transmat, unconstrained, BOUNDARY)
        if self.tied:
            return stationary_distribution(transmat), transmat
        startprob = unpack_simplex(vector[:at], around.startprob, unconstrained, BOUNDARY)
        return startprob, transmat

    def _counted(
        self, path: Any, increments: Array, steps: "StepDensities", data: Sequences, weights: Array
    ) -> Smoothed:
        from emlib.kernels.chain_logs import count_path

        k = self.n_states
        sums = ChainSums(np.zeros(k), np.zeros((k, k)))
        shares = np.zeros(steps.relative.shape)
        count_path(path, steps.rows, data.offsets, weights, shares, sums.initial, sums.transitions)
        return Smoothed(sums, shares, increments)


@dataclass(frozen=True, eq=False)
class StepDensities:
    """Densities of time steps in each state, as lines of a table that steps point into.

    Attributes
    ----------
    relative : ndarray of shape (m, width)
        Relative to the line's largest; zero in the padding, and where a density is zero.
    peaks : ndarray of shape (m,)
        Logs of the largest.
    rows : ndarray of shape (n,)
        The line of each step.
    own_lines : bool
        Whether each step is its own line.
    logs : callable
        Gives the log densities (m, K), which only few need.
    """

    relative: Array
    peaks: Array
    rows: NDArray[np.int64]
    own_lines: bool
    logs: Callable[[], Array]

    @classmethod
    def from_logs(
        cls, log_densities: Array, n_states: int, rows: NDArray[np.int64], own_lines: bool
    ) -> "StepDensities":
        """From log densities (m, width), -inf in the padding."""
        logs = log_densities[:, :n_states].copy()
        relative, peaks = relative_densities(log_densities)
        return cls(relative, peaks, rows, own_lines, lambda: logs)

    def tempered(self, beta: float) -> "StepDensities":
        """All densities to the power ``beta``."""
        logs = self.logs()
        wide = np.full(self.relative.shape, -np.inf)
        wide[:, : logs.shape[1]] = beta * logs
        return self.from_logs(wide, logs.shape[1], self.rows, self.own_lines)

    def by_step(self) -> "StepDensities":
        """The same with a line for each step."""
        if self.own_lines:
            return self
        rows, logs = self.rows, self.logs
        numbers = np.arange(len(rows))
        return StepDensities(
            self.relative[rows], self.peaks[rows], numbers, True, lambda: logs()[rows]
        )


def by_sequence(increments: Array, data: Sequences) -> tuple[Array, Array]:
    """Loglik of each sequence, and the sum of its steps' sizes, of one nat each at least."""
    from emlib.kernels.increments import sequence_sums

    logliks, sizes = sequence_sums(increments, data.offsets)
    return logliks, sizes


def relative_densities(log_densities: Array) -> tuple[Array, Array]:
    """Densities (m, width) relative to each line's largest, in place, and the logs of these (m,).

    The logs are the thread's until they are asked for again.
    """
    from emlib.kernels import chain

    peaks = scratch("peaks", (len(log_densities),))
    chain.relative_densities(log_densities, log_densities, peaks)
    return log_densities, peaks


def padded_width(n_states: int) -> int:
    """Number of columns that kernels see for ``n_states``."""
    from emlib.kernels.lanes import LANES

    return -(-n_states // LANES) * LANES


def shares_of(counts: Array, current: Array) -> Array:
    """Counts as probabilities along the last axis; ``current`` ones where there are no counts."""
    totals = counts.sum(axis=-1, keepdims=True)
    safe = np.where(totals > 0, totals, 1.0)
    return np.asarray(np.where(totals > 0, counts / safe, current))


def settled_shares(counts: Array, p: Array) -> Array:
    """Probabilities with those on their way to zero at zero, and those next to it."""
    return without(p, (p < BOUNDARY) | vanishing_shares(counts, p))


def _smooth(
    startprob: Array, transmat: Array, steps: StepDensities, data: Sequences, weights: Array
) -> Smoothed:
    from emlib.kernels.chain import smooth
    from emlib.kernels.chain_logs import smooth_in_logs
    from emlib.kernels.increments import log_scales

    k, width = len(startprob), steps.relative.shape[1]
    start, moves = np.zeros(width), np.zeros((width, width))
    start[:k], moves[:k, :k] = startprob, transmat
    increments = scratch("scales", (data.n,))
    shares, initial, pairs, left = smooth(
        steps.relative, steps.rows, data.offsets, weights, start, moves, k, steps.own_lines,
        scratch("filtered", (data.n, width)), increments,
    )  # fmt: skip
    sums = ChainSums(initial[:k].copy(), pairs[:k, :k] * transmat)
    log_scales(increments, steps.peaks, steps.rows, steps.own_lines)
    if left.any():
        smooth_in_logs(
            steps.logs(), steps.rows, data.offsets, weights, left, log(startprob), log(transmat),
            shares, sums.initial, sums.transitions, increments,
        )  # fmt: skip
    return Smoothed(sums, shares, increments)
