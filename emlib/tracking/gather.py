"""A study's finished files -> what MLflow will show: a record for each cell and for chosen fits."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emlib.errors import StoreError
from emlib.study import files
from emlib.study.grid import load_study, planned_blocks
from emlib.study.measures import MEASURES
from emlib.study.paths import StudyPaths
from emlib.tracking.curves import hold, shared_grid, thin
from emlib.tracking.records import RunRecord

PARAMS = ("dataset", "missingness", "mechanism", "rate", "model", "init", "algorithm")
COMPARED = ["dataset", "missingness", "model"]
CELL_CURVES = ("loss_median", "loss_q25", "loss_q75", "loglik_median")
TABLES = ("cells", "estimation", "curves", "hits")
PRIMARY = ("hit_rate", "hit_low", "hit_high", "loss_median", "loglik_median", "ert")
FIT_POINTS = 100
FIT_METRICS = (
    "loglik_polished",
    "loss",
    "hit",
    "n_iter",
    "e_steps",
    "seconds",
    "bic",
    *MEASURES,
)


@dataclass(frozen=True)
class StudyFiles:
    """What the mirror reads of a study.

    Attributes
    ----------
    study : dict
        The resolved study.
    cells, cell_curves : DataFrame
        The report's tables: a row a cell, a row an iteration of a cell's median curves.
    fits : DataFrame
        A row a fit, its loss, hit and measured seconds joined.
    curves : DataFrame
        A row an iteration of each fit that gets a run of its own.
    written : float
        Seconds since 1970 at which the study was planned: the time of what has no time of its own.
    """

    study: dict[str, Any]
    cells: pd.DataFrame
    cell_curves: pd.DataFrame
    fits: pd.DataFrame
    curves: pd.DataFrame
    written: float


def read_study(study_dir: Path) -> StudyFiles:
    """Read the finished files of a study: its tables, and the blocks that are there.

    Raises
    ------
    StoreError
        If the study has not been planned, its tables have not been made, or a file is damaged.
    """
    paths = StudyPaths(study_dir)
    tables = [paths.tables / f"{name}.parquet" for name in TABLES]
    for path in (paths.study, *tables):
        if not path.is_file():
            raise StoreError(f"{path}: no such file; a study is mirrored once its tables are made")
    cells, estimation, cell_curves, hits = (files.read_table(path).to_pandas() for path in tables)
    cells = cells.merge(estimation[["cell_id", *MEASURES]], on="cell_id", how="left")
    study = load_study(paths.root)
    fits = _fits(paths, hits)
    chosen = _chosen(fits, study["tracking"]["runs"])
    return StudyFiles(
        study=study,
        cells=cells,
        cell_curves=cell_curves,
        fits=fits.assign(run=chosen),
        curves=_curves(paths, set(fits.loc[chosen, "fit_id"])),
        written=paths.study.stat().st_mtime,
    )


def _block_files(paths: StudyPaths, kind: str) -> Iterator[Path]:
    """The files of one kind that the plan names and that are there."""
    for block in planned_blocks(paths.root):
        path = paths.block(kind, block.dataset, block.missingness, block.model, block.block)
        if path.is_file():
            yield path


def _fits(paths: StudyPaths, hits: pd.DataFrame) -> pd.DataFrame:
    fits = files.read_tables(_block_files(paths, "fits"), "fits").to_pandas()
    seconds = files.read_tables(_block_files(paths, "timings"), "timings").to_pandas()
    seconds["seconds"] = seconds["seconds_init"] + seconds["seconds_climb"]
    fits["e_steps"] = fits["e_steps_init"] + fits["e_steps_climb"]
    return fits.merge(hits[["fit_id", "loss", "hit", "best_of_replicate"]], on="fit_id").merge(
        seconds[["fit_id", "seconds", "started", "ended"]], on="fit_id", how="left"
    )


def _chosen(fits: pd.DataFrame, runs: str) -> pd.Series:
    """Which fits get a run of their own."""
    if runs == "best":
        return fits["best_of_replicate"].astype(bool)
    return pd.Series(runs == "all", index=fits.index)


def _curves(paths: StudyPaths, fit_ids: set[str]) -> pd.DataFrame:
    columns = ["fit_id", "iteration", "loglik", "objective"]
    curves = files.read_tables(_block_files(paths, "curves"), "curves", columns).to_pandas()
    return curves[curves["fit_id"].isin(fit_ids)]


def records(source: StudyFiles) -> list[RunRecord]:
    """A record for each cell, each followed by those of its fits that get a run."""
    curves = _shared_curves(source)
    fits_of = dict(tuple(source.fits.groupby("cell_id")))
    fit_curves = dict(tuple(source.curves.groupby("fit_id")))
    found = []
    for cell in _rows(source.cells):
        fits = fits_of.get(cell["cell_id"], source.fits.iloc[:0])
        found.append(_cell_record(source, cell, fits, curves.get(cell["cell_id"])))
        for fit in _rows(fits[fits["run"]]):
            found.append(_fit_record(source, fit, fit_curves.get(fit["fit_id"])))
    return found


def _shared_curves(source: StudyFiles) -> dict[str, dict[str, np.ndarray]]:
    """Median curves by cell, on one grid for the cells that are compared with each other."""
    curve_of = dict(tuple(source.cell_curves.sort_values("iteration").groupby("cell_id")))
    shared = {}
    for _, group in source.cells.groupby(COMPARED):
        curves = {cell: curve_of[cell] for cell in group["cell_id"] if cell in curve_of}
        steps = {cell: curve["iteration"].to_numpy() for cell, curve in curves.items()}
        grid = shared_grid(list(steps.values()))
        for cell, curve in curves.items():
            shared[cell] = {"iteration": grid} | {
                name: hold(grid, steps[cell], curve[name].to_numpy()) for name in CELL_CURVES
            }
    return shared


def _cell_record(
    source: StudyFiles,
    cell: dict[str, Any],
    fits: pd.DataFrame,
    curves: dict[str, np.ndarray] | None,
) -> RunRecord:
    study = source.study
    record = RunRecord(
        kind="cell",
        identity=cell["cell_id"],
        parent=None,
        name="{init} on {dataset} {missingness} ({model}, {algorithm})".format_map(cell),
        start=_milliseconds(fits["started"].min(), source.written),
        end=_milliseconds(fits["ended"].max(), source.written),
    )
    for name in PARAMS:
        record.param(name, cell[name])
    for axis in ("dataset", "missingness", "model"):
        settings = study[axis if axis == "missingness" else f"{axis}s"][cell[axis]]
        record.param(axis, {key: value for key, value in settings.items() if key not in PARAMS})
    for axis in ("init", "algorithm"):
        settings = study[f"{axis}s"][cell[axis]]
        record.param(f"{axis}.settings", _call(settings[axis], settings["settings"]))
    for name in ("seed", "stopping", "budget"):
        record.param(name, study[name])
    for name in sorted(cell, key=_rank):
        if isinstance(cell[name], bool):
            record.tag(name, cell[name])
        elif isinstance(cell[name], (int, float)) and name not in PARAMS:
            curve = name.startswith(("loglik_", "loss_"))
            record.metric(f"final_{name}" if curve else name, cell[name])
    if curves is not None:
        for name in CELL_CURVES:
            record.curve(name, curves["iteration"], curves[name])
    return record


def _rank(column: str) -> int:
    """MLflow's compare view opens with the metric that was logged first: the primary estimate."""
    return PRIMARY.index(column) if column in PRIMARY else len(PRIMARY)


