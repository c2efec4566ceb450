"""k-means++ starts of Gaussian mixtures climbed to convergence, beside scikit-learn.

Which optimum a start ends at is luck, and a slow one takes many iterations, so both climb from the
same starts: each places seeds in its own way, which is timed, and then both climb from the cells
of the same seeds.  Both stop within ``WITHIN`` of the optimum: emlib's rule says so itself;
scikit-learn gets, for each start, the largest tolerance of ten times less and less that does.
"""

import warnings
from collections.abc import Iterator

import numpy as np
import sklearn
from sklearn.cluster import kmeans_plusplus
from sklearn.mixture import GaussianMixture as Peer

from benchmarks.side_by_side import Comparison
from emlib import GaussianMixture
from emlib.data import Table
from emlib.inits import make_init
from emlib.models import make_model

SIZES = ((2_000, 4, 3), (20_000, 10, 5))
STARTS = 5
WITHIN = 1e-3
"""Nats."""


def comparisons() -> Iterator[Comparison]:
    """Two sizes."""
    warnings.simplefilter("ignore")
    for n, d, k in SIZES:
        rng = np.random.default_rng(n)
        means = rng.normal(scale=2.0, size=(k, d))
        x = means[rng.integers(k, size=n)] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d))
        starts = [_start(x, k, seed) for seed in range(STARTS)]
        tolerances = [_tolerance(x, start) for start in starts]
        yield Comparison(
            f"full, n = {n:,}, d = {d}, K = {k}, {STARTS} k-means++ starts climbed to convergence",
            f"scikit-learn {sklearn.__version__}",
            lambda x=x, starts=starts: _ours(x, starts),
            lambda x=x, starts=starts, tolerances=tolerances: _theirs(x, starts, tolerances),
            repeats=3,
            note=f"the same starts, both within {WITHIN} nats of their optima; logliks are sums",
        )


def _start(x: np.ndarray, k: int, seed: int) -> dict[str, np.ndarray]:
    """Moments of the cells of one k-means++ seeding."""
    seeds, _ = kmeans_plusplus(x, k, random_state=seed)
    nearest = ((x[:, None] - seeds) ** 2).sum(axis=2).argmin(axis=1)
    cells = [x[nearest == one] for one in range(k)]
    return {
        "weights": np.array([len(cell) for cell in cells]) / len(x),
        "means": np.array([cell.mean(axis=0) for cell in cells]),
        "covariances": np.array([np.cov(cell.T, bias=True) for cell in cells]),
    }


def _tolerance(x: np.ndarray, start: dict[str, np.ndarray]) -> float:
    """Largest of 1e-3, 1e-4, ... nats a step at which scikit-learn stops close enough."""
    tolerances = [10.0**-power for power in range(3, 9)]
    ends = [_climbed(x, start, tolerance) for tolerance in tolerances]
    return next(t for t, end in zip(tolerances, ends, strict=True) if end > ends[-1] - WITHIN)


def _climbed(x: np.ndarray, start: dict[str, np.ndarray], tolerance: float) -> float:
    fit = Peer(
        len(start["weights"]), tol=tolerance / len(x), max_iter=20_000, reg_covar=0,
        weights_init=start["weights"], means_init=start["means"],
        precisions_init=np.linalg.inv(start["covariances"]),
    ).fit(x)  # fmt: skip
    return float(fit.score(x) * len(x))


def _ours(x: np.ndarray, starts: list[dict]) -> float:
    total = 0.0
    for seed, start in enumerate(starts):
        k = len(start["weights"])
        table, model = Table.from_array(x), make_model("gaussian_mixture", {"n_components": k})
        make_init("kmeans++")(model.prepare(table), table, np.random.default_rng(seed))
        fit = GaussianMixture(k, init_params=start, tol=WITHIN, max_iter=20_000).fit(x)
        total += fit.loglik_
    return total


def _theirs(x: np.ndarray, starts: list[dict], tolerances: list[float]) -> float:
    total = 0.0
    for seed, (start, tolerance) in enumerate(zip(starts, tolerances, strict=True)):
        kmeans_plusplus(x, len(start["weights"]), random_state=seed)
        total += _climbed(x, start, tolerance)
    return total
