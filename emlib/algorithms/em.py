"""EM itself (Dempster, Laird and Rubin 1977), with the conditional M-steps that a model declares.

One pass through a model's cycle is ECM (Meng and Rubin 1993) where it has several steps, its
multicycle version where a step asks for a new E-step, and ECME (Liu and Rubin 1994) where a step
maximizes the observed likelihood.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

from emlib.models.base import Model, Stats


@dataclass(frozen=True, eq=False)
class Position:
    """Where a climb is: an algorithm that remembers more extends it.

    Attributes
    ----------
    params : Params
    stats : Stats
        Of the E-step at ``params``.
    objective : float
        What the algorithm ascends, at ``params``.
    e_steps : float
        Full-data E-step equivalents that it took to come here from the last position.
    """

    params: Any
    stats: Stats
    objective: float
    e_steps: float


@dataclass(frozen=True)
class EM:
    """Plain EM: ascends the loglik, or the penalized loglik where the model declares a prior."""

    name: ClassVar[str] = "em"

    def ascends(self, model: Model) -> str:
        """Name of the objective that must never fall."""
        return "penalized" if model.penalized else "loglik"

    def begin(self, model: Model, data: Any, start: Any) -> Position:
        """The position at the start of a climb."""
        return self._at(model, data, start, e_steps=0.0)

    def move(self, model: Model, data: Any, position: Position) -> Position:
        """The position after one iteration."""
        params, stats, e_steps = position.params, position.stats, 0.0
        for step in model.cycle:
            if step.fresh:
                stats = model.e_step(params, data)
                e_steps += 1.0
            if step.maximizes == "loglik":
                params, cost = model.observed_step(params, data, step.free)
                e_steps += cost
            else:
                params = model.m_step(stats, params, step.free)
        return self._at(model, data, params, e_steps)

    def _at(self, model: Model, data: Any, params: Any, e_steps: float) -> Position:
        stats = model.e_step(params, data)
        return Position(params, stats, stats.loglik + model.log_prior(params), e_steps + 1.0)
