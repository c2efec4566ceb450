"""The Kalman smoother on sequences with holes, and the expectations that EM sums from it."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.models.records import Degenerate
from emlib.models.state_space.moments import StateSpaceStats
from emlib.models.state_space.params import StateSpaceParams
from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Layout:
    """Where the states of sequences stand in one array: with a first state before the first
    observation (``lead`` 1), each sequence has one line more than time steps.
    """

    data: Sequences
    lead: int

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Lines of first states, shape (n_sequences,)."""
        return self.data.offsets[:-1] + self.lead * np.arange(self.data.n_sequences)

    @cached_property
    def rows(self) -> NDArray[np.int64]:
        """Lines of the states of time steps, shape (n,)."""
        sequence = np.repeat(np.arange(self.data.n_sequences), self.data.lengths)
        return np.arange(self.data.n) + self.lead * (sequence + 1)

    @cached_property
    def informative(self) -> NDArray[np.bool_]:
        """True for sequences with an observed cell and positive weight."""
        return np.logical_or.reduceat(self.data.informative, self.data.offsets[:-1])


@dataclass(frozen=True, eq=False)
class Smoothed:
    """What all observations of a sequence say of each of its states; see the kernels' words."""

    means: Array
    covariances: Array
    logliks: Array
    sizes: Array
    completed: Array
    shocks: Array
    step_covariances: Array
    pairs: Array
    initial: Array
    factors: tuple[Any, ...]


def factored(params: StateSpaceParams, layout: Layout) -> tuple[Any, ...]:
    """What ``factor_noise`` gives, and whether the noise is diagonal."""
    from emlib.kernels.kalman import factor_noise

    data, noise = layout.data, params.observation_covariance
    (p, d), k = data.columns_of_pattern.shape, params.observation.shape[1]
    diagonal = bool((noise == np.diag(np.diagonal(noise))).all())
    # NumPy asks the system for large pages, compiled code does not.
    rotation = np.zeros((p, 1, 1) if diagonal else (p, d, d))
    factors = rotation, np.zeros((p, d, k)), np.zeros((p, d)), np.zeros((p, d, d))
    factor_noise(
        np.ascontiguousarray(noise), np.ascontiguousarray(params.observation),
        data.columns_of_pattern, data.observed_counts, diagonal, *factors,
    )  # fmt: skip
    return *factors, diagonal


def predicted(
    params: StateSpaceParams, layout: Layout, wanted: NDArray[np.bool_], scales: Array
) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
    """Run the filter; returns the kernel's results, and the factored noise.

    Raises
    ------
    Degenerate
        If an observation is predicted without error.
    """
    from emlib.kernels.kalman import filter_pass

    data = layout.data
    *factors, diagonal = factored(params, layout)
    rotation, loadings, variances, _ = factors
    run = filter_pass(
        data.values, data.offsets, wanted, layout.lead, data.pattern_of_row,
        data.columns_of_pattern, data.observed_counts, scales,
        np.ascontiguousarray(params.transition), params.transition_offset,
        np.ascontiguousarray(params.transition_covariance), params.observation_offset,
        params.initial_mean, np.ascontiguousarray(params.initial_covariance),
        rotation, loadings, variances, diagonal,
    )  # fmt: skip
    if run[-1] >= 0:
        raise Degenerate(f"column {run[-1]} is predicted without error")
    return run, (*factors, diagonal)


def filtered(params: StateSpaceParams, layout: Layout) -> tuple[Array, Array]:
    """Means (n, k) and covariances (n, k, k) of the states given the past and the present."""
    from emlib.kernels.kalman import filtered_states

    data = layout.data
    run, (rotation, loadings, variances, _, diagonal) = predicted(
        params, layout, np.ones(data.n_sequences, dtype=bool), np.zeros(data.d)
    )
    means, covariances = run[:2]
    filtered_states(
        data.values, data.offsets, layout.lead, data.pattern_of_row, data.columns_of_pattern,
        data.observed_counts, params.observation_offset, rotation, loadings, variances, diagonal,
        means, covariances,
    )  # fmt: skip
    return means[layout.rows], covariances[layout.rows]


