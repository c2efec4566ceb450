"""Gaussian mixtures beside scikit-learn, complete data (it takes no holes)."""

from collections.abc import Iterator

import numpy as np
import sklearn
from sklearn.mixture import GaussianMixture as Peer

from benchmarks.side_by_side import Comparison, holed
from emlib import GaussianMixture

ITERATIONS = 30


def comparisons() -> Iterator[Comparison]:
    """Each of the four structures at two sizes, and what holes cost."""
    for n, d, k in ((2_000, 4, 3), (50_000, 10, 5)):
        x, start = _problem(n, d, k)
        for covariance_type in ("full", "tied", "diag", "spherical"):
            yield _against_peer(x, start, covariance_type)
    x, start = _problem(50_000, 10, 5)
    with_holes = holed(x, 0.1)
    yield Comparison(
        "10 % of the cells missing (1024 patterns), full",
        f"scikit-learn {sklearn.__version__} on the complete data",
        lambda: _ours(with_holes, start, "full"),
        lambda: _theirs(x, start, "full"),
        repeats=3,
        note="the peer cannot do this; the ratio says what holes cost",
    )


def _against_peer(x: np.ndarray, start: dict, covariance_type: str) -> Comparison:
    (n, d), k = x.shape, len(start["weights"])
    return Comparison(
        f"{covariance_type}, n = {n}, d = {d}, K = {k}, {ITERATIONS} iterations",
        f"scikit-learn {sklearn.__version__}",
        lambda: _ours(x, start, covariance_type),
        lambda: _theirs(x, start, covariance_type),
        repeats=3,
    )


def _problem(n: int, d: int, k: int) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(n)
    means = rng.normal(scale=2.0, size=(k, d))
    x = means[rng.integers(k, size=n)] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
    start = {"weights": np.full(k, 1.0 / k), "means": x[rng.choice(n, k, replace=False)]}
    return x, start


def _covariances(x: np.ndarray, k: int, covariance_type: str) -> np.ndarray:
    covariance = np.cov(x.T)
    return {
        "full": np.repeat(covariance[None], k, axis=0),
        "tied": covariance,
        "diag": np.repeat(np.diag(covariance)[None], k, axis=0),
        "spherical": np.full(k, np.trace(covariance) / len(covariance)),
    }[covariance_type]


def _ours(x: np.ndarray, start: dict, covariance_type: str) -> float:
    k = len(start["weights"])
    known = x[~np.isnan(x).any(axis=1)]
    init = {**start, "covariances": _covariances(known, k, covariance_type)}
    fit = GaussianMixture(
        k, covariance_type=covariance_type, tol=0, max_iter=ITERATIONS, init_params=init
    ).fit(x)
    return float(fit.loglik_)


def _theirs(x: np.ndarray, start: dict, covariance_type: str) -> float:
    k = len(start["weights"])
    covariances = _covariances(x, k, covariance_type)
    dense = covariance_type in ("full", "tied")
    fit = Peer(
        k, covariance_type=covariance_type, tol=0, max_iter=ITERATIONS, reg_covar=0,
        weights_init=start["weights"], means_init=start["means"],
        precisions_init=np.linalg.inv(covariances) if dense else 1.0 / covariances,
    ).fit(x)  # fmt: skip
    return float(fit.score(x) * len(x))
