"""Figures of hits, differences, profiles and statuses: tables in, charts out."""

from __future__ import annotations

from typing import Any

import altair as alt
import numpy as np
import pandas as pd

from emlib.report.cells import STATUSES
from emlib.report.contrasts import PRIMARY
from emlib.report.theme import STATUS_COLOURS, Look, finish, labelled

Tables = dict[str, pd.DataFrame]
POINTS = "datum.value == 0 ? '0' : format(datum.value * 100, '+.0f')"
ESTIMANDS = ["all restarts, within the budget if there is one", "a single start"]


def hit_probability(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Hit probability by init with 95 % intervals."""
    cells = tables["cells"]
    cells = cells[cells["fits"] > 0]
    best = cells[["cell_id"]].assign(
        estimand=ESTIMANDS[0], value=cells["hit_rate"], low=cells["hit_low"], high=cells["hit_high"]
    )
    single = cells[["cell_id"]].assign(
        estimand=ESTIMANDS[1],
        value=cells["start_rate"],
        low=cells["start_low"],
        high=cells["start_high"],
    )
    data = labelled(pd.concat([best, single]), tables["cells"]).dropna(subset=["value"])
    x = {"scale": alt.Scale(domain=[0, 1]), "axis": _percent("hit probability")}
    return _intervals(data, look, x, look.inits, []) if len(data) else None


def differences(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Paired differences to the baseline with simultaneous 95 % intervals."""
    data = tables["differences"].rename(columns={"difference": "value"})
    data = data.assign(estimand=np.where(data["estimand"] == PRIMARY, *ESTIMANDS))
    data = labelled(data, tables["cells"]).dropna(subset=["value"])
    if not len(data):
        return None
    title = f"difference to {look.baseline}, points"
    reach = max(0.1, float(np.abs(data[["low", "high"]].to_numpy()).max()))
    x = {
        "scale": alt.Scale(domain=[-reach, reach], nice=True),
        "axis": alt.Axis(title=title, labelExpr=POINTS, tickCount=6),
    }
    zero = alt.Chart(pd.DataFrame({"zero": [0]})).mark_rule(color="#444", size=1.2).encode(x="zero")
    inits = [name for name in look.inits if name != look.baseline]
    return _intervals(data, look, x, inits, [zero])


def _intervals(
    data: pd.DataFrame, look: Look, x: dict[str, Any], inits: list[str], under: list[alt.Chart]
) -> Any:
    """Points with intervals: filled for the primary estimate, hollow for single starts."""
    data = data[["row", "column", "init", "oracle", "estimand", "value", "low", "high"]]
    data = data[~(data["oracle"] & (data["estimand"] == ESTIMANDS[1]))]
    base = alt.Chart().encode(
        y=alt.Y("init:N", sort=inits, title=None, axis=alt.Axis(grid=False, ticks=False)),
        yOffset=alt.YOffset("estimand:N", sort=ESTIMANDS, scale=alt.Scale(paddingOuter=0.35)),
        color=look.colours(legend=False),
    )
    dash = alt.StrokeDash(
        "oracle:N", scale=alt.Scale(domain=[False, True], range=[[1, 0], [4, 3]]), legend=None
    )
    guide = alt.Legend(
        title=None,
        orient="top",
        symbolType="stroke",
        symbolSize=600,
        labelLimit=400,
        columnPadding=60,
    )
    domain = ESTIMANDS if data["estimand"].nunique() > 1 else ESTIMANDS[:1]
    width = alt.StrokeWidth(
        "estimand:N", scale=alt.Scale(domain=domain, range=[2.6, 1.1][: len(domain)]), legend=guide
    )
    bars = base.mark_rule().encode(
        x=alt.X("low:Q", **x), x2="high:Q", strokeDash=dash, strokeWidth=width
    )
    size = alt.Size("estimand:N", scale=alt.Scale(domain=domain, range=[70, 34]), legend=None)
    fill = alt.condition(
        f"datum.estimand == '{ESTIMANDS[0]}'",
        alt.Fill("init:N", scale=look.colour_scale, legend=None),
        alt.value("white"),
    )
    points = base.mark_point(strokeWidth=1.4, opacity=1).encode(
        x=alt.X("value:Q", **x), shape=look.shapes(), fill=fill, size=size
    )
    return finish(look.panels(data, [*under, bars, points], height=26 * len(inits)))


def data_profile(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Share of replicates solved against E-steps."""
    budget = (study.get("budget") or {}).get("e_steps")
    axis = alt.Axis(title="E-step equivalents, all starts so far", format="~s", tickCount=4)
    return _profile(tables, look, "e_steps", axis, budget)


def data_profile_seconds(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """Share of replicates solved against seconds."""
    words = "datum.value < 1 ? format(1000 * datum.value, '~r') + ' ms' : datum.value + ' s'"
    shown = tables["profiles"].query("axis == 'seconds' and value > 0")["value"]
    axis = alt.Axis(
        title="time, all starts so far", labelExpr=words, values=decades(shown),
        labelOverlap="greedy", labelSeparation=6,
    )  # fmt: skip
    return _profile(tables, look, "seconds", axis, None)


def decades(values: pd.Series) -> list[float]:
    """Ticks whose labels cannot touch: powers of ten, finer or coarser with the range."""
    if not len(values):
        return []
    low, high = values.min() * 0.8, values.max()
    span = np.log10(high / low)
    multiples = (1, 2, 5) if span < 1.5 else (1, 3) if span < 2.5 else (1,)
    powers = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    every = 2 if span > 5 else 1
    ticks = [float(f"{m}e{power}") for power in powers if power % every == 0 for m in multiples]
    return [tick for tick in ticks if low <= tick <= high] or [float(f"{high:.1g}")]


def _profile(tables: Tables, look: Look, axis: str, guide: alt.Axis, budget: float | None) -> Any:
    steps = tables["profiles"]
    steps = steps[(steps["axis"] == axis) & (steps["value"] > 0)]
    if not len(steps):
        return None
    low = float(steps["value"].min()) * 0.8
    foot = steps.groupby("cell_id", as_index=False)[["value"]].min().assign(share=0.0)
    right = float(steps["value"].max())
    head = steps.groupby("cell_id", as_index=False)[["share"]].max().assign(value=right)
    data = labelled(pd.concat([foot.assign(value=low), foot, steps, head]), tables["cells"])
    data = data.sort_values(["value", "share"], kind="stable")
    data = data[["row", "column", "init", "value", "share"]]
    lines = (
        alt.Chart()
        .mark_line(interpolate="step-after", strokeWidth=2, clip=True)
        .encode(
            x=alt.X(
                "value:Q",
                scale=alt.Scale(type="log", domain=[low, right], nice=False),
                axis=guide,
            ),
            y=alt.Y("share:Q", scale=alt.Scale(domain=[0, 1]), axis=_percent("replicates solved")),
            color=look.colours(),
            strokeDash=look.dashes(),
            order=alt.Order("value:Q"),
        )
    )
    under = []
    if budget and low < budget < right:
        rule = alt.Chart(pd.DataFrame({"b": [budget]})).mark_rule(color="#555", strokeDash=[2, 2])
        under = [rule.encode(x="b:Q")]
    return finish(look.panels(data, [*under, lines], height=150))


def statuses(tables: Tables, look: Look, study: dict[str, Any]) -> Any:
    """How the fits of each init ended."""
    cells = tables["cells"]
    cells = cells[cells["fits"] > 0]
    if not len(cells):
        return None
    cells = cells.drop(columns="fits")
    long = cells.melt("cell_id", [f"status_{s}" for s in STATUSES], "status", "fits")
    long["status"] = long["status"].str.removeprefix("status_")
    seen = [s for s in STATUSES if long.loc[long["status"] == s, "fits"].sum() > 0]
    data = labelled(long[long["fits"] > 0], tables["cells"])
    data["order"] = data["status"].map({name: rank for rank, name in enumerate(STATUSES)})
    data = data[["row", "column", "init", "status", "fits", "order"]]
    bars = (
        alt.Chart()
        .mark_bar(stroke="white", strokeWidth=0.5)
        .encode(
            x=alt.X("fits:Q", stack="normalize", axis=_percent("share of fits")),
            y=alt.Y("init:N", sort=look.inits, title=None, axis=alt.Axis(ticks=False)),
            color=alt.Color(
                "status:N",
                sort=seen,
                scale=alt.Scale(domain=seen, range=[STATUS_COLOURS[s] for s in seen]),
                legend=alt.Legend(title=None, orient="top", columns=9, symbolType="square"),
            ),
            order=alt.Order("order:Q"),
        )
    )
    return finish(look.panels(data, [bars], height=20 * len(look.inits)))


def _percent(title: str) -> alt.Axis:
    return alt.Axis(title=title, format="%", tickCount=5)
