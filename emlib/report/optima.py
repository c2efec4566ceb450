"""The distinct optima of each data set and model: how high, how often reached, and what they are.

Endpoints are one optimum where their polished objectives are within ``APART`` nats (chained), so
labels do not matter; two optima that are equally high to so many digits count as one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd

from emlib.report.load import Results, group_starts
from emlib.report.outcomes import Outcomes, is_dead, problems
from emlib.report.statistics import wilson
from emlib.study.optima import APART

AS_FLAGS = ("saddle", "not_identified")
OF_FIT = ["flags", "smallest_component", "eigenvalue_ratio", "linear_rate"]
CERTIFIED = ["verdict", "reason", "newton_decrement", "smallest_share", "em_rate"]


@dataclass(frozen=True)
class Optima:
    """What the endpoints of a study are.

    Attributes
    ----------
    table : DataFrame
        One row an optimum: data sets in order of appearance, their optima from the top; `problem`
        is the data set and model, a row of ``Outcomes.references``.
    of_fit : ndarray (n,)
        For each fit its optimum, a row of ``table``; -1 for a fit that gave none.
    problem : ndarray (n,)
        For each fit its data set and model.
    """

    table: pd.DataFrame
    of_fit: np.ndarray
    problem: np.ndarray


def find_optima(results: Results, outcomes: Outcomes) -> Optima:
    """Put the endpoints of all fits, and of the reference searches, together to optima."""
    fits, searches = results.fits, results.references
    n = len(fits)
    code, names = problems(fits, searches)
    heights = np.where(is_dead(fits), np.nan, fits["loglik_polished"].to_numpy(float))
    objective = np.r_[heights, searches["loglik"].to_numpy(float)]
    ends = np.flatnonzero(np.isfinite(objective))
    ends = ends[np.lexsort((ends, -objective[ends], code[ends]))]
    parted = (np.diff(code[ends]) != 0) | (-np.diff(objective[ends]) > APART)
    label = np.r_[0, np.cumsum(parted)][: len(ends)].astype(np.int64)
    optimum = np.full(len(code), -1)
    optimum[ends] = label
    top = ends[group_starts(label)]
    problem = code[top]
    rank = np.arange(len(top)) - np.searchsorted(problem, problem)
    table = names.iloc[problem].reset_index(drop=True)
    table = table.assign(problem=problem, rank=rank, objective=objective[top])
    table["loss"] = outcomes.references["reference"].to_numpy(float)[problem] - objective[top]
    table["in_search"] = np.isin(np.arange(len(top)), optimum[n:])
    table = table.join(_of_fits(results, optimum, len(top))).join(_certified(results, table))
    return Optima(
        table.join(_reached(results, optimum[:n], code[:n], problem)), optimum[:n], code[:n]
    )


def _of_fits(results: Results, optimum: np.ndarray, size: int) -> pd.DataFrame:
    """What the highest fit at each optimum says of it; the search, where no fit came there."""
    fits, searches = results.fits, results.references
    both = pd.concat(
        [fits[OF_FIT].astype({"flags": str}), searches.reindex(columns=OF_FIT)], ignore_index=True
    )
    height = np.r_[fits["loglik_polished"].to_numpy(float), np.full(len(searches), -np.inf)]
    order = np.lexsort((np.arange(len(both)), -height, optimum))
    order = order[optimum[order] >= 0]
    chosen = both.iloc[order[group_starts(optimum[order])]].reset_index(drop=True)
    return chosen.assign(flags=chosen["flags"].fillna("")).reindex(range(size))


def _certified(results: Results, table: pd.DataFrame) -> pd.DataFrame:
    """The certificate of each optimum, empty where it has none."""
    given = results.certificates
    of, which = _nearest(given, table)
    decided = ~given["verdict"].isin(["", "uncertified"]).to_numpy()[which]
    order = np.lexsort((np.where(decided, which, -which), ~decided, of))  # the first that decides
    order = order[group_starts(of[order])]
    found = given[CERTIFIED].astype({"verdict": str, "reason": str}).iloc[which[order]]
    found = found.set_axis(of[order]).reindex(table.index)
    return found.fillna({"verdict": "", "reason": ""})


def _nearest(certificates: pd.DataFrame, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The optimum that each certificate is of, as a row of `table`, and the certificate's row."""
    key = ["data_id", "model"]
    names = table[[*key, "problem"]].drop_duplicates("problem").astype(dict.fromkeys(key, str))
    mine = certificates[key].astype(str).merge(names, "left", on=key)["problem"].to_numpy(float)
    objective = certificates["objective"].to_numpy(float)
    which = np.flatnonzero(~np.isnan(mine) & np.isfinite(objective))
    height, problem = table["objective"].to_numpy(float), table["problem"].to_numpy()
    first, last = (np.searchsorted(problem, mine[which] + k) for k in (0, 1))
    of, gap = first.copy(), np.full(len(which), np.inf)
    for step in range(int((last - first).max(initial=0))):
        candidate = np.minimum(first + step, last - 1)
        distance = np.abs(height[candidate] - objective[which])
        of, gap = np.where(distance < gap, candidate, of), np.minimum(distance, gap)
    return of[gap <= APART], which[gap <= APART]


