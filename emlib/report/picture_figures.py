"""Figures of images: the measured part of the Fourier plane, truth and reconstructions, videos."""

from __future__ import annotations

import base64
import io
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emlib.report.charts_loss import LossAxis
from emlib.report.load import rows_of
from emlib.report.pictures import Picture, Pictures
from emlib.report.theme import Look, panel_names
from emlib.study.atomic import write_bytes, write_text
from emlib.study.scores import spot_angles

FIGURES = ("uv_coverage", "images", "image_deviations", "video_frames", "spot_angle", "quality")
COLOURS = "afmhot"
OBSERVED, DROPPED = "#1f4e9c", "#8c8c8c"
STRIP = 6
"""Frames of a video that stand beside one another."""
INCHES = 1.5
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
    cells = _in_order(cells, look)
    rows = _rows(pictures, cells, look)
    drawn = {
        "uv_coverage": _plane(pictures, cells),
        "images": _grid(rows, pictures.truths, _mean_frame),
        "image_deviations": _grid(rows, {}, _mean_deviation),
        "video_frames": _strips(pictures, cells, look),
        "spot_angle": _angles(pictures, cells, look),
        "quality": _quality(pictures, cells, look),
    }
    return {name: _written(drawn[name], folder / name) for name in FIGURES}


def _in_order(cells: pd.DataFrame, look: Look) -> pd.DataFrame:
    """Settings as in all other figures: datasets in the config's order, complete data first."""
    rows = [look.rows.index(name) for name in panel_names(cells)]
    columns = [look.columns.index(name) for name in cells["missingness"]]
    inits = [look.inits.index(name) for name in cells["init"]]
    return cells.iloc[np.lexsort((inits, columns, rows))]


