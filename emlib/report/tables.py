"""Numbers of the report: block files in, ``tables/*.parquet`` and ``*.csv`` out."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from emlib.report.budgets import budget_table
from emlib.report.cells import budget_of, cell_table, replicate_table
from emlib.report.contrasts import difference_table
from emlib.report.convergence import convergence_tables
from emlib.report.csvtext import csv_bytes
from emlib.report.estimation import correlation_table, estimation_table
from emlib.report.load import Results, load_results
from emlib.report.optima import basin_table, find_optima, with_verdicts
from emlib.report.outcomes import Outcomes, judge
from emlib.report.pictures import has_images, write_pictures
from emlib.report.profiles import loss_table, profile_table
from emlib.report.rings import ring_table
from emlib.report.schemas import TABLES
from emlib.report.sensitivity import sensitivity_summary, sensitivity_table
from emlib.report.statistics import Bootstrap
from emlib.study import files, identity
from emlib.study.atomic import write_bytes
from emlib.study.paths import StudyPaths

WORST_FITS = 10
WORST_FIRST = ("failed", "lost", "decreased", "timeout", "invalid", "degenerate")
NO_CSV = ("hits",)


def build_tables(study_dir: Path) -> dict[str, pd.DataFrame]:
    """Compute and write every table of a study, from the blocks that are there.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.

    Returns
    -------
    dict of DataFrame
        By name, as in ``schemas.TABLES``; ``tables/<name>.parquet`` holds the same, and
        ``tables/<name>.csv`` all but `hits`, which is one row a fit; where models make images,
        ``tables/pictures.npz`` has them.

    Raises
    ------
    StoreError
        If the study was never planned, or its fits are not the plan's.
    """
    results = load_results(Path(study_dir))
    tables = compute_tables(results)
    for name, frame in tables.items():
        write(results.paths.tables, name, frame)
    if has_images(results.study):
        write_pictures(results, tables)
    return tables


def compute_tables(results: Results) -> dict[str, pd.DataFrame]:
    """Every table, by name; see ``schemas.TABLES``."""
    study, plan = results.study, results.plan
    tolerance = float(study["hit_tolerance"])
    bootstrap = Bootstrap(functools.partial(identity.rng, study["seed"], "report"))
    outcomes = judge(results.fits, results.references, tolerance)
    optima = find_optima(results, outcomes)
    results = with_verdicts(results, optima)
    replicates = replicate_table(results, outcomes)
    cells = cell_table(results, outcomes, replicates, bootstrap)
    by_iteration, by_e_steps = convergence_tables(results, outcomes, tolerance)
    sensitivity = sensitivity_table(results, bootstrap)
    best = replicates["best"].to_numpy()
    best_fit = results.fits["fit_id"].iloc[best].astype(object).to_numpy()
    return {
        "cells": cells,
        "differences": difference_table(results, replicates, budget_of(study), bootstrap),
        "profiles": profile_table(results, replicates),
        "curves": by_iteration,
        "curves_e_steps": by_e_steps,
        "losses": loss_table(results, outcomes),
        "estimation": estimation_table(results, replicates),
        "correlations": correlation_table(results, outcomes, tolerance),
        "sensitivity": sensitivity,
        "sensitivity_summary": sensitivity_summary(sensitivity, cells),
        "references": outcomes.references,
        "optima": optima.table,
        "basins": basin_table(results, optima),
        "budgets": budget_table(results, replicates),
        "worst": worst_table(results.fits, outcomes),
        "coverage": results.coverage,
        "machines": machine_table(results.fits),
        "replicates": replicates.assign(
            cell_id=plan["cell_id"].to_numpy()[replicates["cell"]], best_fit=best_fit
        ),
        "hits": hit_table(results.fits, outcomes, best),
        "rings": ring_table(results, replicates),
    }


def hit_table(fits: pd.DataFrame, outcomes: Outcomes, best: np.ndarray) -> pd.DataFrame:
    """One row a fit: its reference, its loss, and whether it is the best start of its replicate."""
    chosen = np.zeros(len(fits), dtype=bool)
    chosen[best] = True
    return fits[["fit_id", "cell_id", "replicate", "start"]].assign(
        reference=outcomes.reference,
        loss=outcomes.loss,
        hit=outcomes.hit,
        spurious_above=outcomes.above,
        best_of_replicate=chosen,
    )


def worst_table(fits: pd.DataFrame, outcomes: Outcomes) -> pd.DataFrame:
    """The worst fits: errors first, then by loss; one of each init and status, then others."""
    order = {name: rank for rank, name in enumerate(WORST_FIRST)}
    status, init = fits["status"].astype("category").cat, fits["init"].astype("category").cat
    rank = np.array([order.get(str(name), len(order)) for name in status.categories], dtype=int)
    missed = np.flatnonzero(~outcomes.hit)
    cell, loss = fits["cell"].to_numpy()[missed], outcomes.loss[missed]
    number = [fits[name].to_numpy()[missed] for name in ("start", "replicate")]
    worst = missed[np.lexsort((*number, cell, -loss, rank[status.codes.to_numpy()[missed]]))]
    kinds = _first_of(worst, init.codes.to_numpy() * len(rank) + status.codes.to_numpy())
    others = worst[~np.isin(worst, kinds)]
    others = _first_of(others, fits["cell"].to_numpy())
    chosen = worst[np.isin(worst, np.r_[kinds, others][:WORST_FITS])]
    shown = fits.iloc[chosen].assign(
        loss=outcomes.loss[chosen], reference=outcomes.reference[chosen]
    )
    return shown[TABLES["worst"].names]


def _first_of(rows: np.ndarray, kind: np.ndarray) -> np.ndarray:
    """The first row of each kind, in the order of the rows."""
    return rows[np.sort(np.unique(kind[rows], return_index=True)[1])]


def machine_table(fits: pd.DataFrame) -> pd.DataFrame:
    """What each processor type did, and when."""
    grouped = fits.groupby("processor", observed=True)
    table = grouped[["seconds_init", "seconds_climb", "seconds_polish"]].sum()
    table["fits"] = grouped.size()
    table["started"], table["ended"] = grouped["started"].min(), grouped["ended"].max()
    return table.reset_index()


def write(folder: Path, name: str, frame: pd.DataFrame) -> None:
    """Write one table as parquet, and as CSV with twelve significant digits."""
    schema = TABLES[name]
    columns = [to_arrow(frame[field.name], field.type) for field in schema]
    table = pa.Table.from_arrays(columns, schema=schema)
    files.write_table(folder / f"{name}.parquet", table, schema)
    if name not in NO_CSV:
        write_bytes(folder / f"{name}.csv", csv_bytes(frame[schema.names]))


def to_arrow(values: pd.Series, kind: pa.DataType) -> pa.Array:
    """A column in its schema's type; NaN stays NaN."""
    if not pa.types.is_string(kind):
        return pa.array(values.to_numpy(kind.to_pandas_dtype()), kind, from_pandas=False)
    texts = pa.array(values)
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    if pa.types.is_dictionary(texts.type):
        texts = texts.dictionary.cast(kind).take(texts.indices)
    return pc.fill_null(texts.cast(kind), "")


def read(study_dir: Path, name: str) -> pd.DataFrame:
    """One table of the report as it was written."""
    return files.read_table(StudyPaths(Path(study_dir)).tables / f"{name}.parquet").to_pandas()
