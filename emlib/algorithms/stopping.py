"""When to stop: the predicted remaining gain, from the history of the objective alone.

Increments of a linearly converging climb shrink by a constant rate, so what is left is the last
increment times rate / (1 - rate) (Aitken's delta-squared; Boehning et al. 1994, McLachlan and
Peel 2000, section 2.11).  Unlike relative change, the bound is in nats and unit-free.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral, Real


@dataclass(frozen=True)
class Stopping:
    """Stop when two predictions of the remaining gain in a row are below ``tol``.

    Parameters
    ----------
    tol : float
        Predicted remaining gain in nats; 0 runs all of ``max_iter``.
    max_iter : int
        Most iterations.
    """

    tol: float = 1e-3
    max_iter: int = 1000

    def __post_init__(self) -> None:
        if not isinstance(self.tol, Real) or not (self.tol >= 0 and math.isfinite(self.tol)):
            raise ValueError(f"tol: {self.tol!r} is not a finite number of nats >= 0")
        if not isinstance(self.max_iter, Integral) or self.max_iter < 0:
            raise ValueError(f"max_iter: {self.max_iter!r} is not an integer >= 0")

    def met(self, objective: Sequence[float], rounding: float) -> bool:
        """Whether the history says that less than ``tol`` is left to gain."""
        if self.tol == 0 or len(objective) < 4:
            return False
        return (
            predicted_gain(objective, rounding) < self.tol
            and predicted_gain(objective[:-1], rounding) < self.tol
        )


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
