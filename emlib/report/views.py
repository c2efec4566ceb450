"""Rows of the report's HTML tables: numbers as text, with the flags that spoil them beside."""

from __future__ import annotations

from typing import Any

import pandas as pd

from emlib.report import format as fmt
from emlib.report.cells import FLAGS, STATUSES
from emlib.report.contrasts import PRIMARY
from emlib.report.estimation import intervals
from emlib.report.load import SETTING, rows_of
from emlib.report.theme import Look, panel_names

ARROWS = {"better": "▲", "worse": "▼", "not distinguishable": ""}
NAMES = {
    "parameter_error": "parameter error",
    "ari": "1 − ARI",
    "imputation_error": "imputation error",
    "nrmse": "image error (NRMSE)",
    "ncc": "1 − image correlation",
    "dynamic_nrmse": "error of what moves",
    "spot_angle_error": "error of the spot's angle",
}
"""Measures of estimation as errors: what is correlated with the loss."""
ESTIMATES = NAMES | {
    "ari": "ARI",
    "ncc": "image correlation (NCC)",
    "spot_angle_error": "error of the spot's angle, degrees",
}
"""Measures of estimation as they are: of ARI and correlation, 1 is the best."""
VARIANTS = {
    "tolerance": "hit tolerance {} nats",
    "spurious": "spurious optima included",
    "plateau": "plateaus hit where their polish ends",
    "budget": "budget {} E-steps",
}


def ordered(cells: pd.DataFrame, look: Look) -> pd.DataFrame:
    """Cells in the report's order, with `panel` (row of panels) beside."""
    rank = {
        "panel": {name: k for k, name in enumerate(look.rows)},
        "missingness": {name: k for k, name in enumerate(look.columns)},
        "init": {name: k for k, name in enumerate(look.inits)},
    }
    cells = cells.assign(panel=panel_names(cells))
    places = cells[["panel", "missingness", "init"]].apply(lambda c: c.map(rank[c.name]))
    return cells.loc[places.sort_values(["panel", "missingness", "init"], kind="stable").index]


def by_setting(table: pd.DataFrame, cells: pd.DataFrame, look: Look) -> pd.DataFrame:
    """Rows of a table in the report's order of datasets, models and missingness."""
    columns = [name for name in SETTING if name in table]
    return ordered(cells, look)[columns].drop_duplicates().merge(table, on=columns)


def result_groups(tables: dict[str, pd.DataFrame], look: Look) -> list[dict[str, Any]]:
    """One table a dataset (and model), one part a missingness, one row an init."""
    cells = ordered(tables["cells"], look)
    differences = tables["differences"]
    primary = differences[differences["estimand"] == PRIMARY].set_index("cell_id")
    groups = []
    for panel, rows in cells.groupby("panel", sort=False):
        parts = [
            {
                "missingness": name,
                "conditional": bool(part["conditional"].any()),
                "rows": [_result(row, primary, look.tolerance / 10) for row in rows_of(part)],
            }
            for name, part in rows.groupby("missingness", sort=False)
        ]
        groups.append({"panel": panel, "parts": parts})
    return groups


def _result(row: Any, primary: pd.DataFrame, floor: float) -> dict[str, Any]:
    known = row.cell_id in primary.index
    against = primary.loc[row.cell_id] if known else None
    return {
        "init": row.init,
        "oracle": bool(row.oracle),
        "fits": row.fits,
        "hit": fmt.percents(row.hit_rate, row.hit_low, row.hit_high),
        "hit_flags": _hit_flags(row),
        "difference": fmt.points(against["difference"], against["low"], against["high"])
        if against is not None
        else "",
        "verdict": str(against["verdict"]) if against is not None else "",
        "arrow": ARROWS.get(str(against["verdict"]), "") if against is not None else "",
        "start": "" if row.oracle else fmt.percents(row.start_rate, row.start_low, row.start_high),
        "ert": fmt.interval(row.ert, row.ert_low, row.ert_high),
        "ert_seconds": fmt.seconds(row.ert_seconds),
        "loss": fmt.loss(row.loss_median, floor),
        "loss_flags": _loss_flags(row),
        "cost": fmt.given(round(row.e_steps_init_median, 1)),
        "work": fmt.given(round(row.e_steps_median, 1)),
    }


