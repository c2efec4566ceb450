"""Estimation apart from optimization: errors of the best start, and whether a better optimum is a
better estimate (rank correlation of loss and error)."""

from __future__ import annotations

import numpy as np
import pandas as pd

from emlib.report.cells import setting_codes
from emlib.report.load import SETTING, Results, by_cell
from emlib.report.outcomes import Outcomes
from emlib.report.statistics import mean_and_error, mean_interval
from emlib.study.measures import HIGHER_IS_BETTER, MEASURES

ERROR_RESOLUTION = 1e-3


def estimation_table(results: Results, replicates: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard error over replicates of each measure, at the best start; a row a cell.

    `<measure>_replicates` says how many replicates have the measure: a replicate whose every start
    failed has none.
    """
    best = results.fits[["cell", "loglik_polished", *MEASURES]]
    best = best.iloc[replicates["best"].to_numpy()]
    best = best.loc[np.isfinite(best["loglik_polished"]).to_numpy()]
    groups = dict(by_cell(best))
    out = []
    for cell in range(len(results.plan)):
        row: dict[str, object] = {"cell_id": results.plan["cell_id"].iat[cell]}
        for name in MEASURES:
            values = groups[cell][name].to_numpy(float) if cell in groups else np.empty(0)
            mean, error, count = mean_and_error(values)
            row |= {name: mean, f"{name}_se": error, f"{name}_replicates": count}
        out.append(row)
    return pd.DataFrame(out)


def intervals(table: pd.DataFrame, measure: str) -> tuple[np.ndarray, np.ndarray]:
    """Low and high ends of 95 % intervals of a measure's means, within what the measure can be.

    Parameters
    ----------
    table : DataFrame
        Rows of ``estimation_table``.
    measure : str
    """
    error, count = table[f"{measure}_se"], table[f"{measure}_replicates"]
    low, high = mean_interval(table[measure], error, count)
    if measure in HIGHER_IS_BETTER:
        return low, np.minimum(high, 1.0)
    return np.maximum(low, 0.0), high


def correlation_table(results: Results, outcomes: Outcomes, tolerance: float) -> pd.DataFrame:
    """Spearman correlation of loss and estimation error within each replicate, averaged.

    One row a setting and measure; where 1 is the best (ARI, an image's correlation), the error is 1
    minus it. Losses closer than the hit tolerance, and errors closer than 0.001, are tied: they are
    the same optimum. Replicates where either is constant have no correlation and are not counted.
    """
    fits = results.fits
    alive = np.isfinite(outcomes.loss) & ~fits["oracle"].to_numpy(bool)
    setting = setting_codes(results.plan)[fits["cell"].to_numpy()]
    names = results.plan[SETTING].drop_duplicates().reset_index(drop=True)
    parts = []
    for measure in MEASURES:
        error, sign = fits[measure].to_numpy(float), -1 if measure in HIGHER_IS_BETTER else 1
        use = alive & ~np.isnan(error)
        frame = pd.DataFrame(
            {
                "setting": setting[use],
                "replicate": fits["replicate"].to_numpy()[use],
                "loss": np.round(outcomes.loss[use] / tolerance),
                "error": np.round(sign * error[use] / ERROR_RESOLUTION),
            }
        )
        within = rank_correlations(frame, ["setting", "replicate"], "loss", "error")
        for code, values in within.groupby("setting"):
            mean, spread, count = mean_and_error(values["correlation"])
            if count:
                row = names.loc[code].to_dict() | {"measure": measure, "correlation": mean}
                parts.append(row | {"standard_error": spread, "replicates": count})
    columns = [*SETTING, "measure", "correlation", "standard_error", "replicates"]
    return pd.DataFrame(parts, columns=columns)


def rank_correlations(frame: pd.DataFrame, by: list[str], x: str, y: str) -> pd.DataFrame:
    """Spearman correlation of two columns within each group; NaN where one of them is constant."""
    groups = frame.groupby(by, sort=False)
    group = groups.ngroup()
    u, v = (
        ranks - ranks.groupby(group).transform("mean")
        for ranks in (groups[x].rank(), groups[y].rank())
    )
    sums = pd.DataFrame({"uv": u * v, "uu": u * u, "vv": v * v}).groupby(group).sum()
    scale = (sums["uu"] * sums["vv"]) ** 0.5
    found = frame[by].drop_duplicates().reset_index(drop=True)
    return found.assign(correlation=sums["uv"] / scale.where(scale > 0))
