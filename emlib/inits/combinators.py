"""Strategies on top of another: ``perturb``, ``cem``, ``sem`` and ``uniform``; what all share.

A combinator works wherever its base works, and is as adapted to holes as its base is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.centres import Points
from emlib.inits.random import Random, RandomPosterior, draw_shares
from emlib.inits.rows import Rows
from emlib.models.base import Model
from emlib.models.posterior import HARD, Posterior, sampled
from emlib.models.records import COLLAPSES, Degenerate

DEFAULTS: tuple[Init, ...] = (Points(), RandomPosterior(), Random())
"""What a combinator without a base takes: the first of these that can start the model."""


@dataclass(frozen=True)
class Combinator(Init):
    """A strategy that starts from what another one gives.

    Parameters
    ----------
    base : Init, optional
        The other strategy; in a config its name, or ``{init: name, ...}`` with settings, to any
        depth.  By default ``points``; ``random_posterior`` where rows have no distances; ``random``
        where there are no latent classes.
    """

    holes: ClassVar[str] = "adapted"
    extra: ClassVar[frozenset[str]] = frozenset()
    """What it needs beside what its base needs."""
    draws: ClassVar[bool] = False
    """Whether it draws something itself."""

    base: Init | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.base is None:
            return
        if not isinstance(self.base, Init):
            raise ValueError(f"base: {self.base!r} is neither the name of an init nor an init")
        if self.base.oracle:
            raise ValueError(f"base: {self.base.name!r} is an oracle, not a strategy")
        object.__setattr__(self, "holes", self.base.holes)
        object.__setattr__(self, "columns", self.base.columns)
        object.__setattr__(self, "deterministic", self.base.deterministic and not self.draws)

    @property
    def needs(self) -> frozenset[str]:
        return self.extra if self.base is None else self.extra | self.base.needs

    def base_of(self, model: Model) -> Init:
        """The base that it has on this model."""
        if self.base is not None:
            return self.base
        return next(init for init in DEFAULTS if not init.lacks(model))

    def draws_by_row(self, model: Model) -> bool:
        return self.by_row or self.base_of(model).draws_by_row(model)


@dataclass(frozen=True)
class Perturb(Combinator):
    """The base's start, shaken: its posterior mixed with random responsibilities.

    A random restart near a good one (the perturbation step of iterated local search, Lourenco,
    Martin and Stuetzle 2003).  Each distinct row draws its own from the uniform law on the simplex.
    Cost: that of the base, and two passes (posterior, start).

    Parameters
    ----------
    share : float
        Of the random responsibilities, in (0, 1].
    base : Init, optional
    """

    name: ClassVar[str] = "perturb"
    extra: ClassVar[frozenset[str]] = frozenset({"classes"})
    draws: ClassVar[bool] = True

    share: float = 0.3

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.share <= 1:
            raise ValueError(f"share: {self.share!r} is not in (0, 1]")

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        start = self.base_of(model)(model, data, rng)
        posterior = model.posterior(start.params, data).responsibilities
        assert posterior is not None
        noise = draw_shares(Rows.of(data), model.n_components, 1.0, rng)
        mixed = (1 - self.share) * posterior + self.share * noise
        return Start(model.start(data, mixed), start.e_steps + 2.0)


@dataclass(frozen=True)
class CEM(Combinator):
    """A climb of the classification likelihood from the base's start (Celeux and Govaert 1992).

    Hard assignments instead of responsibilities; it ends where they repeat, after ``iterations``,
    or before a class loses its rows.  Cost: that of the base, and its E-steps.

    Parameters
    ----------
    iterations : int
    base : Init, optional
    """

    name: ClassVar[str] = "cem"
    extra: ClassVar[frozenset[str]] = frozenset({"classes", "hard"})

    iterations: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("iterations", self.iterations)

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        start = self.base_of(model)(model, data, rng)
        path = _Path(model, data, start)
        last, highest = start.params, None
        for params, objective in path.follow(HARD, self.iterations):
            if objective == highest:
                break
            last, highest = params, objective
        return path.end(last, highest)


@dataclass(frozen=True)
class SEM(Combinator):
    """Stochastic EM from the base's start (Celeux and Diebolt 1985): the best place it visits.

    Each iteration draws the latent classes of all rows, so it leaves poor optima; of the parameters
    on its way those with the highest objective are the start (Biernacki, Celeux and Govaert 2003,
    section 3).  Cost: that of the base, and its E-steps.

    Parameters
    ----------
    iterations : int
    base : Init, optional
    """

    name: ClassVar[str] = "sem"
    extra: ClassVar[frozenset[str]] = frozenset({"classes", "sampled"})
    draws: ClassVar[bool] = True
    by_row: ClassVar[bool] = True

    iterations: int = 20

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("iterations", self.iterations)

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        start = self.base_of(model)(model, data, rng)
        path = _Path(model, data, start)
        best, highest = start.params, None
        for params, objective in path.follow(sampled(rng), self.iterations):
            if highest is None or objective > highest:
                best, highest = params, objective
        return path.end(best, highest)


@dataclass(frozen=True)
class Uniform(Combinator):
    """A chain of even chances, emissions from the base.

    For hidden Markov models even probabilities of the first state and of the transitions are
    adequate, while emissions need a good start (Rabiner 1989, section V.C).  Cost: the base's.
    """

    name: ClassVar[str] = "uniform"
    extra: ClassVar[frozenset[str]] = frozenset({"classes", "order"})

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        start = self.base_of(model)(model, data, rng)
        k = model.n_components
        even = {"startprob": np.full(k, 1.0 / k), "transmat": np.full((k, k), 1.0 / k)}
        return Start(replace(start.params, **even), start.e_steps)


class _Path:
    """EM with another posterior than the exact one, and what it has cost."""

    def __init__(self, model: Model, data: Any, start: Start) -> None:
        self.model, self.data = model, data
        self.params, self.e_steps = start.params, start.e_steps

    def follow(self, posterior: Posterior, iterations: int) -> Iterator[tuple[Any, float]]:
        """Parameters whose E-step exists, the start first, and the objective there.

        It ends early where a step collapses.
        """
        model, data = self.model, self.data
        for left in range(iterations, -1, -1):
            try:
                stats = self._e_step(posterior)
                yield self.params, stats.loglik + model.log_prior(self.params)
                for step in model.cycle if left else ():
                    if step.fresh:
                        stats = self._e_step(posterior)
                    if step.maximizes == "loglik":
                        moved, cost = model.observed_step(self.params, data, step.free)
                        self.params, self.e_steps = moved, self.e_steps + cost
                    else:
                        self.params = model.m_step(stats, self.params, step.free)
            except COLLAPSES:
                return

    def end(self, params: Any, objective: float | None) -> Start:
        """The start, unless there was not one sound place on the way."""
        if objective is None:
            raise Degenerate("the start of the base has collapsed", self.e_steps)
        return Start(params, self.e_steps)

    def _e_step(self, posterior: Posterior) -> Any:
        self.e_steps += 1.0
        return self.model.e_step(self.params, self.data, posterior)
