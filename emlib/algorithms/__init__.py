"""How to climb: one file an algorithm; the loop itself stands once, in climb.py."""

from typing import Any

from emlib.algorithms.climb import Budget, Climb, History, climb
from emlib.algorithms.em import EM
from emlib.algorithms.stopping import Stopping

ALGORITHMS: dict[str, type[EM]] = {EM.name: EM}

__all__ = ["ALGORITHMS", "EM", "Budget", "Climb", "History", "Stopping", "climb", "make_algorithm"]


def make_algorithm(name: str, settings: dict[str, Any]) -> EM:
    """An algorithm by its name.

    Raises
    ------
    ValueError
        If the name is unknown or a setting is not allowed.
    """
    if name not in ALGORITHMS:
        raise ValueError(f"algorithm: {name!r} is not one of {', '.join(ALGORITHMS)}")
    return ALGORITHMS[name](**settings)
