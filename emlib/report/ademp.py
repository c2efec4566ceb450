"""The ADEMP box (Morris, White and Crowther 2019), filled from the resolved study."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from emlib.report.cells import budget_of
from emlib.report.format import count, given, listed, percent, settings_text
from emlib.report.outcomes import POLISH_MAY_GAIN
from emlib.report.statistics import replicates_for
from emlib.study.grid import is_generated


def ademp(study: dict[str, Any], cells: pd.DataFrame) -> list[tuple[str, list[str]]]:
    """Aims, data, estimands, methods, performance measures: a title and its lines each."""
    return [
        ("Aims", _aims(study, cells)),
        ("Data-generating mechanisms", _data(study, cells)),
        ("Estimands", _estimands(study)),
        ("Methods", _methods(study, cells)),
        ("Performance measures", _performance(study, cells)),
    ]


def _aims(study: dict[str, Any], cells: pd.DataFrame) -> list[str]:
    models = [f"{name}: {_spec(study['models'][name])}" for name in dict.fromkeys(cells["model"])]
    return [
        "Which initialization of EM most often leads to the best optimum of the likelihood, and at "
        "what cost, on each dataset and missing rate?",
        "Models fitted: " + "; ".join(models) + ".",
    ]


def _spec(spec: dict[str, Any]) -> str:
    flat = {k: v for k, v in spec.items() if k != "settings"} | dict(spec.get("settings") or {})
    flat = {k: v for k, v in flat.items() if k not in ("oracle", "deterministic")}
    kinds = [str(flat.pop(k)) for k in ("family", "init", "algorithm") if k in flat]
    rest = settings_text(flat)
    return ", ".join([*kinds, *([rest] if rest else [])])


def _data(study: dict[str, Any], cells: pd.DataFrame) -> list[str]:
    lines = []
    for name in (n for n in study["datasets"] if n in set(cells["dataset"])):
        spec = study["datasets"][name]
        if is_generated(spec):
            rest = {k: v for k, v in spec.items() if k != "generator"}
            lines.append(
                f"{name}: generated ({spec['generator']}: {settings_text(rest)}); one set of "
                "parameters, new rows for each replicate."
            )
        else:
            lines.append(
                f"{name}: a real table ({settings_text(spec)}); replicates draw its missing "
                "entries and the starts anew, so inference is conditional on this table."
            )
    drawn = [
        f"{name} ({percent(spec['rate'])} of {_unit(spec['mechanism'])})" if spec["rate"] else name
        for name, spec in study["missingness"].items()
    ]
    nested = "; holes are nested across rates" if len(drawn) > 1 else ""
    lines.append(f"Missingness: {listed(drawn, most=40)}{nested}.")
    return lines


def _unit(mechanism: str) -> str:
    """What a rate is a share of."""
    return "time steps" if mechanism == "steps" else "entries"


def _estimands(study: dict[str, Any]) -> list[str]:
    budget = budget_of(study)
    limit = (
        f"within a budget of {given(budget)} full-data E-step equivalents"
        if np.isfinite(budget)
        else "with all restarts"
    )
    return [
        f"Primary: the probability that a hit is found {limit}, starts taken in order, the init's "
        "own cost counted.",
        f"A hit is a fit whose polished endpoint is within {given(study['hit_tolerance'])} nats of "
        "the reference optimum, the best of a search of its own on the same data and of every fit "
        "of the grid; degenerate and spurious optima do not count. A climb whose polish gains over "
        f"{POLISH_MAY_GAIN:g} nats is judged by its own end: it stopped on a plateau.",
        "Secondary: the same for a single start; loss (reference minus loglik, each plus the log "
        "prior where a model has one); expected running time to a hit; statuses and flags; and, "
        "kept apart, how well the best start estimates.",
    ]


def _methods(study: dict[str, Any], cells: pd.DataFrame) -> list[str]:
    used = {name: spec for name, spec in study["inits"].items() if name in set(cells["init"])}
    rivals = [_named(name, spec) for name, spec in used.items() if not spec["oracle"]]
    lines = [f"Inits: {listed(rivals)}; baseline {study['baseline']}."]
    oracles = [name for name, spec in used.items() if spec["oracle"]]
    if oracles:
        lines.append(
            f"{listed(oracles)} starts from the true parameters where the data are generated: an "
            "oracle to compare with, not a competitor."
        )
    algorithms = [_spec(study["algorithms"][name]) for name in dict.fromkeys(cells["algorithm"])]
    lines.append(
        f"Algorithm: {listed(algorithms)}; stopping: {settings_text(study['stopping'])}; budget "
        f"of one fit: {settings_text(study['budget'])}; reference: "
        f"{settings_text(study['reference'])}."
    )
    return lines


def _named(name: str, spec: dict[str, Any]) -> str:
    """An init with its settings, and with its strategy where the id is another."""
    strategy = {} if spec["init"] == name else {"init": spec["init"]}
    detail = _spec(strategy | {"settings": spec["settings"]})
    return f"{name} ({detail})" if detail else name


def _performance(study: dict[str, Any], cells: pd.DataFrame) -> list[str]:
    replicates = int(study["replicates"])
    error = 0.5 / np.sqrt(replicates)
    return [
        f"{count(replicates, 'replicate')}, {count(study['restarts'], 'start')} of each init on "
        f"each (a deterministic init has one), seed {study['seed']}.",
        "Proportions over replicates have Wilson intervals; single starts share a replicate, so "
        "their intervals use the effective number of starts. Differences to the baseline are "
        "paired by replicate, with max-T sign-flip intervals that hold for all inits of a setting "
        "at once. All intervals are 95 %.",
        f"The Monte-Carlo standard error of a hit probability is at most {100 * error:.0f} points "
        f"with these replicates; ±5 points at a probability of one half would take "
        f"{replicates_for(0.5)} replicates.",
    ]
