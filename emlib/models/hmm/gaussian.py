"""Gaussian emissions of hidden Markov models, any cell missing.

Rabiner (1989), section IV.A with one component a state; parameters and their M-step are those of
a Gaussian mixture whose weights the chain replaces.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.models.checks import refuse_constant
from emlib.models.gaussian_mixture import (
    GaussianMixtureModel,
    GaussianMixtureParams,
    factored,
)
from emlib.models.hmm.emission import Emission
from emlib.models.hmm.model import HMMModel
from emlib.models.matching import matched_distance
from emlib.models.records import Diagnosis
from emlib.models.scratch import scratch
from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]

COVARIANCE_TYPES = ("full", "tied", "diag", "spherical")


@dataclass(frozen=True, eq=False)
class GaussianHMMParams:
    """Chain (K,) and (K, K), means (K, d), covariances in scikit-learn's shapes:

    (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical.
    """

    startprob: Array
    transmat: Array
    means: Array
    covars: Array


@dataclass(frozen=True)
class Gaussian(Emission):
    """One normal a state."""

    names: ClassVar[tuple[str, ...]] = ("means", "covars")

    n_states: int
    covariance_type: str

    @property
    def mixture(self) -> GaussianMixtureModel:
        """The mixture whose components the states are."""
        return GaussianMixtureModel(self.n_states, self.covariance_type)

    def log_densities(self, params: Any, table: Table, out: Array) -> None:
        from emlib.kernels.diagonal_states import diagonal_log_densities
        from emlib.kernels.gaussian_states import dense_log_densities

        if not self.mixture.structure.dense:
            means, variances = self._padded(params, self.n_states)
            diagonal_log_densities(table.values, means, variances, out[:, : self.n_states])
            return
        whiten, _, log_norm = factored(params.covars.reshape(-1, table.d, table.d), table)
        dense_log_densities(
            table.values, table.order, table.groups, table.columns_of_pattern,
            table.observed_counts, np.ascontiguousarray(params.means), whiten, log_norm, out,
        )  # fmt: skip

    def densities(self, params: Any, table: Table, width: int) -> tuple[Array, Array]:
        from emlib.kernels.diagonal_states import diagonal_densities

        if self.mixture.structure.dense:
            return super().densities(params, table, width)
        relative = scratch("densities", (table.n, width))
        peaks = scratch("peaks", (table.n,))
        padded = self._padded(params, width)
        diagonal_densities(table.values, *padded, self.n_states, relative, peaks)
        return relative, peaks

    def sums(self, params: Any, table: Table, shares: Array) -> ComponentSums:
        from emlib.kernels.diagonal_states import diagonal_sums
        from emlib.kernels.gaussian_states import dense_sums

        means = np.ascontiguousarray(params.means)
        if self.mixture.structure.dense:
            whiten, conditional, _ = factored(params.covars.reshape(-1, table.d, table.d), table)
            counts, first, second = dense_sums(
                table.values, table.order, table.groups, table.columns_of_pattern,
                table.observed_counts, means, whiten, conditional, shares,
            )  # fmt: skip
            return ComponentSums(counts, means, first, second, 0.0, 0.0)
        counts, first, second = diagonal_sums(
            table.values, *self._padded(params, shares.shape[1]), shares
        )
        k = self.n_states
        return ComponentSums(
            counts[:k].copy(), means, first.T[:k].copy(), second.T[:k].copy(), 0.0, 0.0
        )

    def m_step(self, sums: ComponentSums, params: Any, free: frozenset[str]) -> dict[str, Array]:
        moving = {"means": "means", "covars": "covariances"}
        inside = frozenset(moving[name] for name in free if name in moving)
        weights = sums.counts / max(sums.counts.sum(), np.finfo(float).tiny)
        moved = self.mixture.m_step(sums, self.as_mixture(params, weights), inside)
        return {"means": moved.means, "covars": moved.covariances}

    def q(self, sums: ComponentSums, params: Any) -> float:
        return self.mixture.q(sums, self.as_mixture(params))

    def start(self, data: Sequences, responsibilities: Array) -> dict[str, Array]:
        start = self.mixture.start(data, responsibilities)
        return {"means": start.means, "covars": start.covariances}

    def n_free(self, d: int) -> int:
        return self.n_states * d + self.mixture.structure.n_free(self.n_states, d)

    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        covars = self.mixture.structure.pack(params.covars, unconstrained)
        return np.concatenate([params.means.ravel(), covars])

    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> dict[str, Array]:
        k, d = around.means.shape
        means, covars = np.split(vector, [k * d])
        return {
            "means": means.reshape(k, d),
            "covars": self.mixture.structure.unpack(covars, k, d, unconstrained),
        }

    def completed(self, params: Any, data: Sequences, responsibilities: Array) -> Array:
        from emlib.kernels.gaussian_states import expected_rows

        whiten, _, _ = factored(self.full_covariances(params), data)
        completed: Array = expected_rows(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            responsibilities, np.ascontiguousarray(params.means), whiten,
        )  # fmt: skip
        return completed

    def draw(
        self, params: Any, data: Sequences, states: NDArray[np.int64], rng: np.random.Generator
    ) -> Array:
        """By Matheron's rule, as ``GaussianMixtureModel.complete``."""
        from emlib.kernels.gaussian import conditional_draws

        whiten, _, _ = factored(self.full_covariances(params), data)
        drawn: Array = conditional_draws(
            data.values, data.order, data.groups, data.columns_of_pattern, data.observed_counts,
            self.sample(params, states, rng), states, whiten,
        )  # fmt: skip
        return drawn

    def sample(self, params: Any, states: NDArray[np.int64], rng: np.random.Generator) -> Array:
        factors = np.linalg.cholesky(self.full_covariances(params))
        noise = rng.standard_normal((len(states), params.means.shape[1]))
        drawn = np.empty_like(noise)
        for k, (mean, factor) in enumerate(zip(params.means, factors, strict=True)):
            own = states == k
            drawn[own] = mean + noise[own] @ factor.T
        return drawn

    def diagnose(self, params: Any, sums: ComponentSums) -> Diagnosis:
        """``spurious`` by the rule of Gaussian mixtures."""
        counts = np.maximum(sums.counts, np.finfo(float).tiny)
        return self.mixture.diagnose(self.as_mixture(params, counts / counts.sum()), sums)

    def from_truth(self, truth: dict[str, Any]) -> dict[str, Array]:
        weights = np.full(self.n_states, 1.0 / self.n_states)
        full = np.asarray(truth["covars"], dtype=float)
        covars = self.mixture.structure.from_full(weights, full)
        return {"means": np.asarray(truth["means"], dtype=float), "covars": covars}

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        return matched_distance(params.means, truth["means"], truth["covars"])

    def full_covariances(self, params: Any) -> Array:
        """Covariance matrices of all states, shape (K, d, d)."""
        return self.mixture.full_covariances(self.as_mixture(params))

    def as_mixture(self, params: Any, weights: Array | None = None) -> GaussianMixtureParams:
        """The states as components, of equal weights where none are given."""
        weights = np.full(self.n_states, 1.0 / self.n_states) if weights is None else weights
        return GaussianMixtureParams(weights, params.means, params.covars)

    def _padded(self, params: Any, width: int) -> tuple[Array, Array]:
        """Means and variances (d, width), ones of the padding of no account."""
        k, d = params.means.shape
        means, variances = np.zeros((d, width)), np.ones((d, width))
        means[:, :k] = params.means.T
        variances[:, :k] = np.broadcast_to(params.covars.T, (d, k))
        return means, variances


@dataclass(frozen=True)
class GaussianHMMModel(HMMModel):
    """A hidden Markov model with one normal a state.

    Parameters
    ----------
    n_states : int
    covariance_type : {"full", "tied", "diag", "spherical"}
    startprob : {"free", "stationary"}
    """

    family: ClassVar[str] = "gaussian_hmm"
    params_type: ClassVar[type] = GaussianHMMParams

    covariance_type: str = "diag"

    def __post_init__(self) -> None:
        super().__post_init__()
        check_covariance_type(self.covariance_type)

    @property
    def emission(self) -> Gaussian:
        return Gaussian(self.n_states, self.covariance_type)

    def prepare(self, data: Sequences) -> "GaussianHMMModel":
        """Check the data; see ``Model.prepare``."""
        super().prepare(data)
        refuse_constant(data)
        return self


def check_covariance_type(covariance_type: str) -> None:
    """Refuse an unknown structure.

    Raises
    ------
    ValueError
    """
    if covariance_type not in COVARIANCE_TYPES:
        allowed = ", ".join(COVARIANCE_TYPES)
        raise ValueError(f"covariance_type: {covariance_type!r} is not one of {allowed}")
