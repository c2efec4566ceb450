"""The report's answer in sentences: which inits can be told from the baseline, and where."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emlib.report.cells import budget_of
from emlib.report.contrasts import PRIMARY, SINGLE
from emlib.report.format import given, listed, whole
from emlib.report.load import SETTING


def headline(study: dict[str, Any], tables: dict[str, pd.DataFrame]) -> list[str]:
    """Sentences that open the report; the first is the primary estimate's.

    Every setting counts once; intervals hold for all inits of a setting at once, not across
    settings.
    """
    differences = tables["differences"]
    rivals = differences[~differences["oracle"].astype(bool)].dropna(subset=["difference"])
    if not len(rivals):
        return [_alone(study, tables["cells"])]
    budget = budget_of(study)
    within = f"within {given(budget)} E-steps" if np.isfinite(budget) else "with all restarts"
    primary = rivals[rivals["estimand"] == PRIMARY]
    single = rivals[rivals["estimand"] == SINGLE]
    opening = _answer(primary, f"finds the reference optimum {within}", "find")
    out = [opening, _precision(primary)]
    if len(single):
        out.append("From a single start: " + _answer(single, "hits it", "hit"))
    return out


def _alone(study: dict[str, Any], cells: pd.DataFrame) -> str:
    if not (cells["fits"] > 0).any():
        return "No fits yet: nothing can be said."
    return (
        f"No init stands beside the baseline {study['baseline']} in any setting, so no difference "
        "is estimated."
    )


def _answer(rivals: pd.DataFrame, verb: str, plural: str) -> str:
    baseline = rivals["baseline"].iat[0]
    settings = rivals[SETTING].drop_duplicates()
    counts = rivals.groupby("init", sort=False)["verdict"].value_counts().unstack(fill_value=0)
    counts = counts.reindex(columns=["better", "worse"], fill_value=0)
    total = len(settings)
    if not counts.to_numpy().any():
        return f"No init is distinguishable from {baseline} in any of {_of(total)}."
    lead = counts["better"] - counts["worse"]
    top = list(lead.index[lead == lead.max()])
    if lead.max() > 0:
        verb = verb if len(top) == 1 else "each " + plural + verb[verb.index(" ") :]
        found = rivals[rivals["init"].isin(top) & (rivals["verdict"] == "better")]
        better, worse = int(counts.loc[top[0], "better"]), int(counts.loc[top, "worse"].max())
        text = (
            f"{listed(top)} {verb} more often than {baseline} in {better} of {_of(total)}, "
            f"{_range(found)}"
        )
        text += f", and less often in {worse}." if worse else "; less often in none."
        return text + _last(rivals, counts, total)
    return f"No init does better than {baseline} in more settings than it does worse." + _last(
        rivals, counts, total
    )


def _last(rivals: pd.DataFrame, counts: pd.DataFrame, total: int) -> str:
    """The inits that do worse than the baseline most often, if any does."""
    worse = counts["worse"]
    if not worse.any():
        return ""
    bottom = list(worse.index[worse == worse.max()])
    found = rivals[rivals["init"].isin(bottom) & (rivals["verdict"] == "worse")]
    does = "does" if len(bottom) == 1 else "do"
    return f" {listed(bottom)} {does} worse in {worse.max()} of {_of(total)}, {_range(found)}."


def _of(total: int) -> str:
    return f"{total} settings" if total != 1 else "1 setting"


def _range(rows: pd.DataFrame) -> str:
    size = (100 * rows["difference"].abs()).round().astype(int)
    if size.min() == size.max():
        return f"by {size.min()} points"
    return f"by {size.min()} to {size.max()} points"


def _precision(rivals: pd.DataFrame) -> str:
    """How much is undecided, and how many replicates would decide it to 5 points."""
    unclear = rivals[rivals["verdict"] == "not distinguishable"]
    have = int(rivals["replicates"].max())
    need = int(np.ceil(rivals["replicates_needed"].max() / 10) * 10)
    if not len(unclear):
        return (
            f"Every one of the {len(rivals)} comparisons with the baseline is distinguishable with "
            f"{have} replicates; intervals of ±5 points would take about {whole(need)}."
        )
    share = "None" if len(unclear) == len(rivals) else f"{len(rivals) - len(unclear)}"
    return (
        f"{share} of the {len(rivals)} comparisons with the baseline "
        f"{'is' if share in ('None', '1') else 'are'} distinguishable with these {have} "
        f"replicates; about {whole(need)} replicates would give every interval ±5 points."
    )
