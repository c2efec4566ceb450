"""Figures of losses and of the missing rate: convergence, loss distribution, effect of the rate."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from emlib.report.estimation import intervals
from emlib.report.theme import PAGE_WIDTH, Look, finish, labelled

Tables = dict[str, pd.DataFrame]
MEASURES = {
    "hit_rate": "hit probability",
    "parameter_error": "parameter error, as the family measures it",
    "imputation_error": "imputation error, in standard deviations or share of wrong levels",
    "nrmse": "error of the image, relative root mean square",
    "ncc": "correlation of the image with the truth",
    "dynamic_nrmse": "error of what moves, relative root mean square",
    "spot_angle_error": "error of the spot's angle, degrees",
}


class LossAxis:
    """A log axis of losses: floor at a tenth of the tolerance, infinite losses on the far edge."""

    def __init__(self, losses: pd.Series, tolerance: float) -> None:
        finite = losses[np.isfinite(losses)]
        top = max(float(finite.max()) if len(finite) else 1.0, 10 * tolerance)
        self.floor = tolerance / 10
        self.edge = 10 ** np.ceil(np.log10(top) + 0.35)
        low, high = int(np.round(np.log10(self.floor))), int(np.round(np.log10(self.edge)))
        step = max(1, int(np.ceil((high - low) / 5)))
        self.ticks = [10.0**k for k in range(low, high, step)] + [self.edge]

    def place(self, losses: pd.Series) -> np.ndarray:
        """Losses as drawn."""
        return np.clip(
            np.nan_to_num(losses.to_numpy(float), posinf=self.edge), self.floor, self.edge
        )

    @property
    def labels(self) -> list[str]:
        """Of the ticks, as in ``axis``, for a figure that Vega does not draw."""
        return [f"≤{self.floor:g}", *(f"{tick:g}" for tick in self.ticks[1:-1]), "∞"]

    def scale(self) -> alt.Scale:
        return alt.Scale(type="log", domain=[self.floor, self.edge], nice=False, clamp=True)

    def axis(self, title: str) -> alt.Axis:
        words = (
            f"datum.value >= {self.edge * 0.99} ? '∞' : datum.value <= {self.floor * 1.01} ? "
            "'≤' + format(datum.value, '~g') : format(datum.value, '~g')"
        )
        return alt.Axis(title=title, values=self.ticks, labelExpr=words, labelOverlap=False)


def convergence(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Loss against iterations: median and quartiles over all fits."""
    scale = alt.Scale(type="symlog", constant=1, nice=False)
    ticks = [0, 1, 3, 10, 30, 100, 300, 1000, 3000, 10000]
    axis = alt.Axis(title="iteration", values=ticks, format="d")
    return _convergence(tables, look, "curves", "iteration", alt.X("x:Q", scale=scale, axis=axis))


