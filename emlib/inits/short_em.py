"""em-EM: many short climbs, the best one continued."""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.algorithms.climb import climb
from emlib.algorithms.stopping import Stopping
from emlib.data import Table
from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.centres import Points
from emlib.inits.random import Random
from emlib.models.base import Degenerate, Model


@dataclass(frozen=True)
class ShortEM(Init):
    """em-EM of Biernacki, Celeux and Govaert (2003), section 3.

    ``tries`` starts of ``base`` climb for ``iterations`` each; the one with the highest objective
    is the start.  A short climb that collapses or overflows is out of the race.  With holes it is
    as adapted as its base.  Cost: all the tries' starts and climbs.

    Parameters
    ----------
    tries : int
    iterations : int
    base : Init, optional
        ``points`` by default, as in the paper; ``random`` where rows have no distances.
    """

    name: ClassVar[str] = "short_em"
    holes: ClassVar[str] = "adapted"

    tries: int = 10
    iterations: int = 5
    base: Init | None = None

    def __post_init__(self) -> None:
        for setting in ("tries", "iterations"):
            require_count(setting, getattr(self, setting))

    @property
    def needs(self) -> frozenset[str]:
        return frozenset() if self.base is None else self.base.needs

    def _base(self, model: Model) -> Init:
        if self.base is not None:
            return self.base
        return Points() if Points().needs <= model.traits else Random()

    def draws_by_row(self, model: Model) -> bool:
        return self._base(model).draws_by_row(model)

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        base = self._base(model)
        best, best_objective, e_steps = None, -math.inf, 0.0
        stopping = Stopping(tol=0, max_iter=self.iterations)
        for _ in range(self.tries):
            start = base(model, data, rng)
            try:
                short = climb(model, data, start.params, stopping=stopping)
            except (ArithmeticError, np.linalg.LinAlgError):
                e_steps += start.e_steps + 1.0
                continue
            e_steps += start.e_steps + short.e_steps
            if short.status != "degenerate" and short.objective > best_objective:
                best, best_objective = short.params, short.objective
        if best is None:
            raise Degenerate(f"short_em: all of {self.tries} short climbs collapsed", e_steps)
        return Start(best, e_steps)
