"""The climb: the one loop that every fit runs, E then (M, E) until something stops it.

The last loglik belongs to the returned parameters.
"""

import math
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.base import Algorithm, Position
from emlib.algorithms.em import EM
from emlib.algorithms.records import Budget, Climb, Trail
from emlib.algorithms.stopping import Step, Stopping, linear_rate, predicted_gain
from emlib.models.base import Model
from emlib.models.differences import STEP, natural_slopes
from emlib.models.records import Degenerate, Diagnosis

ROUNDING = 64 * sys.float_info.epsilon
"""A fall of the objective up to this share of the sum of the units' |loglik| is rounding."""

SLOW_TAIL_RATE = 0.99

LOOK = 3
"""Plain EM steps that tell whether an accelerated climb has arrived, or a plain one will soon."""

LONGEST = 16
"""Most iterations that are computed together."""


def climb(
    model: Model,
    data: Any,
    start: Any,
    algorithm: Algorithm | None = None,
    stopping: Stopping | None = None,
    budget: Budget | None = None,
    rng: np.random.Generator | None = None,
) -> Climb:
    """Climb from ``start`` until the stopping rule holds or the allowance ends.

    An accelerated climb whose increments are small goes on by plain EM steps, on which the stopping
    rule is judged, and is accelerated again if the rule does not hold.

    Parameters
    ----------
    model : Model
        Prepared for the data: ``model.prepare(data)``.
    data : Table or another view
    start : Params
    algorithm : Algorithm, optional
    stopping : Stopping, optional
    budget : Budget, optional
    rng : Generator, optional
        For algorithms that draw.

    Returns
    -------
    Climb

    Raises
    ------
    ValueError
        If the algorithm cannot climb the model.
    FloatingPointError
        If the objective is not finite.  Other exceptions than a collapse, which is a status, are
        the caller's to handle too.
    """
    algorithm, stopping, budget = algorithm or EM(), stopping or Stopping(), budget or Budget()
    rng = np.random.default_rng(0) if rng is None else rng
    unable = algorithm.unable(model)
    if unable:
        raise ValueError(f"{algorithm.name} cannot climb {model.family}: {unable}")
    trail = Trail()
    try:
        here = algorithm.begin(model, data, start, rng)
    except Degenerate as collapse:
        trail.add(math.nan, math.nan, 1.0)
        return Climb(
            None, "degenerate", f"at the start: {collapse}", (), math.nan, math.nan,
            0, 1.0, math.nan, math.nan, Diagnosis(), trail.freeze(),
        )  # fmt: skip
    trail.add(_finite(here.objective), here.loglik, here.e_steps)
    rounded = rounding = _rounding(here)
    method, wait, slope, message = algorithm, _Wait(), _Slope(model), ""
    step = Step(trail.objective, rounding)
    coming: Iterator[Position] = iter(())
    while True:
        rule = "" if method.accelerated or not here.settling else stopping.met(step)
        status = "converged" if rule else _allowance(trail, stopping, budget)
        if status:
            break
        if algorithm.accelerated:
            following = wait.next_method(algorithm, method, stopping, step)
            if following is not method:
                method, coming = following, iter(())
        try:
            there = next(coming, None)
            if there is None:
                most = _worth_computing(trail, stopping, budget, step)
                coming = iter(method.moves(model, data, here, rng, most))
                there = next(coming)
        except Degenerate as collapse:
            status, message = "degenerate", str(collapse)
            break
        rounded_before, rounded = rounded, _rounding(there)
        rounding = max(rounded_before, rounded)
        before = here.objective if there.before is None else there.before
        fall = before - _finite(there.objective)
        if fall > rounding:
            what = algorithm.ascends(model)
            status, message = "decreased", f"the {what} fell by {fall:.3g} nats"
            break
        trail.add(there.objective, there.loglik, trail.e_steps[-1] + there.e_steps)
        if there.before is not None or method.accelerated:
            trail.run = len(trail.objective) - 1
        if method.accelerated:
            step = _step(model, slope, here, there.on_the_way or there, rounding)
        else:
            step = _step(model, slope, here, there, rounding, trail.last())
        here = there
    run = trail.objective[trail.run :]
    last = algorithm.finish(model, data, here)
    if last is not here:
        here = last
        trail.add(here.objective, here.loglik, trail.e_steps[-1] + here.e_steps)
    rate = linear_rate(run, rounding)
    diagnosis = model.diagnose(here.params, here.stats)
    flags = diagnosis.flags + (("slow_tail",) if rate > SLOW_TAIL_RATE else ())
    return Climb(
        here.params, status, message, tuple(sorted(flags)), trail.loglik[-1], trail.objective[-1],
        len(trail.objective) - 1, trail.e_steps[-1], predicted_gain(run, rounding),
        rate, diagnosis, trail.freeze(), rule,
    )  # fmt: skip