def _call(name: str, settings: dict[str, Any]) -> str:
    """One parameter for what only some strategies have, so that any two of them compare."""
    values = ", ".join(f"{key}={value}" for key, value in settings.items())
    return f"{name}({values})"


def _fit_record(source: StudyFiles, fit: dict[str, Any], curve: pd.DataFrame | None) -> RunRecord:
    record = RunRecord(
        kind="fit",
        identity=fit["fit_id"],
        parent=fit["cell_id"],
        name=f"{fit['init']} replicate {fit['replicate']} start {fit['start']}",
        start=_milliseconds(fit["started"], source.written),
        end=_milliseconds(fit["ended"], source.written),
    )
    for name in ("status", "flags", "message"):
        record.tag(name, fit[name])
    record.tag("oracle", bool(fit["oracle"]))
    record.tag("replay", f"emlib replay {fit['fit_id']}")
    for name in (*PARAMS, "replicate", "start"):
        record.param(name, fit[name])
    for name in FIT_METRICS:
        record.metric(name, fit[name])
    if curve is None or curve.empty:
        record.metric("loglik", fit["loglik"], max(fit["n_iter"], 0))
        return record
    points = curve.iloc[thin(curve["iteration"].to_numpy(), FIT_POINTS)]
    record.curve("loglik", points["iteration"], points["loglik"])
    if not points["objective"].equals(points["loglik"]):
        record.curve("objective", points["iteration"], points["objective"])
    return record


def _rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as mappings of plain Python values."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _milliseconds(seconds: float, otherwise: float) -> int:
    return round(1000 * float(seconds if np.isfinite(seconds) else otherwise))
