"""Refits to bootstrap samples (Efron 1979; for mixtures McLachlan and Peel 2000, section 2.16).

Each climb begins at the fitted parameters, so that labels stay those of the fit and a refit ends
at the same optimum.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np

from emlib.algorithms.climb import climb
from emlib.algorithms.stopping import Stopping
from emlib.errors import EmlibError, require_count
from emlib.inference.standard_errors import StandardErrors, flatten, marked, unflatten
from emlib.models.base import Model
from emlib.models.records import Degenerate


def refits(
    model: Model, data: Any, params: Any, rng: np.random.Generator, stopping: Stopping
) -> Iterator[Any]:
    """Parameters refitted to one bootstrap sample after another; None for a collapse."""
    while True:
        sample = model.bootstrapped(params, data, rng)
        try:
            end = climb(model.prepare(sample), sample, params, stopping=stopping)
        except (Degenerate, EmlibError, ArithmeticError, np.linalg.LinAlgError):
            yield None
            continue
        yield None if end.status == "degenerate" else end.params


def bootstrap_errors(
    model: Model,
    data: Any,
    params: Any,
    rng: np.random.Generator,
    n_resamples: int,
    stopping: Stopping,
) -> StandardErrors:
    """Standard deviations of the reported quantities over ``n_resamples`` refits.

    Raises
    ------
    ValueError
        If fewer than two refits came to a sound end.
    """
    require_count("n_resamples", n_resamples)
    estimates = model.functionals(params)
    _, shapes = flatten(estimates)
    draws = refits(model, data, params, rng, stopping)
    ends = [next(draws) for _ in range(n_resamples)]
    sound = [flatten(model.functionals(end))[0] for end in ends if end is not None]
    if len(sound) < 2:
        raise ValueError(f"n_resamples: only {len(sound)} of {n_resamples} refits ended soundly")
    finite = np.isfinite(sound).all(axis=0)
    errors = np.std(np.where(finite, sound, 0.0), axis=0, ddof=1)
    reasons = np.where(finite, "", "boundary").astype("<U16")
    reasons[marked(model, params, model.not_identified(params))] = "not_identified"
    errors[reasons != ""] = np.nan
    return StandardErrors(
        estimates, unflatten(errors, shapes), unflatten(reasons, shapes),
        n_failed=n_resamples - len(sound),
    )  # fmt: skip
