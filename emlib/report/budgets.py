"""Hit probabilities at equal work, whatever the study's own budget is."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.cells import deterministic, hit_rates, one_data_set
from emlib.report.load import Results

BUDGETS = (30.0, 100.0, 300.0, 1000.0)
"""Full-data E-step equivalents, an init's own included."""


def budget_table(results: Results, replicates: pd.DataFrame) -> pd.DataFrame:
    """One row a cell and budget: replicates that hold a hit before their work passes it.

    `exhausted` counts those without a hit whose restarts were used up before: with more restarts
    the rate would be higher, so it is a lower bound there.
    """
    cells, steady = len(results.plan), one_data_set(results) & deterministic(results)
    cell = replicates["cell"].to_numpy()
    never = ~np.isfinite(replicates["work_to_hit"].to_numpy(float))
    work = replicates["work"].to_numpy(float)
    parts = []
    for budget in BUDGETS:
        used_up = np.bincount(cell[never & (work < budget)], minlength=cells)
        head = pd.DataFrame({"cell_id": results.plan["cell_id"], "budget": budget})
        rates = hit_rates(replicates, budget, cells, steady)
        parts.append(head.join(rates).assign(exhausted=used_up))
    return pd.concat(parts, ignore_index=True)
