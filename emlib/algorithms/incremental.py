"""Incremental EM: an M-step after the E-step of each part of the data (Neal and Hinton 1998).

With S_c the stats of part c, taken at theta_c, and L_c its loglik there, it ascends the free energy
sum_c [L_c(theta_c) + Q(theta; S_c) - Q(theta_c; S_c)], which is at most the loglik at theta, and
equal to it where all theta_c are theta.
"""

import math
from dataclasses import dataclass
from itertools import accumulate
from operator import add
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.em import q_map
from emlib.errors import require_count
from emlib.models.base import Model


@dataclass(frozen=True, eq=False)
class Part:
    """A part of the data, and its last E-step.

    Attributes
    ----------
    view : Table or another view
    stats : Stats
    constant : float
        L_c(theta_c) - Q(theta_c; S_c).
    """

    view: Any
    stats: Any
    constant: float


@dataclass(frozen=True, eq=False)
class PartsPosition(Position):
    """And the parts; its loglik is not known."""

    parts: tuple[Part, ...] = ()

    @property
    def loglik(self) -> float:
        return math.nan


@dataclass(frozen=True)
class Incremental(Algorithm):
    """Incremental EM of Neal and Hinton (1998), for many units.

    Units are dealt to the parts along their sorted order.  Stats are kept for each part and added
    again: nothing is ever subtracted.  Increments shrink as those of EM do, so that the stopping
    rule is judged on them.  Cost of an iteration: one E-step, and an M-step a part; the first one
    and the end take an E-step more.

    Parameters
    ----------
    chunks : int
        Parts of the data; as many as units where these are fewer.
    """

    name: ClassVar[str] = "incremental"
    sums: ClassVar[frozenset[str]] = frozenset({"mixed"})
    by_unit: ClassVar[bool] = True

    chunks: int = 10

    def __post_init__(self) -> None:
        require_count("chunks", self.chunks)

    def ascends(self, model: Model) -> str:
        return "free_energy"

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        spent, params = 1.0, position.params
        if isinstance(position, PartsPosition):
            parts = list(position.parts)
        else:
            parts = [_part(model, view, params) for view in dealt(data, self.chunks)]
            spent += 1.0
        # What is still to be renewed is summed from behind, what is renewed from the front.
        behind = list(accumulate((part.stats for part in reversed(parts)), add))[::-1]
        stats, front = behind[0], None
        for c, old in enumerate(parts):
            params = q_map(model, params, stats)
            parts[c] = _part(model, old.view, params)
            front = parts[c].stats if front is None else front + parts[c].stats
            stats = front + behind[c + 1] if c + 1 < len(parts) else front
        objective = sum(part.constant + model.q(part.stats, params) for part in parts)
        return PartsPosition(
            params, stats, objective + model.log_prior(params), spent, parts=tuple(parts)
        )

    def finish(self, model: Model, data: Any, position: Position) -> Position:
        if not math.isnan(position.loglik):
            return position
        return em_position(model, data, position.params)


def dealt(data: Any, n: int, order: np.ndarray | None = None) -> list[Any]:
    """Views of n parts of the units, dealt along ``order`` (their sorted one)."""
    order = data.sorted_units if order is None else order
    n = min(n, len(order))
    return [data.part(order[c::n]) for c in range(n)]


def _part(model: Model, view: Any, params: Any) -> Part:
    stats = model.e_step(params, view)
    return Part(view, stats, stats.loglik - model.q(stats, params))
