"""Convergence curves: loss against iterations and E-steps, never truncated to survivors.

A fit that stopped keeps its last loss; one that gave no optimum that counts has infinite loss from
its end on (from the start, if it left no curve); before an init has paid its cost there is no loss.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from emlib.report.load import Results, block_path, group_starts, rows_of
from emlib.report.outcomes import Outcomes
from emlib.report.statistics import quantile
from emlib.study.files import greatest, read_table

AXES = ("iteration", "e_steps")
COLUMNS_READ = ["fit_id", *AXES, "objective", "loglik"]
COLUMNS = ["loss_q25", "loss_median", "loss_q75"]
MOST_FITS = 250_000
"""Fits whose curves are held at once, on both grids: half a gigabyte."""


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
    for blocks in _groups(results):
        grids = _grids(blocks)
        for rows in _batches(blocks, results.fits["cell"].to_numpy()) if grids else []:
            heights = _heights(results, outcomes, tolerance, blocks, rows, grids)
            by_iteration += _summaries(results, heights, "iteration", grids["iteration"])
            by_e_steps += _summaries(results, heights, "e_steps", grids["e_steps"])
    first = pd.DataFrame(columns=["cell_id", "iteration", *COLUMNS, "loglik_median"], dtype=float)
    second = pd.DataFrame(columns=["cell_id", "e_steps", *COLUMNS], dtype=float)
    return (
        pd.concat(by_iteration, ignore_index=True) if by_iteration else first,
        pd.concat(by_e_steps, ignore_index=True) if by_e_steps else second,
    )


class _Block(NamedTuple):
    """A block's curves, and which of the fits are its: rows from `first` up to `last`."""

    path: Path
    first: int
    last: int


def _groups(results: Results) -> Iterator[list[_Block]]:
    """The blocks of each dataset x missingness x model that are there."""
    present = results.coverage[results.coverage["missing"] == ""]
    ends = present["found"].cumsum()
    present = present.assign(begin=ends - present["found"], end=ends)
    for _, group in present.groupby(["dataset", "missingness", "model"], sort=False):
        yield [
            _Block(block_path(results.paths, "curves", row), row.begin, row.end)
            for row in rows_of(group)
        ]


def _grids(blocks: list[_Block]) -> dict[str, np.ndarray]:
    """Where the curves are looked at, up to the longest climb; nothing where there is no curve."""
    longest: dict[str, float] = {}
    for block in blocks:
        for axis, most in greatest(block.path, AXES).items():
            longest[axis] = max(most, longest.get(axis, most))
    return {axis: grid_of(axis, most) for axis, most in longest.items()}


def grid_of(axis: str, largest: float) -> np.ndarray:
    """About 60 points, evenly spaced in the logarithm, up to the longest climb."""
    if axis == "iteration":
        spaced = np.geomspace(1, max(largest, 2), 60).round()
        return np.unique(np.r_[0.0, spaced])
    return np.geomspace(1, max(largest, 2), 80)


def _batches(blocks: list[_Block], cell: np.ndarray) -> Iterator[np.ndarray]:
    """Rows of the fits of some cells at a time, by cell, so that memory stays bounded."""
    rows = np.concatenate([np.arange(block.first, block.last) for block in blocks])
    rows = rows[np.argsort(cell[rows], kind="stable")]
    first = group_starts(cell[rows])
    batch = np.r_[first[1:], len(rows)] // (MOST_FITS + 1)
    yield from np.split(rows, first[group_starts(batch)][1:])


class _Heights:
    """Loss and loglik of some fits (rows, by cell) at each point of the grids, last values kept."""

    def __init__(self, rows: np.ndarray, grids: dict[str, np.ndarray]) -> None:
        self.rows = rows
        self.drawn = np.zeros(len(rows), dtype=bool)
        self.loss = {axis: np.full((len(rows), len(grid)), np.inf) for axis, grid in grids.items()}
        self.loglik = np.full((len(rows), len(grids["iteration"])), np.nan)


