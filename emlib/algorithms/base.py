"""What an algorithm is: where a climb begins, how it moves on, and what must not fall meanwhile."""

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np

from emlib.models.base import Model
from emlib.models.records import COLLAPSES, Stats


@dataclass(frozen=True, eq=False)
class Position:
    """Where a climb is: an algorithm that remembers more extends it.

    Attributes
    ----------
    params : Params
    stats : Stats
        Of the E-step at ``params``, with the exact posterior unless the algorithm says otherwise.
    objective : float
        What the algorithm ascends, at ``params``.
    e_steps : float
        Full-data E-step equivalents that it took to come here from the last position.
    before : float, optional
        The objective at the last position, where it is not the function that it was there: the
        temperature of annealing has changed, say.
    settling : bool
        Whether the stopping rule may end the climb here.
    on_the_way : Position, optional
        One EM step after the last position, where an accelerated climb came through there.
    """

    params: Any
    stats: Stats
    objective: float
    e_steps: float
    before: float | None = None
    settling: bool = True
    on_the_way: "Position | None" = field(default=None, kw_only=True)

    @property
    def loglik(self) -> float:
        """Observed-data loglik at ``params``; NaN where it is not known."""
        return self.stats.loglik

    @property
    def magnitude(self) -> float:
        """Sum of the units' |loglik|, the yardstick of rounding."""
        return self.stats.magnitude


class Algorithm(ABC):
    """A way to climb; its dataclass fields are its settings.

    Attributes
    ----------
    accelerated : bool
        Its increments do not shrink as those of EM do, so that a climb is judged on plain EM steps.
    posteriors : frozenset of str
        Kinds of posterior that the model must have, of ``Model.posteriors``.
    sums : frozenset of str
        What its stats must allow, of ``Model.sums``.
    by_unit : bool
        It looks at single units or parts of the data, and so at more than sums over all.
    """

    name: ClassVar[str]
    accelerated: ClassVar[bool] = False
    posteriors: ClassVar[frozenset[str]] = frozenset()
    sums: ClassVar[frozenset[str]] = frozenset()
    by_unit: ClassVar[bool] = False

    def ascends(self, model: Model) -> str:
        """What must never fall: loglik, penalized, free_energy, classification or none."""
        return "penalized" if model.penalized else "loglik"

    def unable(self, model: Model) -> str:
        """Why the model cannot be climbed so; empty if it can."""
        lacking = sorted(self.posteriors - model.posteriors)
        if lacking:
            return f"it has no {' and no '.join(lacking)} posterior"
        lacking = sorted(self.sums - model.sums)
        return f"its sums cannot be {' or '.join(lacking)}" if lacking else ""

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        """The position at the start of a climb: an exact E-step there, unless it needs more."""
        return em_position(model, data, start)

    @abstractmethod
    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        """The position after one iteration.

        ``position`` may be one without memory, as EM gives it: the algorithm then begins anew from
        there.
        """

    def moves(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator, most: int
    ) -> Sequence[Position]:
        """The positions after the next iterations: one, or up to ``most`` that come together.

        Those after the last one of a climb are lost, and not counted.
        """
        return [self.move(model, data, position, rng)]

    def finish(self, model: Model, data: Any, position: Position) -> Position:
        """The last position, its loglik that of its parameters."""
        return position


def em_position(model: Model, data: Any, params: Any, e_steps: float = 0.0) -> Position:
    """One exact E-step at ``params``; ``e_steps`` were spent before it."""
    stats = model.e_step(params, data)
    return Position(params, stats, stats.loglik + model.log_prior(params), e_steps + 1.0)


def possible_position(
    model: Model, data: Any, params: Any, e_steps: float = 0.0
) -> Position | None:
    """As ``em_position``; None where the parameters lie outside of their space.

    Parameters that were not found by an M-step may be negative probabilities, covariances that are
    not positive, or so far away that the density vanishes.
    """
    if not model.inside(params):
        return None
    try:
        with np.errstate(all="ignore"):
            there = em_position(model, data, params)
    except (*COLLAPSES, ValueError):
        return None
    return there if math.isfinite(there.objective) else None
