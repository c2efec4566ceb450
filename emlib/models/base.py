"""What every model gives: an E-step, an M-step, and a few words about itself.

A model is an immutable record of fixed settings.  It never knows which algorithm climbs it.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from emlib.models.posterior import EXACT, Posterior


class Degenerate(Exception):
    """The likelihood is unbounded where a climb has come to; the text says which part collapsed.

    ``e_steps`` is the work that came to nothing, where an init raises it.
    """

    def __init__(self, message: str, e_steps: float = 0.0) -> None:
        super().__init__(message)
        self.e_steps = e_steps


@dataclass(frozen=True)
class Step:
    """One conditional M-step: the parameters that move, and whether a new E-step comes first."""

    free: frozenset[str]
    fresh: bool = False


@dataclass(frozen=True)
class Diagnosis:
    """What is suspicious about where a climb ended.

    Attributes
    ----------
    flags : tuple of str
        ``spurious``, ``boundary``, ...; see the design's table of flags.
    eigenvalue_ratio : float
        Smallest eigenvalue of a component's covariance relative to the pooled one; NaN where the
        family has none.
    smallest_component : float
        Effective rows of the smallest component; NaN where the family has none.
    """

    flags: tuple[str, ...] = ()
    eigenvalue_ratio: float = float("nan")
    smallest_component: float = float("nan")


class Posteriors(NamedTuple):
    """What parameters say of each unit.

    Attributes
    ----------
    loglik : ndarray of shape (n,)
    responsibilities : ndarray of shape (n, K)
    completed : ndarray
        The data, each missing cell at its conditional expectation.
    """

    loglik: NDArray[np.float64]
    responsibilities: NDArray[np.float64]
    completed: NDArray[np.float64]


class Stats(Protocol):
    """Sums over independent units; each family adds its own."""

    @property
    def loglik(self) -> float:
        """Observed-data log-likelihood, natural log, every constant included."""

    @property
    def magnitude(self) -> float:
        """Sum of the sizes of the units' logliks: the yardstick of rounding."""


class Model(ABC):
    """A family with its fixed settings."""

    family: ClassVar[str]
    cycle: ClassVar[tuple[Step, ...]]
    """The conditional M-steps of one iteration; plain EM has one that moves everything."""
    n_components: int
    """Latent classes (or states) that responsibilities range over."""

    def prepare(self, data: Any) -> "Model":
        """Check that the model can take the data and resolve what depends on them.

        Raises
        ------
        InvalidData
            With the reason, when no fit of these data makes sense.
        """
        return self

    @abstractmethod
    def e_step(self, params: Any, data: Any, posterior: Posterior = EXACT) -> Stats:
        """Expected sufficient statistics, with the observed-data loglik at ``params``.

        Raises
        ------
        Degenerate
            When the density at ``params`` does not exist.
        """

    @abstractmethod
    def m_step(self, stats: Any, params: Any, free: frozenset[str] | None = None) -> Any:
        """Maximize Q over the ``free`` parameters (all by default), the others as in ``params``.

        Raises
        ------
        Degenerate
            When the maximizer lies where the likelihood is unbounded.
        """

    def log_prior(self, params: Any) -> float:
        """Log density of the declared prior, normalized; 0 for maximum likelihood."""
        return 0.0

    @property
    def penalized(self) -> bool:
        """Whether a prior is declared, so that EM ascends the penalized loglik."""
        return False

    @abstractmethod
    def start(self, data: Any, responsibilities: NDArray[np.float64]) -> Any:
        """Parameters from responsibilities: a start only, never part of the objective."""

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        """Whether a generator's parameters are parameters of this model."""
        return False

    def from_truth(self, truth: dict[str, Any]) -> Any:
        """A generator's parameters as this model's, where ``accepts_truth`` says so."""
        raise NotImplementedError(f"{self.family} has no start from a truth")

    def diagnose(self, params: Any, stats: Any) -> Diagnosis:
        """Flags for the end of a climb."""
        return Diagnosis()

    @abstractmethod
    def pack(self, params: Any, coordinates: str = "natural") -> NDArray[np.float64]:
        """Vector of ``n_parameters`` numbers; ``coordinates`` is natural or unconstrained."""

    @abstractmethod
    def unpack(self, vector: NDArray[np.float64], around: Any, coordinates: str = "natural") -> Any:
        """Inverse of ``pack`` in the chart around the parameters ``around``."""

    @abstractmethod
    def n_parameters(self, data: Any) -> int:
        """Number of free parameters for these data: the length of ``pack``."""

    @abstractmethod
    def posterior(self, params: Any, data: Any) -> Posteriors:
        """What the parameters say of each unit."""

    @abstractmethod
    def sample(self, params: Any, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Draw n units; returns them and their latent classes."""
