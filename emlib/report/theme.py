"""How every figure looks: one colour, dash and shape an init, one order of panels, one font.

Colours are Okabe and Ito's (2008), told apart by colour-blind readers; yellow is left out.
"""

from __future__ import annotations

import json
import textwrap
from dataclasses import dataclass
from typing import Any

import altair as alt
import pandas as pd

from emlib.report.load import SETTING

COLOURS = ["#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#000000"]
SHAPES = ["circle", "square", "triangle-up", "diamond", "triangle-down", "triangle-right", "cross"]
DASHES = [[1, 0], [6, 2], [2, 2], [8, 2, 2, 2]]
ORACLE_COLOUR, ORACLE_DASH, ORACLE_SHAPE = "#8a8a8a", [4, 3], "circle"
STATUS_COLOURS = {
    "converged": "#c9d7e3",
    "max_iter": "#E69F00",
    "budget": "#F0E442",
    "timeout": "#CC79A7",
    "degenerate": "#D55E00",
    "decreased": "#7b3294",
    "failed": "#000000",
    "invalid": "#7f7f7f",
    "lost": "#0072B2",
}
FONT = "Arial, Liberation Sans, Helvetica, sans-serif"
LETTER, SLIM_LETTER = 8, 7
"""Pixels that a letter may take: bold ones of a row's name, and those of an axis."""
PAGE_WIDTH = 1080
PANELS_ABREAST = 5
PANELS_STACKED = 6
"""Rows of panels of a single column that are stacked; more stand two abreast."""


