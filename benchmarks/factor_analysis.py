"""Factor analysis beside scikit-learn, and probabilistic PCA with holes beside EM row by row.

scikit-learn's updates are others: singular values of the scaled data give the best loadings for
given noise, in far fewer and far dearer iterations than EM's.  So both climb to the same loglik:
its tolerance, on the increments of the loglik, is set so that it ends about where ours does.
"""

from collections.abc import Iterator

import numpy as np
import sklearn
from sklearn.decomposition import FactorAnalysis as Peer

from benchmarks.side_by_side import Comparison, holed
from emlib import FactorAnalysis

ITERATIONS = 20


def comparisons() -> Iterator[Comparison]:
    """Complete data to the same loglik; a fifth of the cells missing, same start and iterations."""
    for n, d, q in ((500, 10, 2), (5_000, 20, 3), (20_000, 50, 5)):
        x = _rows(n, d, q)
        yield Comparison(
            f"FA to its optimum, n = {n}, d = {d}, q = {q}",
            f"scikit-learn {sklearn.__version__}, lapack",
            lambda x=x, q=q: float(FactorAnalysis(q, tol=1e-4, max_iter=10_000).fit(x).loglik_),
            lambda x=x, q=q: _theirs(x, q),
            repeats=3,
            note="different updates, same optimum",
        )
    for n, d, q in ((2_000, 10, 2), (1_000, 50, 5)):
        x = holed(_rows(n, d, q), 0.2)
        yield Comparison(
            f"PPCA, n = {n}, d = {d}, q = {q}, 20% missing, {ITERATIONS} iterations",
            f"NumPy {np.__version__} by rows",
            lambda x=x, q=q: _ours(x, q),
            lambda x=x, q=q: by_rows(x, *_start(x, q), ITERATIONS),
            repeats=3,
        )


def _rows(n: int, d: int, q: int) -> np.ndarray:
    rng = np.random.default_rng(n + d)
    loadings, noise = rng.normal(size=(d, q)), rng.uniform(0.5, 2.0, d)
    return rng.normal(size=(n, q)) @ loadings.T + np.sqrt(noise) * rng.normal(size=(n, d))


def _theirs(x: np.ndarray, q: int) -> float:
    fit = Peer(q, tol=1e-4, max_iter=10_000, svd_method="lapack").fit(x)
    return float(len(x) * fit.score(x))


def _start(x: np.ndarray, q: int) -> tuple[np.ndarray, np.ndarray, float]:
    loadings = np.random.default_rng(0).normal(size=(x.shape[1], q))
    return np.nanmean(x, axis=0), loadings, 1.0


def _ours(x: np.ndarray, q: int) -> float:
    mean, loadings, noise = _start(x, q)
    start = {"mean": mean, "loadings": loadings, "noise_variance": noise}
    settings = {"noise": "isotropic", "init_params": start, "tol": 0, "max_iter": ITERATIONS}
    return float(FactorAnalysis(q, **settings).fit(x).loglik_)


def by_rows(
    x: np.ndarray, mean: np.ndarray, loadings: np.ndarray, noise: float, iterations: int
) -> float:
    """EM of probabilistic PCA, row by row; returns the loglik at the end."""
    d, q = loadings.shape
    for iteration in range(iterations + 1):
        loglik, squares, cells = 0.0, 0.0, 0
        gram, cross = np.zeros((d, q + 1, q + 1)), np.zeros((d, q + 1))
        for row in x:
            o = np.flatnonzero(~np.isnan(row))
            inside, deviation = loadings[o], row[o] - mean[o]
            precision = np.eye(q) + inside.T @ inside / noise
            spread = np.linalg.inv(precision)
            factors = spread @ (inside.T @ deviation) / noise
            distance = (deviation @ deviation - deviation @ inside @ factors) / noise
            log_det = np.linalg.slogdet(precision)[1] + len(o) * np.log(2 * np.pi * noise)
            loglik -= 0.5 * (log_det + distance)
            g = np.append(1.0, factors)
            second = np.outer(g, g)
            second[1:, 1:] += spread
            gram[o] += second
            cross[o] += deviation[:, None] * g
            squares += deviation @ deviation
            cells += len(o)
        if iteration < iterations:
            solved = np.linalg.solve(gram, cross[..., None])[..., 0]
            noise = (squares - (solved * cross).sum()) / cells
            mean, loadings = mean + solved[:, 0], solved[:, 1:]
    return float(loglik)
