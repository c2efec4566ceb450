"""Certificates of a block's optima: an endpoint is climbed to once more, and looked at.

Fits and starts are the same whenever they run, so nothing but their settings has to be kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emlib.algorithms.records import Climb
from emlib.inference.certificate import certify
from emlib.study.assembly import CERTIFICATE
from emlib.study.case import Case
from emlib.study.fitting import is_provisional, steady

E_STEPS = 4
"""E-steps of a certificate for each parameter of the model: of the four steps of EM."""


def run_certificate(
    case: Case, polished: Callable[[], Climb | None], most_e_steps: float
) -> dict[str, Any]:
    """Certify one polished endpoint, whatever happens.

    Parameters
    ----------
    case : Case
    polished : callable
        Climbs to the endpoint.
    most_e_steps : float
        No certificate may cost more than this, a whole reference search.

    Returns
    -------
    dict
        ``provisional`` and ``certificate``: columns of its row.
    """
    error = None
    try:
        row = _certified(case, polished, most_e_steps)
    except KeyboardInterrupt:
        raise
    except BaseException as failure:  # sys.exit included: it may not end the block
        error = failure
        row = {"reason": steady(f"{type(failure).__name__}: {failure}")}
    return {
        "provisional": is_provisional("", error),
        "certificate": {**CERTIFICATE, "verdict": "uncertified", **row},
    }


def _certified(
    case: Case, polished: Callable[[], Climb | None], most_e_steps: float
) -> dict[str, Any]:
    cost = E_STEPS * int(case.model.n_coordinates(case.data))
    if cost > most_e_steps:
        return {"reason": f"would take {cost} E-steps, more than the reference search"}
    end = polished()
    if end is None or end.status == "degenerate":
        return {"reason": "a component collapsed while the end was polished"}
    found = certify(*case.climbed, end.params)
    return {
        "objective": float(end.objective),
        "verdict": found.verdict,
        "reason": steady(found.reason),
        "newton_decrement": found.newton_decrement,
        "gradient_norm": found.gradient_norm,
        "smallest_share": found.smallest_share,
        "em_rate": found.rate,
        "null_dimension": found.null_dimension,
        "boundary_dimension": found.n_boundary,
    }