class _Wait:
    """When an accelerated climb is looked at: its increments are small, and the last look, if it
    found more to gain, was long enough ago."""

    def __init__(self) -> None:
        self.looked = 0
        self.moves = 0

    def next_method(
        self, algorithm: Algorithm, method: Algorithm, stopping: Stopping, step: Step
    ) -> Algorithm:
        """Plain EM for a look at the rule (``LOOK`` steps), else the algorithm."""
        if not method.accelerated:
            if len(step.objective) <= LOOK:
                return method
            self.looked, self.moves = self.looked + 1, 0
        self.moves += 1
        ready = self.moves >= 2**self.looked
        return EM() if ready and stopping.near(step) else algorithm


class _Slope:
    """Size of the gradient in standard errors of complete data, steps kept for the next time."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self.steps: NDArray[np.float64] | None = None

    def __call__(self, there: Position) -> float:
        objective = self.model.q_in_chart(there.stats, there.params)
        at = self.model.pack(there.params, "unconstrained")
        self.steps, slopes = natural_slopes(objective, at, self.steps)
        return float(np.abs(slopes * self.steps / STEP).max(initial=0.0))


def _step(
    model: Model,
    slope: _Slope,
    here: Position,
    there: Position,
    rounding: float,
    objective: Sequence[float] = (),
) -> Step:
    """The move from ``here`` to ``there``, after others perhaps, as stopping rules see it."""

    def moved() -> float:
        old, new = (model.pack(place.params, around=there.params) for place in (here, there))
        return float(np.linalg.norm(new - old))

    values = objective or (here.objective, there.objective)
    return Step(values, rounding, moved, lambda: slope(there))


def _allowance(trail: Trail, stopping: Stopping, budget: Budget) -> str:
    """The status that ends the climb where no rule does, or an empty string."""
    if len(trail.objective) > stopping.max_iter:
        return "max_iter"
    if budget.e_steps is not None and trail.e_steps[-1] >= budget.e_steps:
        return "budget"
    if budget.seconds is not None and trail.seconds[-1] >= budget.seconds:
        return "timeout"
    return ""


def _worth_computing(trail: Trail, stopping: Stopping, budget: Budget, step: Step) -> int:
    """How many iterations may be computed together, few of them in vain."""
    left = [
        LONGEST,
        stopping.max_iter + 1 - len(trail.objective),
        stopping.steps_left(step) or LOOK,
    ]
    if budget.e_steps is not None:
        left.append(math.ceil(budget.e_steps - trail.e_steps[-1]))
    return max(1, min(left))


def _rounding(place: Position) -> float:
    """What a change of the objective may be by rounding alone; a log prior is rounded as well."""
    beside = abs(place.objective - place.loglik) if math.isfinite(place.objective) else 0.0
    return ROUNDING * (place.magnitude + beside)


def _finite(objective: float) -> float:
    if not math.isfinite(objective):
        raise FloatingPointError(f"the objective is {objective!r}, not a finite number")
    return objective
