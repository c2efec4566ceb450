"""Poisson emissions of hidden Markov models, any cell missing.

Zucchini and MacDonald (2009), section 4.2.4; several columns are independent given the state.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.models.checks import require_whole
from emlib.models.hmm.counts import column_moments
from emlib.models.hmm.emission import Emission
from emlib.models.hmm.model import HMMModel
from emlib.models.matching import matched_distance
from emlib.models.records import Diagnosis
from emlib.models.simplex import log, vanishing
from emlib.models.special import gammaln, xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class PoissonHMMParams:
    """Chain (K,) and (K, K), rates (K, d)."""

    startprob: Array
    transmat: Array
    rates: Array


@dataclass(frozen=True, eq=False)
class PoissonSums:
    """Expected exposures and totals of the observed cells, by state and column: (K, d)."""

    exposures: Array
    totals: Array

    def __add__(self, other: "PoissonSums") -> "PoissonSums":
        return PoissonSums(self.exposures + other.exposures, self.totals + other.totals)

    def scaled(self, factor: float) -> "PoissonSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return PoissonSums(factor * self.exposures, factor * self.totals)


@dataclass(frozen=True)
class Poisson(Emission):
    """One rate a state and column."""

    names: ClassVar[tuple[str, ...]] = ("rates",)

    n_states: int

    def support(self, data: Sequences) -> tuple[Table, NDArray[np.int64]]:
        return data.distinct

    def log_densities(self, params: Any, table: Table, out: Array) -> None:
        require_whole(table)
        y = np.where(table.observed, table.values, 0.0)
        logs = xlogy(y[:, None, :], params.rates) - params.rates - gammaln(y + 1.0)[:, None, :]
        out[:, : self.n_states] = np.where(table.observed[:, None, :], logs, 0.0).sum(axis=2)

    def sums(self, params: Any, table: Table, shares: Array) -> PoissonSums:
        shares = shares[:, : self.n_states]
        y = np.where(table.observed, table.values, 0.0)
        return PoissonSums(shares.T @ table.observed, shares.T @ y)

    def m_step(self, sums: PoissonSums, params: Any, free: frozenset[str]) -> dict[str, Array]:
        """Means of the counts; a state without steps keeps its rates."""
        if "rates" not in free:
            return {"rates": params.rates}
        seen = sums.exposures > 0
        rates = sums.totals / np.where(seen, sums.exposures, 1.0)
        return {"rates": np.where(seen, rates, params.rates)}

    def q(self, sums: PoissonSums, params: Any) -> float:
        return float((xlogy(sums.totals, params.rates) - sums.exposures * params.rates).sum())

    def start(self, data: Sequences, responsibilities: Array) -> dict[str, Array]:
        """Means of the counts with one observation more at the overall mean."""
        seen, means, overall = column_moments(data, responsibilities)
        return {"rates": (seen * means + overall) / (seen + 1.0)}

    def n_free(self, d: int) -> int:
        return self.n_states * d

    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        rates = log(params.rates) if unconstrained else params.rates
        return np.asarray(rates.ravel())

    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> dict[str, Array]:
        rates = np.exp(vector) if unconstrained else vector
        return {"rates": rates.reshape(around.rates.shape)}

    def completed(self, params: Any, data: Sequences, responsibilities: Array) -> Array:
        return np.where(data.observed, data.values, responsibilities @ params.rates)

    def draw(
        self, params: Any, data: Sequences, states: NDArray[np.int64], rng: np.random.Generator
    ) -> Array:
        return np.where(data.observed, data.values, self.sample(params, states, rng))

    def sample(self, params: Any, states: NDArray[np.int64], rng: np.random.Generator) -> Array:
        return rng.poisson(params.rates[states]).astype(np.float64)

    def diagnose(self, params: Any, sums: PoissonSums) -> Diagnosis:
        """``boundary``: a rate of 0, or on its way there."""
        zero = self.settled(params, sums)["rates"] == 0
        flags = ("boundary",) if zero.any() else ()
        return Diagnosis(flags, smallest_component=float(sums.exposures.max(axis=1).min()))

    def settled(self, params: Any, sums: PoissonSums) -> dict[str, Array]:
        gone = vanishing(sums.totals, sums.exposures, params.rates)
        return {"rates": np.where(gone, 0.0, params.rates)}

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        rates = np.asarray(truth["rates"])
        variances = rates[:, :, None] * np.eye(rates.shape[1])
        return matched_distance(params.rates, rates, variances)


@dataclass(frozen=True)
class PoissonHMMModel(HMMModel):
    """A hidden Markov model of counts, with one Poisson rate a state and column.

    Parameters
    ----------
    n_states : int
    startprob : {"free", "stationary"}
    """

    family: ClassVar[str] = "poisson_hmm"
    params_type: ClassVar[type] = PoissonHMMParams

    @property
    def emission(self) -> Poisson:
        return Poisson(self.n_states)

    def prepare(self, data: Sequences) -> "PoissonHMMModel":
        """Check the data; see ``Model.prepare``."""
        super().prepare(data)
        require_whole(data)
        return self
