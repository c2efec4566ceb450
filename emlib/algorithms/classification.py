"""Classification EM (Celeux and Govaert 1992): rows belong to one class each.

C steps and M-steps ascend the classification loglik, the log joint density of the data and their
most probable classes (paths); it settles after finitely many steps.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position
from emlib.algorithms.em import q_map
from emlib.models.base import Model
from emlib.models.posterior import HARD, tempered


@dataclass(frozen=True)
class Classification(Algorithm):
    """CEM of Celeux and Govaert (1992).

    Cost of an iteration: two E-steps, the second for the objective.  Its estimates are not those of
    maximum likelihood: classes that overlap are pulled apart.
    """

    name: ClassVar[str] = "classification"
    posteriors: ClassVar[frozenset[str]] = frozenset({"hard"})

    def ascends(self, model: Model) -> str:
        return "classification"

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        return warm_position(model, data, start, math.inf)

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        return warm_position(model, data, q_map(model, position.params, position.stats), math.inf)


def warm_position(model: Model, data: Any, params: Any, beta: float) -> Position:
    """The E-step at a temperature, and the free energy that it belongs to: two E-steps."""
    stats = model.e_step(params, data, HARD if math.isinf(beta) else tempered(beta))
    objective = model.free_energy(params, data, beta) + model.log_prior(params)
    return Position(params, stats, objective, 2.0)
