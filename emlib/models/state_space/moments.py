"""What EM needs to know of the states of a linear Gaussian state-space model, as sums.

Moments stand about reference points, so that nothing is lost far from zero.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emlib.models.state_space.params import StateSpaceParams, is_singular
from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StateSpaceStats:
    """Expected sums over independent sequences.

    Attributes
    ----------
    initial : ComponentSums
        Of the first states, one component of k columns.
    transitions : ComponentSums
        Of (w_t, x_t-1), 2 k columns, w_t being the noise at the parameters of the E-step: it may
        be smaller than the states by many digits.  The first component holds transitions from
        a sequence's first state, the second all others.
    observations : ComponentSums
        Of (v_t, x_t), d + k columns, missing cells integrated out; components likewise.
    spreads : dict of str to (float, ndarray)
        Of each covariance's own noise (w_t, v_t, x_1) the count, and the summed covariances given
        all observations, each at the parameters of its own E-step: what the end of a climb is
        diagnosed by.
    params : StateSpaceParams
        Those of the E-step; of the first one in a sum.
    loglik, magnitude : float
        Observed-data loglik, and the sum of the time steps' absolute logliks.
    """

    initial: ComponentSums
    transitions: ComponentSums
    observations: ComponentSums
    spreads: dict[str, tuple[float, Array]]
    params: StateSpaceParams
    loglik: float
    magnitude: float

    def __add__(self, other: "StateSpaceStats") -> "StateSpaceStats":
        here, there = self.params, other.params
        transitions, observations = other.transitions, other.observations
        if is_singular(there.initial_covariance):  # first states lie where the mean says
            shift = here.initial_mean - there.initial_mean
            transitions = moved_with_mean(transitions, there.transition, shift)
            observations = moved_with_mean(observations, there.observation, shift)
        transitions = with_noise_of(
            transitions,
            there.transition - here.transition,
            there.transition_offset - here.transition_offset,
        )
        observations = with_noise_of(
            observations,
            there.observation - here.observation,
            there.observation_offset - here.observation_offset,
        )
        return StateSpaceStats(
            self.initial + other.initial,
            self.transitions + transitions,
            self.observations + observations,
            {
                name: (count + other.spreads[name][0], spread + other.spreads[name][1])
                for name, (count, spread) in self.spreads.items()
            },
            self.params,
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )


def with_noise_of(sums: ComponentSums, coefficients: Array, offset: Array) -> ComponentSums:
    """The sums of (e, x) as those of (e + coefficients x + offset, x)."""
    a = len(offset)
    turn = np.eye(sums.reference.shape[1])
    turn[:a, a:] = coefficients
    reference = sums.reference @ turn.T
    reference[:, :a] += offset
    return replace(
        sums, reference=reference, first=sums.first @ turn.T, second=turn @ sums.second @ turn.T
    )


def pooled(sums: ComponentSums) -> ComponentSums:
    """All components as one, about the overall mean."""
    counts = sums.counts
    total = max(float(counts.sum()), np.finfo(float).tiny)
    mean = ((counts[:, None] * sums.reference + sums.first).sum(axis=0) / total)[None]
    moved = sums.about(np.broadcast_to(mean, sums.reference.shape))
    return ComponentSums(
        counts.sum(keepdims=True), mean, moved.first.sum(axis=0, keepdims=True),
        moved.second.sum(axis=0, keepdims=True), 0.0, 0.0,
    )  # fmt: skip


def moved_with_mean(sums: ComponentSums, coefficients: Array, shift: Array) -> ComponentSums:
    """The sums after first states, the first component's, have moved by ``shift``."""
    reference = sums.reference.copy()
    reference[0] += np.concatenate([-coefficients @ shift, shift])
    return ComponentSums(sums.counts, reference, sums.first, sums.second, 0.0, 0.0)


def regression(
    sums: ComponentSums, coefficients: Array, offset: Array, estimate: bool, estimate_offset: bool
) -> tuple[Array, Array]:
    """Least squares of the left columns on the right ones.

    Directions that the right columns do not span stay as they are in ``coefficients``.

    Parameters
    ----------
    sums : ComponentSums
        Pooled: one component, about its mean.
    coefficients : ndarray of shape (a, b)
    offset : ndarray of shape (a,)
    estimate, estimate_offset : bool
        What may move.

    Returns
    -------
    coefficients, offset
    """
    a = len(offset)
    if sums.counts[0] <= 0:
        return coefficients, offset
    if estimate:
        about = sums
        if not estimate_offset:
            origin = np.concatenate([offset, np.zeros(coefficients.shape[1])])
            about = sums.about(origin[None])
        cross, square = about.second[0, :a, a:], about.second[0, a:, a:]
        coefficients = coefficients + solved(square, (cross - coefficients @ square).T).T
    if estimate_offset:
        mean = sums.reference[0] + sums.first[0] / sums.counts[0]
        offset = mean[:a] - coefficients @ mean[a:]
    return coefficients, offset


def solved(matrix: Array, right: Array) -> Array:
    """Solve a positive semi-definite system; 0 along directions that the matrix does not span."""
    size = np.sqrt(np.diagonal(matrix))
    unit = 1.0 / np.where(size > 0, size, 1.0)
    inverse = np.linalg.pinv(matrix * np.outer(unit, unit), rcond=1e-13, hermitian=True)
    return np.asarray(unit[:, None] * (inverse @ (unit[:, None] * right)))


def residual_products(sums: ComponentSums, coefficients: Array, offset: Array) -> Array:
    """Summed products of left - coefficients right - offset, all components, shape (a, a)."""
    a = len(offset)
    contrast = np.hstack([np.eye(a), -coefficients])
    right = sums.reference[:, a:]
    moved = sums.about(np.hstack([right @ coefficients.T + offset, right]))
    total = contrast @ moved.second.sum(axis=0) @ contrast.T
    return np.asarray(0.5 * (total + total.T))


def initial_shift(stats: StateSpaceStats, params: StateSpaceParams) -> Array:
    """How far the mean of first states without own noise moves, by weighted least squares.

    x_1 stands in the regression of x_2 and, where it is observed, in that of y_1.
    """
    k = len(params.initial_mean)
    square, cross = np.zeros((k, k)), np.zeros(k)
    before = stats.params
    for sums, change, offset, matrix, noise in (
        (
            stats.transitions,
            params.transition - before.transition,
            params.transition_offset - before.transition_offset,
            params.transition,
            params.transition_covariance,
        ),
        (
            stats.observations,
            params.observation - before.observation,
            params.observation_offset - before.observation_offset,
            params.observation,
            params.observation_covariance,
        ),
    ):
        count = sums.counts[0]
        if count <= 0:
            continue
        contrast = np.hstack([np.eye(len(offset)), -change])
        residual = contrast @ (count * sums.reference[0] + sums.first[0]) - count * offset
        weighted = np.linalg.solve(noise, matrix).T
        square += count * weighted @ matrix
        cross += weighted @ residual
    return solved(square, cross[:, None])[:, 0]
