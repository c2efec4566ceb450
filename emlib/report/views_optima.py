"""Rows of the HTML tables of optima, and of costs beside hit probabilities at equal work."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd

from emlib.report import format as fmt
from emlib.report.load import rows_of
from emlib.report.theme import Look
from emlib.report.views import ordered
from emlib.study.optima import APART

Tables = dict[str, pd.DataFrame]
SHOWN = 6
"""Optima of one data set that are listed."""

SOUND = ("maximum", "boundary")
GROUP = ["dataset", "missingness", "model"]


def _settings(tables: Tables, look: Look) -> Iterator[tuple[str, str, pd.DataFrame]]:
    """Optima of each dataset x missingness x model in the report's order, with their names."""
    cells = ordered(tables["cells"], look).drop_duplicates(GROUP)
    several = cells.groupby("dataset")["model"].nunique().max() > 1
    groups = {tuple(map(str, key)): rows for key, rows in tables["optima"].groupby(GROUP)}
    for cell in rows_of(cells):
        rows = groups.get((cell.dataset, cell.missingness, cell.model))
        if rows is not None:
            name = f"{cell.dataset} · {cell.model}" if several else cell.dataset
            yield name, cell.missingness, rows


def _is_best(rows: pd.DataFrame) -> pd.Series:
    """The optima that are the reference: the highest that counts."""
    return rows["loss"].abs() <= APART


def _counted(verdicts: pd.Series) -> str:
    """``18 maximum, 2 boundary``."""
    counts = verdicts[verdicts != ""].value_counts()
    return ", ".join(f"{number} {name}" for name, number in counts.items()) or fmt.NOTHING


def _range(values: pd.Series) -> str:
    """Median and range of whole numbers."""
    low, middle, high = values.min(), values.median(), values.max()
    return f"{middle:g}" if low == high else f"{middle:g} ({low:g}–{high:g})"


def summary_rows(tables: Tables, look: Look) -> list[dict[str, Any]]:
    """One row a setting: how many optima there are, how large the best one's basin is."""
    out = []
    for name, missingness, rows in _settings(tables, look):
        data = rows.groupby("data_id", observed=True)
        best, others = rows[_is_best(rows)], rows[rows["loss"] > APART]
        gap = others.groupby("data_id", observed=True)["loss"].min()
        starts = data["starts"].first().sum()
        out.append(
            {
                "panel": name,
                "missingness": missingness,
                "data_sets": data.ngroups,
                "optima": _range(data.size()),
                "share": fmt.percent(best["reached"].sum() / starts) if starts else fmt.NOTHING,
                "gap": fmt.number(float(gap.median()), 2) if len(gap) else fmt.NOTHING,
                "certificates": _counted(best["verdict"]),
                "others": _counted(others["verdict"]),
                "rate": fmt.number(float(best["em_rate"].median()), 3),
                "smallest": fmt.number(float(best["smallest_component"].min()), 2),
                "ratio": fmt.number(float(best["eigenvalue_ratio"].min()), 2),
            }
        )
    return out


def uncertain(tables: Tables) -> list[str]:
    """Reference optima that are certified to be no maximum, named."""
    rows = tables["optima"]
    rows = rows[_is_best(rows) & ~rows["verdict"].isin(["", *SOUND])]
    return [
        f"{row.dataset}, {row.missingness}, {row.model}, replicate {row.replicate}: "
        f"{row.verdict} ({row.reason})"
        for row in rows_of(rows)
    ]


def detail_groups(tables: Tables, look: Look) -> list[dict[str, Any]]:
    """The optima of the first data set of each setting, from the top."""
    basins = tables["basins"]
    groups: list[dict[str, Any]] = []
    for name, missingness, rows in _settings(tables, look):
        first = rows[rows["data_id"] == rows.sort_values("replicate")["data_id"].iloc[0]]
        first = first.sort_values("rank")
        head = first.iloc[0]
        same = basins["data_id"].eq(head["data_id"]) & basins["model"].eq(head["model"])
        counts = basins[same].groupby(["rank", "init"])[["reached", "starts"]].sum()
        rest = first.iloc[SHOWN:]
        groups.append(
            {
                "panel": name,
                "missingness": missingness,
                "replicate": int(head["replicate"]),
                "rows": [_optimum(row, counts, look) for row in rows_of(first.head(SHOWN))],
                "open": len(first) > 1 and not any(group["open"] for group in groups),
                "more": len(rest),
                "more_reached": int(rest["reached"].sum()),
            }
        )
    return groups


def _optimum(row: Any, counts: pd.DataFrame, look: Look) -> dict[str, Any]:
    flags = [flag for flag in str(row.flags).split(",") if flag in ("spurious", "boundary")]
    return {
        "rank": row.rank + 1,
        "best": abs(row.loss) <= APART,
        "objective": f"{row.objective:.3f}".replace("-", "−"),
        "loss": "0" if abs(row.loss) <= APART else fmt.number(row.loss, 3),
        "reached": f"{row.reached} of {row.starts}",
        "share": f"{100 * row.low:.0f}–{100 * row.high:.0f} %" if row.starts else "",
        "inits": [_of_init(counts, row.rank, init) for init in look.inits],
        "smallest": fmt.number(row.smallest_component, 3),
        "ratio": fmt.number(row.eigenvalue_ratio, 2),
        "rates": _rates(row),
        "verdict": row.verdict.replace("_", " ") or fmt.NOTHING,
        "reason": row.reason,
        "sound": row.verdict in ("", *SOUND),
        "flags": flags,
        "unseen": row.in_search and not row.reached,
    }


def _of_init(counts: pd.DataFrame, rank: int, init: str) -> dict[str, Any]:
    if (rank, init) not in counts.index:
        return {"text": fmt.NOTHING, "none": True}
    row: Any = counts.loc[(rank, init)]
    reached, starts = int(row["reached"]), int(row["starts"])
    return {"text": f"{reached}/{starts}", "none": reached == 0}


def _rates(row: Any) -> str:
    """EM's rate by the certificate, and the climb's own as a rate of the way."""
    climbed = np.sqrt(row.linear_rate) if row.linear_rate >= 0 else np.nan
    certified, seen = fmt.number(row.em_rate, 3), fmt.number(float(climbed), 3)
    return certified if seen == fmt.NOTHING else f"{certified} ({seen})"


def cost_groups(tables: Tables, look: Look) -> list[dict[str, Any]]:
    """Hit probabilities within equal work, and what one fit costs, its init and climb apart.

    One table a panel, one part a missingness, one row a cell that has fits.
    """
    cells = ordered(tables["cells"], look)
    budgets = dict(iter(tables["budgets"].groupby("cell_id", sort=False)))
    return [
        {
            "panel": panel,
            "parts": [
                {"missingness": name, "rows": [_cost(row, budgets) for row in rows_of(part)]}
                for name, part in rows.groupby("missingness", sort=False)
            ],
        }
        for panel, rows in cells[cells["fits"] > 0].groupby("panel", sort=False)
    ]


def _cost(row: Any, budgets: dict[Any, pd.DataFrame]) -> dict[str, Any]:
    hits = [
        ("≥ " if one.exhausted else "") + fmt.percents(one.hit_rate, one.hit_low, one.hit_high)
        for one in rows_of(budgets[row.cell_id])
    ]
    work = [row.e_steps_init_median, row.e_steps_climb_median, row.e_steps_median]
    time = [row.seconds_init_median, row.seconds_climb_median, row.seconds_median]
    texts = [*hits, *(fmt.given(round(value, 1)) for value in work), *map(fmt.seconds, time)]
    return {"init": row.init, "oracle": bool(row.oracle), "values": texts}
