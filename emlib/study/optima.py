"""Which endpoints are one optimum, and which of a block's optima are worth a certificate.

Standard library only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

APART = 1e-3
"""Polished endpoints of one data set whose objectives are closer, in nats, are one optimum.

A polish ends within some 1e-6 nats of its optimum, and optima of real likelihoods are seldom as
near to one another as that.
"""


class Endpoint(NamedTuple):
    """Where a fit, or a start of a reference search, ended after its polish."""

    objective: float
    number: int
    identity: str
    is_fit: bool
    spurious: bool


def distinct(objectives: Sequence[float]) -> Iterator[range]:
    """Runs of a descending sequence that are one optimum each: gaps above ``APART`` part them."""
    first = 0
    for k in range(1, len(objectives) + 1):
        if k == len(objectives) or objectives[k - 1] - objectives[k] > APART:
            yield range(first, k)
            first = k


def worth_certifying(climbs: Sequence[Any], records: Mapping[int, Mapping[str, Any]]) -> list[int]:
    """Numbers of the climbs whose end gets a certificate, one an optimum.

    A certificate costs as much as several fits, so it is given to the best optimum of each data
    set (spurious ones apart), and to each that at least two of its fits ended at. The endpoint
    looked at is the highest of the reference search, which does not depend on the grid; where the
    search never came there, the highest of the fits.

    Parameters
    ----------
    climbs : sequence of Task
        Fits and reference starts.
    records : mapping of int to dict
        What they came to, by number.
    """
    endpoints: dict[str, list[Endpoint]] = {}
    for number, task in enumerate(climbs):
        if number in records:
            end = _endpoint(number, task.identity, records[number])
            if end is not None:
                endpoints.setdefault(task.data_id, []).append(end)
    return sorted(end.number for ends in endpoints.values() for end in _representatives(ends))


def _representatives(ends: list[Endpoint]) -> Iterator[Endpoint]:
    ends = sorted(ends, key=lambda end: (-end.objective, end.number))
    found_best = False
    for run in distinct([end.objective for end in ends]):
        members = [ends[k] for k in run]
        best = not found_best and not all(end.spurious for end in members)
        found_best |= best
        if best or len({end.identity for end in members if end.is_fit}) >= 2:
            yield next((end for end in members if not end.is_fit), members[0])


def _endpoint(number: int, identity: str, record: Mapping[str, Any]) -> Endpoint | None:
    """The endpoint in a record, None if it came to no sound end."""
    if record["provisional"]:
        return None
    if "reference" in record:
        end = record["reference"]
        sound, objective, spurious = end["sound"], end["loglik"], end["spurious"]
    else:
        end = record["fit"]
        objective = end.get("loglik_polished", math.nan)
        sound = end["status"] != "degenerate" and end.get("status_polished") != "degenerate"
        spurious = "spurious" in end.get("flags", "").split(",")
    if not sound or not math.isfinite(objective):
        return None
    return Endpoint(objective, number, identity, "fit" in record, spurious)
