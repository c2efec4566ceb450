"""The climb: the one loop that every fit runs, E then (M, E) until something stops it.

The last loglik belongs to the returned parameters.
"""

import math
import sys
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.em import EM
from emlib.algorithms.stopping import Stopping, linear_rate, predicted_gain
from emlib.models.base import Degenerate, Diagnosis, Model

ROUNDING = 64 * sys.float_info.epsilon
"""A fall of the objective up to this share of the sum of the units' |loglik| is rounding."""

SLOW_TAIL_RATE = 0.99


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

    @property
    def eigenvalue_ratio(self) -> float:
        """Smallest relative eigenvalue of a component's covariance."""
        return self.diagnosis.eigenvalue_ratio

    @property
    def smallest_component(self) -> float:
        """Effective rows of the smallest component."""
        return self.diagnosis.smallest_component


class _Trail:
    """The history while it grows."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.objective: list[float] = []
        self.loglik: list[float] = []
        self.e_steps: list[float] = []
        self.seconds: list[float] = []

    def add(self, objective: float, loglik: float, e_steps: float) -> None:
        self.objective.append(objective)
        self.loglik.append(loglik)
        self.e_steps.append(e_steps)
        self.seconds.append(time.perf_counter() - self.began)

    def freeze(self) -> History:
        return History(
            *(np.array(a) for a in (self.objective, self.loglik, self.e_steps, self.seconds))
        )


def climb(
    model: Model,
    data: Any,
    start: Any,
    algorithm: EM | None = None,
    stopping: Stopping | None = None,
    budget: Budget | None = None,
) -> Climb:
    """Climb from ``start`` until the stopping rule holds or the allowance ends.

    Parameters
    ----------
    model : Model
        Prepared for the data: ``model.prepare(data)``.
    data : Table or another view
    start : Params
    algorithm : EM, optional
    stopping : Stopping, optional
    budget : Budget, optional

    Returns
    -------
    Climb

    Raises
    ------
    FloatingPointError
        If the objective is not finite.  Other exceptions than a collapse, which is a status, are
        the caller's to handle too.
    """
    algorithm, stopping, budget = algorithm or EM(), stopping or Stopping(), budget or Budget()
    trail = _Trail()
    try:
        here = algorithm.begin(model, data, start)
    except Degenerate as collapse:
        trail.add(math.nan, math.nan, 1.0)
        return Climb(
            None, "degenerate", f"at the start: {collapse}", (), math.nan, math.nan,
            0, 1.0, math.nan, math.nan, Diagnosis(), trail.freeze(),
        )  # fmt: skip
    trail.add(_finite(here.objective), here.stats.loglik, here.e_steps)
    rounding, message = ROUNDING * here.stats.magnitude, ""
    while True:
        status = _allowance(trail, stopping, budget, rounding)
        if status:
            break
        try:
            there = algorithm.move(model, data, here)
        except Degenerate as collapse:
            status, message = "degenerate", str(collapse)
            break
        rounding = ROUNDING * max(here.stats.magnitude, there.stats.magnitude)
        fall = here.objective - _finite(there.objective)
        if fall > rounding:
            what = algorithm.ascends(model)
            status, message = "decreased", f"the {what} fell by {fall:.3g} nats"
            break
        here = there
        trail.add(here.objective, here.stats.loglik, trail.e_steps[-1] + here.e_steps)
    rate = linear_rate(trail.objective, rounding)
    diagnosis = model.diagnose(here.params, here.stats)
    flags = diagnosis.flags + (("slow_tail",) if rate > SLOW_TAIL_RATE else ())
    return Climb(
        here.params, status, message, tuple(sorted(flags)), trail.loglik[-1], trail.objective[-1],
        len(trail.objective) - 1, trail.e_steps[-1], predicted_gain(trail.objective, rounding),
        rate, diagnosis, trail.freeze(),
    )  # fmt: skip


def _allowance(trail: _Trail, stopping: Stopping, budget: Budget, rounding: float) -> str:
    """The status that ends the climb here, or an empty string."""
    if stopping.met(trail.objective[-4:], rounding):
        return "converged"
    if len(trail.objective) > stopping.max_iter:
        return "max_iter"
    if budget.e_steps is not None and trail.e_steps[-1] >= budget.e_steps:
        return "budget"
    if budget.seconds is not None and trail.seconds[-1] >= budget.seconds:
        return "timeout"
    return ""


def _finite(objective: float) -> float:
    if not math.isfinite(objective):
        raise FloatingPointError(f"the objective is {objective!r}, not a finite number")
    return objective
