"""Figures of videos: frames beside one another, the angle of what moves, the page's player."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from emlib.report.picture_panels import (
    COLOURS,
    Row,
    density,
    marker_sizes,
    new_figure,
    setting_rows,
    show,
    tops_of_colours,
    write_name,
)
from emlib.report.pictures import Picture, Pictures
from emlib.report.theme import Look
from emlib.study.scores import spot_angles

STRIP = 6
"""Frames of a video that stand beside one another."""


def _videos(rows: list[Row]) -> list[Row]:
    """Rows that have videos, and these alone."""
    moving = [{init: one for init, one in row.shown.items() if len(one.frames) > 1} for row in rows]
    return [row._replace(shown=shown) for row, shown in zip(rows, moving, strict=True) if shown]


def strips(rows: list[Row], truths: Mapping[str, Picture]) -> Any:
    """Some frames of the truth and of every init's video, a line each; None without videos."""
    lines: list[tuple[str, Picture, float]] = []
    rows = _videos(rows)
    tops = tops_of_colours(rows, truths, density)
    begun = ""
    for dataset, name, videos in rows:
        if dataset in truths and dataset != begun:
            lines.append((f"truth · {dataset}", truths[dataset], tops[dataset]))
        begun = dataset
        lines += [(f"{init} · {name}", one, tops[dataset]) for init, one in videos.items()]
    if not lines:
        return None
    columns = min(STRIP, max(len(one.frames) for _, one, _ in lines))
    figure, axes = new_figure(len(lines), columns, 1.2, 1.2)
    for line, (name, one, top) in zip(axes, lines, strict=True):
        number = min(columns, len(one.frames))
        picked = np.linspace(0, len(one.frames) - 1, number).round().astype(int)
        for panel, t in zip(line, picked.tolist(), strict=False):
            show(panel, density(one)[t], one.field_of_view, top, f"frame {t + 1}")
        for panel in line[1:number]:
            panel.tick_params(labelleft=False)
        for panel in line[number:]:
            panel.axis("off")
        write_name(line[0], name)
    figure.supxlabel("relative right ascension (east to the left), microarcseconds")
    return figure


def spot_angle(rows: list[Row], truths: Mapping[str, Picture], look: Look) -> Any:
    """Angle of the moving flux against the frame; None without videos."""
    rows = _videos(rows)
    if not rows:
        return None
    figure, axes = new_figure(1, len(rows), 2.6, 2.2)
    for panel, (dataset, name, shown) in zip(axes[0], rows, strict=True):
        truth = truths.get(dataset)
        if truth is not None and len(truth.frames) > 1:
            angles, frame = _degrees(truth), np.arange(1.0, len(truth.frames) + 1.0)
            turns = np.flatnonzero(np.abs(np.diff(angles)) > 180.0) + 1  # no line across the panel
            panel.plot(
                np.insert(frame, turns, np.nan), np.insert(angles, turns, np.nan),
                color="black", linewidth=1.0, label="truth",
            )  # fmt: skip
        for (init, one), size in zip(shown.items(), marker_sizes(len(shown)), strict=True):
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


def _degrees(one: Picture) -> Any:
    angles = spot_angles(one.frames)
    return np.full(len(one.frames), np.nan) if angles is None else np.degrees(angles)


def animations(pictures: Pictures, cells: pd.DataFrame, look: Look) -> list[dict[str, Any]]:
    """Sprites of all videos, one row of frames each, for the page's player.

    Returns
    -------
    list of dict
        ``name``, ``frames`` (how many), and ``sprite``, the address of an inline PNG.
    """
    shown = []
    rows = _videos(setting_rows(pictures, cells, look))
    tops = tops_of_colours(rows, pictures.truths, density)
    for dataset, name, videos in rows:
        truth, top = pictures.truths.get(dataset), tops[dataset]
        every = [*([("truth", truth)] if truth else []), *videos.items()]
        members = [
            {"name": init, "frames": len(one.frames), "sprite": _sprite(density(one) / top)}
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