def _hit_flags(row: Any) -> list[str]:
    """What spoils a hit rate: optima that do not count, rates without randomness."""
    flags = []
    if row.spurious_above:
        flags.append(f"{row.spurious_above} spurious")
    if row.deterministic and row.conditional:
        flags.append("deterministic: known, not estimated")
    return flags


def _loss_flags(row: Any) -> list[str]:
    ended = {name: getattr(row, f"status_{name}") for name in STATUSES if name != "converged"}
    flags = [f"{count} {name}" for name, count in ended.items() if count]
    if row.flag_plateau:
        flags.append(f"{row.flag_plateau} plateau")
    if row.flag_slow_tail:
        flags.append(f"{row.flag_slow_tail} slow_tail")
    return flags


def estimation_groups(tables: dict[str, pd.DataFrame], look: Look) -> list[dict[str, Any]]:
    """Estimation at the best start: mean and interval over replicates.

    One table a dataset (and model), of the measures that some replicate of it has.
    """
    table = tables["estimation"]
    for measure in ESTIMATES:
        table = table.assign(**dict(zip(_ends(measure), intervals(table, measure), strict=True)))
    cells = ordered(tables["cells"], look).merge(table, on="cell_id", how="left")
    cells = cells[cells["fits"] > 0]
    groups = []
    for panel, rows in cells.groupby("panel", sort=False):
        measures = [name for name in ESTIMATES if (rows[f"{name}_replicates"] > 0).any()]
        if not measures:
            continue
        parts = []
        for name, part in rows.groupby("missingness", sort=False):
            lines = [
                {
                    "init": row.init,
                    "oracle": bool(row.oracle),
                    "values": [_estimate(row, measure) for measure in measures],
                }
                for row in rows_of(part)
            ]
            parts.append({"missingness": name, "rows": lines})
        names = [ESTIMATES[measure] for measure in measures]
        groups.append({"panel": panel, "measures": names, "parts": parts})
    return groups


def _ends(measure: str) -> tuple[str, str]:
    return f"{measure}_low", f"{measure}_high"


def _estimate(row: Any, measure: str) -> dict[str, str]:
    counted = int(getattr(row, f"{measure}_replicates"))
    text = fmt.interval(*(getattr(row, name) for name in (measure, *_ends(measure))))
    lacking = row.replicates - counted
    return {"text": text, "flag": f"{lacking} failed" if counted and lacking else ""}


def correlated(correlations: pd.DataFrame) -> list[str]:
    """Measures that some setting has a correlation of."""
    found = set(correlations["measure"])
    return [name for name in NAMES if name in found]


def correlation_rows(tables: dict[str, pd.DataFrame], look: Look) -> list[dict[str, Any]]:
    """Rank correlation of loss and estimation error, one row a setting."""
    table = tables["correlations"]
    if not len(table):
        return []
    cells = ordered(tables["cells"], look).drop_duplicates(SETTING)
    rows = []
    for setting in rows_of(cells):
        mine = table[(table[SETTING] == [getattr(setting, a) for a in SETTING]).all(axis=1)]
        found = mine.set_index("measure")
        if len(found):
            values = [_correlation(found, name) for name in correlated(table)]
            where = {"panel": setting.panel, "missingness": setting.missingness}
            rows.append({**where, "values": values})
    return rows


def _correlation(found: pd.DataFrame, name: str) -> str:
    if name not in found.index:
        return fmt.NOTHING
    row: Any = found.loc[name]
    text = fmt.with_error(float(row["correlation"]), float(row["standard_error"]))
    return f"{text} [{row['replicates']}]"


