"""From fits to replicates to cells: hits within the budget, running times, statuses.

The primary estimate is the share of replicates in which the starts of an init, taken
in order, find a hit before their work, the init's own included, passes the budget.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.load import SETTING, Results, by_cell, group_starts
from emlib.report.outcomes import Outcomes, has_flag
from emlib.report.statistics import (
    Bootstrap,
    effective_trials,
    quantile,
    running_time,
    wilson,
)
from emlib.study import grid
from emlib.study.state import STATUSES

PARTS = ("e_steps_init", "e_steps_climb", "seconds_init", "seconds_climb")
FLAGS = ("spurious", "boundary", "saddle", "not_identified", "plateau", "slow_tail")


def replicate_table(results: Results, outcomes: Outcomes) -> pd.DataFrame:
    """One row a cell and replicate, in plan order.

    Columns: `cell` (row of the plan), `replicate`, `starts`, `start_hits`, `work`, `seconds`,
    `work_to_hit` and `seconds_to_hit` (of the starts up to the first hit; infinite without one),
    `best` (row of the fit with the least loss) and `best_loss`. Work that a dead fit could not
    report counts as none.
    """
    fits = results.fits
    order, first = results.by_start
    cell, replicate = fits["cell"].to_numpy()[order], fits["replicate"].to_numpy()[order]
    sizes = np.diff(np.r_[first, len(order)])
    hit, loss = outcomes.hit[order], outcomes.loss[order]
    table = {"cell": cell[first], "replicate": replicate[first], "starts": sizes}
    table["start_hits"] = _sums(hit.astype(int), first)
    for name, cost in (("work", fit_work(fits)), ("seconds", fit_seconds(fits))):
        spent = cost[order]
        table[name] = _sums(spent, first)
        so_far = np.cumsum(spent)
        so_far -= np.repeat(so_far[first] - spent[first], sizes)
        table[f"{name}_to_hit"] = _least(np.where(hit, so_far, np.inf), first)
    table["best_loss"] = _least(loss, first)
    is_best = np.flatnonzero(loss == np.repeat(table["best_loss"], sizes))[::-1]
    best = np.zeros(len(first), dtype=np.int64)
    best[np.repeat(np.arange(len(first)), sizes)[is_best]] = order[is_best]
    return pd.DataFrame(table | {"best": best})


def _sums(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    return np.add.reduceat(values, first) if len(first) else values[:0]


def _least(values: np.ndarray, first: np.ndarray) -> np.ndarray:
    return np.minimum.reduceat(values, first) if len(first) else values[:0]


def fit_work(fits: pd.DataFrame) -> np.ndarray:
    """E-step equivalents of each fit, init included, polish excluded."""
    return np.nan_to_num(fits[["e_steps_init", "e_steps_climb"]].to_numpy(float)).sum(axis=1)


def fit_seconds(fits: pd.DataFrame) -> np.ndarray:
    """Seconds of each fit, init included, polish excluded."""
    return np.nan_to_num(fits[["seconds_init", "seconds_climb"]].to_numpy(float)).sum(axis=1)


def settings_of(plan: pd.DataFrame) -> pd.DataFrame:
    """The plan's settings (dataset x missingness x model x algorithm), one row each."""
    return plan[SETTING].drop_duplicates().reset_index(drop=True)


def setting_codes(plan: pd.DataFrame) -> np.ndarray:
    """For each cell, the row of its setting in ``settings_of``."""
    return plan.groupby(SETTING, sort=False, observed=True).ngroup().to_numpy()


def one_data_set(results: Results) -> np.ndarray:
    """For each cell, whether all its replicates are the same data: inference is conditional."""
    settings, plan = results.study["datasets"], results.plan
    pairs = zip(plan["dataset"], plan["mechanism"], strict=True)
    return np.array([grid.one_data_set(settings.get(name, {}), how) for name, how in pairs], bool)


def deterministic(results: Results) -> np.ndarray:
    """For each cell, whether its init has one start only, always the same on the same data."""
    fixed = {name for name, spec in results.study["inits"].items() if spec["deterministic"]}
    return results.plan["init"].isin(fixed).to_numpy()


def solved_within(replicates: pd.DataFrame, budget: float) -> np.ndarray:
    """Which replicates found a hit before their work passed the budget, which may be infinite."""
    work = replicates["work_to_hit"].to_numpy(float)
    return np.isfinite(work) & (work <= budget)


