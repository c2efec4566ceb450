"""Emissions that are Gaussian mixtures, any cell missing: the latent class of a step is a pair of
state and component.  Rabiner (1989), section IV.A, equations 52 to 54; Juang (1985).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.data.moments import component_moments
from emlib.errors import require_count
from emlib.models.checks import refuse_constant
from emlib.models.hmm.chain import BOUNDARY, padded_width, settled_shares, shares_of
from emlib.models.hmm.emission import Emission
from emlib.models.hmm.gaussian import (
    Gaussian,
    GaussianHMMParams,
    check_covariance_type,
)
from emlib.models.hmm.model import HMMModel, HMMStats
from emlib.models.posterior import EXACT, Posterior, draw_labels
from emlib.models.records import Diagnosis
from emlib.models.scratch import scratch
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy
from emlib.models.sums import ComponentSums

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class MixtureHMMParams:
    """Chain (K,) and (K, K), weights (K, M), means (K, M, d) and covariances:

    (K, M, d, d) full, (d, d) tied, (K, M, d) diag, (K, M) spherical.
    """

    startprob: Array
    transmat: Array
    weights: Array
    means: Array
    covars: Array


@dataclass(frozen=True)
class Mixture(Emission):
    """``n_mix`` normals a state; all K M of them are the components of a Gaussian emission."""

    names: ClassVar[tuple[str, ...]] = ("weights", "means", "covars")

    n_states: int
    n_mix: int
    covariance_type: str

    @property
    def components(self) -> Gaussian:
        """The normals of all states, state by state."""
        return Gaussian(self.n_states * self.n_mix, self.covariance_type)

    def log_densities(self, params: Any, table: Table, out: Array) -> None:
        from emlib.kernels.gaussian_states import mix_components

        mix_components(self._component_logs(params, table), log(params.weights), out)

    def sums(self, params: Any, table: Table, shares: Array) -> ComponentSums:
        from emlib.kernels.gaussian_states import divide_shares

        logs = self._component_logs(params, table)
        divide_shares(logs, log(params.weights), shares)
        return self.components.sums(self.flat(params), table, logs)

    def m_step(self, sums: ComponentSums, params: Any, free: frozenset[str]) -> dict[str, Array]:
        weights = params.weights
        if "weights" in free:
            weights = shares_of(sums.counts.reshape(weights.shape), weights)
        moved = self.components.m_step(sums, self.flat(params), free)
        return {"weights": weights, **self._shaped(moved["means"], moved["covars"])}

    def q(self, sums: ComponentSums, params: Any) -> float:
        shares = xlogy(sums.counts.reshape(params.weights.shape), params.weights).sum()
        return float(shares + self.components.q(sums, self.flat(params)))

    def start(self, data: Sequences, responsibilities: Array) -> dict[str, Array]:
        """Each state cut into ``n_mix`` parts of one weight along its longest axis."""
        _, means, scatters, _ = component_moments(data, responsibilities)
        n_mix, parts = self.n_mix, []
        for share, mean, scatter in zip(responsibilities.T, means, scatters, strict=True):
            axis = np.linalg.eigh(scatter)[1][:, -1]
            along = np.where(data.observed, data.values - mean, 0.0) @ axis
            order = np.argsort(along, kind="stable")
            reached = np.cumsum((share * data.weights)[order])
            middle = reached - 0.5 * (share * data.weights)[order]
            part = np.empty(data.n, dtype=np.int64)
            part[order] = np.minimum(n_mix * middle / max(reached[-1], 1e-300), n_mix - 1)
            parts.append(share[:, None] * np.eye(n_mix)[part])
        start = self.components.start(data, np.hstack(parts))
        weights = np.full((self.n_states, n_mix), 1.0 / n_mix)
        return {"weights": weights, **self._shaped(start["means"], start["covars"])}

    def n_free(self, d: int) -> int:
        return self.n_states * (self.n_mix - 1) + self.components.n_free(d)

    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        weights = pack_simplex(params.weights, unconstrained, around.weights, BOUNDARY)
        rest = self.components.pack(self.flat(params), unconstrained, self.flat(around))
        return np.concatenate([weights, rest])

    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> dict[str, Array]:
        weights, rest = np.split(vector, [self.n_states * (self.n_mix - 1)])
        arrays = self.components.unpack(rest, self.flat(around), unconstrained)
        return {
            "weights": unpack_simplex(weights, around.weights, unconstrained, BOUNDARY),
            **self._shaped(arrays["means"], arrays["covars"]),
        }

    def completed(self, params: Any, data: Sequences, responsibilities: Array) -> Array:
        shares = self._component_shares(params, data, responsibilities)
        return self.components.completed(self.flat(params), data, shares)

    def draw(
        self, params: Any, data: Sequences, states: NDArray[np.int64], rng: np.random.Generator
    ) -> Array:
        shares = self._component_shares(params, data, np.eye(self.n_states)[states])
        labels = draw_labels(shares, np.ones(shares.shape[1]), rng)
        return self.components.draw(self.flat(params), data, labels, rng)

    def sample(self, params: Any, states: NDArray[np.int64], rng: np.random.Generator) -> Array:
        parts = draw_labels(params.weights[states], np.ones(self.n_mix), rng)
        return self.components.sample(self.flat(params), states * self.n_mix + parts, rng)

    def diagnose(self, params: Any, sums: ComponentSums) -> Diagnosis:
        """As Gaussian mixtures, and ``boundary`` for a weight of 0."""
        found = self.components.diagnose(self.flat(params), sums)
        zero = self.settled(params, sums)["weights"] == 0
        flags = ("boundary",) if zero.any() else ()
        return Diagnosis(flags + found.flags, found.eigenvalue_ratio, found.smallest_component)

    def settled(self, params: Any, sums: ComponentSums) -> dict[str, Array]:
        counts = sums.counts.reshape(params.weights.shape)
        weights = settled_shares(counts, params.weights)
        return {"weights": weights, "means": params.means, "covars": params.covars}

    def from_truth(self, truth: dict[str, Any]) -> dict[str, Array]:
        d = np.shape(truth["means"])[-1]
        flat = self.components.from_truth({
            "means": np.reshape(truth["means"], (-1, d)),
            "covars": np.reshape(truth["covars"], (-1, d, d)),
        })  # fmt: skip
        weights = np.asarray(truth["weights"], dtype=float)
        return {"weights": weights, **self._shaped(flat["means"], flat["covars"])}

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        d = params.means.shape[-1]
        flat = {
            "means": np.reshape(truth["means"], (-1, d)),
            "covars": np.reshape(truth["covars"], (-1, d, d)),
        }
        return self.components.parameter_error(self.flat(params), flat)

    def _component_logs(self, params: Any, table: Table) -> Array:
        width = padded_width(self.n_states * self.n_mix)
        out: Array = scratch("component densities", (table.n, width))
        out.fill(-np.inf)
        self.components.log_densities(self.flat(params), table, out)
        return out

    def _component_shares(self, params: Any, data: Sequences, shares: Array) -> Array:
        from emlib.kernels.gaussian_states import divide_shares

        logs = self._component_logs(params, data)
        divide_shares(logs, log(params.weights), shares)
        return np.ascontiguousarray(logs[:, : self.n_states * self.n_mix])

    def flat(self, params: Any) -> GaussianHMMParams:
        """The components as states of a Gaussian emission, state by state."""
        d = params.means.shape[-1]
        covars = params.covars
        if self.covariance_type != "tied":
            covars = covars.reshape(self.n_states * self.n_mix, *covars.shape[2:])
        means = params.means.reshape(-1, d)
        return GaussianHMMParams(params.startprob, params.transmat, means, covars)

    def _shaped(self, means: Array, covars: Array) -> dict[str, Array]:
        lines = (self.n_states, self.n_mix)
        if self.covariance_type != "tied":
            covars = covars.reshape(*lines, *covars.shape[1:])
        return {"means": means.reshape(*lines, -1), "covars": covars}


@dataclass(frozen=True)
class MixtureHMMModel(HMMModel):
    """A hidden Markov model with a Gaussian mixture a state.

    Parameters
    ----------
    n_states : int
    n_mix : int
        Components a state.
    covariance_type : {"full", "tied", "diag", "spherical"}
        ``tied`` is one matrix for all components of all states.
    startprob : {"free", "stationary"}
    """

    family: ClassVar[str] = "mixture_hmm"
    posteriors: ClassVar[frozenset[str]] = frozenset()
    params_type: ClassVar[type] = MixtureHMMParams

    n_mix: int = 1
    covariance_type: str = "diag"

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("n_mix", self.n_mix)
        check_covariance_type(self.covariance_type)

    @property
    def emission(self) -> Mixture:
        return Mixture(self.n_states, self.n_mix, self.covariance_type)

    def e_step(self, params: Any, data: Sequences, posterior: Posterior = EXACT) -> HMMStats:
        """See ``HMMModel.e_step``; the exact posterior only."""
        if not posterior.is_exact:
            raise NotImplementedError(
                "mixture_hmm has the exact posterior only: its latent classes are pairs of state "
                "and component, and its chain sees states"
            )
        return super().e_step(params, data, posterior)

    def prepare(self, data: Sequences) -> "MixtureHMMModel":
        """Check the data; see ``Model.prepare``."""
        super().prepare(data)
        refuse_constant(data)
        return self

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        fits = super().accepts_truth(truth)
        return fits and np.shape(truth["weights"]) == (self.n_states, self.n_mix)
