"""The picture of one climb, for ``emlib replay --plot``: what was still to gain, on a log axis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import altair as alt
import numpy as np
import pandas as pd
import vl_convert

from emlib.errors import EmlibError
from emlib.report.figures import to_svg
from emlib.report.theme import COLOURS, finish
from emlib.study.atomic import write_bytes, write_text
from emlib.study.optima import APART

FORMATS = ("svg", "pdf", "png", "html")
FLOOR = 1e-6
"""Nats: what a polish may leave. Less is not shown."""

OWN, BEST = "below its own optimum, polished", "below the reference optimum"
AXES = {"iteration": "iteration", "e_steps": "E-step equivalents, init included"}


def check_format(path: Path) -> str:
    """The format that a file's suffix names.

    Raises
    ------
    EmlibError
        If it is none that can be written.
    """
    suffix = Path(path).suffix.removeprefix(".").lower()
    if suffix not in FORMATS:
        allowed = ", ".join(f".{name}" for name in FORMATS)
        raise EmlibError(f"--plot {path}: the suffix {suffix!r} is not one of {allowed}")
    return suffix


def write_climb(
    path: Path, row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], reference: float
) -> None:
    """Draw a climb and write it, in the format that the suffix names.

    Parameters
    ----------
    path : Path
        ``.svg``, ``.pdf``, ``.png`` or ``.html``.
    row : mapping
        Of ``fits``.
    curve : sequence of mapping
        Its rows of ``curves``.
    reference : float
        The reference optimum of its data set; NaN if there is none.

    Raises
    ------
    EmlibError
        If the suffix is another, or the fit never climbed.
    """
    kind = check_format(path)
    if not curve:
        raise EmlibError(f"--plot {path}: the fit never climbed ({row['status']})")
    svg = to_svg(climb_chart(row, curve, reference))
    if kind == "svg":
        write_text(path, svg)
    elif kind == "html":
        title = escape(f"fit {row['fit_id']}")
        write_text(path, f"<!doctype html><meta charset=utf-8><title>{title}</title>\n{svg}\n")
    else:
        convert = {"pdf": vl_convert.svg_to_pdf, "png": vl_convert.svg_to_png}[kind]
        write_bytes(path, convert(svg, **({"scale": 2} if kind == "png" else {})))


def climb_chart(
    row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], reference: float
) -> Any:
    """Nats below its own optimum and below the reference, by iteration and by E-steps."""
    data = gaps(row, curve, reference)
    shown = [name for name in (OWN, BEST) if (data["line"] == name).any()]
    scale = alt.Scale(domain=shown, range=COLOURS[: len(shown)])
    legend = alt.Legend(title=None, orient="top", symbolType="stroke", symbolStrokeWidth=3)
    low = max(FLOOR, 10.0 ** np.floor(np.log10(float(data["nats"].min()))))
    high = 10.0 ** np.ceil(np.log10(max(float(data["nats"].max()), 10 * FLOOR)) + 0.05)
    y = alt.Y(
        "nats:Q",
        scale=alt.Scale(type="log", domain=[low, high], nice=False, clamp=True),
        axis=alt.Axis(title="nats still to gain", values=_decades(low, high), labelExpr=_LABELS),
    )
    colour = alt.Color("line:N", scale=scale, legend=legend)
    panels = []
    for axis, title in AXES.items():
        x = alt.X(
            f"{axis}:Q",
            scale=alt.Scale(type="symlog", constant=1, nice=False),
            axis=alt.Axis(title=title, values=[0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000],
                          labelOverlap=True, format="d"),
        )  # fmt: skip
        base = alt.Chart(data).encode(x=x, y=y, color=colour)
        line = base.mark_line(strokeWidth=2, clip=True)
        stop = base.transform_filter("datum.last").mark_point(
            size=90, filled=True, opacity=1, clip=False
        )
        panels.append(alt.layer(line, stop).properties(width=380, height=280))
    chart = alt.hconcat(*panels, spacing=28).properties(title=_title(row, reference))
    return finish(chart)


_LABELS = f"(datum.value <= {FLOOR * 1.01} ? '≤' : '') + format(datum.value, '~g')"


def _decades(low: float, high: float) -> list[float]:
    first, last = round(np.log10(low)), round(np.log10(high))
    return [float(f"1e{k}") for k in range(first, last + 1, 1 if last - first <= 8 else 2)]


def gaps(
    row: Mapping[str, Any], curve: Sequence[Mapping[str, Any]], reference: float
) -> pd.DataFrame:
    """Points of the picture: `iteration`, `e_steps`, `nats` below the top of `line`, `last`."""
    names = ("iteration", "e_steps", "objective")
    points = pd.DataFrame({name: [point[name] for point in curve] for name in names})
    points["last"] = points["iteration"] == points["iteration"].max()
    polished = float(row["loglik_polished"])
    tops = {OWN: polished, BEST: reference if reference > polished + APART else np.nan}
    parts = [
        points.assign(line=name, nats=np.maximum(top - points["objective"], FLOOR))
        for name, top in tops.items()
        if np.isfinite(top)
    ]
    if not parts:  # a degenerate end has no optimum: below the highest point of the climb
        top = float(points["objective"].max())
        parts = [points.assign(line=OWN, nats=np.maximum(top - points["objective"], FLOOR))]
    return pd.concat(parts, ignore_index=True).drop(columns="objective")


def _title(row: Mapping[str, Any], reference: float) -> Any:
    where = [row[name] for name in ("dataset", "missingness", "model", "init", "algorithm")]
    below = reference - float(row["loglik_polished"])
    place = f"{below:.3g} nats below" if below > APART else "at"
    ended = f"{row['status']} after {row['n_iter']} iterations (dot)"
    if np.isfinite(below):
        ended += f"; its optimum is {place} the reference"
    flags = f"; flags: {row['flags'].replace(',', ', ')}" if row["flags"] else ""
    return alt.TitleParams(
        ", ".join(where) + f", replicate {row['replicate']}, start {row['start']}",
        subtitle=ended + flags,
        anchor="start", fontSize=14, subtitleFontSize=12,
    )  # fmt: skip
