"""Growing a mixture from one component by splitting."""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Position, em_position
from emlib.algorithms.em import em_step
from emlib.data import Table
from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows
from emlib.models.base import Model
from emlib.models.records import COLLAPSES, Degenerate


@dataclass(frozen=True)
class Split(Init):
    """One component, split until there are K (the recursive start of Baudry and Celeux 2015).

    Each round tries to split every component at the mean of its rows, across the principal axis of
    their scatter; each attempt climbs for ``iterations``, and the one with the highest objective
    goes on.  It draws nothing.  Holes: in what is split, missing cells stand at their conditional
    means under one normal with the available-case moments (``rows.py``); the climbs integrate them
    out.  Cost: the climbs, K (K - 1) / 2 (iterations + 2) passes of ever more components, and two.

    Parameters
    ----------
    iterations : int
    """

    name: ClassVar[str] = "split"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    iterations: int = 5

    def __post_init__(self) -> None:
        require_count("iterations", self.iterations)

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        rows = Rows.of(data, model.n_components)
        growth = _Growth(data, rows, self.iterations)
        shares = np.ones((data.n, 1))
        n = model.n_components
        for k in range(2, n + 1):
            best, params = growth.round(model.with_components(k) if k < n else model, shares)
            if k == n:
                return Start(params, growth.e_steps)
            shares = best
        return Start(model.start(data, shares), growth.e_steps + 1.0)


class _Growth:
    """Attempts to split on one data set, and what they have cost."""

    def __init__(self, data: Table, rows: Rows, iterations: int) -> None:
        self.data, self.iterations = data, iterations
        self.points = np.vstack([rows.completed, np.full(rows.table.d, np.nan)])[rows.number]
        self.e_steps = 2.0

    def round(self, model: Model, shares: np.ndarray) -> tuple[np.ndarray, Any]:
        """The best split of one component: responsibilities (n, k) and parameters."""
        best: Position | None = None
        for component in range(shares.shape[1]):
            there = self._climbed(model, self._halved(shares, component))
            if there is not None and (best is None or there.objective > best.objective):
                best = there
        if best is None:
            raise Degenerate("split: every split collapsed", self.e_steps)
        self.e_steps += 1.0
        found = model.posterior(best.params, self.data).responsibilities
        assert found is not None
        return found, best.params

    def _halved(self, shares: np.ndarray, component: int) -> np.ndarray:
        seen = self.data.informative
        weights = self.data.weights * shares[:, component] * seen
        points = np.where(seen[:, None], self.points, 0.0)
        centred = points - weights @ points / max(weights.sum(), np.finfo(float).tiny)
        _, vectors = np.linalg.eigh((weights[:, None] * centred).T @ centred)
        axis = vectors[:, -1] * np.sign(vectors[np.abs(vectors[:, -1]).argmax(), -1])
        above = np.where(seen, centred @ axis > 0, 0.5)
        halves = np.stack([1.0 - above, above], axis=1) * shares[:, [component]]
        return np.hstack([np.delete(shares, component, axis=1), halves])

    def _climbed(self, model: Model, shares: np.ndarray) -> Position | None:
        model_steps = 1.0 + sum(step.fresh for step in model.cycle)
        self.e_steps += 1.0
        params = model.start(self.data, shares)
        cost = 1.0
        try:
            here = em_position(model, self.data, params)
            self.e_steps += here.e_steps
            for _ in range(self.iterations):
                cost = model_steps
                here = em_step(model, self.data, here)
                self.e_steps += here.e_steps
        except COLLAPSES:
            self.e_steps += cost
            return None
        return here if math.isfinite(here.objective) else None
