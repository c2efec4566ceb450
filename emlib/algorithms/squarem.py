"""SQUAREM: squared extrapolation of EM, with monotonicity control.

Two EM steps from x give r = F(x) - x and v = F(F(x)) - 2 F(x) + x; the climb goes to
x + 2 a r + a^2 v, then one more EM step (Varadhan and Roland 2008, section 3 and table 1).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.chart import Chart, after_em_step
from emlib.algorithms.em import em_map
from emlib.models.base import Model, is_unconstrained

LONGER = 4.0
"""Factor by which the longest step grows where it was taken, and shrinks where it failed."""

NO_EXTRAPOLATION = 0.01
"""A step length so near to 1 is two EM steps, which need no third to settle."""


@dataclass(frozen=True, eq=False)
class SquaremPosition(Position):
    """And the longest step length allowed."""

    longest: float = 1.0


@dataclass(frozen=True)
class Squarem(Algorithm):
    """SQUAREM of Varadhan and Roland (2008), globalized as in their R package (2020).

    A cycle that would leave the space or lower the objective ends at its two EM steps.  Cost of an
    iteration: three E-steps, a fourth where the extrapolation fails.

    Parameters
    ----------
    steplength : {3, 1, 2}
        Scheme S1, S2 or S3 of the paper: r'v / v'v, r'r / r'v, or the ratio of their lengths.
    coordinates : {"unconstrained", "natural"}
        Where to extrapolate: log odds and logarithms, or probabilities and variances themselves.
    """

    name: ClassVar[str] = "squarem"
    accelerated: ClassVar[bool] = True

    steplength: int = 3
    coordinates: str = "unconstrained"

    def __post_init__(self) -> None:
        is_unconstrained(self.coordinates)
        if self.steplength not in (1, 2, 3):
            raise ValueError(f"steplength: {self.steplength!r} is not 1, 2 or 3")

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        longest = position.longest if isinstance(position, SquaremPosition) else 1.0
        first, spent = em_map(model, data, position.params, position.stats)
        middle = em_position(model, data, first, spent)
        second, cost = em_map(model, data, first, middle.stats)
        spent = middle.e_steps + cost
        chart = Chart(model, position.params, self.coordinates)
        x0, x1, x2 = (chart.vector(params) for params in (position.params, first, second))
        with np.errstate(invalid="ignore"):
            r, v = x1 - x0, x2 - 2.0 * x1 + x0
        used = np.isfinite(r) & np.isfinite(v)
        length = min(max(1.0, self._length(r[used], v[used])), longest)
        there = None
        if length > 1.0 + NO_EXTRAPOLATION:
            jump = np.where(used, x0 + 2.0 * length * r + length**2 * v, x2)
            spent += 1.0
            there = after_em_step(model, data, chart.position(data, jump, x2))
            if there is not None:
                spent += there.e_steps
                if there.objective < position.objective:
                    there = None
        shortened = there is None and length == longest and length > 1.0
        if there is None:
            there = em_position(model, data, second)
            spent += 1.0
        if shortened:
            longest = max(1.0, longest / LONGER)
        elif length == longest:
            longest *= LONGER
        return SquaremPosition(
            there.params, there.stats, there.objective, spent, on_the_way=middle, longest=longest
        )

    def _length(self, r: np.ndarray, v: np.ndarray) -> float:
        """Minus the step length of the paper: 1 is two EM steps; 0 where there is none."""
        rr, rv, vv = r @ r, r @ v, v @ v
        with np.errstate(all="ignore"):
            lengths = -rv / vv, -rr / rv, np.sqrt(rr / vv)
        length = float(lengths[self.steplength - 1])
        return length if math.isfinite(length) else 0.0