def _reached(
    results: Results, optimum: np.ndarray, code: np.ndarray, problem: np.ndarray
) -> pd.DataFrame:
    """How many starts ended at each optimum, oracles apart, with Wilson intervals."""
    rival = ~results.fits["oracle"].to_numpy(bool)
    starts = np.bincount(code[rival], minlength=int(problem.max(initial=-1)) + 1)[problem]
    reached = np.bincount(optimum[rival & (optimum >= 0)], minlength=len(problem))
    return _shares(starts, reached)


def _shares(starts: np.ndarray, reached: np.ndarray) -> pd.DataFrame:
    low, high = wilson(reached, starts)
    with np.errstate(invalid="ignore"):
        share = reached / starts
    columns = {"starts": starts, "reached": reached, "share": share, "low": low, "high": high}
    return pd.DataFrame(columns)


def basin_table(results: Results, optima: Optima) -> pd.DataFrame:
    """One row an optimum and init (and algorithm): how many of its starts ended there."""
    fits, table = results.fits, optima.table
    pair = fits.groupby(["init", "algorithm"], sort=False, observed=True)
    kind, kinds = pair.ngroup().to_numpy(), list(pair.size().index)
    width = max(len(kinds), 1)
    size = int(table["problem"].max()) + 1 if len(table) else 0
    starts = np.bincount(optima.problem * width + kind, minlength=size * width)
    there = optima.of_fit >= 0
    reached = np.bincount(optima.of_fit[there] * width + kind[there], minlength=len(table) * width)
    of = np.repeat(np.arange(len(table)), width)
    which = np.tile(np.arange(width), len(table))
    trials = starts[table["problem"].to_numpy()[of] * width + which]
    keep = trials > 0
    oracles = set(fits.loc[fits["oracle"].to_numpy(bool), "init"].astype(str))
    head = table[["dataset", "missingness", "model", "data_id", "replicate", "rank"]]
    head = head.iloc[of[keep]].reset_index(drop=True)
    for place, axis in enumerate(("init", "algorithm")):
        names = pd.Categorical([str(one[place]) for one in kinds])
        head[axis] = names[which[keep]]
    head["oracle"] = head["init"].isin(oracles)
    return head.join(_shares(trials[keep], reached[keep]))


def with_verdicts(results: Results, optima: Optima) -> Results:
    """The results with ``saddle`` and ``not_identified`` among the flags of the fits there."""
    verdict = optima.table["verdict"].astype(str).to_numpy(object)
    marked = np.r_[np.isin(verdict, AS_FLAGS), False][optima.of_fit]
    flags = results.fits["flags"].astype(object)
    flags[marked] = [
        ",".join(sorted({*filter(None, str(old).split(",")), new}))
        for old, new in zip(flags[marked], verdict[optima.of_fit[marked]], strict=True)
    ]
    return replace(results, fits=results.fits.assign(flags=flags.astype("category")))
