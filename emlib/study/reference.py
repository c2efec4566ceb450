"""Reference optima: what the fits of a replicate are compared with, searched for apart from them.

A search mixes starts in the cycle that the family names, and polishes every endpoint. It depends on
the data and the model alone, so it is the same whatever else is in the grid; each start is a task
of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from emlib.algorithms import make_algorithm
from emlib.algorithms.climb import climb
from emlib.algorithms.records import Climb
from emlib.algorithms.stopping import Stopping
from emlib.inits import INITS
from emlib.models import FAMILIES
from emlib.study.case import Case
from emlib.study.fitting import failure, is_provisional, remaining
from emlib.study.identity import digest, started
from emlib.study.polish import polish

ORACLE = "truth"
STOPPING = Stopping(tol=1e-3, max_iter=5000)
NOTHING = {
    "sound": False,
    "spurious": False,
    "loglik": float("nan"),
    "e_steps": 0.0,
    "eigenvalue_ratio": float("nan"),
    "smallest_component": float("nan"),
}


def sources(case: Case, starts: int) -> list[str]:
    """Inits of a search's starts: the truth where the model can start there, then the family's.

    An init that draws nothing gives one start.

    Parameters
    ----------
    case : Case
    starts : int
        At most so many, the truth apart.
    """
    once = [name for name in FAMILIES[case.family].search if INITS[name].deterministic]
    search = [name for name in FAMILIES[case.family].search if name not in once]
    drawn = [search[number % len(search)] for number in range(starts - len(once)) if search]
    oracle = [ORACLE] if case.accepts_truth else []
    return [*oracle, *once[:starts], *drawn]


def search_id(
    data_id: str, model: Mapping[str, Any], settings: Mapping[str, Any], seed: int, numerics: str
) -> str:
    """Identity of a whole search: of everything that decides where it may end.

    Parameters
    ----------
    data_id : str
    model, settings : mapping
        The study's ``models[...]`` and ``reference``.
    seed : int
        The study's.
    numerics : str
        Fingerprint of the code of all its inits.
    """
    return digest(["reference", data_id, dict(model), dict(settings), seed, numerics])


def start_path(data_id: str, model: Mapping[str, Any], source: str, number: int) -> list[Any]:
    """Seed path of one start: keyed by the data, so that equal data share one search."""
    return ["reference", data_id, digest(started(model)), source, number]


def share(settings: Mapping[str, Any]) -> float:
    """E-step equivalents that each climb of a search may spend, polish excluded."""
    return float(settings["e_steps"]) / int(settings["starts"])


def run_start(case: Case, source: str, e_steps: float, draws: np.random.Generator) -> Any:
    """One start of a search, climbed and polished, whatever happens in it.

    Returns
    -------
    dict
        ``provisional`` and ``reference``: whether the end is sound (not degenerate) and spurious,
        its objective (the loglik, unless the model has a prior), and its cost in E-steps.
    """
    try:
        end = _run(case, source, e_steps, draws)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit included: a start may not end the block
        end = {**NOTHING, **failure(error, "")}
        return {"provisional": is_provisional(end["status"], error), "reference": end}
    return {"provisional": is_provisional(end["status"], None), "reference": end}


def ascend(
    case: Case, source: str, e_steps: float, draws: np.random.Generator
) -> tuple[float, Climb | None]:
    """E-steps that a start and its climb spent, and the polish of its end (None if degenerate)."""
    start = case.start(source, {}, draws)
    budget = remaining({"e_steps": e_steps, "seconds": None}, start.e_steps)
    model, data = case.climbed
    climbed = climb(model, data, start.params, make_algorithm("em", {}), STOPPING, budget)
    spent = float(start.e_steps) + float(climbed.e_steps)
    return spent, polish(model, data, climbed)


def _run(case: Case, source: str, e_steps: float, draws: np.random.Generator) -> dict[str, Any]:
    spent, polished = ascend(case, source, e_steps, draws)
    if polished is None or polished.status == "degenerate":
        return {**NOTHING, "status": "degenerate", "e_steps": spent}
    return {
        "status": polished.status,
        "sound": True,
        "spurious": "spurious" in polished.flags,
        "loglik": float(polished.objective),
        "e_steps": spent + float(polished.e_steps),
        "eigenvalue_ratio": float(polished.eigenvalue_ratio),
        "smallest_component": float(polished.smallest_component),
    }
