"""Online EM: an M-step after each minibatch, on statistics averaged with shrinking step sizes.

S becomes (1 - gamma_t) S + gamma_t n / |B| S_B with gamma_t = (t + t0)^-alpha (Cappe and Moulines
2009, equation 13 and section 4.1).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.em import em_step, q_map
from emlib.algorithms.incremental import dealt
from emlib.errors import require_count
from emlib.models.base import Model


@dataclass(frozen=True, eq=False)
class OnlinePosition(Position):
    """And the minibatches, how many were read, and the passes left.

    Its loglik is known before the first.
    """

    batches: tuple[Any, ...] = ()
    read: int = 0
    left: int = 0

    @property
    def loglik(self) -> float:
        return self.stats.loglik if self.read == 0 else math.nan


@dataclass(frozen=True)
class Online(Algorithm):
    """Online EM of Cappe and Moulines (2009), then EM, for many units.

    Units are dealt to minibatches at random, and each pass reads these in a new order.  The
    objective of a pass is the sum of the minibatches' logliks, each at the parameters that it was
    read with: it need not rise.  Cost of an iteration: one E-step a pass, and one more where EM
    takes over.

    Parameters
    ----------
    batches : int
        Minibatches of a pass; as many as units where these are fewer.
    passes : int
        Passes, before EM.
    alpha : float
        Exponent of the step sizes, in (0.5, 1].
    t0 : float
        What the count of minibatches begins after, > 0: step sizes stay below t0^-alpha.
    """

    name: ClassVar[str] = "online"
    sums: ClassVar[frozenset[str]] = frozenset({"mixed", "scaled"})
    by_unit: ClassVar[bool] = True

    batches: int = 20
    passes: int = 5
    alpha: float = 0.6
    t0: float = 2.0

    def __post_init__(self) -> None:
        require_count("batches", self.batches)
        require_count("passes", self.passes)
        if not 0.5 < self.alpha <= 1:
            raise ValueError(f"alpha: {self.alpha!r} is not in (0.5, 1]")
        if not 0 < self.t0 < math.inf:
            raise ValueError(f"t0: {self.t0!r} is not a finite number > 0")

    def ascends(self, model: Model) -> str:
        return "none"

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        here = em_position(model, data, start)
        batches = tuple(dealt(data, self.batches, rng.permutation(data.sorted_units)))
        return OnlinePosition(
            start, here.stats, here.objective, 1.0, settling=False, batches=batches,
            left=self.passes,
        )  # fmt: skip

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        here = position
        if not isinstance(here, OnlinePosition):
            return em_step(model, data, here)
        if here.left == 0:
            there = em_position(model, data, here.params)
            return Position(there.params, there.stats, there.objective, 1.0, before=-math.inf)
        params, stats, read, loglik = here.params, here.stats, here.read, 0.0
        total = data.unit_weights.sum()
        for b in rng.permutation(len(here.batches)):
            batch = here.batches[b]
            weight = batch.unit_weights.sum()
            if weight == 0:
                continue
            gamma = min(1.0, (read + 1 + self.t0) ** -self.alpha)
            seen: Any = model.e_step(params, batch)
            stats = stats.scaled(1.0 - gamma) + seen.scaled(gamma * total / weight)  # type: ignore[attr-defined]
            params, read, loglik = q_map(model, params, stats), read + 1, loglik + seen.loglik
        return OnlinePosition(
            params, stats, loglik + model.log_prior(params), 1.0, -math.inf, False,
            batches=here.batches, read=read, left=here.left - 1,
        )  # fmt: skip

    def finish(self, model: Model, data: Any, position: Position) -> Position:
        if not math.isnan(position.loglik):
            return position
        return em_position(model, data, position.params)
