"""Categorical emissions of hidden Markov models: one of a few symbols a step, or none.

Rabiner (1989), section III, equation 40c.
"""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.errors import InvalidData, require_count
from emlib.models.checks import require_whole
from emlib.models.hmm.chain import BOUNDARY, settled_shares, shares_of
from emlib.models.hmm.emission import Emission
from emlib.models.hmm.model import HMMModel
from emlib.models.matching import matched_distance
from emlib.models.records import Diagnosis
from emlib.models.simplex import log, pack_simplex, unpack_simplex
from emlib.models.special import xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class CategoricalHMMParams:
    """Chain (K,) and (K, K), probabilities of the symbols (K, n_symbols)."""

    startprob: Array
    transmat: Array
    emissionprob: Array


@dataclass(frozen=True, eq=False)
class SymbolCounts:
    """Expected counts of symbols by state, shape (K, n_symbols)."""

    counts: Array

    def __add__(self, other: "SymbolCounts") -> "SymbolCounts":
        return SymbolCounts(self.counts + other.counts)

    def scaled(self, factor: float) -> "SymbolCounts":
        """The sums with every unit weighted ``factor`` times as much."""
        return SymbolCounts(factor * self.counts)


@dataclass(frozen=True)
class Categorical(Emission):
    """One distribution over the symbols 0, 1, ... a state."""

    names: ClassVar[tuple[str, ...]] = ("emissionprob",)

    n_states: int
    n_symbols: int

    def support(self, data: Sequences) -> tuple[Table, NDArray[np.int64]]:
        return data.distinct

    def log_densities(self, params: Any, table: Table, out: Array) -> None:
        seen, symbols = self._symbols(table)
        out[:, : self.n_states] = np.where(seen[:, None], log(params.emissionprob).T[symbols], 0.0)

    def sums(self, params: Any, table: Table, shares: Array) -> SymbolCounts:
        return SymbolCounts(self._counted(table, shares[:, : self.n_states]))

    def m_step(self, sums: SymbolCounts, params: Any, free: frozenset[str]) -> dict[str, Array]:
        """Shares of the counts; a state without steps keeps its probabilities."""
        if "emissionprob" not in free:
            return {"emissionprob": params.emissionprob}
        return {"emissionprob": shares_of(sums.counts, params.emissionprob)}

    def q(self, sums: SymbolCounts, params: Any) -> float:
        return float(xlogy(sums.counts, params.emissionprob).sum())

    def start(self, data: Sequences, responsibilities: Array) -> dict[str, Array]:
        """Shares of the symbols with one observation more, spread as they are overall."""
        counts = self._counted(data, responsibilities * data.weights[:, None])
        overall = counts.sum(axis=0)
        counts = counts + overall / overall.sum()
        return {"emissionprob": counts / counts.sum(axis=1, keepdims=True)}

    def n_free(self, d: int) -> int:
        return self.n_states * (self.n_symbols - 1)

    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        return pack_simplex(params.emissionprob, unconstrained, around.emissionprob, BOUNDARY)

    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> dict[str, Array]:
        emissionprob = unpack_simplex(vector, around.emissionprob, unconstrained, BOUNDARY)
        return {"emissionprob": emissionprob}

    def completed(self, params: Any, data: Sequences, responsibilities: Array) -> Array:
        """Missing steps at their most probable symbol."""
        likely = (responsibilities @ params.emissionprob).argmax(axis=1)[:, None]
        return np.where(data.observed, data.values, likely.astype(np.float64))

    def draw(
        self, params: Any, data: Sequences, states: NDArray[np.int64], rng: np.random.Generator
    ) -> Array:
        return np.where(data.observed, data.values, self.sample(params, states, rng))

    def sample(self, params: Any, states: NDArray[np.int64], rng: np.random.Generator) -> Array:
        reached = np.cumsum(params.emissionprob, axis=1)
        reached /= reached[:, -1:]
        draws = rng.random(len(states))
        symbols = np.empty(len(states))
        for k in range(self.n_states):
            own = states == k
            symbols[own] = np.searchsorted(reached[k], draws[own], side="right")
        return symbols[:, None]

    def diagnose(self, params: Any, sums: SymbolCounts) -> Diagnosis:
        """``boundary``: a probability of 0, or on its way there."""
        zero = settled_shares(sums.counts, params.emissionprob) == 0
        flags = ("boundary",) if zero.any() else ()
        return Diagnosis(flags, smallest_component=float(sums.counts.sum(axis=1).min()))

    def settled(self, params: Any, sums: SymbolCounts) -> dict[str, Array]:
        return {"emissionprob": settled_shares(sums.counts, params.emissionprob)}

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        probabilities = np.asarray(truth["emissionprob"])
        identity = np.eye(probabilities.shape[1])
        units = np.broadcast_to(identity, (len(probabilities), *identity.shape))
        return matched_distance(params.emissionprob, probabilities, units)

    def _symbols(self, table: Table) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        require_whole(table, "symbol")
        seen = table.observed[:, 0]
        symbols = np.where(seen, table.values[:, 0], 0.0)
        if symbols.max() >= self.n_symbols:
            raise InvalidData(
                f"symbol {symbols.max():.16g}: the model has the symbols 0 to {self.n_symbols - 1}"
            )
        return seen, symbols.astype(np.int64)

    def _counted(self, table: Table, shares: Array) -> Array:
        seen, symbols = self._symbols(table)
        counts = [
            np.bincount(symbols[seen], share[seen], minlength=self.n_symbols) for share in shares.T
        ]
        return np.stack(counts)


@dataclass(frozen=True)
class CategoricalHMMModel(HMMModel):
    """A hidden Markov model of one column of symbols 0, 1, ...

    Parameters
    ----------
    n_states : int
    n_symbols : int, optional
        Number of symbols; by default the largest one that the data show, plus 1.
    startprob : {"free", "stationary"}
    """

    family: ClassVar[str] = "categorical_hmm"
    traits: ClassVar[frozenset[str]] = frozenset({"classes", "order", "symbols"})
    search: ClassVar[tuple[str, ...]] = ("segments", "random")
    levels: ClassVar[bool] = True
    params_type: ClassVar[type] = CategoricalHMMParams

    n_symbols: int | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_symbols is not None:
            require_count("n_symbols", self.n_symbols)

    @property
    def emission(self) -> Categorical:
        if self.n_symbols is None:
            raise RuntimeError("the number of symbols is resolved by prepare(data) first")
        return Categorical(self.n_states, self.n_symbols)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        names = {"startprob", "transmat", "emissionprob"}
        return names <= set(truth) and len(truth["startprob"]) == self.n_states

    def prepare(self, data: Sequences) -> "CategoricalHMMModel":
        """Check the data and count the symbols; see ``Model.prepare``."""
        super().prepare(data)
        if data.d != 1:
            raise InvalidData(f"{data.d} columns: a step shows one symbol, in one column")
        require_whole(data, "symbol")
        largest = int(np.nanmax(data.values))
        n_symbols = largest + 1 if self.n_symbols is None else self.n_symbols
        if largest >= n_symbols:
            raise InvalidData(f"symbol {largest}: n_symbols={n_symbols} has 0 to {n_symbols - 1}")
        return replace(self, n_symbols=n_symbols)
