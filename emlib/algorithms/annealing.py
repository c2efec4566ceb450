"""Deterministic annealing: EM with posteriors to the power beta, from a small beta to 1.

At each beta it ascends the free energy, the sum over rows of 1/beta log sum_k (pi_k f_k)^beta (Ueda
and Nakano 1998, section 3), which has fewer optima the smaller beta is.  Where beta rises above 1
before it comes back, components that share their rows are driven apart (Naim and Gildea 2012).
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.classification import warm_position
from emlib.algorithms.em import em_map, q_map
from emlib.errors import require_count
from emlib.models.base import Model

SMALLEST_BETA = 0.05
"""Below, the free energy would need responsibilities that doubles do not hold."""


@dataclass(frozen=True, eq=False)
class AnnealedPosition(Position):
    """And the stage, the moves made in it, and whether it has come to rest."""

    stage: int = 0
    moves: int = 0
    rested: bool = False


@dataclass(frozen=True)
class Annealing(Algorithm):
    """Deterministic annealing (Ueda and Nakano 1998); anti-annealing where ``beta_max`` is above 1.

    Cost of an iteration: two E-steps, the second for the free energy; one in the last stage, which
    is EM.  A change of beta is an iteration in which the parameters rest.

    Parameters
    ----------
    beta_min : float
        The first beta, in [0.05, 1].
    factor : float
        Between betas, above 1; the last factor on the way to ``beta_max`` or to 1 may be smaller.
    beta_max : float
        The largest beta, 1 or above; Naim and Gildea (2012) take 1.2.
    stage_gain : float
        A stage ends where an iteration gains less, in nats.
    stage_moves : int
        Most iterations of a stage.
    """

    name: ClassVar[str] = "annealing"
    posteriors: ClassVar[frozenset[str]] = frozenset({"tempered"})

    beta_min: float = 0.2
    factor: float = 1.5
    beta_max: float = 1.0
    stage_gain: float = 0.01
    stage_moves: int = 30

    def __post_init__(self) -> None:
        if not SMALLEST_BETA <= self.beta_min <= 1:
            raise ValueError(f"beta_min: {self.beta_min!r} is not in [{SMALLEST_BETA:g}, 1]")
        if not 1 < self.factor < math.inf:
            raise ValueError(f"factor: {self.factor!r} is not a finite number > 1")
        if not 1 <= self.beta_max < math.inf:
            raise ValueError(f"beta_max: {self.beta_max!r} is not a finite number >= 1")
        if not 0 < self.stage_gain < math.inf:
            raise ValueError(f"stage_gain: {self.stage_gain!r} is not a finite number > 0")
        require_count("stage_moves", self.stage_moves)

    @cached_property
    def betas(self) -> tuple[float, ...]:
        """One a stage, the last one 1."""

        def steps(low: float, high: float) -> list[float]:
            n = math.ceil(math.log(high / low) / math.log(self.factor) - 1e-9)
            return [low * self.factor**i for i in range(n)]

        rise = [*steps(self.beta_min, self.beta_max), self.beta_max]
        fall = [self.beta_max / b for b in steps(1.0, self.beta_max)[1:]]
        betas = [*rise, *fall, 1.0]
        return (*(a for a, b in pairwise(betas) if a != b), 1.0)

    def ascends(self, model: Model) -> str:
        return "free_energy"

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        return self._at(model, data, start, 0)

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        here, last = position, len(self.betas) - 1
        if not isinstance(here, AnnealedPosition) or here.stage == last:
            params, spent = em_map(model, data, here.params, here.stats)
            return self._at(model, data, params, last, spent)
        if here.rested:
            return self._at(model, data, here.params, here.stage + 1, changed=True)
        params, moves = q_map(model, here.params, here.stats), here.moves + 1
        return self._at(model, data, params, here.stage, moves=moves, last=here.objective)

    def _at(
        self, model: Model, data: Any, params: Any, stage: int, spent: float = 0.0,
        moves: int = 0, last: float = -math.inf, changed: bool = False,
    ) -> AnnealedPosition:  # fmt: skip
        beta, settling = self.betas[stage], stage == len(self.betas) - 1
        there = (
            em_position(model, data, params)
            if beta == 1.0
            else warm_position(model, data, params, beta)
        )
        rested = moves >= self.stage_moves or there.objective - last < self.stage_gain
        return AnnealedPosition(
            params, there.stats, there.objective, spent + there.e_steps,
            there.objective if changed else None, settling, stage, moves, rested,
        )  # fmt: skip
