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
    found = pd.DataFrame({name: pd.Series(np.nan, table.index) for name in CERTIFIED})
    found = found.assign(verdict="", reason="")
    height, problem = table["objective"].to_numpy(float), table["problem"].to_numpy()
    keys = zip(table["data_id"].astype(str), table["model"].astype(str), strict=True)
    code = dict(zip(keys, problem, strict=True))
    for row in results.certificates.to_dict("records"):
        mine = code.get((str(row["data_id"]), str(row["model"])))
        if mine is None or not np.isfinite(row["objective"]):
            continue
        first, last = np.searchsorted(problem, [mine, mine + 1])
        nearest = first + int(np.abs(height[first:last] - row["objective"]).argmin())
        same = abs(height[nearest] - row["objective"]) <= APART
        if same and found.loc[nearest, "verdict"] in ("", "uncertified"):
            found.loc[nearest] = [row[name] for name in CERTIFIED]
    return found


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
    rival = fits[["init", "algorithm"]].astype(str)
    kind, kinds = pd.factorize(rival["init"] + "\n" + rival["algorithm"])
    width = max(len(kinds), 1)
    size = int(table["problem"].max()) + 1 if len(table) else 0
    starts = np.bincount(optima.problem * width + kind, minlength=size * width)
    there = optima.of_fit >= 0
    reached = np.bincount(optima.of_fit[there] * width + kind[there], minlength=len(table) * width)
    of = np.repeat(np.arange(len(table)), width)
    which = np.tile(np.arange(width), len(table))
    trials = starts[table["problem"].to_numpy()[of] * width + which]
    keep = trials > 0
    names = [str(name).split("\n") for name in kinds]
    oracles = set(fits.loc[fits["oracle"].to_numpy(bool), "init"].astype(str))
    head = table[["dataset", "missingness", "model", "data_id", "replicate", "rank"]]
    head = head.iloc[of[keep]].reset_index(drop=True)
    head["init"] = [names[k][0] for k in which[keep]]
    head["algorithm"] = [names[k][1] for k in which[keep]]
    head["oracle"] = head["init"].isin(oracles)
    return head.join(_shares(trials[keep], reached[keep]))


def with_verdicts(results: Results, optima: Optima) -> Results:
    """The results with ``saddle`` and ``not_identified`` among the flags of the fits there."""
    verdict = np.r_[optima.table["verdict"].to_numpy(object), [""]][optima.of_fit]
    flags = results.fits["flags"].astype(str).to_numpy(object)
    marked = np.isin(verdict.astype(str), AS_FLAGS)
    flags[marked] = [
        ",".join(sorted({*filter(None, old.split(",")), new}))
        for old, new in zip(flags[marked], verdict[marked], strict=True)
    ]
    fits = results.fits.assign(flags=pd.Series(flags, results.fits.index, dtype="category"))
    return replace(results, fits=fits)
