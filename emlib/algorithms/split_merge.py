"""Split and merge EM: out of a poor optimum by merging two components and splitting a third.

Ueda, Nakano, Ghahramani and Hinton (2000).  A pair is worth merging where its components share
their rows (their equation 10), a component is worth splitting where it is more than one: where two
halves along its leading direction explain much of the variance there.  That stands in the place of
their local Kullback divergence, which has no definition where cells are missing.
"""

from dataclasses import dataclass
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.em import em_step
from emlib.algorithms.stopping import predicted_gain
from emlib.errors import require_count
from emlib.models.base import Model
from emlib.models.records import COLLAPSES

Array = NDArray[np.float64]
Triple = tuple[int, int, int]

SETTLED = 1e-3
"""Nats that a climb may still gain when candidates are ranked, and that a trial must gain."""


@dataclass(frozen=True, eq=False)
class SearchPosition(Position):
    """And the search.

    Attributes
    ----------
    climbed : tuple of float
        The last objectives of EM since the last accepted trial.
    triples : tuple of (i, j, k), or None
        Trials left: merge i and j, split k.  None while EM climbs.
    """

    climbed: tuple[float, ...] = ()
    triples: tuple[Triple, ...] | None = None


@dataclass(frozen=True)
class SplitMerge(Algorithm):
    """SMEM (Ueda, Nakano, Ghahramani and Hinton 2000).

    EM climbs until it gains less than 1e-3 nats; then the best candidates are tried, each by a full
    EM from ``model.start`` of the merged and split responsibilities.  The first that ends higher is
    the new place, from where candidates are ranked again; where none does, EM ends the climb.  A
    trial that ends spurious is not taken unless the place is.  Cost of an iteration: one E-step, or
    one trial, of at most ``trial_iterations`` + 2 E-steps; and one E-step to rank.

    Parameters
    ----------
    candidates : int
        Most trials from one place.
    trial_iterations : int
        Most EM iterations of a trial.
    """

    name: ClassVar[str] = "split_merge"
    by_unit: ClassVar[bool] = True

    candidates: int = 5
    trial_iterations: int = 200

    def __post_init__(self) -> None:
        require_count("candidates", self.candidates)
        require_count("trial_iterations", self.trial_iterations)

    def unable(self, model: Model) -> str:
        if "classes" not in model.traits:
            return "it has no latent classes to split and merge"
        if model.n_components < 3:
            return f"two classes are merged and a third split, and it has {model.n_components}"
        return super().unable(model)

    def begin(self, model: Model, data: Any, start: Any, rng: np.random.Generator) -> Position:
        here = em_position(model, data, start)
        return _searching(here, (here.objective,))

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        here = position
        if not isinstance(here, SearchPosition):
            here = _searching(here, (here.objective,))
        if here.triples:
            return self._tried(model, data, here, here.triples[0])
        there, climbed = _climbed(model, data, here, here.climbed)
        if here.triples is not None:
            return _searching(there, climbed, ())
        if not _settled(climbed):
            return _searching(there, climbed)
        triples = tuple(ranked(model, data, there.params)[: self.candidates])
        return _searching(there, climbed, triples, spent=1.0)

    def _tried(
        self, model: Model, data: Any, here: SearchPosition, triple: Triple
    ) -> SearchPosition:
        """Where the trial ended, if it gained; else ``here``, with a trial less."""
        there: Position | None = None
        climbed: tuple[float, ...] = ()
        spent = 1.0
        try:
            shares = split_and_merged(model, data, here.params, triple)
            there = em_position(model, data, model.start(data, shares), spent)
            climbed, spent = (there.objective,), there.e_steps
            for _ in range(self.trial_iterations):
                there, climbed = _climbed(model, data, there, climbed)
                spent += there.e_steps
                if _settled(climbed):
                    break
        except COLLAPSES:
            there = None
        gained = there is not None and there.objective > here.objective + SETTLED
        if there is None or not gained or _spoiled(model, here, there):
            left = (here.triples or ())[1:]
            place = Position(here.params, here.stats, here.objective, spent, before=here.objective)
            return _searching(place, (), left)
        place = Position(there.params, there.stats, there.objective, spent, before=here.objective)
        return _searching(place, (there.objective,))


def ranked(model: Model, data: Any, params: Any) -> list[Triple]:
    """Triples (i, j, k), best first: pairs by shared rows, then the third by its split."""
    posterior = model.posterior(params, data)
    shares = np.asarray(posterior.responsibilities)
    common = shares.T @ (shares * data.weights[:, None])
    worth = [_halves(model, data, posterior, k)[1] for k in range(model.n_components)]
    pairs = sorted(combinations(range(model.n_components), 2), key=lambda pair: -common[pair])
    thirds = sorted(range(model.n_components), key=lambda k: -worth[k])
    return [(i, j, k) for i, j in pairs for k in thirds if k not in (i, j)]


def split_and_merged(model: Model, data: Any, params: Any, triple: Triple) -> Array:
    """Responsibilities (n, K) with i and j merged as i, and k split in k and j."""
    i, j, k = triple
    posterior = model.posterior(params, data)
    upper = _halves(model, data, posterior, k)[0]
    old = np.asarray(posterior.responsibilities)
    shares = old.copy()
    shares[:, i] = old[:, i] + old[:, j]
    shares[:, j], shares[:, k] = old[:, k] * upper, old[:, k] * ~upper
    return shares


def _halves(model: Model, data: Any, posterior: Any, k: int) -> tuple[NDArray[np.bool_], float]:
    """Rows (n,) above component k's mean along its leading direction, and the share of the
    variance there that the halves explain.

    The direction is that of the component's correlations, so that units of columns do not count.
    """
    cells = posterior.completed
    if model.levels:
        cells = np.hstack([column[:, None] == np.unique(column) for column in cells.T]) * 1.0
    r = posterior.responsibilities[:, k] * data.weights
    r = r / max(r.sum(), np.finfo(float).tiny)
    deviation = cells - cells[r.argmax()]
    deviation = deviation - r @ deviation
    sizes = np.sqrt(r @ deviation**2)
    z = deviation / np.where(sizes > 0, sizes, np.inf)
    along = z @ np.linalg.eigh((z * r[:, None]).T @ z)[1][:, -1]
    upper = along > 0
    mass, height = r @ upper, r @ (along * upper)
    variance = r @ along**2
    if not 0 < mass < 1 or not variance > 0:
        return upper, 0.0
    return upper, float(height**2 / (mass * (1.0 - mass)) / variance)


def _climbed(
    model: Model, data: Any, here: Position, climbed: tuple[float, ...]
) -> tuple[Position, tuple[float, ...]]:
    there = em_step(model, data, here)
    return there, (*climbed, there.objective)[-4:]


def _settled(climbed: tuple[float, ...]) -> bool:
    """Whether two predictions in a row leave too little."""
    return len(climbed) == 4 and all(
        predicted_gain(part, 0.0) < SETTLED for part in (climbed, climbed[:-1])
    )


def _spoiled(model: Model, here: Position, there: Position) -> bool:
    """Whether a trial ended ``spurious``, the place where it began not."""
    was, now = (model.diagnose(place.params, place.stats).flags for place in (here, there))
    return "spurious" in now and "spurious" not in was


def _searching(
    place: Position,
    climbed: tuple[float, ...],
    triples: tuple[Triple, ...] | None = None,
    spent: float = 0.0,
) -> SearchPosition:
    """The place with the search; the stopping rule may end it where no trial is left."""
    return SearchPosition(
        place.params, place.stats, place.objective, place.e_steps + spent, place.before,
        triples == (), climbed, triples,
    )  # fmt: skip
