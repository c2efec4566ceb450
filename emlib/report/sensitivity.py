"""The primary estimate again under other rules: tolerance, spurious optima, plateaus, budget."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.cells import (
    budget_of,
    deterministic,
    hit_rates,
    one_data_set,
    replicate_table,
    setting_codes,
)
from emlib.report.contrasts import PRIMARY, difference_table
from emlib.report.load import Results
from emlib.report.outcomes import judge
from emlib.report.statistics import Bootstrap

TOLERANCES = (1e-4, 1e-3, 1e-2, 1e-1)
BUDGETS = (0.125, 0.25, 0.5, 2.0)


def sensitivity_table(results: Results, bootstrap: Bootstrap) -> pd.DataFrame:
    """One row a cell and variant; columns `variant`, `value`, hits with intervals, `verdict`.

    Variants: `primary`; `tolerance` (nats); `spurious` (spurious optima count as optima);
    `plateau` (climbs that stopped far below where their polish ended are judged by the polished end
    all the same); `budget` (E-steps).
    """
    study = results.study
    budget, tolerance = budget_of(study), float(study["hit_tolerance"])
    cells, steady = len(results.plan), one_data_set(results) & deterministic(results)
    parts = []

    def add(variant: str, value: float, replicates: pd.DataFrame, limit: float) -> None:
        rates = hit_rates(replicates, limit, cells, steady)
        found = difference_table(results, replicates, limit, bootstrap, (PRIMARY,))
        verdicts = dict(zip(found["cell_id"], found["verdict"], strict=True))
        verdict = [verdicts.get(name, "") for name in results.plan["cell_id"]]
        head = pd.DataFrame({"cell_id": results.plan["cell_id"], "variant": variant})
        parts.append(head.assign(value=value).join(rates).assign(verdict=verdict))

    outcomes = judge(results.fits, results.references, tolerance)
    primary = replicate_table(results, outcomes)
    add("primary", tolerance, primary, budget)
    for other in TOLERANCES:
        if not np.isclose(other, tolerance):
            looser = judge(results.fits, results.references, other, raise_above=tolerance)
            add("tolerance", other, replicate_table(results, looser), budget)
    with_spurious = judge(results.fits, results.references, tolerance, spurious=True)
    add("spurious", tolerance, replicate_table(results, with_spurious), budget)
    polished = judge(results.fits, results.references, tolerance, polish_may_gain=np.inf)
    add("plateau", tolerance, replicate_table(results, polished), budget)
    if np.isfinite(budget):
        for share in BUDGETS:
            add("budget", budget * share, primary, budget * share)
    return pd.concat(parts, ignore_index=True)


def sensitivity_summary(sensitivity: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """One row a variant: how far hit rates move, and in how many settings the conclusion does.

    `best_changed` counts settings where the best inits (by hit rate, oracle apart) are others;
    `verdicts_changed` counts differences to the baseline whose verdict is another.
    """
    setting = setting_codes(cells)
    rival = ~cells["oracle"].to_numpy(bool)
    primary = sensitivity[sensitivity["variant"] == "primary"]
    first = primary["hit_rate"].to_numpy(float)
    out = []
    for (variant, value), rows in sensitivity.groupby(["variant", "value"], sort=False):
        if variant == "primary":
            continue
        rate = rows["hit_rate"].to_numpy(float)
        moved = np.abs(rate - first)
        known = rival & ~np.isnan(moved)
        changed = [
            best_inits(rate, known & (setting == s)) != best_inits(first, known & (setting == s))
            for s in np.unique(setting)
        ]
        verdicts = rows["verdict"].to_numpy() != primary["verdict"].to_numpy()
        out.append(
            {
                "variant": variant,
                "value": value,
                "largest_change": float(moved[known].max()) if known.any() else np.nan,
                "mean_change": float((rate - first)[known].mean()) if known.any() else np.nan,
                "best_changed": int(sum(changed)),
                "settings": len(changed),
                "verdicts_changed": int(verdicts[rival].sum()),
            }
        )
    return pd.DataFrame(out)


def best_inits(rates: np.ndarray, among: np.ndarray) -> set[int]:
    """Rows with the highest rate."""
    rows = np.flatnonzero(among)
    return set(rows[rates[rows] == rates[rows].max()]) if len(rows) else set()
