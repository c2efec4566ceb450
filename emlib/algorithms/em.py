"""EM itself (Dempster, Laird and Rubin 1977), with the conditional M-steps that a model declares.

One pass through a model's cycle is ECM (Meng and Rubin 1993) where it has several steps, and its
multicycle version where a step asks for a new E-step.
"""

from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

from emlib.models.base import Model, Stats


class Move(NamedTuple):
    """Where one iteration led, and what it cost in full-data E-steps."""

    params: Any
    stats: Stats
    e_steps: float


@dataclass(frozen=True)
class EM:
    """Plain EM: ascends the loglik, or the penalized loglik where the model declares a prior."""

    name: ClassVar[str] = "em"

    def ascends(self, model: Model) -> str:
        """The objective that must never fall."""
        return "penalized" if model.penalized else "loglik"

    def move(self, model: Model, data: Any, params: Any, stats: Stats) -> Move:
        """One iteration from ``params``, whose E-step gave ``stats``."""
        e_steps = 1.0
        for step in model.cycle:
            if step.fresh:
                stats = model.e_step(params, data)
                e_steps += 1.0
            params = model.m_step(stats, params, step.free)
        return Move(params, model.e_step(params, data), e_steps)
