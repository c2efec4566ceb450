"""Data profiles (share of replicates solved against work) and loss distributions, cell by cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.load import Results, by_cell, group_starts
from emlib.report.outcomes import Outcomes
from emlib.report.statistics import ecdf, wilson

AXES = {"e_steps": "work_to_hit", "seconds": "seconds_to_hit"}


def profile_table(results: Results, replicates: pd.DataFrame) -> pd.DataFrame:
    """One row a step: by `value` E-steps or seconds (`axis`), `share` of the replicates is solved.

    More, Wild (2009). A replicate is solved once the starts so far, in order, hold a hit. The last
    row of each cell is the work after which its restarts are used up in every replicate.
    """
    parts = []
    for cell, rows in by_cell(replicates):
        for axis, column in AXES.items():
            value, share = ecdf(rows[column])
            total = {"e_steps": rows["work"], "seconds": rows["seconds"]}[axis].max()
            value = np.r_[value, total] if len(value) == 0 or total > value[-1] else value
            share = np.r_[share, share[-1] if len(share) else 0.0][: len(value)]
            low, high = wilson(share * len(rows), np.full(len(share), len(rows)))
            parts.append(
                pd.DataFrame(
                    {
                        "cell_id": results.plan["cell_id"].iat[cell],
                        "axis": axis,
                        "value": value,
                        "share": share,
                        "low": low,
                        "high": high,
                    }
                )
            )
    return _concat(parts, ["cell_id", "axis", "value", "share", "low", "high"])


def loss_table(results: Results, outcomes: Outcomes, points: int = 120) -> pd.DataFrame:
    """One row a step of the loss distribution of each cell's fits; `share` counts failures too."""
    cell = results.fits["cell"].to_numpy()
    order = np.argsort(cell, kind="stable")
    parts = []
    for rows in np.split(order, group_starts(cell[order])[1:]) if len(order) else []:
        value, share = ecdf(outcomes.loss[rows], points)
        cell_id = results.plan["cell_id"].iat[cell[rows[0]]]
        parts.append(pd.DataFrame({"cell_id": cell_id, "loss": value, "share": share}))
    return _concat(parts, ["cell_id", "loss", "share"])


def _concat(parts: list[pd.DataFrame], columns: list[str]) -> pd.DataFrame:
    kinds = {name: str if name in ("cell_id", "axis") else float for name in columns}
    empty = pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
    return pd.concat(parts, ignore_index=True) if parts else empty