def hit_rates(
    replicates: pd.DataFrame, budget: float, cells: int, steady: np.ndarray
) -> pd.DataFrame:
    """Hits within the budget of each cell, over replicates, with Wilson intervals.

    `steady` marks cells without any randomness (a deterministic init on one data set): their rate
    is known, not estimated.
    """
    cell = replicates["cell"].to_numpy()
    trials = np.bincount(cell, minlength=cells)
    solved = solved_within(replicates, budget)
    hits = np.bincount(cell[solved], minlength=cells)
    low, high = wilson(hits, trials)
    with np.errstate(invalid="ignore"):
        rate = hits / trials
    low, high = np.where(steady, rate, low), np.where(steady, rate, high)
    return pd.DataFrame(
        {"replicates": trials, "hits": hits, "hit_rate": rate, "hit_low": low, "hit_high": high}
    )


def cell_table(
    results: Results, outcomes: Outcomes, replicates: pd.DataFrame, bootstrap: Bootstrap
) -> pd.DataFrame:
    """One row a cell of the plan; see results/README.md for the columns."""
    plan, fits, n = results.plan, results.fits, len(results.plan)
    cell = fits["cell"].to_numpy()
    conditional, fixed = one_data_set(results), deterministic(results)
    columns = ["cell_id", *SETTING[:2], "mechanism", "rate", "model", "init", "algorithm", "oracle"]
    table = plan[columns].assign(
        conditional=conditional,
        deterministic=fixed,
        fits=np.bincount(cell, minlength=n),
    )
    budget = budget_of(results.study)
    table = table.join(hit_rates(replicates, budget, n, conditional & fixed))
    table = table.join(_start_rates(replicates, conditional, n))
    table = table.join(_running_times(replicates, bootstrap, n))
    table = table.join(_quantiles(fits, outcomes, cell, n))
    status = {name: (fits["status"] == name).to_numpy() for name in STATUSES}
    table["failures"] = np.bincount(cell[~status["converged"]], minlength=n)
    for name, ended in status.items():
        table[f"status_{name}"] = np.bincount(cell[ended], minlength=n)
    for name in FLAGS:
        table[f"flag_{name}"] = np.bincount(cell[has_flag(fits, name)], minlength=n)
    table["spurious_above"] = np.bincount(cell[outcomes.above], minlength=n)
    return table


def budget_of(study: dict) -> float:
    """Full-data E-step equivalents within which a hit counts; infinite if the study sets none."""
    e_steps = (study.get("budget") or {}).get("e_steps")
    return float(e_steps) if e_steps else np.inf


def _start_rates(replicates: pd.DataFrame, conditional: np.ndarray, n: int) -> pd.DataFrame:
    """Share of single starts that hit; intervals allow for starts that share a replicate."""
    hits, starts, trials = np.zeros(n), np.zeros(n), np.zeros(n)
    for code, rows in by_cell(replicates):
        k, m = rows["start_hits"].to_numpy(), rows["starts"].to_numpy()
        hits[code], starts[code] = k.sum(), m.sum()
        trials[code] = m.sum() if conditional[code] else effective_trials(k, m)
    with np.errstate(invalid="ignore"):
        rate = hits / starts
    low, high = wilson(rate * trials, trials)
    return pd.DataFrame({"start_rate": rate, "start_low": low, "start_high": high})


def _running_times(replicates: pd.DataFrame, bootstrap: Bootstrap, n: int) -> pd.DataFrame:
    """Expected running time (work over hits), in E-steps and in seconds."""
    names = ["ert", "ert_low", "ert_high", "ert_seconds", "ert_seconds_low", "ert_seconds_high"]
    out = np.full((n, 6), np.nan)
    for cell, rows in by_cell(replicates):
        weights, hits = bootstrap.weights(len(rows)), rows["start_hits"]
        out[cell, :3] = running_time(rows["work"], hits, weights)
        out[cell, 3:] = running_time(rows["seconds"], hits, weights)
    return pd.DataFrame(out, columns=names)


def _quantiles(fits: pd.DataFrame, outcomes: Outcomes, cell: np.ndarray, n: int) -> pd.DataFrame:
    """Medians over fits; a fit without a loglik counts as minus infinity, not as absent."""
    loglik = np.nan_to_num(fits["loglik"].to_numpy(float), nan=-np.inf)
    parts = {name: np.nan_to_num(fits[name].to_numpy(float)) for name in PARTS}
    costs = {"e_steps": fit_work(fits), "seconds": fit_seconds(fits), **parts}
    order = np.argsort(cell, kind="stable")
    first = group_starts(cell[order])
    names = ["loglik_median", "loglik_q05", "loglik_q95", "loss_median"]
    names += [f"{name}_median" for name in costs]
    out = np.full((n, len(names)), np.nan)
    for rows in np.split(order, first[1:]) if len(order) else []:
        out[cell[rows[0]]] = [
            *quantile(loglik[rows], [0.5, 0.05, 0.95]),
            quantile(outcomes.loss[rows], 0.5),
            *(quantile(cost[rows], 0.5) for cost in costs.values()),
        ]
    return pd.DataFrame(out, columns=names)
