"""One normal with holes beside the EM by patterns that a NumPy user would write.

No maintained Python package fits it; the peer below goes over the patterns of missing cells, with
matrix products over the rows of each (Little and Rubin 2019, section 11.2.1).
"""

from collections.abc import Iterator

import numpy as np

from benchmarks.side_by_side import Comparison, holed
from emlib import MultivariateNormal

ITERATIONS = 20


def comparisons() -> Iterator[Comparison]:
    """Few patterns with many rows each, many patterns, and about one row a pattern."""
    for n, d, rate in (
        (50_000, 5, 0.1), (20_000, 10, 0.2), (2_000, 20, 0.3), (10_000, 20, 0.2),
    ):  # fmt: skip
        rng = np.random.default_rng(n)
        x = holed(rng.normal(size=(n, d)) @ rng.normal(size=(d, d)) + 10.0, rate)
        patterns = len(np.unique(np.isnan(x), axis=0))
        yield Comparison(
            f"n = {n}, d = {d}, {rate:.0%} missing, {patterns} patterns, {ITERATIONS} iterations",
            f"NumPy {np.__version__} by patterns",
            lambda x=x: _ours(x),
            lambda x=x: by_patterns(x, *_start(x), ITERATIONS),
            repeats=3,
        )


def _start(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nanmean(x, axis=0), np.diag(np.nanvar(x, axis=0))


def _ours(x: np.ndarray) -> float:
    mean, covariance = _start(x)
    init = {"mean": mean, "covariance": covariance}
    fit = MultivariateNormal(init_params=init, tol=0, max_iter=ITERATIONS).fit(x)
    return float(fit.loglik_)


def by_patterns(x: np.ndarray, mean: np.ndarray, covariance: np.ndarray, iterations: int) -> float:
    """EM by patterns of missing cells; returns the loglik at the end."""
    seen = ~np.isnan(x)
    patterns, which = np.unique(seen, axis=0, return_inverse=True)
    rows = [x[which.ravel() == p] for p in range(len(patterns))]
    d = x.shape[1]
    for iteration in range(iterations + 1):
        loglik, first, second = 0.0, np.zeros(d), np.zeros((d, d))
        for o, group in zip(patterns, rows, strict=True):
            if not o.any():
                continue
            deviation = np.zeros_like(group)
            deviation[:, o] = group[:, o] - mean[o]
            inside = covariance[np.ix_(o, o)]
            solved = np.linalg.solve(inside, deviation[:, o].T)
            distance = (deviation[:, o] * solved.T).sum()
            constant = o.sum() * np.log(2 * np.pi) + np.linalg.slogdet(inside)[1]
            loglik -= 0.5 * (len(group) * constant + distance)
            across = covariance[np.ix_(~o, o)]
            deviation[:, ~o] = (across @ solved).T
            rest = covariance[np.ix_(~o, ~o)] - across @ np.linalg.solve(inside, across.T)
            first += deviation.sum(axis=0)
            second += deviation.T @ deviation
            second[np.ix_(~o, ~o)] += len(group) * rest
        if iteration < iterations:
            n = seen.any(axis=1).sum()
            shift = first / n
            mean, covariance = mean + shift, second / n - np.outer(shift, shift)
    return float(loglik)
