"""What a state emits: an emission knows its own parameters, statistics and M-step, no chain."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences, Table
from emlib.models.hmm.chain import relative_densities
from emlib.models.records import Diagnosis
from emlib.models.scratch import scratch

Array = NDArray[np.float64]


class Emission(ABC):
    """One family of densities, one density a state.

    It treats time steps one by one, as lines of a table, and reads its own arrays from the
    record of parameters, by name.
    """

    names: ClassVar[tuple[str, ...]]
    """Its fields of the record."""

    def support(self, data: Sequences) -> tuple[Table, NDArray[np.int64]]:
        """The table of lines to compute densities of, and the line of each step (n,).

        Discrete families compute only distinct lines.
        """
        return data, data.steps

    @abstractmethod
    def log_densities(self, params: Any, table: Table, out: Array) -> None:
        """Log densities of the observed cells into the first K columns of ``out`` (m, width).

        ``out`` comes as -inf; lines without an observed cell have log density 0.
        """

    def densities(self, params: Any, table: Table, width: int) -> tuple[Array, Array]:
        """Densities (m, width) relative to each line's largest, and the logs of these (m,)."""
        return relative_densities(self._wide(params, table, width))

    def _wide(self, params: Any, table: Table, width: int) -> Array:
        out: Array = scratch("densities", (table.n, width))
        out.fill(-np.inf)
        self.log_densities(params, table, out)
        return out

    @abstractmethod
    def sums(self, params: Any, table: Table, shares: Array) -> Any:
        """Sufficient statistics that add, from weights (m, width) of lines and states."""

    @abstractmethod
    def m_step(self, sums: Any, params: Any, free: frozenset[str]) -> dict[str, Array]:
        """Its arrays, those in ``free`` at the maximum of Q."""

    @abstractmethod
    def q(self, sums: Any, params: Any) -> float:
        """Expected complete-data loglik of the emissions, up to a constant."""

    @abstractmethod
    def start(self, data: Sequences, responsibilities: Array) -> dict[str, Array]:
        """Its arrays from responsibilities (n, K); never fails."""

    @abstractmethod
    def n_free(self, d: int) -> int:
        """Number of free parameters."""

    @abstractmethod
    def pack(self, params: Any, unconstrained: bool, around: Any) -> Array:
        """Its part of the vector of parameters."""

    @abstractmethod
    def unpack(self, vector: Array, around: Any, unconstrained: bool) -> dict[str, Array]:
        """Inverse of ``pack``."""

    @abstractmethod
    def completed(self, params: Any, data: Sequences, responsibilities: Array) -> Array:
        """The data, missing cells at their conditional expectations, shape (n, d)."""

    @abstractmethod
    def draw(
        self, params: Any, data: Sequences, states: NDArray[np.int64], rng: np.random.Generator
    ) -> Array:
        """The data, missing cells drawn given states (n,) and observed cells, shape (n, d)."""

    @abstractmethod
    def sample(self, params: Any, states: NDArray[np.int64], rng: np.random.Generator) -> Array:
        """Steps drawn given their states, shape (n, d)."""

    def diagnose(self, params: Any, sums: Any) -> Diagnosis:
        """Flags of its own, beside those of probabilities at 0."""
        return Diagnosis()

    def settled(self, params: Any, sums: Any) -> dict[str, Array]:
        """Its arrays, what is on its way to zero there; see ``Model.settled``."""
        return {name: getattr(params, name) for name in self.names}

    def from_truth(self, truth: dict[str, Any]) -> dict[str, Array]:
        """A generator's arrays as its own."""
        return {name: np.asarray(truth[name], dtype=float) for name in self.names}

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        """Distance from a generator's parameters, labels matched."""
        return float("nan")
