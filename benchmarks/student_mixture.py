"""Mixtures of t beside a plain NumPy EM, from the same start: no package of Python has them.

The plain one is what a careful user writes: whole arrays, one Cholesky factorization a component,
and no missing cells.  Degrees of freedom that are estimated maximize the observed loglik in both.
"""

from collections.abc import Iterator

import numpy as np
import scipy
from scipy.linalg import solve_triangular
from scipy.optimize import minimize_scalar
from scipy.special import gammaln, logsumexp

from benchmarks.side_by_side import Comparison, holed
from emlib import StudentMixture

ITERATIONS = 30
PEER = f"NumPy {np.__version__}, SciPy {scipy.__version__}"


def comparisons() -> Iterator[Comparison]:
    """Given and common degrees of freedom at two sizes, and what holes cost."""
    for n, d, k in ((2_000, 4, 3), (50_000, 10, 5)):
        x, start = _problem(n, d, k)
        for dofs, note in ((4.0, ""), ("common", "the ECME step on dof included in both")):
            yield Comparison(
                f"dofs = {dofs}, n = {n}, d = {d}, K = {k}, {ITERATIONS} iterations", PEER,
                lambda x=x, start=start, dofs=dofs: _ours(x, start, dofs),
                lambda x=x, start=start, dofs=dofs: _theirs(x, start, dofs),
                3, note,
            )  # fmt: skip
    x, start = _problem(50_000, 10, 5)
    with_holes = holed(x, 0.1)
    yield Comparison(
        "10 % of the cells missing (1024 patterns), dofs = 4", f"{PEER}, on the complete data",
        lambda: _ours(with_holes, start, 4.0), lambda: _theirs(x, start, 4.0), 3,
        "the peer cannot do this; the ratio says what holes cost",
    )  # fmt: skip


def _problem(n: int, d: int, k: int) -> tuple[np.ndarray, dict]:
    rng = np.random.default_rng(n)
    means = rng.normal(scale=2.0, size=(k, d))
    heavy = np.sqrt(rng.chisquare(3.0, n) / 3.0)[:, None]
    x = means[rng.integers(k, size=n)] + rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) / heavy
    start = {
        "weights": np.full(k, 1.0 / k),
        "means": means + 0.3 * rng.normal(size=(k, d)),
        "covariances": np.tile(np.cov(x.T) / 3.0, (k, 1, 1)),
        "dofs": np.full(k, 4.0),
    }
    return x, start


def _ours(x: np.ndarray, start: dict, dofs: float | str) -> float:
    fit = StudentMixture(
        len(start["weights"]), dofs=dofs, init_params=start, tol=0, max_iter=ITERATIONS
    ).fit(x)
    return float(fit.loglik_)


def _theirs(x: np.ndarray, start: dict, dofs: float | str) -> float:
    d = x.shape[1]
    weights, means, scatters = start["weights"], start["means"], start["covariances"]
    dof = float(start["dofs"][0])
    for _ in range(ITERATIONS):
        distances, log_dets = _distances(x, means, scatters)
        joint = _log_joint(distances, log_dets, weights, dof, d)
        r = np.exp(joint - logsumexp(joint, axis=1)[:, None])
        u = r * (dof + d) / (dof + distances)
        counts = r.sum(axis=0)
        weights, means = counts / len(x), (u.T @ x) / u.sum(axis=0)[:, None]
        scatters = np.stack([
            ((x - mean).T * w) @ (x - mean) / count
            for mean, w, count in zip(means, u.T, counts, strict=True)
        ])  # fmt: skip
        if dofs == "common":
            distances, log_dets = _distances(x, means, scatters)
            parts = (distances, log_dets, weights)
            dof = float(np.exp(minimize_scalar(
                lambda v, parts=parts: -logsumexp(
                    _log_joint(*parts, np.exp(v), d), axis=1
                ).sum(),
                bounds=(np.log(0.5), np.log(200.0)), method="bounded", options={"xatol": 1e-6},
            ).x))  # fmt: skip
    distances, log_dets = _distances(x, means, scatters)
    return float(logsumexp(_log_joint(distances, log_dets, weights, dof, d), axis=1).sum())


def _distances(
    x: np.ndarray, means: np.ndarray, scatters: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    factors = np.linalg.cholesky(scatters)
    z = [
        solve_triangular(factor, (x - mean).T, lower=True, check_finite=False)
        for factor, mean in zip(factors, means, strict=True)
    ]
    distances = np.stack([(each**2).sum(axis=0) for each in z], axis=1)
    return distances, np.log(np.diagonal(factors, axis1=1, axis2=2)).sum(axis=1)


def _log_joint(
    distances: np.ndarray, log_dets: np.ndarray, weights: np.ndarray, dof: float, d: int
) -> np.ndarray:
    norm = gammaln((dof + d) / 2) - gammaln(dof / 2) - d / 2 * np.log(np.pi * dof)
    kernel = (dof + d) / 2 * np.log1p(distances / dof)
    return np.log(weights) + norm - log_dets - kernel
