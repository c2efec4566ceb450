"""How to climb: one file an algorithm; the loop itself stands once, in climb.py."""

from dataclasses import fields
from typing import Any

from emlib.algorithms.anderson import Anderson
from emlib.algorithms.base import Algorithm, Position
from emlib.algorithms.climb import Budget, Climb, History, climb
from emlib.algorithms.em import EM
from emlib.algorithms.squarem import Squarem
from emlib.algorithms.stopping import Stopping

ALGORITHMS: dict[str, type[Algorithm]] = {
    algorithm.name: algorithm for algorithm in (EM, Squarem, Anderson)
}

__all__ = [
    "ALGORITHMS", "EM", "Algorithm", "Anderson", "Budget", "Climb", "History", "Position",
    "Squarem", "Stopping", "climb", "make_algorithm",
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
