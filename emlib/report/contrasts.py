"""Paired differences to the baseline in each setting, with simultaneous intervals over inits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.cells import setting_codes, solved_within
from emlib.report.load import SETTING, Results
from emlib.report.statistics import Bootstrap, paired_contrasts

COLUMNS = ["cell_id", *SETTING, "init", "oracle"]
PRIMARY, SINGLE = "within_budget", "single_start"


def difference_table(
    results: Results, replicates: pd.DataFrame, budget: float, bootstrap: Bootstrap
) -> pd.DataFrame:
    """One row a cell that has a baseline beside it, and an estimand.

    Estimands: `within_budget`, the primary (a hit within the budget, starts in order), and
    `single_start` (share of a replicate's starts that hit). The oracle is no competitor: it is
    contrasted apart, so that it widens no other interval.
    """
    plan, baseline = results.plan, results.study["baseline"]
    values = {
        PRIMARY: pd.Series(solved_within(replicates, budget), replicates.index, dtype=float),
        SINGLE: replicates["start_hits"] / replicates["starts"],
    }
    parts = []
    for _, cells in plan.groupby(setting_codes(plan), sort=False):
        if baseline not in set(cells["init"]):
            continue
        base = cells.index[cells["init"] == baseline][0]
        others = cells[cells["init"] != baseline]
        mine = replicates[replicates["cell"].isin(cells.index)]
        for estimand, value in values.items():
            wide = mine.assign(value=value).pivot(index="replicate", columns="cell", values="value")
            for family in (others[~others["oracle"]], others[others["oracle"]]):
                if len(family):
                    rows = _contrasts(bootstrap, wide, base, family)
                    parts.append(rows.assign(baseline=baseline, estimand=estimand))
    return pd.concat(parts, ignore_index=True) if parts else _empty()


def _contrasts(
    bootstrap: Bootstrap, wide: pd.DataFrame, base: int, family: pd.DataFrame
) -> pd.DataFrame:
    both = wide.reindex(columns=[base, *family.index]).dropna().to_numpy(float)
    found = paired_contrasts(both[:, 1:] - both[:, :1], bootstrap)
    low, high = found.low, found.high
    return family[COLUMNS].assign(
        replicates=len(both),
        difference=found.difference,
        low=low,
        high=high,
        standard_error=found.standard_error,
        critical=found.critical,
        verdict=np.select([low > 0, high < 0], ["better", "worse"], "not distinguishable"),
        replicates_needed=found.replicates_needed,
    )


def _empty() -> pd.DataFrame:
    texts = [*COLUMNS[:-1], "baseline", "estimand", "verdict"]
    numbers = ["difference", "low", "high", "standard_error", "critical"]
    counts = ["oracle", "replicates", "replicates_needed"]
    kinds = dict.fromkeys(texts, "str") | dict.fromkeys(numbers, "float")
    kinds |= dict.fromkeys(counts, "int32")
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in kinds.items()})
