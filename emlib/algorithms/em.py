"""EM itself (Dempster, Laird and Rubin 1977), with the conditional M-steps that a model declares.

One pass through a model's cycle is ECM (Meng and Rubin 1993) where it has several steps, its
multicycle version where a step asks for a new E-step, and ECME (Liu and Rubin 1994) where a step
maximizes the observed likelihood.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.models.base import Model
from emlib.models.records import Chunk, Stats


@dataclass(frozen=True)
class EM(Algorithm):
    """Plain EM: ascends the loglik, or the penalized loglik where the model declares a prior."""

    name: ClassVar[str] = "em"

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        return em_step(model, data, position)

    def moves(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator, most: int
    ) -> Sequence[Position]:
        chunk = model.em_chunk(position.params, position.stats, data, most)
        if chunk is None or not chunk.loglik:
            return [self.move(model, data, position, rng)]
        return [Ahead(chunk, step) for step in range(len(chunk.loglik))]


class Ahead(Position):
    """A position among those that a model without a prior computed together."""

    chunk: Chunk
    step: int
    e_steps = 1.0
    loglik = math.nan
    magnitude = math.nan

    def __init__(self, chunk: Chunk, step: int) -> None:
        loglik = chunk.loglik[step]
        vars(self).update(
            chunk=chunk, step=step, objective=loglik, loglik=loglik, magnitude=chunk.magnitude[step]
        )

    @property
    def params(self) -> Any:
        return self.chunk.params(self.step)

    @property
    def stats(self) -> Stats:
        stats: Stats = self.chunk.stats(self.step)
        return stats


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
