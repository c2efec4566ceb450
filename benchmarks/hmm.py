"""Hidden Markov models beside hmmlearn, complete data (it takes no holes)."""

import logging
import warnings
from collections.abc import Iterator
from typing import Any

import hmmlearn
import numpy as np
from hmmlearn import hmm as peer

import emlib
from benchmarks.side_by_side import Comparison, holed
from emlib.models import make_model

ITERATIONS = 30
STEPS, STATES = 100_000, 5


def comparisons() -> Iterator[Comparison]:
    """Each family against both of hmmlearn's implementations, many sequences, and holes."""
    logging.disable(logging.CRITICAL)
    families = {
        "GaussianHMM": ("diag", "full"), "PoissonHMM": (None,), "CategoricalHMM": (None,)
    }  # fmt: skip
    for name, types in families.items():
        for covariance_type in types:
            x, start = _problem(name, covariance_type)
            for implementation in ("scaling", "log"):
                yield _comparison(name, covariance_type, implementation, x, start, [STEPS])
    x, start = _problem("GaussianHMM", "diag")
    yield _comparison("GaussianHMM", "diag", "scaling", x, start, [100] * (STEPS // 100))
    yield Comparison(
        f"GaussianHMM diag, T = {STEPS}, d = 3, K = {STATES}, 10 % of the cells missing",
        f"hmmlearn {hmmlearn.__version__} (scaling) on the complete data",
        lambda: _ours("GaussianHMM", "diag", holed(x, 0.1), start, [STEPS]),
        lambda: _theirs("GaussianHMM", "diag", "scaling", x, start, [STEPS]),
        repeats=3,
        note="the peer cannot do this; the ratio says what holes cost",
    )


def _comparison(
    name: str, covariance_type: str | None, implementation: str, x: np.ndarray, start: dict,
    lengths: list[int],
) -> Comparison:  # fmt: skip
    many = f", {len(lengths)} sequences" if len(lengths) > 1 else ""
    kind = f" {covariance_type}" if covariance_type else ""
    return Comparison(
        f"{name}{kind}, T = {STEPS}{many}, d = {x.shape[1]}, K = {STATES}, {ITERATIONS} iterations",
        f"hmmlearn {hmmlearn.__version__} ({implementation})",
        lambda: _ours(name, covariance_type, x, start, lengths),
        lambda: _theirs(name, covariance_type, implementation, x, start, lengths),
        repeats=3,
    )


def _problem(name: str, covariance_type: str | None) -> tuple[np.ndarray, dict]:
    """Data of a sticky chain, and a start beside the truth."""
    rng = np.random.default_rng(STEPS)
    chain = {
        "startprob": np.full(STATES, 1 / STATES),
        "transmat": np.full((STATES, STATES), 0.05) + 0.75 * np.eye(STATES),
    }
    if name == "GaussianHMM":
        means = 2.0 * rng.normal(size=(STATES, 3))
        emitted = {"means": means, "covars": np.tile(np.eye(3), (STATES, 1, 1))}
        model = make_model("gaussian_hmm", {"n_states": STATES, "covariance_type": "full"})
        covars = emitted["covars"] if covariance_type == "full" else np.ones((STATES, 3))
        moved = {"means": means + 0.3, "covars": 1.5 * covars}
    elif name == "PoissonHMM":
        emitted = {"rates": np.array([[1.0], [3.0], [6.0], [10.0], [15.0]])}
        model = make_model("poisson_hmm", {"n_states": STATES})
        moved = {"rates": emitted["rates"] + 0.5}
    else:
        emitted = {"emissionprob": rng.dirichlet(np.ones(20), STATES)}
        model = make_model("categorical_hmm", {"n_states": STATES, "n_symbols": 20})
        moved = {"emissionprob": 0.5 * emitted["emissionprob"] + 0.025}
    x, _ = model.sample(model.from_truth({**chain, **emitted}), STEPS, rng)
    return x, {**chain, **moved}


def _ours(
    name: str, covariance_type: str | None, x: np.ndarray, start: dict, lengths: list[int]
) -> float:
    settings: dict[str, Any] = {"covariance_type": covariance_type} if covariance_type else {}
    estimator = getattr(emlib, name)(
        STATES, init_params=start, tol=0, max_iter=ITERATIONS, **settings
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return float(estimator.fit(x, lengths).loglik_)


def _theirs(
    name: str, covariance_type: str | None, implementation: str, x: np.ndarray, start: dict,
    lengths: list[int],
) -> float:  # fmt: skip
    settings: dict[str, Any] = {"implementation": implementation}
    if covariance_type:
        settings |= {
            "covariance_type": covariance_type, "min_covar": 0, "covars_prior": 0,
            "covars_weight": 0,
        }  # fmt: skip
    model = getattr(peer, name)(STATES, init_params="", n_iter=ITERATIONS, tol=-np.inf, **settings)
    names = {"rates": "lambdas"}
    for field, value in start.items():
        setattr(model, f"{names.get(field, field)}_", np.array(value))
    whole = x if name == "GaussianHMM" else x.astype(int)
    model.fit(whole, lengths)
    return float(model.score(whole, lengths))
