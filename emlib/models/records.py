"""What models hand over: sums, steps, what is suspicious, and how they say that they collapsed."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Degenerate(Exception):
    """The likelihood is unbounded where a climb has come to; the text says which part collapsed.

    ``e_steps`` is the work that came to nothing, where an init raises it.
    """

    def __init__(self, message: str, e_steps: float = 0.0) -> None:
        super().__init__(message)
        self.e_steps = e_steps


COLLAPSES = (Degenerate, ArithmeticError, np.linalg.LinAlgError)
"""What an iteration may end in where there is no next place: for those who then go another way."""


@dataclass(frozen=True)
class Step:
    """One conditional M-step.

    Attributes
    ----------
    free : frozenset of str
        The parameters that move.
    fresh : bool
        A new E-step comes first (multicycle ECM, Meng and Rubin 1993).
    maximizes : {"q", "loglik"}
        Q, by ``m_step``; or the observed likelihood, by ``observed_step`` (ECME, Liu and Rubin
        1994).
    """

    free: frozenset[str]
    fresh: bool = False
    maximizes: str = "q"


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


@dataclass(frozen=True, eq=False)
class Chunk:
    """Steps of EM that a model computed together; each has its parameters and their stats.

    Attributes
    ----------
    loglik, magnitude : list of float
        Of the stats, one number a step.
    params, stats : callable
        From the number of a step to its parameters, and to the stats of the E-step there.
    """

    loglik: list[float]
    magnitude: list[float]
    params: Callable[[int], Any]
    stats: Callable[[int], Any]


class Posteriors(NamedTuple):
    """What parameters say of each unit.

    Attributes
    ----------
    loglik : ndarray of shape (n,)
        One number a unit: a row, or a whole sequence.
    responsibilities : ndarray of shape (n, K), or None
        One line a row (a time step); None where the family has no latent classes.
    completed : ndarray of shape (n, d)
        The data, each missing cell at its conditional expectation.
    latent : ndarray of shape (n, q), or None
        Posterior means of continuous latent variables: factor scores, smoothed states.
    """

    loglik: Array
    responsibilities: Array | None
    completed: Array
    latent: Array | None = None


class Stats(Protocol):
    """Sums over independent units; each family adds its own."""

    @property
    def loglik(self) -> float:
        """Observed-data log-likelihood, natural log, every constant included."""

    @property
    def magnitude(self) -> float:
        """Sum of the sizes of the units' logliks: the yardstick of rounding."""
