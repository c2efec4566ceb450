"""What became of each fit: its reference optimum, its loss, whether it is a hit.

Nothing is dropped, and a reference that the grid beats is raised for all.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from pandas.api.types import union_categoricals

from emlib.report.load import group_starts

DEAD = ("degenerate", "failed", "invalid", "lost")
POLISH_MAY_GAIN = 0.1
"""Nats between a climb's end and its polished end, above which the climb gets its own end."""


@dataclass(frozen=True)
class Outcomes:
    """One entry a fit.

    Attributes
    ----------
    reference : ndarray (n,)
        Best loglik that counts, raised where the grid found a better one by more than the
        tolerance (less is rounding, and would let the grid move its own losses); NaN if none.
    loss : ndarray (n,)
        Reference minus polished loglik, at least 0; minus the climb's own end where the polish
        gained more than ``POLISH_MAY_GAIN``, since the work that found the optimum was then not
        the climb's; infinite for a fit that gave no optimum that counts (dead, or `above`).
    hit : ndarray (n,) of bool
    above : ndarray (n,) of bool
        Spurious, and better than the reference by more than the tolerance: not a hit.
    references : DataFrame
        One row a data set and model: `searched`, `reference`, `raised`, `gain`, `raised_by`.
    """

    reference: np.ndarray
    loss: np.ndarray
    hit: np.ndarray
    above: np.ndarray
    references: pd.DataFrame


def judge(
    fits: pd.DataFrame,
    references: pd.DataFrame,
    tolerance: float,
    spurious: bool = False,
    raise_above: float | None = None,
    polish_may_gain: float = POLISH_MAY_GAIN,
) -> Outcomes:
    """Compare every fit with the reference optimum of its data set and model.

    Parameters
    ----------
    fits, references : DataFrame
        From ``load.Results``.
    tolerance : float
        A hit is at most this many nats below the reference.
    spurious : bool
        Whether spurious optima count, as references and as hits.
    raise_above : float, optional
        A fit raises the reference that it beats by more than this; the tolerance by default.
    polish_may_gain : float
        Nats; infinite: every fit is judged by its polished endpoint.
    """
    code, names = problems(fits, references)
    searched = _searched(code[len(fits) :], references, len(names), spurious)
    code = code[: len(fits)]
    loglik = fits["loglik_polished"].to_numpy(float)
    dead = is_dead(fits)
    flagged = has_flag(fits, "spurious")
    counts = ~dead & (fits["status_polished"] == "converged").to_numpy()
    if not spurious:
        counts &= ~flagged
    best, by = _best_of(code, loglik, counts, len(names))
    least = tolerance if raise_above is None else raise_above
    raised = (best > searched + least) | (np.isnan(searched) & np.isfinite(best))
    final = np.where(raised, best, searched)
    reference = final[code] if len(fits) else np.empty(0)
    with np.errstate(invalid="ignore"):
        own = fits["end"].to_numpy(float)
        height = np.where(loglik - own > polish_may_gain, own, loglik)
        gap = np.where(dead, np.inf, reference - height)
        above = (~dead) & flagged & (gap < -tolerance) & (not spurious)
        gap = np.where(np.isnan(gap) | above, np.inf, np.maximum(gap, 0.0))
    table = names.assign(
        searched=searched,
        reference=final,
        raised=raised,
        gain=np.where(raised, best - searched, 0.0),
        raised_by=np.where(raised, _ids(fits, by), ""),
        raised_init=np.where(raised, _ids(fits, by, "init"), ""),
    )
    return Outcomes(reference, gap, gap <= tolerance, above, table)


def is_dead(fits: pd.DataFrame) -> np.ndarray:
    """Fits that gave no optimum: infinite loss."""
    return (
        fits["status"].isin(DEAD)
        | (fits["status_polished"] == "degenerate")
        | ~np.isfinite(fits["loglik_polished"])
    ).to_numpy()


def has_flag(fits: pd.DataFrame, flag: str) -> np.ndarray:
    """Which fits carry a flag; `flags` is comma separated."""
    flags = fits["flags"].astype("category")
    carries = [flag in str(text).split(",") for text in flags.cat.categories]
    return np.array([*carries, False])[flags.cat.codes.to_numpy()]


def problems(fits: pd.DataFrame, references: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Code of (data_id, model) for fits, then references; and the names, one row a code."""
    columns = ["dataset", "missingness", "model", "data_id", "replicate"]
    n, model = len(fits), _joint_codes(fits["model"], references["model"])
    data = _joint_codes(fits["data_id"], references["data_id"])
    code, _ = pd.factorize(data * (int(model.max(initial=0)) + 1) + model)
    first = group_starts(np.maximum.accumulate(code)) if len(code) else code
    named = pd.concat(
        [
            part[columns].astype(str)
            for part in (fits.iloc[first[first < n]], references.iloc[first[first >= n] - n])
        ],
        ignore_index=True,
    )
    return code, named.astype({"replicate": int})


def _joint_codes(a: pd.Series, b: pd.Series) -> np.ndarray:
    """One code a text, for two columns one after the other."""
    both = union_categoricals([a.astype("category"), b.astype("category")])
    return both.codes.astype(np.int64)


def _searched(code: np.ndarray, references: pd.DataFrame, size: int, spurious: bool) -> np.ndarray:
    column = "loglik_with_spurious" if spurious else "loglik"
    value = references[column].to_numpy(float)
    searched = np.full(size, -np.inf)
    finite = np.isfinite(value)
    np.maximum.at(searched, code[finite], value[finite])
    return np.where(np.isfinite(searched), searched, np.nan)


def _best_of(
    code: np.ndarray, loglik: np.ndarray, counts: np.ndarray, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Best loglik of each problem among the fits that count, and the first fit that reached it."""
    rows = np.flatnonzero(counts)
    best = np.full(size, -np.inf)
    np.maximum.at(best, code[rows], loglik[rows])
    winners = rows[loglik[rows] == best[code[rows]]][::-1]
    by = np.full(size, -1)
    by[code[winners]] = winners
    return best, by


def _ids(fits: pd.DataFrame, rows: np.ndarray, column: str = "fit_id") -> np.ndarray:
    if len(fits) == 0:
        return np.full(len(rows), "", dtype=object)
    return fits[column].iloc[np.maximum(rows, 0)].astype(object).to_numpy()
