"""One fit, from its start to a record for the store: init, climb, polish, scores.

A failure is a record too.
"""

from __future__ import annotations

import math
import re
import time
from array import array
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms import make_algorithm
from emlib.algorithms.climb import climb
from emlib.algorithms.records import Budget, Climb
from emlib.algorithms.stopping import Stopping
from emlib.errors import InvalidData
from emlib.models.records import Degenerate
from emlib.study.case import Case
from emlib.study.engines import is_of_cluster
from emlib.study.identity import replay_line
from emlib.study.polish import flags, polish
from emlib.study.scores import adjusted_rand, image_scores, imputation_error

CURVE_POINTS = 200
PROVISIONAL_STATUSES = frozenset({"timeout", "lost"})
NAN = math.nan
Record = dict[str, Any]


@dataclass(frozen=True)
class FitSpec:
    """How one fit starts, climbs and stops, as in ``study.json``."""

    fit_id: str
    init: Mapping[str, Any]
    algorithm: Mapping[str, Any]
    stopping: Mapping[str, Any]
    budget: Mapping[str, Any]
    rng: Callable[[str], np.random.Generator]
    """Generator of its ``init``, and of its ``algorithm``."""


def run_fit(case: Case, spec: FitSpec) -> Record:
    """Run one fit, whatever happens in it.

    Returns
    -------
    dict
        ``provisional`` (whether it must be tried again), ``fit`` (columns of its row), ``timings``,
        and, if it climbed at all, ``curve`` and ``params``.
    """
    clock = _Clock()
    try:
        parts = _fit(case, spec, clock)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # sys.exit included: a fit may not end the block
        parts = {"fit": failure(error, spec.fit_id), "error": error}
    provisional = is_provisional(parts["fit"]["status"], parts.pop("error", None))
    return {"provisional": provisional, **parts, "timings": clock.record()}


def failure(error: BaseException, fit_id: str) -> Record:
    """Row of a fit that ended in an exception: `invalid`, `degenerate`, or `failed`."""
    if isinstance(error, Degenerate):  # raised by an init: the climb turns its own into a status
        return {
            "status": "degenerate",
            "message": steady(str(error)),
            "e_steps_init": error.e_steps,
        }
    if isinstance(error, InvalidData):
        return {"status": "invalid", "message": steady(str(error))}
    text = f"{type(error).__name__}: {error}"
    return {"status": "failed", "message": f"{steady(text)}; replay: {replay_line(fit_id)}"}


def is_provisional(status: str, error: BaseException | None) -> bool:
    """Whether a result says more about the machine than about the fit."""
    machine = isinstance(error, MemoryError | OSError) or is_of_cluster(error)
    return status in PROVISIONAL_STATUSES or machine


def steady(text: str) -> str:
    """A message without what changes from run to run: addresses of objects, line breaks."""
    return " ".join(re.sub(r"\b0x[0-9a-fA-F]{6,}\b", "0x...", text).split())


class _Clock:
    """Seconds of a fit's three parts."""

    def __init__(self) -> None:
        self._started = time.time()
        self._mark = time.perf_counter()
        self._seconds = dict.fromkeys(("seconds_init", "seconds_climb", "seconds_polish"), NAN)

    def lap(self, part: str) -> None:
        """What has passed since the last lap is that part's; no part's if it is empty."""
        now = time.perf_counter()
        if part:
            self._seconds[part] = now - self._mark
        self._mark = now

    def record(self) -> Record:
        return {**self._seconds, "started": self._started, "ended": time.time()}


def ascend(
    case: Case, spec: FitSpec, lap: Callable[[str], None] = lambda part: None
) -> tuple[Any, Climb, Climb | None]:
    """A fit's start, its climb, and the polish of its end (None where that is degenerate)."""
    model, data = case.climbed
    lap("")
    start = case.start(spec.init["init"], spec.init["settings"], spec.rng("init"))
    lap("seconds_init")
    algorithm = make_algorithm(spec.algorithm["algorithm"], dict(spec.algorithm["settings"]))
    budget = remaining(spec.budget, start.e_steps)
    result = climb(
        model, data, start.params, algorithm, Stopping(**spec.stopping), budget,
        spec.rng("algorithm"),
    )  # fmt: skip
    lap("seconds_climb")
    polished = polish(model, data, result)
    lap("seconds_polish")
    return start, result, polished