def _heights(
    results: Results,
    outcomes: Outcomes,
    tolerance: float,
    blocks: list[_Block],
    rows: np.ndarray,
    grids: dict[str, np.ndarray],
) -> _Heights:
    heights = _Heights(rows, grids)
    place = np.full(len(results.fits), -1)
    place[rows] = np.arange(len(rows))
    for block in blocks:
        panel = _Panel(results, outcomes, tolerance, block)
        wanted = np.flatnonzero((panel.rows >= 0) & (place[panel.rows] >= 0))
        at = place[panel.rows[wanted]]
        heights.drawn[at] = True
        for axis, grid in grids.items():
            where = panel.reached(axis, grid)[wanted]
            heights.loss[axis][at] = panel.loss[where]
            if axis == "iteration":
                heights.loglik[at] = panel.loglik[where]
    return heights


class _Panel:
    """Curves of one block, as runs of points; `rows` has the fit of each run, -1 if unknown.

    `loss` and `loglik` have one more value, that before a curve begins.
    """

    def __init__(
        self, results: Results, outcomes: Outcomes, tolerance: float, block: _Block
    ) -> None:
        curves = read_table(block.path, COLUMNS_READ, repeating=["fit_id"]).unify_dictionaries()
        name = curves["fit_id"].combine_chunks()
        code = name.indices.to_numpy()
        first = group_starts(code)
        last = np.r_[first[1:], len(code)] - 1
        self._run = np.repeat(np.arange(len(first)), last - first + 1)
        self._axes = {axis: curves[axis].to_numpy() for axis in AXES}
        mine = results.fits.iloc[block.first : block.last]
        rows = pd.Index(mine["fit_id"]).get_indexer(name.dictionary.to_pandas())[code[first]]
        self.rows = np.where(rows >= 0, rows + block.first, -1)
        loglik = curves["loglik"].to_numpy()
        penalized = len(mine) and mine["model"].iat[0] in results.penalized
        height = curves["objective"].to_numpy() if penalized else loglik
        with np.errstate(invalid="ignore"):
            loss = outcomes.reference[self.rows][self._run] - height
            loss = np.where(np.isnan(loss) | (loss < -tolerance), np.inf, np.maximum(loss, 0))
        loss[last[~np.isfinite(outcomes.loss[self.rows])]] = np.inf
        self.loss, self.loglik = np.r_[loss, np.inf], np.r_[loglik, np.nan]

    def reached(self, axis: str, grid: np.ndarray) -> np.ndarray:
        """For each run the last point up to each of the grid's: (runs, points), -1 before any."""
        runs = int(self._run[-1]) + 1 if len(self._run) else 0
        last = np.full((runs, len(grid) + 1), -1, dtype=np.int32)
        last[self._run, np.searchsorted(grid, self._axes[axis])] = np.arange(len(self._run))
        return np.maximum.accumulate(last, axis=1)[:, :-1]


def _summaries(
    results: Results, heights: _Heights, axis: str, grid: np.ndarray
) -> list[pd.DataFrame]:
    cell = results.fits["cell"].to_numpy()[heights.rows]
    first = group_starts(cell)
    parts = []
    for begin, end in zip(first, np.r_[first[1:], len(cell)], strict=True):
        q25, median, q75 = quantile(heights.loss[axis][begin:end], [0.25, 0.5, 0.75], axis=0)
        part = {"cell_id": results.plan["cell_id"].iat[cell[begin]], axis: grid}
        part |= {"loss_median": median, "loss_q25": q25, "loss_q75": q75}
        if axis == "iteration":
            loglik = heights.loglik[begin:end][heights.drawn[begin:end]]
            part["iteration"] = grid.astype(np.int32)
            part["loglik_median"] = quantile(loglik, 0.5, axis=0) if len(loglik) else np.nan
        parts.append(pd.DataFrame(part))
    return parts
