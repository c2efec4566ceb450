"""Gaussian mixtures beside scikit-learn, complete data (it takes no holes)."""

from collections.abc import Iterator

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture as Peer

from benchmarks.side_by_side import Comparison, holed
from emlib import GaussianMixture

SIZES = (
    ("full", 500, 2, 3, 200),  # the size of most studies
    ("full", 2_000, 4, 3, 100),
    ("full", 100_000, 5, 5, 30),
    ("full", 100_000, 10, 10, 20),
    ("full", 20_000, 64, 8, 20),
    ("tied", 50_000, 10, 5, 30),
    ("diag", 200_000, 20, 10, 20),
    ("spherical", 50_000, 10, 5, 30),
)
"""Structure, rows, columns, components, iterations."""


def comparisons() -> Iterator[Comparison]:
    """All four structures, small and large, and what holes cost."""
    for covariance_type, n, d, k, iterations in SIZES:
        x, start = _problem(n, d, k, covariance_type)
        yield Comparison(
            f"{covariance_type}, n = {n:,}, d = {d}, K = {k}, {iterations} iterations",
            f"scikit-learn {sklearn.__version__}",
            lambda x=x, start=start, c=covariance_type, i=iterations: _ours(x, start, c, i),
            lambda x=x, start=start, c=covariance_type, i=iterations: _theirs(x, start, c, i),
            repeats=3,
        )
    for rate, n, d, k in ((0.1, 50_000, 10, 5), (0.3, 20_000, 10, 5)):
        x, start = _problem(n, d, k, "full")
        with_holes = holed(x, rate)
        yield Comparison(
            f"full, n = {n:,}, d = {d}, K = {k}, 30 iterations, {rate:.0%} of the cells missing",
            f"scikit-learn {sklearn.__version__} on the complete data",
            lambda x=with_holes, start=start: _ours(x, start, "full", 30),
            lambda x=x, start=start: _theirs(x, start, "full", 30),
            repeats=3,
            note="the peer cannot do this; the ratio says what holes cost",
        )


def _problem(n: int, d: int, k: int, covariance_type: str) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(n)
    means = rng.normal(scale=2.0, size=(k, d))
    x = means[rng.integers(k, size=n)] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    start = {"weights": np.full(k, 1.0 / k), "means": x[rng.choice(n, k, replace=False)]}
    return x, {**start, "covariances": _covariances(x, k, covariance_type)}


def _covariances(x: np.ndarray, k: int, covariance_type: str) -> np.ndarray:
    covariance = np.cov(x.T)
    return {
        "full": np.repeat(covariance[None], k, axis=0),
        "tied": covariance,
        "diag": np.repeat(np.diag(covariance)[None], k, axis=0),
        "spherical": np.full(k, np.trace(covariance) / len(covariance)),
    }[covariance_type]


def _ours(x: np.ndarray, start: dict, covariance_type: str, iterations: int) -> float:
    fit = GaussianMixture(
        len(start["weights"]), covariance_type=covariance_type, tol=0, max_iter=iterations,
        init_params=start,
    ).fit(x)  # fmt: skip
    return float(fit.loglik_)


def _theirs(x: np.ndarray, start: dict, covariance_type: str, iterations: int) -> float:
    covariances = start["covariances"]
    dense = covariance_type in ("full", "tied")
    fit = Peer(
        len(start["weights"]), covariance_type=covariance_type, tol=0, max_iter=iterations,
        reg_covar=0, weights_init=start["weights"], means_init=start["means"],
        precisions_init=np.linalg.inv(covariances) if dense else 1.0 / covariances,
    ).fit(x)  # fmt: skip
    return float(fit.score(x) * len(x))
