"""When to stop, from the history of a climb.

The default is the predicted remaining gain: increments of a linearly converging climb shrink by a
constant rate, so what is left is the last increment times rate / (1 - rate) (Aitken's
delta-squared; Boehning et al. 1994, McLachlan and Peel 2000, section 2.11).  Unlike relative
change, the bound is in nats and unit-free.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from numbers import Integral, Real
from typing import NamedTuple

COMBINATIONS = ("any", "all")
CHANGES = ("absolute_change", "relative_change", "parameter_change", "gradient")
"""Rules beside the predicted gain."""


class Step(NamedTuple):
    """The last iteration as stopping rules see it.

    Attributes
    ----------
    objective : sequence of float
        One value an iteration, the last ones at least, all of them of one function and EM steps
        apart.
    rounding : float
        Increments up to this size are rounding.
    moved : callable
        Euclidean length of the last step in natural coordinates.
    slope : callable
        Largest entry of the gradient at the last parameters, each times its standard error were
        the data complete: the unit-free size of what pulls; zero along the boundary.
    """

    objective: Sequence[float]
    rounding: float
    moved: Callable[[], float] = lambda: math.inf
    slope: Callable[[], float] = lambda: math.inf

    @property
    def increment(self) -> float:
        """What the last iteration gained."""
        if len(self.objective) < 2:
            return math.inf
        return self.objective[-1] - self.objective[-2]


@dataclass(frozen=True)
class Stopping:
    """Stop when two predictions of the remaining gain in a row are below ``tol``.

    Other rules can stand beside it or in its place (``tol=0``).  What a fit may spend in E-steps
    or seconds is its ``Budget``.

    Parameters
    ----------
    tol : float
        Predicted remaining gain in nats; 0 takes the rule away.
    max_iter : int
        Most iterations.
    absolute_change : float, optional
        Gain of the objective by one iteration, in nats, in total.
    relative_change : float, optional
        The same as a share of the objective's size.  Depends on units and on the number of rows.
    parameter_change : float, optional
        Euclidean length of one step in natural coordinates, as in SQUAREM.  Depends on units.
    gradient : float, optional
        Largest entry of the projected gradient, in standard errors of complete data.
    combine : {"any", "all"}
        Whether one of the rules is enough.
    """

    tol: float = 1e-3
    max_iter: int = 1000
    absolute_change: float | None = None
    relative_change: float | None = None
    parameter_change: float | None = None
    gradient: float | None = None
    combine: str = "any"

    def __post_init__(self) -> None:
        if not isinstance(self.tol, Real) or not (self.tol >= 0 and math.isfinite(self.tol)):
            raise ValueError(f"tol: {self.tol!r} is not a finite number of nats >= 0")
        if not isinstance(self.max_iter, Integral) or self.max_iter < 0:
            raise ValueError(f"max_iter: {self.max_iter!r} is not an integer >= 0")
        for name in CHANGES:
            bound = getattr(self, name)
            if bound is not None and not (isinstance(bound, Real) and 0 < bound < math.inf):
                raise ValueError(f"{name}: {bound!r} is not a finite number > 0")
        if self.combine not in COMBINATIONS:
            raise ValueError(f"combine: {self.combine!r} is not one of {', '.join(COMBINATIONS)}")

    def met(self, step: Step) -> str:
        """Names of the rules that end the climb here; empty if it goes on."""
        return self._combined(step, self._predicted(step))

    def steps_left(self, step: Step) -> int | None:
        """After how many more steps the predicted gain falls below ``tol``, at the rate of the last
        ones; None where they do not tell."""
        rate = linear_rate(step.objective, step.rounding)
        gain = predicted_gain(step.objective, step.rounding)
        if not (0.0 < rate < 1.0 and self.tol > 0.0):
            return None
        return 1 + max(0, math.ceil(math.log(self.tol / gain) / math.log(rate)))

    def near(self, step: Step) -> bool:
        """Whether an accelerated climb is worth a look at plain EM steps.

        Its last increment is then below ``tol``: to predict more than that, EM is needed.
        """
        return bool(self._combined(step, step.increment < self.tol))

    @cached_property
    def _changes(self) -> tuple[str, ...]:
        """Names of the rules that are wanted beside the predicted gain."""
        return tuple(name for name in CHANGES if getattr(self, name) is not None)

    def _predicted(self, step: Step) -> bool:
        values = step.objective
        return (
            len(values) >= 4
            and predicted_gain(values, step.rounding) < self.tol
            and predicted_gain(values[:-1], step.rounding) < self.tol
        )

    def _combined(self, step: Step, predicted: bool) -> str:
        if len(step.objective) < 2:
            return ""
        held = ["predicted_gain"] if predicted and self.tol > 0 else []
        held += [name for name in self._changes if self._small(name, step)]
        wanted = len(self._changes) + (self.tol > 0)
        enough = held if self.combine == "any" or len(held) == wanted else []
        return ", ".join(enough)

    def _small(self, rule: str, step: Step) -> bool:
        bound = getattr(self, rule)
        if rule == "parameter_change":
            return step.moved() < bound
        if rule == "gradient":
            return step.slope() < bound
        size = abs(step.objective[-1]) if rule == "relative_change" else 1.0
        return abs(step.increment) < bound * size


def linear_rate(objective: Sequence[float], rounding: float) -> float:
    """Ratio of the last two increments; NaN where rounding hides it."""
    if len(objective) < 3:
        return math.nan
    last, before = objective[-1] - objective[-2], objective[-2] - objective[-3]
    return last / before if last > rounding and before > rounding else math.nan


def predicted_gain(objective: Sequence[float], rounding: float) -> float:
    """What the objective will still gain; infinite while increments grow.

    Parameters
    ----------
    objective : sequence of float
        One value an iteration, natural log.
    rounding : float
        Increments up to this size are rounding: nothing is left.
    """
    if len(objective) < 3:
        return math.inf
    last, before = objective[-1] - objective[-2], objective[-2] - objective[-3]
    if last <= rounding:
        return 0.0
    if last >= before:
        return math.inf
    return last * last / (before - last)