@dataclass(frozen=True)
class Look:
    """Orders and colours that all figures of one report share.

    Attributes
    ----------
    inits : list of str
        Competitors in the config's order, oracles after them.
    oracles : set of str
    rows, columns : list of str
        Panels: settings (dataset, with model and algorithm where they vary) and missingness ids.
    baseline : str
    tolerance : float
        Hit tolerance in nats.
    """

    inits: list[str]
    oracles: set[str]
    rows: list[str]
    columns: list[str]
    baseline: str
    tolerance: float

    @classmethod
    def of(cls, study: dict[str, Any], cells: pd.DataFrame) -> Look:
        present = set(cells["init"])
        oracles = set(cells.loc[cells["oracle"].astype(bool), "init"])
        inits = [name for name in study["inits"] if name in present]
        inits.sort(key=lambda name: name in oracles)
        order = cells.drop_duplicates("missingness").assign(none=lambda c: c["mechanism"] != "none")
        order = order.sort_values(["none", "mechanism", "rate"], kind="stable")
        place = {name: rank for rank, name in enumerate(study["datasets"])}
        rows = list(dict.fromkeys(panel_names(cells)))
        first = cells.groupby(panel_names(cells))["dataset"].first()
        rows.sort(key=lambda name: place.get(first[name], 0))
        return cls(
            inits,
            oracles,
            rows,
            list(order["missingness"]),
            study["baseline"],
            float(study["hit_tolerance"]),
        )

    @property
    def competitors(self) -> list[str]:
        return [name for name in self.inits if name not in self.oracles]

    def colour(self, init: str) -> str:
        if init in self.oracles:
            return ORACLE_COLOUR
        return COLOURS[self.competitors.index(init) % len(COLOURS)]

    def dash(self, init: str) -> list[int]:
        if init in self.oracles:
            return ORACLE_DASH
        return DASHES[self.competitors.index(init) // len(COLOURS) % len(DASHES)]

    def shape(self, init: str) -> str:
        if init in self.oracles:
            return ORACLE_SHAPE
        turn, place = divmod(self.competitors.index(init), len(SHAPES))
        return SHAPES[(place + turn) % len(SHAPES)]  # a colour that comes again has another shape

    def _lines(self) -> alt.Legend:
        return alt.Legend(
            title=None,
            orient="top",
            columns=8,
            symbolOpacity=1,
            symbolType="stroke",
            symbolStrokeWidth=3,
            symbolSize=300,
        )

    @property
    def colour_scale(self) -> alt.Scale:
        return alt.Scale(domain=self.inits, range=[self.colour(name) for name in self.inits])

    def colours(self, legend: bool = True) -> alt.Color:
        """Encoding: init by colour."""
        scale = self.colour_scale
        guide = self._lines() if legend else None
        return alt.Color("init:N", sort=self.inits, scale=scale, legend=guide)

    def dashes(self) -> alt.StrokeDash:
        """Encoding: init by dash; oracles are dashed."""
        scale = alt.Scale(domain=self.inits, range=[self.dash(name) for name in self.inits])
        return alt.StrokeDash("init:N", sort=self.inits, scale=scale, legend=self._lines())

    def shapes(self) -> alt.Shape:
        """Encoding: init by shape, beside its colour."""
        scale = alt.Scale(domain=self.inits, range=[self.shape(name) for name in self.inits])
        return alt.Shape("init:N", sort=self.inits, scale=scale, legend=None)

    def panels(self, data: pd.DataFrame, layers: list[alt.Chart], height: int) -> Any:
        """Small multiples: a row a setting, a column a missingness; the layers share the data.

        A panel is at least as high as its row's name, which stands beside it, is long. Many rows of
        one column stand two abreast, each under its name; many columns of few rows change places.
        """
        down, across = ("row", self.rows), ("column", self.columns)
        if len(self.columns) > max(PANELS_ABREAST, len(self.rows)):
            down, across = across, down
        names = [line for name in down[1] for line in name.split(" · ")]
        if len(self.columns) == 1 and len(self.rows) > PANELS_STACKED:
            width = (PAGE_WIDTH - 200) // 2
            _wrap_titles(layers, width)
            chart = alt.layer(*layers, data=data).properties(width=width, height=height)
            title = alt.Header(labelFontSize=13, labelFontWeight="bold")
            facet = alt.Facet("row:N", sort=self.rows, title=None, header=title)
            return chart.facet(facet, columns=2, spacing=16)
        height = max([height, *(LETTER * len(line) for line in names)])
        room = PAGE_WIDTH - 90 - 25 * len(across[1])
        width = int(min(max(room / max(len(across[1]), 1), 110), 420))
        _wrap_titles(layers, width)
        chart = alt.layer(*layers, data=data).properties(width=width, height=height)
        # By number, not sorted by name: panels without data would come first and shift all others.
        return chart.facet(
            row=alt.Row("down:O", title=None, header=_header(-90, down[1])),
            column=alt.Column("across:O", title=None, header=_header(0, across[1])),
            spacing={"row": 16, "column": 18},
        ).transform_calculate(
            down=f"indexof({json.dumps(down[1])}, datum.{down[0]})",
            across=f"indexof({json.dumps(across[1])}, datum.{across[0]})",
        )


def _wrap_titles(layers: list[alt.Chart], width: int) -> None:
    """Break what is written under a panel into lines that are no wider than the panel."""
    for layer in layers:
        x = layer.encoding.x
        axis = x["axis"] if isinstance(x, alt.X) else None
        if isinstance(axis, alt.Axis) and isinstance(axis["title"], str):
            axis.title = textwrap.wrap(axis["title"], width // SLIM_LETTER)


def _header(angle: int, names: list[str]) -> alt.Header:
    label = f"{json.dumps(names)}[datum.value]"
    label = f"split({label}, ' · ')" if angle else label
    padding = 20 if angle else 6  # letters may be wider than measured
    return alt.Header(
        labelFontSize=13,
        labelFontWeight="bold",
        labelAngle=angle,
        labelExpr=label,
        labelPadding=padding,
    )


def panel_names(cells: pd.DataFrame) -> pd.Series:
    """Name of each cell's row of panels: the dataset, with model and algorithm where they vary."""
    keys = cells[SETTING].drop(columns="missingness").drop_duplicates()
    names = cells["dataset"].astype(str)
    for axis in ("model", "algorithm"):
        if keys.groupby("dataset")[axis].nunique().max() > 1:
            names = names + " · " + cells[axis].astype(str)
    return names


def labelled(table: pd.DataFrame, cells: pd.DataFrame) -> pd.DataFrame:
    """A table with `cell_id`, given its cell's init, oracle, and panel (`row`, `column`)."""
    view = cells[["cell_id", "init", "oracle", "mechanism", "rate", "dataset"]].assign(
        row=panel_names(cells), column=cells["missingness"]
    )
    return table[[c for c in table if c == "cell_id" or c not in view]].merge(view, on="cell_id")


def finish(chart: Any) -> Any:
    """The figure in the report's style."""
    chart = chart.copy(deep=False)
    chart.config = alt.Config(
        font=FONT,
        aria=False,
        background="white",
        padding={"left": 24, "right": 12, "top": 6, "bottom": 6},  # letters wider than measured
        axis=alt.AxisConfig(
            labelFontSize=12,
            titleFontSize=13,
            titleFontWeight="normal",
            gridColor="#e8e8e8",
            domainColor="#666",
            tickColor="#666",
            labelColor="#222",
            titleColor="#222",
            labelLimit=220,
        ),
        view=alt.ViewConfig(stroke="#cccccc"),
        legend=alt.LegendConfig(labelFontSize=13, labelLimit=260, symbolLimit=60, columnPadding=24),
    )
    return chart
