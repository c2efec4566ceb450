"""EM itself (Dempster, Laird and Rubin 1977), with the conditional M-steps that a model declares.

One pass through a model's cycle is ECM (Meng and Rubin 1993) where it has several steps, its
multicycle version where a step asks for a new E-step, and ECME (Liu and Rubin 1994) where a step
maximizes the observed likelihood.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.models.base import Chunk, Model, Stats

FIRST_CHUNK, LONGEST_CHUNK = 3, 16
"""Steps that are computed together: as many as an accelerated climb looks at, then twice as many
as before.  Those after the last one of a climb are lost, and not counted."""


@dataclass(frozen=True)
class EM(Algorithm):
    """Plain EM: ascends the loglik, or the penalized loglik where the model declares a prior."""

    name: ClassVar[str] = "em"

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        if isinstance(position, Ahead) and position.step + 1 < len(position.chunk.loglik):
            return Ahead(position.chunk, position.step + 1)
        before = len(position.chunk.loglik) if isinstance(position, Ahead) else 0
        n_steps = min(max(FIRST_CHUNK, 2 * before), LONGEST_CHUNK)
        chunk = model.em_chunk(position.params, position.stats, data, n_steps)
        return Ahead(chunk, 0) if chunk and chunk.loglik else em_step(model, data, position)


class Ahead(Position):
    """A position among those that a model without a prior computed together."""

    def __init__(self, chunk: Chunk, step: int) -> None:
        object.__setattr__(self, "chunk", chunk)
        object.__setattr__(self, "step", step)

    chunk: Chunk
    step: int
    e_steps = 1.0

    @property
    def params(self) -> Any:
        return self.chunk.params(self.step)

    @property
    def stats(self) -> Stats:
        stats: Stats = self.chunk.stats(self.step)
        return stats

    @property
    def objective(self) -> float:
        return self.chunk.loglik[self.step]

    @property
    def loglik(self) -> float:
        return self.chunk.loglik[self.step]

    @property
    def magnitude(self) -> float:
        return self.chunk.magnitude[self.step]


def em_step(model: Model, data: Any, here: Position) -> Position:
    """The position one iteration of EM after ``here``, whose stats are exact."""
    params, e_steps = em_map(model, data, here.params, here.stats)
    return em_position(model, data, params, e_steps)


def em_map(model: Model, data: Any, params: Any, stats: Stats) -> tuple[Any, float]:
    """Where EM goes from ``params`` with their exact ``stats``.

    Returns
    -------
    params, float
        And the E-step equivalents that the cycle took by itself.
    """
    e_steps = 0.0
    for step in model.cycle:
        if step.fresh:
            stats = model.e_step(params, data)
            e_steps += 1.0
        if step.maximizes == "loglik":
            params, cost = model.observed_step(params, data, step.free)
            e_steps += cost
        else:
            params = model.m_step(stats, params, step.free)
    return params, e_steps


def q_map(model: Model, params: Any, stats: Stats) -> Any:
    """Where the model's conditional M-steps go on Q alone, all given the same ``stats`` (ECM).

    For algorithms that do not ascend the loglik, or do not have the stats of one E-step.
    """
    for step in model.cycle:
        params = model.m_step(stats, params, step.free)
    return params