def convergence_e_steps(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Loss against E-step equivalents, the init's cost included."""
    scale = alt.Scale(type="log", nice=False)
    axis = alt.Axis(title="E-step equivalents, init included", format="~s", tickCount=4)
    return _convergence(
        tables, look, "curves_e_steps", "e_steps", alt.X("x:Q", scale=scale, axis=axis)
    )


def _convergence(tables: Tables, look: Look, name: str, column: str, x: alt.X) -> Any:
    curves = tables[name]
    if not len(curves):
        return None
    axis = LossAxis(curves["loss_q75"], look.tolerance)
    curves = held_to_the_end(curves.rename(columns={column: "x"}))
    data = labelled(curves, tables["cells"])
    for part in ("median", "q25", "q75"):
        data[part] = axis.place(data[f"loss_{part}"])
    data = data[["row", "column", "init", "oracle", "x", "median", "q25", "q75"]]
    base = alt.Chart().encode(x=x, color=look.colours())
    scale, guide = axis.scale(), axis.axis("loss, nats")
    bands = (
        base.transform_filter("!datum.oracle")
        .mark_area(opacity=0.1, line=False, clip=True)
        .encode(y=alt.Y("q25:Q", scale=scale, axis=guide), y2="q75:Q")
    )
    lines = base.mark_line(strokeWidth=2, clip=True).encode(
        y=alt.Y("median:Q", scale=scale, axis=guide), strokeDash=look.dashes()
    )
    return finish(look.panels(data, [_rule(look, "y"), bands, lines], height=170))


def held_to_the_end(curves: pd.DataFrame) -> pd.DataFrame:
    """Every curve as far as the longest of all, and from its first finite median on.

    Before that an init is still at work; a cell that never gets there keeps its infinite line.
    """
    last = pd.DataFrame(curves.groupby("cell_id", sort=False).tail(1)).assign(x=curves["x"].max())
    curves = pd.concat([curves, last]).drop_duplicates(["cell_id", "x"])
    curves = curves.sort_values(["cell_id", "x"], kind="stable")
    finite = pd.Series(np.isfinite(curves["loss_median"].to_numpy(float)), curves.index)
    begun = finite.groupby(curves["cell_id"]).cummax().astype(bool)
    never = ~begun.groupby(curves["cell_id"]).transform("max").astype(bool)
    return curves[begun | never]


def _rule(look: Look, channel: str) -> alt.Chart:
    """The hit tolerance, as a thin dotted line."""
    chart = alt.Chart(pd.DataFrame({"tolerance": [look.tolerance]}))
    rule = chart.mark_rule(color="#555", strokeDash=[2, 2])
    return rule.encode(**{channel: alt.datum(look.tolerance)})


def loss_distribution(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Distribution function of the loss over all fits; failures at the right edge."""
    steps, cells = tables["losses"], tables["cells"]
    ran = cells.loc[cells["fits"] > 0, ["cell_id"]]
    if not len(ran):
        return None
    axis = LossAxis(steps["loss"], look.tolerance)
    placed = steps.assign(x=axis.place(steps["loss"]))
    placed = placed.sort_values("share").drop_duplicates(["cell_id", "x"], keep="last")
    placed = placed[["cell_id", "x", "share"]]
    last = placed.groupby("cell_id")["share"].max().reindex(ran["cell_id"]).fillna(0.0)
    foot = ran.assign(x=axis.floor, share=0.0)
    edge = ran.assign(x=axis.edge, share=last.to_numpy())
    data = labelled(pd.concat([foot, placed, edge, edge.assign(share=1.0)]), cells)
    data = data.sort_values(["x", "share"], kind="stable")
    data["step"] = np.arange(len(data))
    data = data[["row", "column", "init", "x", "share", "step"]]
    lines = (
        alt.Chart()
        .mark_line(interpolate="step-after", strokeWidth=2)
        .encode(
            x=alt.X("x:Q", scale=axis.scale(), axis=axis.axis("loss, nats")),
            y=alt.Y(
                "share:Q",
                scale=alt.Scale(domain=[0, 1]),
                axis=alt.Axis(title="share of fits", format="%", tickCount=5),
            ),
            color=look.colours(),
            strokeDash=look.dashes(),
            order="step:Q",
        )
    )
    return finish(look.panels(data, [_rule(look, "x"), lines], height=150))


def missing_rate(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Hit probability and estimation errors against the missing rate, by mechanism."""
    data = rate_data(tables)
    if not len(data) or data["rate"].nunique() < 2:
        return None
    blocks = []
    for mechanism, rows in data.groupby("mechanism", sort=False):
        for measure, title in MEASURES.items():
            part = rows[rows["measure"] == measure]
            if len(part):
                heading = alt.Title(f"{title}, {mechanism}", anchor="start", fontSize=13)
                blocks.append(_against_rate(part, look, measure).properties(title=heading))
    return finish(alt.vconcat(*blocks, spacing=14))


def rate_data(tables: Tables) -> pd.DataFrame:
    """Measures with intervals by rate; the complete data belong to every mechanism."""
    cells = labelled(tables["cells"], tables["cells"])
    estimation = tables["estimation"].set_index("cell_id")
    parts = []
    for measure in MEASURES:
        part = cells[["cell_id", "row", "mechanism", "rate", "init", "oracle"]].copy()
        if measure == "hit_rate":
            part["value"], part["low"], part["high"] = (
                cells[c] for c in ("hit_rate", "hit_low", "hit_high")
            )
        else:
            found = estimation.loc[cells["cell_id"]]
            part["value"] = found[measure].to_numpy()
            for end, values in zip(("low", "high"), intervals(found, measure), strict=True):
                part[end] = np.where(np.isnan(values), part["value"], values)
        parts.append(part.assign(measure=measure))
    data = pd.concat(parts).dropna(subset=["value"])
    complete = data[data["mechanism"] == "none"]
    drawn = [m for m in data["mechanism"].unique() if m != "none"]
    whole = [pd.concat([complete.assign(mechanism=m), data[data["mechanism"] == m]]) for m in drawn]
    return pd.concat(whole) if whole else data


def _against_rate(data: pd.DataFrame, look: Look, measure: str) -> Any:
    """One measure against the rate, a panel a dataset; lines side by side, so that none hides."""
    inits = look.inits
    spread = 0.012 * (data["rate"].max() - data["rate"].min())
    rank = data["init"].map({name: k for k, name in enumerate(inits)}) - (len(inits) - 1) / 2
    data = data.assign(x=data["rate"] + spread * rank)
    data = data[["row", "x", "value", "low", "high", "init"]]
    share = measure == "hit_rate"
    scale = alt.Scale(domain=[0, 1]) if share else alt.Scale(zero=False)
    axis = alt.Axis(title=None, tickCount=5, format="%" if share else "~g", minExtent=34)
    rates = sorted(set((data["x"] - spread * rank).round(9)))
    below = alt.Axis(title="missing rate", format=".0%", values=rates, grid=False)
    base = alt.Chart().encode(
        x=alt.X("x:Q", scale=alt.Scale(nice=False, padding=8), axis=below),
        color=look.colours(),
    )
    y = alt.Y("value:Q", scale=scale, axis=axis)
    lines = base.mark_line(strokeWidth=1.8).encode(y=y, strokeDash=look.dashes())
    bars = base.mark_rule(strokeWidth=1.2).encode(
        y=alt.Y("low:Q", scale=scale, axis=axis), y2="high:Q"
    )
    points = base.mark_point(filled=True, size=45, opacity=1).encode(y=y, shape=look.shapes())
    width = int(min(max((PAGE_WIDTH - 60 * len(look.rows)) / len(look.rows), 110), 300))
    chart = alt.layer(bars, lines, points, data=data).properties(width=width, height=150)
    header = alt.Header(labelFontSize=12, labelFontWeight="bold", labelAnchor="start")
    panels = chart.facet(
        column=alt.Column("row:N", sort=look.rows, title=None, header=header), spacing=14
    )
    return panels if share else panels.resolve_scale(y="independent")
