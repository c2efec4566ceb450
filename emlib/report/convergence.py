"""Convergence curves: loss against iterations and E-steps, never truncated to survivors.

A fit that stopped keeps its last loss; one that gave no optimum that counts has infinite loss from
its end on (from the start, if it left no curve); before an init has paid its cost there is no loss.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.load import Results, group_starts
from emlib.report.outcomes import Outcomes
from emlib.report.statistics import quantile

COLUMNS = ["loss_q25", "loss_median", "loss_q75"]


def convergence_tables(
    results: Results, outcomes: Outcomes, tolerance: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Median and quartiles of the loss over a cell's fits: by iteration, and by E-steps.

    Returns
    -------
    by_iteration, by_e_steps : DataFrame
        Columns `cell_id`, `iteration` or `e_steps`, `loss_median`, `loss_q25`, `loss_q75`,
        and by iteration `loglik_median` (over the fits that have a curve).
    """
    by_iteration, by_e_steps = [], []
    fits = results.fits
    lookup = pd.Index(fits["fit_id"].astype(object))
    group = fits.groupby(["dataset", "missingness", "model"], sort=False, observed=True).ngroup()
    for curves in results.curves():
        panel = _Panel(curves, lookup, outcomes, tolerance, results)
        if not len(panel.rows):
            continue
        mine = np.flatnonzero(group.to_numpy() == group.iat[panel.rows[0]])
        by_iteration += _summaries(results, outcomes, panel, mine, "iteration")
        by_e_steps += _summaries(results, outcomes, panel, mine, "e_steps")
    first = pd.DataFrame(columns=["cell_id", "iteration", *COLUMNS, "loglik_median"], dtype=float)
    second = pd.DataFrame(columns=["cell_id", "e_steps", *COLUMNS], dtype=float)
    return (
        pd.concat(by_iteration, ignore_index=True) if by_iteration else first,
        pd.concat(by_e_steps, ignore_index=True) if by_e_steps else second,
    )


class _Panel:
    """Curves of one dataset x missingness x model, as runs of points."""

    def __init__(
        self,
        curves: pd.DataFrame,
        lookup: pd.Index,
        outcomes: Outcomes,
        tolerance: float,
        results: Results,
    ) -> None:
        fit = curves["fit_id"].cat.codes.to_numpy()
        self.first = group_starts(fit)
        self.last = np.r_[self.first[1:], len(fit)] - 1
        names = curves["fit_id"].iloc[self.first].astype(object)
        rows = lookup.get_indexer(pd.Index(names))
        sizes = self.last - self.first + 1
        self.run = np.repeat(np.arange(len(rows)), sizes)
        self.rows = rows
        self.loglik = curves["loglik"].to_numpy(float)
        penalized = len(rows) and results.fits["model"].iat[rows[0]] in results.penalized
        height = curves["objective"].to_numpy(float) if penalized else self.loglik
        with np.errstate(invalid="ignore"):
            loss = outcomes.reference[rows][self.run] - height
            loss = np.where(np.isnan(loss) | (loss < -tolerance), np.inf, np.maximum(loss, 0))
        loss[self.last[~np.isfinite(outcomes.loss[rows])]] = np.inf
        self.loss = loss
        self.axes = {name: curves[name].to_numpy(float) for name in ("iteration", "e_steps")}

    def at(self, axis: str, grid: np.ndarray, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Loss and loglik of some runs at each grid point: (runs, points), last value kept."""
        x = self.axes[axis]
        step = max(float(x.max()), float(grid[-1])) + 1.0
        where = np.searchsorted(
            self.run * step + x, (runs[:, None] * step + grid[None, :]), side="right"
        )
        where -= 1
        begun = where >= self.first[runs][:, None]
        where = np.maximum(where, 0)
        return (
            np.where(begun, self.loss[where], np.inf),
            np.where(begun, self.loglik[where], np.nan),
        )


def grid_of(axis: str, largest: float) -> np.ndarray:
    """About 60 points, evenly spaced in the logarithm, up to the longest climb."""
    if axis == "iteration":
        spaced = np.geomspace(1, max(largest, 2), 60).round()
        return np.unique(np.r_[0.0, spaced])
    return np.geomspace(1, max(largest, 2), 80)


def _summaries(
    results: Results, outcomes: Outcomes, panel: _Panel, mine: np.ndarray, axis: str
) -> list[pd.DataFrame]:
    grid = grid_of(axis, float(panel.axes[axis].max()))
    cell = results.fits["cell"].to_numpy()[mine]
    run_of = np.full(len(results.fits), -1)
    run_of[panel.rows] = np.arange(len(panel.rows))
    parts = []
    for code in np.unique(cell):
        runs = run_of[mine[cell == code]]
        loss, loglik = panel.at(axis, grid, runs[runs >= 0])
        absent = np.full((int((runs < 0).sum()), len(grid)), np.inf)
        q25, median, q75 = quantile(np.vstack([loss, absent]), [0.25, 0.5, 0.75], axis=0)
        part = {"cell_id": results.plan["cell_id"].iat[code], axis: grid}
        part |= {"loss_median": median, "loss_q25": q25, "loss_q75": q75}
        if axis == "iteration":
            part["iteration"] = grid.astype(np.int32)
            part["loglik_median"] = quantile(loglik, 0.5, axis=0) if len(loglik) else np.nan
        parts.append(pd.DataFrame(part))
    return parts
