"""From the records of a block's tasks to the rows of its six files. Standard library only."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from emlib.study.identity import digest, replay_line
from emlib.study.measures import MEASURES

NAN = math.nan
Row = dict[str, Any]
Rows = list[Row] | dict[str, Any]
CURVE_OF = ("cell_id", "init", "algorithm", "replicate", "start")
CURVE_POINTS = ("iteration", "e_steps", "objective", "loglik")


class Task(NamedTuple):
    """One thing for the worker to compute: a fit, a start of a reference search, a certificate.

    Attributes
    ----------
    kind : {"fit", "reference", "certificate"}
    identity : str
        Of its result in the store.
    data_id : str
        Of the replicate's values, holes applied.
    row : dict
        Columns known before it runs. A reference start has `search` (the search's identity),
        `replicates` (those that share its data), `source` (its init) and the ids. A certificate
        has `of`, the identity of the fit or start that it is of.
    """

    kind: str
    identity: str
    data_id: str
    row: Row


def certificate_of(climb: Task, key: str) -> Task:
    """The certificate of where a fit or a reference start ended.

    Parameters
    ----------
    climb : Task
    key : str
        Digest of all that decides it beside its climb.
    """
    row = climb.row
    replicate = row["replicates"][0] if "replicates" in row else row["replicate"]
    axes = {name: row[name] for name in ("dataset", "missingness", "model")}
    row = {"of": climb.identity, **axes, "replicate": replicate}
    return Task("certificate", digest([key, climb.identity]), climb.data_id, row)


class Death(NamedTuple):
    """Why a task has no result: `timeout` or `lost`."""

    status: str
    message: str


OUTCOME: Row = {
    "status": "",
    "flags": "",
    "message": "",
    "rule": "",
    "loglik": NAN,
    "objective": NAN,
    "loglik_start": NAN,
    "loglik_polished": NAN,
    "status_polished": "",
    "n_iter": 0,
    "e_steps_init": NAN,
    "e_steps_climb": NAN,
    "e_steps_polish": NAN,
    "predicted_gain": NAN,
    "linear_rate": NAN,
    "eigenvalue_ratio": NAN,
    "smallest_component": NAN,
    **dict.fromkeys(MEASURES, NAN),
    "bic": NAN,
}
"""Columns of a fits row that only a fit can fill, as they are where it could not."""

CERTIFICATE: Row = {
    "objective": NAN,
    "verdict": "",
    "reason": "",
    "newton_decrement": NAN,
    "gradient_norm": NAN,
    "smallest_share": NAN,
    "em_rate": NAN,
    "null_dimension": 0,
    "boundary_dimension": 0,
}
"""Columns of a certificates row that only a certificate can fill."""


def block_tables(
    tasks: Mapping[int, Task],
    records: Mapping[int, Row],
    deaths: Mapping[int, Death],
    keep_params: str,
) -> tuple[dict[str, Rows], int]:
    """Rows of a block's six files, in the order of its tasks.

    Parameters
    ----------
    tasks : mapping of int to Task
        By number, in plan order.
    records : mapping of int to dict
        What the tasks came to, by task number.
    deaths : mapping of int to Death
        The tasks without one. A task that is in neither was not wanted.
    keep_params : {"best", "all", "none"}
        Which fits' parameters are kept: `best` is the best start of each cell and replicate.

    Returns
    -------
    tables : dict
        ``fits``, ``curves``, ``timings``, ``references``, ``params`` and ``certificates``: lists
        of rows; of ``curves``, which are many, the columns.
    provisional : int
        How many tasks ended in a way that is tried again.
    """
    ended: dict[str, list[tuple[Task, Row]]] = {"fit": [], "reference": [], "certificate": []}
    for number, task in tasks.items():
        if number in records:
            ended[task.kind].append((task, records[number]))
        elif number in deaths:
            ended[task.kind].append((task, _dead(task, deaths[number])))
    fits = ended["fit"]
    tables: dict[str, Rows] = {
        "fits": [fit_row(task, record) for task, record in fits],
        "curves": _curve_columns(fits),
        "timings": [_timing_row(task, record) for task, record in fits],
        "references": reference_rows(ended["reference"]),
        "params": _params_rows(fits, keep_params),
        "certificates": [certificate_row(*pair) for pair in ended["certificate"]],
    }
    return tables, sum(record["provisional"] for pairs in ended.values() for _, record in pairs)


def _dead(task: Task, death: Death) -> Row:
    message = death.message
    if task.kind == "certificate":
        outcome = {**CERTIFICATE, "verdict": "uncertified", "reason": message}
        return {"provisional": True, "certificate": outcome}
    if task.kind == "fit":
        message += f"; replay: {replay_line(task.identity)}"
    outcome = {"status": death.status, "message": message}
    return {"provisional": True, task.kind: outcome}


def fit_row(task: Task, record: Row) -> Row:
    """A fit's row of ``fits``."""
    return {
        "fit_id": task.identity,
        "data_id": task.data_id,
        **task.row,
        **OUTCOME,
        **record["fit"],
    }


def certificate_row(task: Task, record: Row) -> Row:
    """A certificate's row of ``certificates``."""
    return {"data_id": task.data_id, **task.row, **record["certificate"]}


def fit_curve(task: Task, record: Row) -> Iterable[Row]:
    """A fit's rows of ``curves``; none if it never climbed."""
    columns = _curve_columns([(task, record)])
    for values in zip(*columns.values(), strict=True):
        yield dict(zip(columns, values, strict=True))


def _curve_columns(fits: Iterable[tuple[Task, Row]]) -> dict[str, Any]:
    columns: dict[str, Any] = {name: [] for name in ("fit_id", *CURVE_OF, *CURVE_POINTS)}
    columns |= {name: array("d") for name in CURVE_POINTS if name != "iteration"}
    for task, record in fits:
        curve = record.get("curve")
        if curve:
            points = len(curve["iteration"])
            columns["fit_id"] += [task.identity] * points
            for name in CURVE_OF:
                columns[name] += [task.row[name]] * points
            for name in CURVE_POINTS:
                columns[name] += curve[name]
    return columns


def _timing_row(task: Task, record: Row) -> Row:
    nothing = dict.fromkeys(
        ("seconds_init", "seconds_climb", "seconds_polish", "started", "ended"), NAN
    )
    return {
        "fit_id": task.identity,
        "cell_id": task.row["cell_id"],
        **nothing,
        "processor": "",
        **record.get("timings", {}),
    }


# --- parameters that are kept ---------------------------------------------------------------------


def _params_rows(fits: list[tuple[Task, Row]], keep: str) -> list[Row]:
    with_params = [(task, record) for task, record in fits if record.get("params")]
    if keep == "none":
        return []
    if keep == "best":
        best: dict[tuple[str, int], tuple[float, str]] = {}
        for task, record in with_params:
            group = (task.row["cell_id"], task.row["replicate"])
            height = _height(record["fit"])
            if group not in best or height > best[group][0]:
                best[group] = (height, task.identity)
        kept = {identity for _, identity in best.values()}
        with_params = [pair for pair in with_params if pair[0].identity in kept]
    return [
        {
            "fit_id": task.identity,
            "start": list(record["params"]["start"]),
            "final": list(record["params"]["final"]),
        }
        for task, record in with_params
    ]


def _height(outcome: Row) -> float:
    """What the starts of one replicate are ranked by."""
    height = outcome["loglik_polished"]
    sound = outcome["status_polished"] != "degenerate" and not math.isnan(height)
    return height if sound else -math.inf


# --- reference optima -----------------------------------------------------------------------------


def reference_rows(starts: Iterable[tuple[Task, Row]]) -> list[Row]:
    """Reference optima, one row a replicate, from the starts of their searches.

    The reference is the best polished endpoint that is neither degenerate nor spurious;
    ``loglik_with_spurious`` is the best that is not degenerate. Both are NaN where there is none.
    """
    searches: dict[str, list[tuple[Task, Row]]] = {}
    for task, record in starts:
        searches.setdefault(task.row["search"], []).append((task, record))
    rows = [
        {**_optimum(members), "replicate": replicate}
        for members in searches.values()
        for replicate in members[0][0].row["replicates"]
    ]
    return sorted(rows, key=lambda row: row["replicate"])


def _optimum(members: list[tuple[Task, Row]]) -> Row:
    first = members[0][0]
    ends = [
        (task.row["source"], record["reference"])
        for task, record in members
        if not record["provisional"] and record["reference"]["sound"]
    ]
    pure = [(source, end) for source, end in ends if not end["spurious"]]
    source, best = max(
        pure,
        key=lambda pair: pair[1]["loglik"],
        default=("", {"loglik": NAN, "eigenvalue_ratio": NAN, "smallest_component": NAN}),
    )
    done = [record["reference"] for _, record in members if not record["provisional"]]
    return {
        "reference_id": first.row["search"],
        "data_id": first.data_id,
        "dataset": first.row["dataset"],
        "missingness": first.row["missingness"],
        "model": first.row["model"],
        "loglik": best["loglik"],
        "loglik_with_spurious": max((end["loglik"] for _, end in ends), default=NAN),
        "source": source,
        "starts": len(done),
        "e_steps": math.fsum(end["e_steps"] for end in done),
        "eigenvalue_ratio": best["eigenvalue_ratio"],
        "smallest_component": best["smallest_component"],
    }
