"""The report as one HTML page: tables and figures in, text out. Everything is escaped."""

from __future__ import annotations

from typing import Any

import jinja2
import pandas as pd
from markupsafe import Markup

from emlib.report import format as fmt
from emlib.report import views, views_optima
from emlib.report.ademp import ademp
from emlib.report.budgets import BUDGETS
from emlib.report.cells import STATUSES, budget_of
from emlib.report.headline import headline
from emlib.report.load import rows_of
from emlib.report.pictures import Pictures
from emlib.report.provenance import provenance, study_text
from emlib.report.rings import ring_rows
from emlib.report.theme import Look
from emlib.report.video_figures import animations
from emlib.study.grid import EARLIER_PLAN, is_generated
from emlib.study.paths import BLOCK_KINDS

Tables = dict[str, pd.DataFrame]
MISSING_SHOWN = 40
SECTIONS = [
    ("answer", "Answer"),
    ("design", "Design"),
    ("coverage", "Coverage"),
    ("images", "Images"),
    ("hits", "Hit probability"),
    ("profiles", "Data profiles"),
    ("convergence", "Convergence"),
    ("losses", "Loss distribution"),
    ("rates", "Estimation"),
    ("optima", "Optima"),
    ("cost", "Cost"),
    ("statuses", "Statuses"),
    ("sensitivity", "Sensitivity"),
    ("provenance", "Provenance"),
]


def page(
    study: dict[str, Any],
    tables: Tables,
    figures: dict[str, str],
    pictures: Pictures | None = None,
) -> str:
    """The whole report.

    Parameters
    ----------
    study : dict
        The resolved study.
    tables : dict of DataFrame
        By name, as in ``schemas.TABLES``.
    figures : dict of str
        Inline SVG by figure name; empty where there is nothing to draw.
    pictures : Pictures, optional
        Of a study of images.
    """
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("emlib.report"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {"count": fmt.count, "listed": fmt.listed, "whole": fmt.whole}
    safe = {name: Markup(svg) for name, svg in figures.items()}  # drawn here, escaped by vega
    template = environment.get_template("report.html")
    sections = [one for one in SECTIONS if one[0] != "images" or pictures is not None]
    look = Look.of(study, tables["cells"])
    videos = [] if pictures is None else animations(pictures, tables["cells"], look)
    return template.render(
        context(study, tables), figures=safe, sections=sections, images=pictures, videos=videos
    )


def context(study: dict[str, Any], tables: Tables) -> dict[str, Any]:
    """What the template shows."""
    cells = tables["cells"]
    look = Look.of(study, cells)
    status_columns, status_rows = views.status_rows(cells, look)
    variants, detail = views.sensitivity_detail(tables, look)
    budget = budget_of(study)
    return {
        "study": study,
        "headline": headline(study, tables),
        "ademp": ademp(study, cells),
        "coverage": coverage(tables["coverage"], cells),
        "budget": fmt.given(budget) if budget < float("inf") else None,
        "tolerance": fmt.given(float(study["hit_tolerance"])),
        "baseline": study["baseline"],
        "look": look,
        "real": [n for n, spec in study["datasets"].items() if not is_generated(spec)],
        "conditional": sorted(set(cells.loc[cells["conditional"], "dataset"])),
        "results": views.result_groups(tables, look),
        "estimation": views.estimation_groups(tables, look),
        "errors": [views.NAMES[n] for n in views.correlated(tables["correlations"])],
        "correlations": views.correlation_rows(tables, look),
        "optima": views_optima.summary_rows(tables, look),
        "optima_groups": views_optima.detail_groups(tables, look),
        "optima_inits": look.inits,
        "uncertain": views_optima.uncertain(tables),
        "rings": ring_rows(views.by_setting(tables["rings"], cells, look)),
        "costs": views_optima.cost_groups(tables, look),
        "budget_columns": [fmt.given(budget) for budget in BUDGETS],
        "status_columns": status_columns,
        "status_rows": status_rows,
        "raised": views.raised_rows(tables["references"]),
        "searches": len(tables["references"]),
        "worst": views.worst_rows(tables["worst"]),
        "sensitivity": views.sensitivity_rows(tables["sensitivity_summary"]),
        "variants": variants,
        "detail": detail,
        "half_width": f"{100 * half_width(tables['profiles']):.0f} points",
        "provenance": provenance(study, tables["machines"]),
        "study_text": study_text(study),
    }


def _lack(missing: str) -> str:
    if missing.count(",") == len(BLOCK_KINDS) - 1:
        return "no file yet"
    return missing if missing in ("", "damaged", EARLIER_PLAN) else f"lacks {missing}"


def half_width(profiles: pd.DataFrame) -> float:
    """Largest half width of the intervals around a data profile."""
    return float(((profiles["high"] - profiles["low"]) / 2).max()) if len(profiles) else 0.0


def coverage(blocks: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    """Fits planned and done, by status; and the blocks that are missing, named."""
    lacking = blocks[(blocks["missing"] != "") | (blocks["found"] != blocks["planned"])]
    names = [
        {
            "name": f"{row.dataset}/{row.missingness}/{row.model}/{row.block:04d}",
            "log": f"logs/block/{row.dataset}/{row.missingness}/{row.model}/{row.block:04d}.log",
            "replicates": f"{row.first}–{row.last - 1}",
            "fits": int(row.planned - row.found),
            "what": _lack(row.missing),
        }
        for row in rows_of(lacking.head(MISSING_SHOWN))
    ]
    status = {name: int(cells[f"status_{name}"].sum()) for name in STATUSES}
    return {
        "planned": int(blocks["planned"].sum()),
        "found": int(blocks["found"].sum()),
        "blocks": len(blocks),
        "blocks_found": len(blocks) - len(lacking),
        "cells": len(cells),
        "missing": names,
        "more": max(len(lacking) - MISSING_SHOWN, 0),
        "lacking": len(lacking),
        "status": {name: number for name, number in status.items() if number},
    }