def status_rows(cells: pd.DataFrame, look: Look) -> tuple[list[str], list[dict[str, Any]]]:
    """Fits of each init by status and flag, over all settings; columns that are all zero go."""
    columns = [f"status_{s}" for s in STATUSES] + [f"flag_{f}" for f in FLAGS] + ["spurious_above"]
    sums = cells.groupby("init")[["fits", *columns]].sum().reindex(look.inits)
    shown = [c for c in columns if c == "status_converged" or sums[c].sum() > 0]
    rows = [
        {
            "init": init,
            "oracle": init in look.oracles,
            "fits": int(row["fits"]),
            "counts": [int(row[name]) for name in shown],
        }
        for init, row in sums.iterrows()
    ]
    titles = {"spurious_above": "spurious, above the reference"}
    names = [titles.get(c, c.removeprefix("status_").removeprefix("flag_")) for c in shown]
    return names, rows


def raised_rows(references: pd.DataFrame) -> list[dict[str, Any]]:
    """References that the grid beat, largest gain first."""
    raised = references[references["raised"]].sort_values("gain", ascending=False)
    return [
        {
            "where": f"{row.dataset}, {row.missingness}, {row.model}",
            "replicate": row.replicate,
            "searched": f"{row.searched:.3f}".replace("-", "−").replace("nan", "none found"),
            "reference": f"{row.reference:.3f}".replace("-", "−"),
            "gain": fmt.number(row.gain),
            "init": row.raised_init,
            "fit": row.raised_by,
        }
        for row in rows_of(raised)
    ]


def worst_rows(worst: pd.DataFrame) -> list[dict[str, Any]]:
    """The worst fits with their replay lines."""
    return [
        {
            "where": f"{row.dataset}, {row.missingness}, {row.model}",
            "init": row.init,
            "place": f"{row.replicate} / {row.start}",
            "status": row.status,
            "flags": [flag for flag in str(row.flags).split(",") if flag],
            "loss": fmt.number(row.loss),
            "message": row.message or _polished_away(row.status_polished),
            "replay": f"emlib replay {row.fit_id}",
        }
        for row in rows_of(worst)
    ]


def _polished_away(status: str) -> str:
    """Why a fit without a message of its own gave no optimum."""
    return "a component collapsed while its end was polished" if status == "degenerate" else ""


def variant_name(variant: str, value: float) -> str:
    """What a variant of the sensitivity analysis changes."""
    return VARIANTS[variant].format(fmt.given(value))


def sensitivity_rows(summary: pd.DataFrame) -> list[dict[str, Any]]:
    """How far the conclusions move, one row a variant."""
    return [
        {
            "variant": variant_name(row.variant, row.value),
            "largest": f"{100 * row.largest_change:.0f}"
            if row.largest_change >= 0
            else fmt.NOTHING,
            "mean": f"{100 * row.mean_change:+.1f}".replace("-", "−").replace("+0.0", "0"),
            "best": f"{row.best_changed} of {row.settings}",
            "verdicts": row.verdicts_changed,
        }
        for row in rows_of(summary)
    ]


def sensitivity_detail(
    tables: dict[str, pd.DataFrame], look: Look
) -> tuple[list[str], list[dict[str, Any]]]:
    """Hit probabilities of every cell under every variant; moved ones are marked."""
    cells = ordered(tables["cells"], look)
    cells = cells[cells["fits"] > 0]
    wide = tables["sensitivity"].pivot(
        index="cell_id", columns=["variant", "value"], values="hit_rate"
    )
    wide = wide.reindex(cells["cell_id"])
    columns: list[Any] = list(wide.columns)
    first = wide[columns[0]].to_numpy(float)
    keys = columns[1:]
    order = list(VARIANTS)
    keys.sort(key=lambda key: (order.index(key[0]), key[1]))
    rows = []
    for k, row in enumerate(rows_of(cells)):
        values = [float(wide[key].iat[k]) for key in keys]
        rows.append(
            {
                "panel": row.panel,
                "missingness": row.missingness,
                "init": row.init,
                "primary": fmt.percent(first[k]),
                "values": [
                    {"text": fmt.percent(v), "moved": abs(v - first[k]) >= 0.05} for v in values
                ],
            }
        )
    return [variant_name(*key) for key in keys], rows
