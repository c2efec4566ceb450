"""Stochastic realization: a state-space model from the covariances of lagged observations."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.errors import InvalidData, require_count
from emlib.inits.base import Init, Start
from emlib.inits.rows import available_correlation, repaired
from emlib.models.base import Model

Array = NDArray[np.float64]

FLOOR = 0.01
"""Least eigenvalue of a correlation, and of a noise covariance relative to what it is part of."""

LARGEST_MODULUS = 0.999
"""The dynamics are shrunk to this, for a state without a stationary law has no covariance."""

BASIS = frozenset({"transition", "observation"})


@dataclass(frozen=True)
class Subspace(Init):
    """A and C from the canonical correlations of future and past, noise from what is left.

    Larimore (1990) and Van Overschee and De Moor (1996), chapter 3, without inputs: the singular
    value decomposition of the block Hankel matrix of lagged covariances, weighted by the inverse
    roots of the covariances of future and past, gives the observability matrix; its shift A.  The
    covariance of the states is the one whose C A^l P C' are nearest to the lagged covariances by
    least squares; Q = P - A P A' and R = Cov y - C P C', each made positive definite.  Noise in the
    states and in the observations is uncorrelated, as in the model.  It draws nothing.

    Holes: covariances over the pairs of steps where both cells are observed, eigenvalues of their
    correlations raised to 0.01; nothing is filled in but the window of the first step.  Cost: two
    passes for each lag.

    Parameters
    ----------
    lags : int, optional
        Steps of the future, and of the past; by default one more than the states need, 2 at least.
    """

    name: ClassVar[str] = "subspace"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"factors", "order"})

    lags: int | None = None

    def __post_init__(self) -> None:
        if self.lags is not None:
            require_count("lags", self.lags)

    def lacks(self, family: type[Model] | Model) -> list[str]:
        """A state whose basis is held has no place for the basis that is found here."""
        held = sorted(BASIS & set(getattr(family, "fixed", ())))
        if not isinstance(family, type) and held:
            return [*super().lacks(family), f"a free {' and '.join(held)}"]
        return super().lacks(family)

    def __call__(self, model: Any, data: Sequences, rng: np.random.Generator) -> Start:
        k, d = model.n_states, data.d
        lags = max(2, -(-k // d) + 1) if self.lags is None else self.lags
        if lags * d < k:
            raise InvalidData(f"subspace: {lags} lags of {d} columns, fewer than {k} states")
        means, variances = data.column_moments
        scale = np.sqrt(np.where(variances > 0, variances, 1.0))
        windows = Table.from_array(lagged((data.values - means) / scale, data, lags), data.weights)
        joint = repaired(available_correlation(windows), FLOOR)
        transition, observation = realized(joint, lags, d, k)
        spread = state_covariance(joint, transition, observation, lags)
        observed = joint[:d, :d]
        noise = _positive(spread - transition @ spread @ transition.T, spread)
        error = _positive(observed - observation @ spread @ observation.T, observed)
        truth = {
            "transition": transition,
            "transition_offset": np.zeros(k),
            "transition_covariance": noise,
            "observation": observation * scale[:, None],
            "observation_offset": means,
            "observation_covariance": error * np.outer(scale, scale),
            "initial_mean": first_state(windows, data, joint, transition, observation, spread),
            "initial_covariance": spread,
        }
        return Start(model.from_truth(truth), e_steps=2.0 * lags)


def lagged(z: Array, data: Sequences, lags: int) -> Array:
    """Future z_t .. z_t+l-1 and past z_t-1 .. z_t-l of each step, NaN beyond its sequence,

    shape (n, 2 l d).
    """
    steps = np.arange(data.n)
    sequence = np.repeat(np.arange(data.n_sequences), data.lengths)
    parts = []
    for shift in [*range(lags), *range(-1, -lags - 1, -1)]:
        place = np.clip(steps + shift, 0, data.n - 1)
        same = (sequence[place] == sequence) & (place == steps + shift)
        parts.append(np.where(same[:, None], z[place], np.nan))
    return np.hstack(parts)


def realized(joint: Array, lags: int, d: int, k: int) -> tuple[Array, Array]:
    """A (k, k) and C (d, k) from the covariance of future and past."""
    width = lags * d
    future, past = joint[:width, :width], joint[width:, width:]
    left, right = np.linalg.cholesky(future), np.linalg.cholesky(past)
    weighted = np.linalg.solve(right, np.linalg.solve(left, joint[:width, width:]).T).T
    vectors, values, _ = np.linalg.svd(weighted)
    observability = left @ vectors[:, :k] * np.sqrt(np.maximum(values[:k], FLOOR))
    if lags == 1:
        return 0.5 * np.eye(k), observability
    transition = np.linalg.pinv(observability[:-d]) @ observability[d:]
    modulus = np.abs(np.linalg.eigvals(transition)).max()
    return transition * min(1.0, LARGEST_MODULUS / max(modulus, 1e-300)), observability[:d]


def state_covariance(joint: Array, transition: Array, observation: Array, lags: int) -> Array:
    """The symmetric P (k, k) with C A^l P C' nearest to the lagged covariances, made positive."""
    d, k = observation.shape
    rows, columns = np.tril_indices(k)
    basis = np.zeros((len(rows), k, k))
    basis[np.arange(len(rows)), rows, columns] = 1.0
    basis[np.arange(len(rows)), columns, rows] = 1.0
    power, designs, targets = observation, [], []
    for lag in range(1, lags + 1):
        power = power @ transition
        designs.append((power @ basis @ observation.T).reshape(len(rows), -1).T)
        block = slice((lags + lag - 1) * d, (lags + lag) * d)
        targets.append(joint[:d, block].ravel())
    found, *_ = np.linalg.lstsq(np.vstack(designs), np.concatenate(targets), rcond=1e-6)
    return _positive(np.tensordot(found, basis, 1), np.eye(k) * max(np.abs(found).max(), FLOOR))


def first_state(
    windows: Table,
    data: Sequences,
    joint: Array,
    transition: Array,
    observation: Array,
    spread: Array,
) -> Array:
    """Mean over sequences of the expected first state given the first steps, shape (k,)."""
    d, parts = len(observation), []
    width = joint.shape[0] // 2
    for _ in range(width // d):
        parts.append(observation)
        observation = observation @ transition
    gain = spread @ np.vstack(parts).T @ np.linalg.inv(joint[:width, :width])
    begins = data.offsets[:-1]
    shown = np.nan_to_num(windows.values[begins, :width], nan=0.0)  # at its mean
    weights = data.weights[begins]
    return np.asarray(gain @ (weights @ shown) / weights.sum())


def _positive(covariance: Array, whole: Array) -> Array:
    """Symmetric, no eigenvalue below ``FLOOR`` of the mean one of ``whole``."""
    values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
    least = FLOOR * np.trace(whole) / len(whole)
    return np.asarray((vectors * np.maximum(values, least)) @ vectors.T)