def _new(rows: int, columns: int, width: float = INCHES, height: float = INCHES) -> Any:
    import matplotlib
    from matplotlib.figure import Figure

    matplotlib.rcParams.update(
        {
            "svg.hashsalt": "emlib",
            "svg.fonttype": "none",
            "font.size": 8.0,
            "font.family": "sans-serif",
        }
    )
    size = (width * columns + 1.2, height * rows + 0.7)
    figure = Figure(figsize=size, layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def _written(figure: Any, stem: Path) -> str:
    """SVG and PDF without dates, so that the same study gives the same files."""
    if figure is None:
        figure, axes = _new(1, 1, 4.0, 0.4)
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


# --- the Fourier plane ---


def _plane(pictures: Pictures, cells: pd.DataFrame) -> Any:
    """Baselines and their conjugates, what is dropped in grey, one panel a missingness."""
    if not pictures.planes:
        return None
    places = list(zip(cells["dataset"], cells["missingness"], strict=True))
    places = [place for place in dict.fromkeys(places) if place in pictures.planes]
    datasets = list(dict.fromkeys(dataset for dataset, _ in places))
    holes = list(dict.fromkeys(missingness for _, missingness in places))
    figure, axes = _new(len(datasets), len(holes), 1.7, 1.7)
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


# --- images ---


class Row(NamedTuple):
    """A row of panels: one setting, its inits beside one another."""

    dataset: str
    name: str
    """Of the dataset, with model and algorithm where they vary, and its missingness."""
    shown: dict[str, Picture]
    """By init."""


def _rows(pictures: Pictures, cells: pd.DataFrame, look: Look, videos: bool = False) -> list[Row]:
    """Settings that have images; or those that have videos, and these alone."""
    cells = cells.assign(panel=panel_names(cells))
    drawn = cells[cells["cell_id"].isin(list(pictures.cells))]
    rows = []
    for (panel, missingness), group in drawn.groupby(["panel", "missingness"], sort=False):
        by_init = {row.init: pictures.cells[str(row.cell_id)] for row in rows_of(group)}
        shown = {init: by_init[init] for init in look.inits if init in by_init}
        if videos:
            shown = {init: one for init, one in shown.items() if len(one.frames) > 1}
        if shown:
            rows.append(Row(str(group["dataset"].iat[0]), f"{panel} · {missingness}", shown))
    return rows


def _tops(
    rows: list[Row], truths: Mapping[str, Picture], picked: Callable[[Picture], Any]
) -> dict[str, float]:
    """Top of the scale of colours by dataset: the most of its truth and of all its images."""
    tops: dict[str, float] = {}
    for dataset, _, shown in rows:
        known = [truths[dataset]] if dataset in truths else []
        highest = max(picked(one).max() for one in [*shown.values(), *known])
        tops[dataset] = max(tops.get(dataset, 0.0), float(highest))
    return tops


def _grid(rows: list[Row], truths: Mapping[str, Picture], picked: Callable[[Picture], Any]) -> Any:
    """What is picked of each picture: the truth's first, then the inits'; a row a setting."""
    if not rows:
        return None
    first, most = bool(truths), max(len(row.shown) for row in rows)
    tops = _tops(rows, truths, picked)
    figure, axes = _new(len(rows), most + first)
    handles = {}
    for line, (dataset, name, shown) in zip(axes, rows, strict=True):
        panels = dict(zip(shown, line[first:], strict=False))
        for panel in line[first + len(shown) :]:
            panel.axis("off")
        top = tops[dataset]
        if dataset in truths:
            truth = truths[dataset]
            _show(line[0], picked(truth), truth.field_of_view, top, "truth")
        elif first:
            _blank(line[0], "truth not known")
        for init, panel in panels.items():
            one = shown[init]
            handles[dataset] = _show(panel, picked(one), one.field_of_view, top, init)
        _name(line[0], name)
    for dataset, handle in handles.items():
        mine = np.array([row.dataset == dataset for row in rows])
        beside = axes[mine].ravel().tolist()
        bar = figure.colorbar(handle, ax=beside, shrink=0.8, pad=0.01, aspect=18 * mine.sum())
        bar.ax.tick_params(labelsize=6)
        bar.ax.yaxis.get_offset_text().set_fontsize(6)
        bar.formatter.set_powerlimits((-2, 2))
    figure.supxlabel("relative right ascension (east to the left), microarcseconds")
    figure.supylabel("relative declination, microarcseconds")
    return figure


def _name(panel: Any, name: str) -> None:
    """The name of a row, beside its first panel."""
    panel.set_ylabel(name.replace(" · ", "\n"), fontsize=7)


def _blank(panel: Any, text: str) -> None:
    """A panel without an image; unlike one without axes it can bear its row's name."""
    panel.text(0.5, 0.5, text, ha="center", fontsize=6, color="#666666", transform=panel.transAxes)
    panel.set_frame_on(False)
    panel.set_xticks([])
    panel.set_yticks([])


def _show(panel: Any, image: Any, view: float, top: float, title: str) -> Any:
    half = view / 2
    handle = panel.imshow(
        image, cmap=COLOURS, vmin=0.0, vmax=top, extent=(half, -half, -half, half),
        interpolation="nearest",
    )  # fmt: skip
    panel.set_title(title, fontsize=6)
    ticks = half * np.array([-0.5, 0.0, 0.5])
    panel.set_xticks(ticks)
    panel.set_yticks(ticks)
    panel.tick_params(labelsize=5, length=2)
    return handle


# --- videos ---


def _strips(pictures: Pictures, cells: pd.DataFrame, look: Look) -> Any:
    """Some frames of the truth and of every init's video, a line each."""
    lines: list[tuple[str, Picture, float]] = []
    rows = _rows(pictures, cells, look, videos=True)
    tops = _tops(rows, pictures.truths, _density)
    begun = ""
    for dataset, name, videos in rows:
        if dataset in pictures.truths and dataset != begun:
            lines.append((f"truth · {dataset}", pictures.truths[dataset], tops[dataset]))
        begun = dataset
        lines += [(f"{init} · {name}", one, tops[dataset]) for init, one in videos.items()]
    if not lines:
        return None
    columns = min(STRIP, max(len(one.frames) for _, one, _ in lines))
    figure, axes = _new(len(lines), columns, 1.2, 1.2)
    for line, (name, one, top) in zip(axes, lines, strict=True):
        number = min(columns, len(one.frames))
        picked = np.linspace(0, len(one.frames) - 1, number).round().astype(int)
        for panel, t in zip(line, picked.tolist(), strict=False):
            _show(panel, _density(one)[t], one.field_of_view, top, f"frame {t + 1}")
        for panel in line[1:number]:
            panel.tick_params(labelleft=False)
        for panel in line[number:]:
            panel.axis("off")
        _name(line[0], name)
    figure.supxlabel("relative right ascension (east to the left), microarcseconds")
    return figure


def _density(one: Picture) -> Any:
    """Frames as flux a square microarcsecond: pixels of truths are smaller."""
    return one.frames / (one.field_of_view / one.frames.shape[-1]) ** 2


def _mean_frame(one: Picture) -> Any:
    return _density(one).mean(axis=0)


def _mean_deviation(one: Picture) -> Any:
    return _density(replace(one, frames=one.deviations)).mean(axis=0)


def _angles(pictures: Pictures, cells: pd.DataFrame, look: Look) -> Any:
    """Angle of the moving flux against the frame."""
    rows = _rows(pictures, cells, look, videos=True)
    if not rows:
        return None
    figure, axes = _new(1, len(rows), 2.6, 2.2)
    for panel, (dataset, name, shown) in zip(axes[0], rows, strict=True):
        truth = pictures.truths.get(dataset)
        if truth is not None and len(truth.frames) > 1:
            angles, frame = _degrees(truth), np.arange(1.0, len(truth.frames) + 1.0)
            turns = np.flatnonzero(np.abs(np.diff(angles)) > 180.0) + 1  # no line across the panel
            panel.plot(
                np.insert(frame, turns, np.nan), np.insert(angles, turns, np.nan),
                color="black", linewidth=1.0, label="truth",
            )  # fmt: skip
        for (init, one), size in zip(shown.items(), _sizes(len(shown)), strict=True):
            panel.plot(
                np.arange(1, len(one.frames) + 1), _degrees(one), ".",
                markersize=size, color=look.colour(init), label=init,
            )  # fmt: skip
        panel.set_title(name.replace(" · ", "\n"), fontsize=7)
        panel.set_yticks([-180, -90, 0, 90, 180])
        panel.legend(fontsize=5)
    figure.supxlabel("frame")
    figure.supylabel("angle of the moving flux, degrees from east to north", fontsize=7)
    return figure


def _sizes(number: int) -> list[int]:
    """Smaller and smaller markers: ends of several inits may coincide."""
    return [3 + 2 * k for k in reversed(range(number))]


def _degrees(one: Picture) -> Any:
    angles = spot_angles(one.frames)
    return np.full(len(one.frames), np.nan) if angles is None else np.degrees(angles)


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
    figure, axes = _new(-(-len(groups) // columns), columns, 2.0, 1.8)
    for panel in axes.ravel()[len(groups) :]:
        panel.axis("off")
    explained: set[str] = set()
    for panel, (key, group) in zip(axes.ravel(), groups, strict=False):
        shown = list(group.groupby("init", sort=False))
        for (init, rows), size in zip(shown, _sizes(len(shown)), strict=True):
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


# --- the animation ---


def animations(pictures: Pictures, cells: pd.DataFrame, look: Look) -> list[dict[str, Any]]:
    """Sprites of all videos, one row of frames each, for the page's player.

    Returns
    -------
    list of dict
        ``name``, ``frames`` (how many), and ``sprite``, the address of an inline PNG.
    """
    shown = []
    rows = _rows(pictures, _in_order(cells, look), look, videos=True)
    tops = _tops(rows, pictures.truths, _density)
    for dataset, name, videos in rows:
        truth, top = pictures.truths.get(dataset), tops[dataset]
        every = [*([("truth", truth)] if truth else []), *videos.items()]
        members = [
            {"name": init, "frames": len(one.frames), "sprite": _sprite(_density(one) / top)}
            for init, one in every
        ]
        shown.append({"title": name, "members": members})
    return shown


def _sprite(frames: Any) -> str:
    """Frames beside one another as an inline PNG, at most 48 pixels along a side each."""
    from matplotlib import colormaps
    from matplotlib.image import imsave

    step = max(frames.shape[-1] // 48, 1)
    n, side = len(frames), frames.shape[-1] // step
    small = frames[:, : side * step, : side * step].reshape(n, side, step, side, step)
    sheet = np.concatenate(list(small.mean(axis=(2, 4))), axis=1)
    out = io.BytesIO()
    imsave(out, colormaps[COLOURS](np.clip(sheet, 0.0, 1.0)), format="png", metadata={})
    return "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
