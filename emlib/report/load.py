"""Reads a study's block files, columns at a time, and says which blocks are there.

A block counts only whole: if one of its six files is absent or damaged, or they are of an earlier
plan of the study, it is named and left out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from emlib.errors import StoreError
from emlib.study import checksums, files, grid
from emlib.study.measures import MEASURES
from emlib.study.paths import BLOCK_KINDS, StudyPaths

FIT_COLUMNS = [
    *("fit_id", "cell_id", "dataset", "missingness", "model", "init", "algorithm", "oracle"),
    *("replicate", "start", "data_id", "status", "flags", "message", "loglik"),
    "objective",
    *("loglik_polished", "status_polished", "e_steps_init", "e_steps_climb"),
    *("linear_rate", "eigenvalue_ratio", "smallest_component"),
    *MEASURES,
]
FIT_NAMES = [
    *("cell_id", "dataset", "missingness", "model", "init", "algorithm", "data_id"),
    *("status", "flags", "message", "status_polished"),
]
"""Columns of text that repeat few values."""
TIMING_COLUMNS = [
    *("fit_id", "seconds_init", "seconds_climb", "seconds_polish"),
    *("started", "ended", "processor"),
]
OWN = "fit_id"
OWN_OBJECTIVE = ("classification", "stochastic", "online")
"""Algorithms whose objective is not the penalized loglik of a model with a prior."""
SETTING = ["dataset", "missingness", "model", "algorithm"]


@dataclass(frozen=True)
class Results:
    """What a study holds so far.

    Attributes
    ----------
    study : dict
        The resolved study (``study.json``).
    plan : DataFrame
        One row a cell, in plan order.
    fits : DataFrame
        One row a fit, timings beside it, `cell` = row of the plan, `end` = the height that the
        climb itself reached: the loglik, plus the log prior where the model has one (NaN where an
        algorithm with another objective leaves that unknown).
    references : DataFrame
        One row a reference search.
    certificates : DataFrame
        One row a certified optimum.
    coverage : DataFrame
        One row a block: fits planned and found, and what is missing; its fits are `fits` in this
        order.
    """

    paths: StudyPaths
    study: dict[str, Any]
    plan: pd.DataFrame
    fits: pd.DataFrame
    references: pd.DataFrame
    certificates: pd.DataFrame
    coverage: pd.DataFrame

    @property
    def penalized(self) -> set[str]:
        """Models with a prior, whose optima are those of loglik plus log prior."""
        models = self.study["models"].items()
        return {name for name, spec in models if spec["settings"].get("prior") is not None}

    @cached_property
    def by_start(self) -> tuple[np.ndarray, np.ndarray]:
        """Fits by cell, replicate and start, as rows; and where each cell's replicate begins."""
        fits = self.fits
        cell, replicate = fits["cell"].to_numpy(), fits["replicate"].to_numpy()
        width = int(replicate.max(initial=0)) + 1
        order = np.lexsort((fits["start"].to_numpy(), cell.astype(np.int64) * width + replicate))
        return order, group_starts(cell[order].astype(np.int64) * width + replicate[order])


def rows_of(frame: pd.DataFrame) -> Iterator[Any]:
    """Rows as named tuples."""
    return frame.itertuples()


def block_path(paths: StudyPaths, kind: str, row: Any) -> Path:
    """One of a block's files; `row` has dataset, missingness, model and block."""
    return paths.block(kind, row.dataset, row.missingness, row.model, row.block)


def to_frame(table: pa.Table) -> pd.DataFrame:
    """Arrow to pandas, text as categories: a million rows repeat few names, but for their own."""
    arrays = [
        column.dictionary_encode() if pa.types.is_string(column.type) and name != OWN else column
        for name, column in zip(table.column_names, table.columns, strict=True)
    ]
    return pa.table(arrays, names=table.column_names).unify_dictionaries().to_pandas()


