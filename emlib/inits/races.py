"""Many starts, the best one taken: ``best_of``, ``short_em``, ``successive_halving``."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Position, em_position
from emlib.algorithms.em import EM
from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.combinators import Combinator
from emlib.models.base import Model
from emlib.models.records import COLLAPSES, Degenerate


@dataclass(frozen=True)
class _Race(Combinator):
    """Several starts of the base on one data set; one that collapses or overflows is out."""

    tries: int = 10

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("tries", self.tries)

    def _track(self, model: Model, data: Any, rng: np.random.Generator) -> "_Track":
        """The starts of the base; a base that draws nothing has one."""
        base = self.base_of(model)
        track = _Track(model, data, rng)
        track.enter(base, 1 if base.deterministic else self.tries)
        return track

    def _start(self, track: "_Track") -> Start:
        if not track.here:
            raise Degenerate(f"{self.name}: all of {track.tries} tries collapsed", track.e_steps)
        return Start(track.here[0].params, track.e_steps)


@dataclass(frozen=True)
class BestOf(_Race):
    """``tries`` starts of ``base``; the one with the highest objective is the start.

    Biernacki, Celeux and Govaert (2003), section 3, without any climb.  Cost: all the starts, and
    one E-step each.

    Parameters
    ----------
    tries : int
    base : Init, optional
    """

    name: ClassVar[str] = "best_of"

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        track = self._track(model, data, rng)
        track.keep(1)
        return self._start(track)


@dataclass(frozen=True)
class ShortEM(_Race):
    """em-EM of Biernacki, Celeux and Govaert (2003), section 3.

    ``tries`` starts of ``base`` climb for ``iterations`` each; the one with the highest objective
    is the start.  Cost: all the tries' starts and climbs.

    Parameters
    ----------
    tries : int
    iterations : int
    base : Init, optional
        ``points`` by default, as in the paper.
    """

    name: ClassVar[str] = "short_em"

    iterations: int = 5

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("iterations", self.iterations)

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        track = self._track(model, data, rng)
        track.climb(self.iterations)
        track.keep(1)
        return self._start(track)


@dataclass(frozen=True)
class SuccessiveHalving(_Race):
    """em-EM as a bandit: ever fewer climbs, ever longer (Jamieson and Talwalkar 2016).

    All starts climb for ``iterations``; in every round the best of them, one in ``factor``, go on
    from where they were, ``factor`` times as long as before, until one is left.  So each round
    costs about the same, and a slow climb to a high optimum is judged by more than its first steps.
    Cost: all the starts and climbs.

    Parameters
    ----------
    tries : int
    factor : int
        At least 2.
    iterations : int
        Of each climb in the first round.
    base : Init, optional
    """

    name: ClassVar[str] = "successive_halving"

    tries: int = 16
    factor: int = 2
    iterations: int = 2

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("iterations", self.iterations)
        require_count("factor", self.factor)
        if self.factor < 2:
            raise ValueError(f"factor: {self.factor!r} is not at least 2")

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        track = self._track(model, data, rng)
        iterations = self.iterations
        while len(track.here) > 1:
            track.climb(iterations)
            track.keep(math.ceil(len(track.here) / self.factor))
            iterations *= self.factor
        return self._start(track)


class _Track:
    """Climbs in one race: where each is, and what all have cost."""

    def __init__(self, model: Model, data: Any, rng: np.random.Generator) -> None:
        self.model, self.data, self.rng = model, data, rng
        self.here: list[Position] = []
        self.tries, self.e_steps = 0, 0.0

    def enter(self, base: Init, tries: int) -> None:
        """Start from ``base`` so often."""
        self.tries = tries
        for _ in range(tries):
            try:
                start = base(self.model, self.data, self.rng)
            except Degenerate as collapse:
                self.e_steps += collapse.e_steps
                continue
            self.e_steps += start.e_steps
            try:
                there = em_position(self.model, self.data, start.params)
            except COLLAPSES:
                self.e_steps += 1.0
            else:
                self.e_steps += there.e_steps
                self._keep_if_finite(there)

    def climb(self, iterations: int) -> None:
        """Let all climb on."""
        here, self.here = self.here, []
        for position in here:
            left, there = iterations, position
            while left and math.isfinite(there.objective):
                try:
                    moves = EM().moves(self.model, self.data, there, self.rng, left)
                except COLLAPSES:  # at most so much was done before it collapsed
                    self.e_steps += 1.0 + sum(step.fresh for step in self.model.cycle)
                    break
                self.e_steps += sum(one.e_steps for one in moves)
                left, there = left - len(moves), moves[-1]
            else:
                self._keep_if_finite(there)

    def keep(self, places: int) -> None:
        """Keep the highest, the best first, the earlier one of two that are level."""
        self.here = _highest(self.here)[:places]

    def _keep_if_finite(self, position: Position) -> None:
        if math.isfinite(position.objective):
            self.here.append(position)


def _highest(positions: Iterable[Position]) -> list[Position]:
    return sorted(positions, key=lambda position: -position.objective)