def smoothed(
    params: StateSpaceParams,
    layout: Layout,
    wanted: NDArray[np.bool_],
    scales: Array,
    keep: bool = False,
) -> Smoothed:
    """Smooth the ``wanted`` sequences; covariances of single states only where ``keep``."""
    from emlib.kernels.kalman_smoother import smooth_pass

    data = layout.data
    run, factors = predicted(params, layout, wanted, scales)
    means, covariances, steady, logliks, sizes, _ = run
    rotation, loadings, variances, _, diagonal = factors
    completed, shocks, step_covariances, pairs, initial = smooth_pass(
        data.values, data.offsets, wanted, data.unit_weights, layout.lead, data.pattern_of_row,
        data.columns_of_pattern, data.observed_counts, np.ascontiguousarray(params.transition),
        np.ascontiguousarray(params.transition_covariance), params.observation_offset,
        rotation, loadings, variances, diagonal, means, covariances, steady, keep,
    )  # fmt: skip
    return Smoothed(
        means, covariances, logliks, sizes, completed, shocks, step_covariances, pairs, initial,
        factors,
    )  # fmt: skip


def expectations(
    params: StateSpaceParams, layout: Layout, count_missing_steps: bool
) -> StateSpaceStats:
    """The E-step: Shumway and Stoffer (1982), section 3, and their book's for missing cells."""
    from emlib.kernels.states import error_covariances

    data, wanted = layout.data, layout.informative
    run = smoothed(params, layout, wanted, data.roughness)
    starts, rows = layout.starts, layout.rows
    unit_weights = data.unit_weights * wanted
    weights = np.zeros(len(run.means))
    weights[rows] = np.repeat(unit_weights, data.lengths)
    weights[starts] = unit_weights
    after = np.delete(np.arange(len(run.means)), starts)
    opens = np.zeros(len(run.means), dtype=np.int64)
    opens[starts] = 1

    k, d = run.means.shape[1], data.d
    centre = (weights[:, None] * run.means).sum(axis=0) / weights.sum()
    first = run.means[starts]
    initial = _sums(first, first[:, :0], unit_weights, 0 * starts, centre)
    transitions = _sums(
        run.shocks[after], run.means[after - 1], weights[after], 1 - opens[after - 1],
        np.concatenate([np.zeros(k), centre]),
    )  # fmt: skip
    counted = weights[rows] if count_missing_steps else weights[rows] * data.informative
    kinds = 1 - opens[rows]
    states = run.means[rows]
    errors = run.completed - states @ params.observation.T - params.observation_offset
    observations = _sums(errors, states, counted, kinds, np.concatenate([np.zeros(d), centre]))
    by_pattern = np.zeros((len(data.patterns), 2))
    np.add.at(by_pattern, (data.pattern_of_row, kinds), counted)
    _, loadings, _, hidden, _ = run.factors
    noise = error_covariances(
        run.step_covariances, by_pattern, data.columns_of_pattern, data.observed_counts,
        np.ascontiguousarray(params.observation), loadings, hidden,
    )  # fmt: skip
    return StateSpaceStats(
        _with_covariances(initial, run.initial[None]),
        _with_covariances(transitions, run.pairs),
        _with_covariances(observations, noise),
        {
            "transition_covariance": (transitions.counts.sum(), run.pairs.sum(axis=0)[:k, :k]),
            "observation_covariance": (observations.counts.sum(), noise.sum(axis=0)[:d, :d]),
            "initial_covariance": (initial.counts.sum(), run.initial),
        },
        params,
        float((unit_weights * run.logliks)[wanted].sum()),
        float((unit_weights * run.sizes)[wanted].sum()),
    )


def _sums(
    left: Array, right: Array, weights: Array, kinds: NDArray[Any], reference: Array
) -> ComponentSums:
    from emlib.kernels.states import centred_products

    both = np.tile(reference, (2, 1))
    counts, first, second = centred_products(left, right, weights, kinds, both)
    return ComponentSums(counts, both, first, second, 0.0, 0.0)


def _with_covariances(sums: ComponentSums, covariances: Array) -> ComponentSums:
    """The sums of products of means, with the covariances about these added."""
    kept = slice(len(covariances))
    return ComponentSums(
        sums.counts[kept], sums.reference[kept], sums.first[kept],
        sums.second[kept] + covariances, 0.0, 0.0,
    )  # fmt: skip