def _fit(case: Case, spec: FitSpec, clock: _Clock) -> Record:
    start, result, polished = ascend(case, spec, clock.lap)
    row = {
        **_endpoint(result),
        "loglik_start": float(result.history.loglik[0]),
        "loglik_polished": NAN if polished is None else float(polished.objective),
        "status_polished": result.status if polished is None else polished.status,
        "e_steps_init": float(start.e_steps),
        "e_steps_polish": 0.0 if polished is None else float(polished.e_steps),
        "flags": ",".join(sorted(flags(result, polished))),
        **_scores(case, result),
    }
    record = {"fit": row, "curve": curve(result, start.e_steps)}
    if result.params is not None:
        ends = {"start": start.params, "final": result.params}
        record["params"] = {
            name: _floats(case.model.unheld.pack(params, coordinates="natural"))
            for name, params in ends.items()
        }
    return record


def remaining(budget: Mapping[str, Any], spent: float) -> Budget:
    """What an init left of a fit's budget."""
    e_steps = budget["e_steps"]
    return Budget(
        e_steps=None if e_steps is None else max(0.0, e_steps - spent), seconds=budget["seconds"]
    )


def _endpoint(result: Climb) -> Record:
    return {
        "status": result.status,
        "message": steady(result.message or ""),
        "rule": result.rule,
        "loglik": float(result.loglik),
        "objective": float(result.objective),
        "n_iter": int(result.n_iter),
        "e_steps_climb": float(result.e_steps),
        "predicted_gain": float(result.predicted_gain),
        "linear_rate": float(result.linear_rate),
        "eigenvalue_ratio": float(result.eigenvalue_ratio),
        "smallest_component": float(result.smallest_component),
    }


def _scores(case: Case, result: Climb) -> Record:
    """Scores at the returned parameters; none for a degenerate end."""
    if result.status == "degenerate":
        return {}
    model, data, params = case.model, case.data, result.params
    scores = {"bic": case.penalty - 2.0 * float(result.loglik)}
    posterior = model.posterior(params, data)
    classes = posterior.responsibilities
    if case.labels is not None and classes is not None:
        scores["ari"] = adjusted_rand(classes.argmax(axis=1), case.labels)
    if case.truth is not None and model.is_comparable(dict(case.truth)):
        scores["parameter_error"] = model.parameter_error(params, dict(case.truth))
    if case.truth is not None and "image" in model.traits:
        anywhere = model.gains and "gain_phases" not in model.held
        scores |= image_scores(posterior.latent, case.truth, model.field_of_view, anywhere)
    if case.has_hidden:
        error = imputation_error(posterior.completed, case.hidden_cells, model.levels)
        scores["imputation_error"] = error
    return scores


def curve(result: Climb, spent: float) -> Record:
    """A climb's history, thinned; its E-steps include what the init spent."""
    history = result.history
    kept = thinned(len(history.objective))
    return {
        "iteration": kept.tolist(),
        "e_steps": _floats(np.asarray(history.e_steps, dtype=float)[kept] + spent),
        "objective": _floats(history.objective[kept]),
        "loglik": _floats(history.loglik[kept]),
    }


def thinned(n: int, points: int = CURVE_POINTS) -> NDArray[np.int64]:
    """At most ``points`` of 0 .. n - 1, evenly spaced in their logarithm, both ends kept."""
    if n <= points:
        return np.arange(n)
    spaced = np.rint(np.geomspace(1.0, n, points)).astype(np.int64)
    return np.unique(np.concatenate([[1], spaced, [n]])) - 1


def _floats(values: Any) -> array[float]:
    """64-bit floats with one NaN, ready for the store."""
    numbers = np.array(values, dtype=np.float64)
    numbers[np.isnan(numbers)] = np.nan
    return array("d", numbers.tobytes())
