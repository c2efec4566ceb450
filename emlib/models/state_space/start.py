"""Where a state-space model may start: principal components as states, regressions for the rest.

Holes are filled by straight lines in time, for the start only.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.models.state_space.moments import solved
from emlib.models.state_space.params import StateSpaceParams

Array = NDArray[np.float64]

FLOOR = 0.01
"""Share of a variance that no start's covariance falls below."""


def principal_components(data: Sequences, k: int, held: dict[str, Array]) -> StateSpaceParams:
    """A start that keeps what is held.

    The states are the leading principal components of the standardized columns (of several
    neighbouring steps where there are more states than columns), scaled to variance 1; with C
    held, the states of smallest size that C maps to the data.  A and b come from their
    regression in time.  Half of what they leave unexplained goes to Q, half through C to R.

    Parameters
    ----------
    data : Sequences
    k : int
        Number of states.
    held : dict of str to ndarray
    """
    from emlib.kernels.states import interpolated

    means, variances = data.column_moments
    scale = np.sqrt(np.where(variances > 0, variances, 1.0))
    weights = data.weights * np.repeat(
        np.logical_or.reduceat(data.informative, data.offsets[:-1]), data.lengths
    )
    level = held.get("observation_offset", means)
    z = (interpolated(data.values, data.offsets, means) - level) / scale
    starts = data.offsets[:-1]
    if "observation" in held:
        observation = held["observation"] / scale[:, None]
        states = z @ np.linalg.pinv(observation).T
    else:
        states = _components(z, weights, starts, k)
        cross, square = _products(z, states, weights), _products(states, states, weights)
        observation = solved(square, cross.T).T

    after = np.delete(np.arange(data.n), starts)
    transition, offset = _autoregression(states, after, weights, held)
    innovations = states[after] - states[after - 1] @ transition.T - offset
    noise = _covariance(innovations, weights[after], states, weights)
    rest = z - states @ observation.T
    unexplained = _products(rest, rest, weights) / weights.sum()
    measured = 0.5 * observation @ noise @ observation.T + unexplained + FLOOR * np.eye(data.d)
    first = states[starts]
    share = weights[starts]
    mean = share @ first / share.sum()
    spread = _covariance(first - mean, share, states, weights)
    return StateSpaceParams(**{
        "transition": transition,
        "transition_offset": offset,
        "transition_covariance": 0.5 * noise,
        "observation": observation * scale[:, None],
        "observation_offset": level,
        "observation_covariance": measured * np.outer(scale, scale),
        "initial_mean": mean,
        "initial_covariance": spread,
        **held,
    })  # fmt: skip


def randomized(
    params: StateSpaceParams, data: Sequences, held: dict[str, Any], rng: np.random.Generator
) -> StateSpaceParams:
    """A random start of the same scales: A a random rotation, shrunk; C normal; covariances
    times a log-normal factor.
    """
    k = len(params.initial_mean)
    scale = np.sqrt(data.column_moments[1])
    rotation = np.linalg.qr(rng.standard_normal((k, k)))[0]
    drawn = {
        "transition": rotation * rng.uniform(0.3, 0.95),
        "observation": rng.standard_normal((data.d, k)) * (scale / np.sqrt(k))[:, None],
        "transition_covariance": params.transition_covariance * np.exp(rng.standard_normal()),
        "observation_covariance": params.observation_covariance * np.exp(rng.standard_normal()),
        "initial_covariance": params.initial_covariance * np.exp(rng.standard_normal()),
        "initial_mean": params.initial_mean,
        "transition_offset": params.transition_offset,
        "observation_offset": params.observation_offset,
    }
    return StateSpaceParams(**(drawn | held))


def _components(z: Array, weights: Array, starts: NDArray[np.int64], k: int) -> Array:
    """Scores (n, k) of variance 1 of steps and as many steps before as k needs."""
    n, d = z.shape
    first = np.repeat(starts, np.diff([*starts, n]))
    lags = -(-k // d)
    stacked = np.hstack([z[np.maximum(np.arange(n) - lag, first)] for lag in range(lags)])
    centred = stacked - weights @ stacked / weights.sum()
    values, vectors = np.linalg.eigh(_products(centred, centred, weights) / weights.sum())
    leading = vectors[:, ::-1][:, :k]
    leading = leading * np.where(leading.sum(axis=0) < 0, -1.0, 1.0)
    size = np.sqrt(np.maximum(values[::-1][:k], FLOOR**2 * values[-1]))
    return np.asarray(stacked @ leading / np.where(size > 0, size, 1.0))


def _autoregression(
    states: Array, after: NDArray[np.int64], weights: Array, held: dict[str, Array]
) -> tuple[Array, Array]:
    k = states.shape[1]
    transition = held.get("transition", 0.5 * np.eye(k))
    offset = held.get("transition_offset", np.zeros(k))
    if not len(after):
        return transition, offset
    w, left, right = weights[after], states[after], states[after - 1]
    total = max(float(w.sum()), 1e-300)
    left_mean, right_mean = w @ left / total, w @ right / total
    estimate_offset = "transition_offset" not in held
    if "transition" not in held:
        y, x = (left - left_mean, right - right_mean) if estimate_offset else (left - offset, right)
        transition = solved(_products(x, x, w), _products(y, x, w).T).T
    if estimate_offset:
        offset = left_mean - transition @ right_mean
    return transition, offset


def _products(left: Array, right: Array, weights: Array) -> Array:
    return np.asarray((weights[:, None] * left).T @ right)


def _covariance(deviations: Array, weights: Array, states: Array, all_weights: Array) -> Array:
    """Shrunk a little to a round share of the states' own size, so that it is never singular."""
    centred = states - all_weights @ states / all_weights.sum()
    size = (all_weights @ centred**2).mean() / all_weights.sum()
    k = states.shape[1]
    total = _products(deviations, deviations, weights) + FLOOR * (k + 1) * size * np.eye(k)
    return np.asarray(total / (weights.sum() + k + 1.0) + FLOOR * size * np.eye(k))
