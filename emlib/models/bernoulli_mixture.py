"""Mixtures of binary columns, independent given the class, any cell missing.

McLachlan and Peel (2000), section 5.4; Lazarsfeld and Henry (1968), Latent Structure Analysis; the
special case of ``latent_class`` where every item has the levels 0 and 1.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.discrete import Coding, Discrete
from emlib.models.base import is_unconstrained
from emlib.models.local_independence import ClassSums, LevelIndependence
from emlib.models.matching import matched_distance
from emlib.models.simplex import pack_simplex, unpack_simplex
from emlib.models.special import xlogy

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class BernoulliMixtureParams:
    """Weights (K,) and probabilities (K, d) of a one."""

    weights: Array
    probabilities: Array


@dataclass(frozen=True)
class BernoulliMixtureModel(LevelIndependence):
    """A mixture of ``n_components`` products of Bernoulli laws.

    Parameters
    ----------
    n_components : int
    """

    family: ClassVar[str] = "bernoulli_mixture"
    columns: ClassVar[str] = "probabilities"

    n_components: int

    def n_parameters(self, data: Discrete) -> int:
        return self.n_components - 1 + self.n_components * data.d

    def q(self, stats: ClassSums, params: BernoulliMixtureParams) -> float:
        zeros, ones = stats.cells[::2], stats.cells[1::2]
        shares = xlogy(stats.counts, params.weights).sum()
        p = params.probabilities.T
        return float(shares + xlogy(zeros, 1.0 - p).sum() + xlogy(ones, p).sum())

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return (
            truth.keys() >= {"weights", "probabilities"}
            and len(truth["weights"]) == self.n_components
            and isinstance(truth["probabilities"], np.ndarray)
            and truth["probabilities"].ndim == 2
        )

    def from_truth(self, truth: dict[str, Any]) -> BernoulliMixtureParams:
        return BernoulliMixtureParams(
            np.asarray(truth["weights"], dtype=float),
            np.asarray(truth["probabilities"], dtype=float),
        )

    def parameter_error(self, params: BernoulliMixtureParams, truth: dict[str, Any]) -> float:
        """Root mean square error of the probabilities, labels matched."""
        return probability_error(params.probabilities, np.asarray(truth["probabilities"]))

    def pack(
        self,
        params: BernoulliMixtureParams,
        coordinates: str = "natural",
        around: BernoulliMixtureParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        centre = params if around is None else around
        pairs = both(params.probabilities), both(centre.probabilities)
        return np.concatenate([
            pack_simplex(params.weights, unconstrained, centre.weights),
            pack_simplex(pairs[0], unconstrained, pairs[1]),
        ])  # fmt: skip

    def unpack(
        self, vector: Array, around: BernoulliMixtureParams, coordinates: str = "natural"
    ) -> BernoulliMixtureParams:
        unconstrained = is_unconstrained(coordinates)
        weights, probabilities = np.split(vector, [self.n_components - 1])
        return BernoulliMixtureParams(
            unpack_simplex(weights, around.weights, unconstrained),
            unpack_simplex(probabilities, both(around.probabilities), unconstrained)[..., 0],
        )

    def _coding(self, data: Discrete) -> Coding:
        return ((0.0, 1.0),) * data.d

    def _table(self, params: BernoulliMixtureParams) -> Array:
        return both(params.probabilities)[..., ::-1].reshape(self.n_components, -1).T

    def _record(self, weights: Array, columns: Array) -> BernoulliMixtureParams:
        return BernoulliMixtureParams(weights, columns)

    def _columns(self, cells: Array, params: BernoulliMixtureParams | None) -> Array:
        zeros, ones = cells[::2], cells[1::2]
        seen = zeros + ones
        old = np.zeros(seen.shape) if params is None else params.probabilities.T.copy()
        return np.divide(ones, seen, out=old, where=seen > 0).T

    def _seen(self, cells: Array) -> Array:
        return np.repeat(cells[::2] + cells[1::2], 2, axis=0)

    def _expected(self, params: BernoulliMixtureParams, responsibilities: Array) -> Array:
        return responsibilities @ params.probabilities

    def _drawn(
        self, params: BernoulliMixtureParams, labels: Ints, rng: np.random.Generator
    ) -> Array:
        chances = params.probabilities[labels]
        return (rng.random(chances.shape) < chances).astype(np.float64)


def both(probabilities: Array) -> Array:
    """Probabilities of a one and of a zero, along a new last axis."""
    return np.stack([probabilities, 1.0 - probabilities], axis=-1)


def probability_error(found: Array, true: Array) -> float:
    """Root mean square error of probabilities (K, m), labels matched."""
    k, m = np.shape(true)
    return matched_distance(found, true, np.broadcast_to(m * np.eye(m), (k, m, m)))
