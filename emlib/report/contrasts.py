"""Paired differences to the baseline in each setting, with simultaneous intervals over inits."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from emlib.report.cells import setting_codes, solved_within
from emlib.report.load import SETTING, Results
from emlib.report.statistics import Bootstrap, paired_contrasts

COLUMNS = ["cell_id", *SETTING, "init", "oracle"]
NUMBERS = ["difference", "low", "high", "standard_error", "critical"]
PRIMARY, SINGLE = "within_budget", "single_start"
ESTIMANDS = (PRIMARY, SINGLE)


def difference_table(
    results: Results,
    replicates: pd.DataFrame,
    budget: float,
    bootstrap: Bootstrap,
    estimands: tuple[str, ...] = ESTIMANDS,
) -> pd.DataFrame:
    """One row a cell that has a baseline beside it, and an estimand.

    Estimands: `within_budget`, the primary (a hit within the budget, starts in order), and
    `single_start` (share of a replicate's starts that hit). The oracle is no competitor: it is
    contrasted apart, so that it widens no other interval.
    """
    families = list(_families(results.plan, results.study["baseline"]))
    parts = []
    for estimand in estimands:
        values = _by_replicate(replicates, len(results.plan), _values(replicates, estimand, budget))
        for base, others in families:
            both = values[[base, *others]]
            both = both[:, ~np.isnan(both).any(axis=0)]
            found = paired_contrasts((both[1:] - both[0]).T, bootstrap)
            low, high = found.low, found.high
            verdict = np.select([low > 0, high < 0], ["better", "worse"], "not distinguishable")
            parts.append(
                {
                    "row": others,
                    "estimand": [estimand] * len(others),
                    "replicates": [both.shape[1]] * len(others),
                    "difference": found.difference,
                    "low": low,
                    "high": high,
                    "standard_error": found.standard_error,
                    "critical": [found.critical] * len(others),
                    "verdict": verdict,
                    "replicates_needed": found.replicates_needed,
                }
            )
    return _stacked(results, parts)


def _families(plan: pd.DataFrame, baseline: str) -> Iterator[tuple[int, list[int]]]:
    """Cells that are contrasted together: the baseline's row of the plan, and the others'."""
    code, init = setting_codes(plan), plan["init"].to_numpy()
    oracle = plan["oracle"].to_numpy(bool)
    rows = np.argsort(code, kind="stable")
    for cells in np.split(rows, np.flatnonzero(np.diff(code[rows])) + 1):
        base = cells[init[cells] == baseline]
        others = cells[init[cells] != baseline]
        for family in (others[~oracle[others]], others[oracle[others]]):
            if len(base) and len(family):
                yield int(base[0]), family.tolist()


def _values(replicates: pd.DataFrame, estimand: str, budget: float) -> np.ndarray:
    if estimand == PRIMARY:
        return solved_within(replicates, budget).astype(float)
    return (replicates["start_hits"] / replicates["starts"]).to_numpy(float)


def _by_replicate(replicates: pd.DataFrame, cells: int, values: np.ndarray) -> np.ndarray:
    """Values as (cells, replicates), NaN where a cell lacks the replicate."""
    number = replicates["replicate"].to_numpy()
    table = np.full((cells, int(number.max(initial=-1)) + 1), np.nan)
    table[replicates["cell"].to_numpy(), number] = values
    return table


def _stacked(results: Results, parts: list[dict]) -> pd.DataFrame:
    names = ["row", "estimand", "replicates", *NUMBERS, "verdict", "replicates_needed"]
    columns = {name: [value for part in parts for value in part[name]] for name in names}
    rows = np.array(columns.pop("row"), dtype=int)
    table = results.plan[COLUMNS].iloc[rows].reset_index(drop=True)
    kinds: dict[str, type] = dict.fromkeys(NUMBERS, float)
    kinds |= {"replicates": int, "replicates_needed": int}
    kinds |= {"estimand": object, "verdict": object}
    for name, values in columns.items():
        table[name] = np.array(values, dtype=kinds[name])
    return table.assign(baseline=results.study["baseline"])
