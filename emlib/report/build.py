"""``emlib report``: tables to ``report.html`` and figures; ``complete.json`` if all is there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
from pyarrow.parquet import read_schema

from emlib.errors import StoreError
from emlib.report.figures import draw_figures
from emlib.report.load import block_path, rows_of
from emlib.report.pages import page
from emlib.report.picture_figures import draw_pictures
from emlib.report.pictures import has_images, read_pictures
from emlib.report.schemas import TABLES
from emlib.report.tables import build_tables, read
from emlib.report.theme import Look
from emlib.study import files, grid
from emlib.study.atomic import write_json, write_text
from emlib.study.paths import BLOCK_KINDS, StudyPaths

NOT_SHOWN = ("hits", "replicates")


def build_report(study_dir: Path, partial: bool = False) -> Path:
    """Write the report of a study from its tables, which are computed first if they are behind.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.
    partial : bool
        Report what there is, and say in the report what is missing. ``complete.json`` is then
        never written.

    Returns
    -------
    Path
        ``report.html``.

    Raises
    ------
    StoreError
        If the study was never planned; or, unless `partial`, if blocks are missing: the report of
        what there is has then been written all the same, but not ``complete.json``.
    """
    paths = StudyPaths(Path(study_dir))
    if partial:
        paths.complete.unlink(missing_ok=True)
    if partial or not tables_are_current(paths):
        build_tables(paths.root)
    study = grid.load_study(paths.root)
    tables = {name: read(paths.root, name) for name in TABLES if name not in NOT_SHOWN}
    figures = draw_figures(tables, study, paths.figures)
    pictures = read_pictures(paths.pictures) if has_images(study) else None
    if pictures is not None:
        look = Look.of(study, tables["cells"])
        figures |= draw_pictures(pictures, tables["cells"], look, paths.figures)
    write_text(paths.report, page(study, tables, figures, pictures))
    blocks = tables["coverage"]
    lacking = blocks[(blocks["missing"] != "") | (blocks["found"] != blocks["planned"])]
    if partial:
        return paths.report
    if len(lacking):
        paths.complete.unlink(missing_ok=True)
        raise StoreError(_incomplete(paths, lacking, len(blocks)))
    write_json(paths.complete, _counts(study, tables))
    return paths.report


def _counts(study: dict[str, Any], tables: dict[str, pd.DataFrame]) -> dict[str, Any]:
    return {
        "study": study["study"],
        "cells": len(tables["cells"]),
        "blocks": len(tables["coverage"]),
        "fits": int(tables["coverage"]["found"].sum()),
    }


def _incomplete(paths: StudyPaths, lacking: pd.DataFrame, blocks: int) -> str:
    first = lacking.iloc[0]
    where = f"{first.dataset}/{first.missingness}/{first.model}/{first.block:04d}"
    return (
        f"{paths.root}: {len(lacking)} of {blocks} blocks are missing, {where} the first; "
        f"{paths.report} shows what there is. Run the study again to complete it, or add "
        "--partial to accept it so"
    )


def tables_are_current(paths: StudyPaths) -> bool:
    """Whether every table is there, of this plan, and not older than what it was made from."""
    schemas = {paths.tables / f"{name}.parquet": schema for name, schema in TABLES.items()}
    tables = list(schemas)
    if not all(path.is_file() for path in tables) or not paths.plan.is_file():
        return False
    if any(read_schema(path).names != schema.names for path, schema in schemas.items()):
        return False
    plan = files.read_table(paths.plan, ["cell_id"])["cell_id"].to_pylist()
    if plan != read(paths.root, "cells")["cell_id"].tolist():
        return False
    made = min(path.stat().st_mtime_ns for path in tables)
    if has_images(grid.load_study(paths.root)) and not paths.pictures.is_file():
        return False
    if paths.study.stat().st_mtime_ns > made:
        return False
    coverage = read(paths.root, "coverage")
    planned = grid.planned_blocks(paths.root)
    if len(coverage) != len(planned):
        return False
    for row in rows_of(coverage):
        sources = [block_path(paths, kind, row) for kind in BLOCK_KINDS]
        present = [path for path in sources if path.is_file()]
        if (len(present) == len(sources)) != (row.missing == ""):
            return False
        if any(path.stat().st_mtime_ns > made for path in present):
            return False
    return True
