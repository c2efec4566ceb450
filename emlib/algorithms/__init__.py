"""How to climb: one file an algorithm; the loop itself stands once, in climb.py."""

from dataclasses import fields
from typing import Any

from emlib.algorithms.anderson import Anderson
from emlib.algorithms.annealing import Annealing
from emlib.algorithms.base import Algorithm, Position
from emlib.algorithms.classification import Classification
from emlib.algorithms.climb import climb
from emlib.algorithms.em import EM
from emlib.algorithms.incremental import Incremental
from emlib.algorithms.online import Online
from emlib.algorithms.records import Budget, Climb, History
from emlib.algorithms.split_merge import SplitMerge
from emlib.algorithms.squarem import Squarem
from emlib.algorithms.stochastic import Stochastic
from emlib.algorithms.stopping import Stopping

ALGORITHMS: dict[str, type[Algorithm]] = {
    algorithm.name: algorithm
    for algorithm in (
        EM,
        Squarem,
        Anderson,
        Annealing,
        Classification,
        Stochastic,
        Incremental,
        Online,
        SplitMerge,
    )
}

__all__ = [
    "ALGORITHMS", "EM", "Algorithm", "Anderson", "Annealing", "Budget", "Classification", "Climb",
    "History", "Incremental", "Online", "Position", "SplitMerge", "Squarem", "Stochastic",
    "Stopping", "climb", "make_algorithm",
]  # fmt: skip


def make_algorithm(name: str, settings: dict[str, Any] | None = None) -> Algorithm:
    """An algorithm by its name.

    Raises
    ------
    ValueError
        If the name is unknown or a setting is not allowed.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm: {name!r} is not one of {', '.join(ALGORITHMS)}")
    algorithm = ALGORITHMS[name]
    allowed = [field.name for field in fields(algorithm)]  # type: ignore[arg-type]
    unknown = sorted(set(settings or {}) - set(allowed))
    if unknown:
        raise ValueError(
            f"{name}: unknown setting {unknown[0]!r}; allowed: {', '.join(allowed) or 'none'}"
        )
    return algorithm(**(settings or {}))
