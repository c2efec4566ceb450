"""Stochastic EM: each E-step draws the latent classes; then EM from the best place seen.

Celeux and Diebolt (1985); that EM goes on from the draw's highest loglik is Biernacki, Celeux and
Govaert (2003), section 2.3.
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.em import em_step, q_map
from emlib.errors import require_count
from emlib.models.base import Model
from emlib.models.posterior import sampled
from emlib.models.records import Degenerate


@dataclass(frozen=True, eq=False)
class DrawnPosition(Position):
    """And the data in the order in which they are drawn for, the best place seen, and what is left.

    Attributes
    ----------
    view : Table or another view
    best : (params, float)
        The parameters of the highest objective, and that.
    left : int
        Draws still to come.
    """

    view: Any = None
    best: tuple[Any, float] = (None, -math.inf)
    left: int = 0


@dataclass(frozen=True)
class Stochastic(Algorithm):
    """SEM (Celeux and Diebolt 1985), then EM from its highest loglik.

    It wanders, so nothing need rise meanwhile.  A draw that empties a component ends the draws.
    Cost of an iteration: one E-step, and one more where EM takes over.

    Parameters
    ----------
    iterations : int
        Draws, before EM.
    """

    name: ClassVar[str] = "stochastic"
    posteriors: ClassVar[frozenset[str]] = frozenset({"sampled"})
    by_unit: ClassVar[bool] = True

    iterations: int = 50

    def __post_init__(self) -> None:
        require_count("iterations", self.iterations)

    def ascends(self, model: Model) -> str:
        return "none"

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        view = data.part(data.sorted_units)
        return self._drawn(model, view, start, (start, -math.inf), self.iterations, rng)

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        if not isinstance(position, DrawnPosition):
            return em_step(model, data, position)
        if position.left > 0:
            try:
                params = q_map(model, position.params, position.stats)
                return self._drawn(
                    model, position.view, params, position.best, position.left - 1, rng
                )
            except Degenerate:
                pass
        best = em_position(model, data, position.best[0])
        return Position(best.params, best.stats, best.objective, best.e_steps, before=-math.inf)

    def finish(self, model: Model, data: Any, position: Position) -> Position:
        """The best place seen, where the allowance ran out meanwhile."""
        if not isinstance(position, DrawnPosition):
            return position
        return em_position(model, data, position.best[0])

    def _drawn(
        self, model: Model, view: Any, params: Any, best: tuple[Any, float], left: int,
        rng: np.random.Generator,
    ) -> DrawnPosition:  # fmt: skip
        stats = model.e_step(params, view, sampled(rng))
        objective = stats.loglik + model.log_prior(params)
        if objective > best[1]:
            best = params, objective
        return DrawnPosition(
            params, stats, objective, 1.0, -math.inf, False, view=view, best=best, left=left
        )
