"""What a climb may spend, how it went, and where it ended."""

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.models.records import Diagnosis


@dataclass(frozen=True)
class Budget:
    """What a climb may spend.

    Parameters
    ----------
    e_steps : float, optional
        Full-data E-step equivalents, the first E-step included.
    seconds : float, optional
        Wall-clock seconds, looked at after each iteration.  Outside the promise of equal bits.
    """

    e_steps: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class History:
    """One value an iteration, the start first: arrays of shape (n_iter + 1,).

    Attributes
    ----------
    objective, loglik : ndarray
        Nats.
    e_steps : ndarray
        Cumulative E-step equivalents.
    seconds : ndarray
        Seconds since the climb began.
    """

    objective: NDArray[np.float64]
    loglik: NDArray[np.float64]
    e_steps: NDArray[np.float64]
    seconds: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Climb:
    """How one climb went and where it ended; statuses and flags are those of the design.

    Attributes
    ----------
    params : Params or None
        The last sound parameters, in the family's record; None if there never were any.
    status : str
        converged, max_iter, budget, timeout, degenerate or decreased.
    message : str
        Why, where the status needs a reason.
    predicted_gain : float
        What the objective would still gain, nats.
    linear_rate : float
        Ratio of the last two increments; NaN where rounding hides it.
    rule : str
        Stopping rules that held, where it converged.
    """

    params: Any
    status: str
    message: str
    flags: tuple[str, ...]
    loglik: float
    objective: float
    n_iter: int
    e_steps: float
    predicted_gain: float
    linear_rate: float
    diagnosis: Diagnosis
    history: History
    rule: str = ""

    @property
    def eigenvalue_ratio(self) -> float:
        """Smallest relative eigenvalue of a component's covariance."""
        return self.diagnosis.eigenvalue_ratio

    @property
    def smallest_component(self) -> float:
        """Effective rows of the smallest component."""
        return self.diagnosis.smallest_component


class Trail:
    """The history while it grows."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.objective: list[float] = []
        self.loglik: list[float] = []
        self.e_steps: list[float] = []
        self.seconds: list[float] = []
        self.run = 0
        """Where the run begins in which the objective is one function, EM steps apart."""

    def add(self, objective: float, loglik: float, e_steps: float) -> None:
        self.objective.append(objective)
        self.loglik.append(loglik)
        self.e_steps.append(e_steps)
        self.seconds.append(time.perf_counter() - self.began)

    def last(self) -> list[float]:
        """The last objectives of the run, as many as a rule looks at."""
        return self.objective[max(self.run, len(self.objective) - 4) :]

    def freeze(self) -> History:
        return History(
            *(np.array(a) for a in (self.objective, self.loglik, self.e_steps, self.seconds))
        )
