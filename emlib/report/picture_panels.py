"""What figures of images share: rows of panels by setting, scales of colours, one image."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from emlib.report.load import rows_of
from emlib.report.pictures import Picture, Pictures
from emlib.report.theme import Look
from emlib.report.views import ordered

COLOURS = "afmhot"
INCHES = 1.5


class Row(NamedTuple):
    """A row of panels: one setting, its inits beside one another."""

    dataset: str
    name: str
    """Of the dataset, with model and algorithm where they vary, and its missingness."""
    shown: dict[str, Picture]
    """By init."""


def setting_rows(pictures: Pictures, cells: pd.DataFrame, look: Look) -> list[Row]:
    """Settings that have images, in the order of all other figures."""
    cells = ordered(cells, look)
    drawn = cells[cells["cell_id"].isin(list(pictures.cells))]
    rows = []
    for (panel, missingness), group in drawn.groupby(["panel", "missingness"], sort=False):
        by_init = {row.init: pictures.cells[str(row.cell_id)] for row in rows_of(group)}
        shown = {init: by_init[init] for init in look.inits if init in by_init}
        rows.append(Row(str(group["dataset"].iat[0]), f"{panel} · {missingness}", shown))
    return rows


def density(one: Picture) -> Any:
    """Frames as flux a square microarcsecond: pixels of truths are smaller."""
    return one.frames / (one.field_of_view / one.frames.shape[-1]) ** 2


def tops_of_colours(
    rows: list[Row], truths: Mapping[str, Picture], picked: Callable[[Picture], Any]
) -> dict[str, float]:
    """Top of the scale of colours by dataset: the most of its truth and of all its images."""
    tops: dict[str, float] = {}
    for dataset, _, shown in rows:
        known = [truths[dataset]] if dataset in truths else []
        highest = max(picked(one).max() for one in [*shown.values(), *known])
        tops[dataset] = max(tops.get(dataset, 0.0), float(highest))
    return tops


def new_figure(rows: int, columns: int, width: float = INCHES, height: float = INCHES) -> Any:
    """A figure and its panels, (rows, columns); width and height of one in inches."""
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


def show(panel: Any, image: Any, view: float, top: float, title: str) -> Any:
    """Draw an image of `view` microarcseconds on a scale of colours from 0 to `top`."""
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


def write_name(panel: Any, name: str) -> None:
    """The name of a row, beside its first panel."""
    panel.set_ylabel(name.replace(" · ", "\n"), fontsize=6)


def blank(panel: Any, text: str) -> None:
    """A panel without an image; unlike one without axes it can bear its row's name."""
    panel.text(0.5, 0.5, text, ha="center", fontsize=6, color="#666666", transform=panel.transAxes)
    panel.set_frame_on(False)
    panel.set_xticks([])
    panel.set_yticks([])


def marker_sizes(number: int) -> list[int]:
    """Smaller and smaller markers: ends of several inits may coincide."""
    return [3 + 2 * k for k in reversed(range(number))]