def load_results(study_dir: Path) -> Results:
    """Read everything but the curves of a study, complete or not.

    Raises
    ------
    StoreError
        If the study was never planned.
    """
    paths = StudyPaths(study_dir)
    if not paths.study.is_file() or not paths.plan.is_file():
        raise StoreError(f"{paths.root}: no study.json and plan.parquet; run `emlib plan` first")
    study = grid.load_study(paths.root)
    plan = files.read_table(paths.plan).to_pandas()
    starts = {
        group: int(number)
        for group, number in plan.groupby(SETTING[:3], sort=False)["starts"].sum().items()
    }
    digests = grid.planned_digests(paths.root)
    found = [
        _read_block(paths, block, starts, digests.get(block.key))
        for block in grid.planned_blocks(paths.root)
    ]
    coverage = pd.DataFrame([row for row, _ in found])
    fits = _stack(found, "fits", [*FIT_COLUMNS, *TIMING_COLUMNS[1:]])
    references = _stack(found, "references", files.SCHEMAS["references"].names)
    certificates = _stack(found, "certificates", files.SCHEMAS["certificates"].names)
    cell = pd.Index(plan["cell_id"]).get_indexer(pd.Index(fits["cell_id"].astype(str)))
    if (cell < 0).any():
        stray = sorted(set(fits["cell_id"].astype(str)[cell < 0]))
        raise StoreError(
            f"{paths.root}/fits: cells {', '.join(stray[:3])} are not in plan.parquet; run the "
            "study again so that files and plan agree"
        )
    results = Results(
        paths, study, plan, fits.assign(cell=cell), references, certificates, coverage
    )
    return replace(results, fits=results.fits.assign(end=_ends(results)))


def _ends(results: Results) -> np.ndarray:
    fits = results.fits
    algorithms = results.study["algorithms"].items()
    unlike = [name for name, spec in algorithms if spec["algorithm"] in OWN_OBJECTIVE]
    height = np.where(fits["algorithm"].isin(unlike), np.nan, fits["objective"])
    return np.where(fits["model"].isin(results.penalized), height, fits["loglik"])


Found = tuple[dict[str, Any], dict[str, pa.Table]]
"""A block's row of the coverage, and its tables; none where it is not whole."""


def _stack(found: list[Found], kind: str, columns: list[str]) -> pd.DataFrame:
    present = [tables[kind] for _, tables in found if kind in tables]
    if present:
        return to_frame(pa.concat_tables(present))
    kinds = {**{f.name: f.type for f in files.SCHEMAS["timings"]}}
    for name in ("fits", "references", "certificates"):
        kinds |= {field.name: field.type for field in files.SCHEMAS[name]}
    return to_frame(pa.schema([(name, kinds[name]) for name in columns]).empty_table())


def _read_block(
    paths: StudyPaths, block: grid.Block, starts: Mapping[Any, int], planned_as: str | None
) -> Found:
    group = (block.dataset, block.missingness, block.model)
    row: dict[str, Any] = {
        "dataset": block.dataset,
        "missingness": block.missingness,
        "model": block.model,
        "block": block.block,
        "first": block.first,
        "last": block.last,
        "planned": starts.get(group, 0) * (block.last - block.first),
        "found": 0,
        "missing": "",
    }
    path = {kind: paths.block(kind, *group, block.block) for kind in BLOCK_KINDS}
    absent = [kind for kind in BLOCK_KINDS if not path[kind].is_file()]
    if absent:
        return row | {"missing": ", ".join(absent)}, {}
    try:
        fits = files.read_table(path["fits"], FIT_COLUMNS, repeating=FIT_NAMES)
        timings = files.read_table(path["timings"], TIMING_COLUMNS, repeating=["processor"])
        tables = {kind: files.read_table(path[kind]) for kind in ("references", "certificates")}
        for later in ("curves", "params"):
            checksums.sound_bytes(path[later])
    except StoreError:
        return row | {"missing": "damaged"}, {}
    if planned_as is not None and files.planned_as(path["fits"]) != planned_as:
        return row | {"missing": grid.EARLIER_PLAN}, {}
    return row | {"found": len(fits)}, tables | {"fits": _beside(fits, timings)}


def _beside(fits: pa.Table, timings: pa.Table) -> pa.Table:
    """Fits with their timings: the same fits in the same order, or looked up by fit_id."""
    if not fits["fit_id"].equals(timings["fit_id"]):
        order = pd.Index(timings["fit_id"].to_pylist()).drop_duplicates()
        where = order.get_indexer(pd.Index(fits["fit_id"].to_pylist()))
        timings = timings.take(pa.array(where, mask=where < 0))
    for name in TIMING_COLUMNS[1:]:
        fits = fits.append_column(name, timings[name])
    return fits


def by_cell(frame: pd.DataFrame) -> Iterator[tuple[int, pd.DataFrame]]:
    """Rows of each cell, with the cell's row in the plan."""
    for cell, rows in frame.groupby("cell"):
        yield int(str(cell)), rows


def group_starts(sorted_codes: np.ndarray) -> np.ndarray:
    """Where each run of equal codes begins, for ``ufunc.reduceat``."""
    if len(sorted_codes) == 0:
        return np.empty(0, dtype=np.int64)
    return np.flatnonzero(np.r_[True, sorted_codes[1:] != sorted_codes[:-1]])
