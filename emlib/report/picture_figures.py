"""Figures of images: the measured part of the Fourier plane, truth and reconstructions, quality."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from emlib.report.charts_loss import LossAxis
from emlib.report.picture_panels import (
    Row,
    blank,
    density,
    marker_sizes,
    new_figure,
    setting_rows,
    show,
    tops_of_colours,
    write_name,
)
from emlib.report.pictures import Picture, Pictures
from emlib.report.theme import Look, panel_names
from emlib.report.video_figures import spot_angle, strips
from emlib.report.views import ordered
from emlib.study.atomic import write_bytes, write_text

FIGURES = ("uv_coverage", "images", "image_deviations", "video_frames", "spot_angle", "quality")
OBSERVED, DROPPED = "#1f4e9c", "#8c8c8c"
GIGA = 1e9


def draw_pictures(
    pictures: Pictures, cells: pd.DataFrame, look: Look, folder: Path
) -> dict[str, str]:
    """Draw and write all figures of images.

    Parameters
    ----------
    pictures : Pictures
    cells : DataFrame
        The report's table of cells.
    look : Look
    folder : Path
        Gets ``<name>.svg`` and ``<name>.pdf``.

    Returns
    -------
    dict of str
        SVG text by name; empty where there is nothing to draw.
    """
    rows, truths = setting_rows(pictures, cells, look), pictures.truths
    drawn = {
        "uv_coverage": _plane(pictures, ordered(cells, look)),
        "images": _grid(rows, truths, _mean_frame),
        "image_deviations": _grid(rows, {}, _mean_deviation),
        "video_frames": strips(rows, truths),
        "spot_angle": spot_angle(rows, truths, look),
        "quality": _quality(pictures, ordered(cells, look), look),
    }
    return {name: _written(drawn[name], folder / name) for name in FIGURES}


def _written(figure: Any, stem: Path) -> str:
    """SVG and PDF without dates, so that the same study gives the same files."""
    if figure is None:
        figure, axes = new_figure(1, 1, 4.0, 0.4)
        axes[0, 0].text(0.5, 0.5, "nothing to draw yet", ha="center", color="#666666")
        axes[0, 0].axis("off")
        shown = False
    else:
        shown = True
    figure.draw_without_rendering()
    figure.set_layout_engine("none")  # or each file would have the layout computed twice again
    text, pdf = io.StringIO(), io.BytesIO()
    figure.savefig(text, format="svg", metadata={"Date": None, "Creator": None})
    figure.savefig(pdf, format="pdf", metadata={"CreationDate": None, "Producer": None})
    write_text(stem.with_suffix(".svg"), text.getvalue())
    write_bytes(stem.with_suffix(".pdf"), pdf.getvalue())
    svg = text.getvalue()
    return svg[svg.index("<svg") :] if shown else ""


def _plane(pictures: Pictures, cells: pd.DataFrame) -> Any:
    """Baselines and their conjugates, what is dropped in grey, one panel a missingness."""
    if not pictures.planes:
        return None
    places = list(zip(cells["dataset"], cells["missingness"], strict=True))
    places = [place for place in dict.fromkeys(places) if place in pictures.planes]
    datasets = list(dict.fromkeys(dataset for dataset, _ in places))
    holes = list(dict.fromkeys(missingness for _, missingness in places))
    figure, axes = new_figure(len(datasets), len(holes), 1.7, 1.7)
    for row, dataset in enumerate(datasets):
        for column, missingness in enumerate(holes):
            panel = axes[row, column]
            if (dataset, missingness) not in pictures.planes:
                panel.axis("off")
                continue
            uv, dropped = pictures.planes[dataset, missingness]
            for part, colour in ((dropped, DROPPED), (~dropped, OBSERVED)):
                u, v = np.concatenate([uv[part], -uv[part]]).T / GIGA
                panel.plot(u, v, ".", markersize=1.5, color=colour, rasterized=len(uv) > 2000)
            panel.set_title(f"{dataset}\n{missingness}: {(~dropped).sum()} left", fontsize=7)
            panel.set_aspect("equal")
            panel.invert_xaxis()
    figure.supxlabel("u (east), billions of wavelengths")
    figure.supylabel("v (north)")
    return figure


def _grid(rows: list[Row], truths: Mapping[str, Picture], picked: Callable[[Picture], Any]) -> Any:
    """What is picked of each picture: the truth's first, then the inits'; a row a setting."""
    if not rows:
        return None
    first, most = bool(truths), max(len(row.shown) for row in rows)
    tops = tops_of_colours(rows, truths, picked)
    figure, axes = new_figure(len(rows), most + first)
    handles = {}
    for line, (dataset, name, shown) in zip(axes, rows, strict=True):
        panels = dict(zip(shown, line[first:], strict=False))
        for panel in line[first + len(shown) :]:
            panel.axis("off")
        top = tops[dataset]
        if dataset in truths:
            truth = truths[dataset]
            show(line[0], picked(truth), truth.field_of_view, top, "truth")
        elif first:
            blank(line[0], "truth not known")
        for init, panel in panels.items():
            one = shown[init]
            handles[dataset] = show(panel, picked(one), one.field_of_view, top, init)
        write_name(line[0], name)
    for dataset, handle in handles.items():
        mine = np.array([row.dataset == dataset for row in rows])
        beside = axes[mine].ravel().tolist()
        bar = figure.colorbar(handle, ax=beside, shrink=0.8, pad=0.01, aspect=18 * mine.sum())
        bar.set_label("janskys a square microarcsecond", fontsize=6)
        bar.ax.tick_params(labelsize=6)
        bar.ax.yaxis.get_offset_text().set_fontsize(6)
        bar.formatter.set_powerlimits((-2, 2))
    figure.supxlabel("relative right ascension (east to the left), microarcseconds")
    figure.supylabel("relative declination, microarcseconds")
    return figure


def _mean_frame(one: Picture) -> Any:
    return density(one).mean(axis=0)


def _mean_deviation(one: Picture) -> Any:
    return density(replace(one, frames=one.deviations)).mean(axis=0)


def _quality(pictures: Pictures, cells: pd.DataFrame, look: Look) -> Any:
    """Error of the image against the loss of every fit, one panel a setting."""
    from matplotlib.ticker import MaxNLocator

    quality = pictures.quality[np.isfinite(pictures.quality["nrmse"])]
    if quality.empty:
        return None
    axis = LossAxis(quality["loss"], look.tolerance)
    cells = cells.assign(panel=panel_names(cells))
    named = cells[["cell_id", "panel", "missingness", "init"]].merge(quality)
    groups = list(named.groupby(["panel", "missingness"], sort=False))
    columns = min(len(groups), 4)
    figure, axes = new_figure(-(-len(groups) // columns), columns, 2.0, 1.8)
    for panel in axes.ravel()[len(groups) :]:
        panel.axis("off")
    explained: set[str] = set()
    for panel, (key, group) in zip(axes.ravel(), groups, strict=False):
        shown = list(group.groupby("init", sort=False))
        for (init, rows), size in zip(shown, marker_sizes(len(shown)), strict=True):
            panel.plot(
                axis.place(rows["loss"]), rows["nrmse"], ".", markersize=size,
                color=look.colour(str(init)), label=str(init),
            )  # fmt: skip
        if not explained.issuperset(group["init"]):
            panel.legend(fontsize=5)
            explained |= set(group["init"])
        panel.set_xscale("log")
        panel.set_xlim(axis.floor / 2, axis.edge * 2)
        panel.set_xticks(axis.ticks, axis.labels)
        panel.set_xticks([], minor=True)
        panel.yaxis.set_major_locator(MaxNLocator(4))
        panel.set_title("\n".join(map(str, key)), fontsize=7)
        panel.tick_params(labelsize=6)
    figure.supxlabel("loss, nats (what its loglik lacks of the reference)")
    figure.supylabel("error of the image (NRMSE)")
    return figure
