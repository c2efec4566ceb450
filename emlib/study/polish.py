"""Endpoints are polished before they are compared with the reference optimum, so that where a
climb stopped is not mistaken for where it was going."""

from __future__ import annotations

from typing import Any

from emlib.algorithms import make_algorithm
from emlib.algorithms.climb import climb
from emlib.algorithms.records import Budget, Climb
from emlib.algorithms.stopping import Stopping

POLISH = Stopping(tol=1e-6, max_iter=2000)
PLATEAU_GAIN = 0.1
"""Nats that a polish may gain on a climb that said it had converged, before it is flagged."""


def polish(model: Any, data: Any, result: Climb) -> Climb | None:
    """Climb on by plain EM to a much smaller gain; None for an end that is no optimum."""
    if result.status == "degenerate":
        return None
    return climb(model, data, result.params, make_algorithm("em", {}), POLISH, Budget())


def flags(result: Climb, polished: Climb | None) -> set[str]:
    """Flags of the climb, with those of the optimum taken at the polished endpoint.

    ``plateau``: the climb converged by its rule, and the polish still found much to gain.
    """
    found = set(result.flags)
    if polished is None:
        return found
    if polished.status != "degenerate":
        found = (found - set(result.diagnosis.flags)) | set(polished.diagnosis.flags)
    gain = polished.objective - polished.history.objective[0]
    return found | ({"plateau"} if result.status == "converged" and gain > PLATEAU_GAIN else set())
