"""Every figure of the report, by name: drawn, then written as SVG and PDF.

The names are also those of the captions of ``snakemake --report`` (rules/captions).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import pandas as pd
import vl_convert

from emlib.report import charts, charts_loss
from emlib.report.theme import Look, finish
from emlib.study.atomic import write_bytes, write_text

FIGURES: dict[str, Callable[..., Any]] = {
    "hit_probability": charts.hit_probability,
    "differences": charts.differences,
    "data_profile": charts.data_profile,
    "data_profile_seconds": charts.data_profile_seconds,
    "convergence": charts_loss.convergence,
    "convergence_e_steps": charts_loss.convergence_e_steps,
    "loss_distribution": charts_loss.loss_distribution,
    "missing_rate": charts_loss.missing_rate,
    "statuses": charts.statuses,
}
NOTHING = "nothing to draw yet"


def draw_figures(
    tables: dict[str, pd.DataFrame], study: dict[str, Any], folder: Path
) -> dict[str, str]:
    """Draw and write all figures.

    Parameters
    ----------
    tables : dict of DataFrame
        The report's tables by name.
    study : dict
        The resolved study.
    folder : Path
        Gets ``<name>.svg`` and ``<name>.pdf``.

    Returns
    -------
    dict of str
        SVG text by name, ready to stand in one HTML page beside the others; empty where the
        study has nothing for the figure (its files then say so).
    """
    alt.data_transformers.disable_max_rows()
    look = Look.of(study, tables["cells"])
    inline = {}
    for name, draw in FIGURES.items():
        chart = draw(tables, look, study)
        svg = to_svg(chart if chart is not None else placeholder())
        write_text(folder / f"{name}.svg", svg)
        write_bytes(folder / f"{name}.pdf", vl_convert.svg_to_pdf(svg))
        inline[name] = scoped(svg, name) if chart is not None else ""
    return inline


def placeholder() -> Any:
    """A figure that says that there is nothing to draw."""
    text = alt.Chart(pd.DataFrame({"text": [NOTHING]})).mark_text(fontSize=14, color="#666")
    return finish(alt.layer(text.encode(text="text:N")).properties(width=400, height=60))


def to_svg(chart: Any) -> str:
    """A chart as SVG text; held to the schema of charts by tests only, which takes seconds."""
    version = ".".join(alt.SCHEMA_VERSION.split(".")[:2])
    return vl_convert.vegalite_to_svg(chart.to_dict(validate=False), vl_version=version)


def scoped(svg: str, name: str) -> str:
    """SVG whose ids are its own: figures of one page would clip each other otherwise."""
    svg = re.sub(r'id="([^"]+)"', rf'id="{name}-\1"', svg)
    return re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", svg)
