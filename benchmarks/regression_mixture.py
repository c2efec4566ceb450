"""Mixtures of regressions beside a plain NumPy EM, from the same start.

No package of Python that many people take fits them, so the peer is what a careful user writes:
whole arrays of responsibilities and weighted normal equations.
"""

from collections.abc import Iterator

import numpy as np
import scipy
from scipy.special import gammaln, logsumexp

from benchmarks.side_by_side import Comparison
from emlib import RegressionMixture

ITERATIONS = 30
PEER = f"NumPy {np.__version__}, SciPy {scipy.__version__}"


def comparisons() -> Iterator[Comparison]:
    """Normal responses and counts at two sizes."""
    for n, p, k in ((2_000, 2, 2), (50_000, 8, 4)):
        for response in ("normal", "poisson"):
            x, y, start = _problem(n, p, k, response)
            note = "one Newton step of each regression an iteration" * (response == "poisson")
            yield Comparison(
                f"{response}, n = {n}, {p} covariates, K = {k}, {ITERATIONS} iterations", PEER,
                lambda x=x, y=y, start=start, r=response: _ours(x, y, start, r),
                lambda x=x, y=y, start=start, r=response: _theirs(x, y, start, r),
                3, note,
            )  # fmt: skip


def _problem(n: int, p: int, k: int, response: str) -> tuple[np.ndarray, np.ndarray, dict]:
    rng = np.random.default_rng(n)
    x, labels = rng.standard_normal((n, p)), rng.integers(k, size=n)
    if response == "poisson":
        intercept, coef = np.linspace(0.5, 3.0, k), 0.2 * rng.standard_normal((k, p))
    else:
        intercept, coef = 3.0 * rng.standard_normal(k), 2.0 * rng.standard_normal((k, p))
    lines = intercept[labels] + np.einsum("np,np->n", x, coef[labels])
    y = lines + rng.standard_normal(n)
    start = {"weights": np.full(k, 1 / k), "intercept": intercept + 0.2, "coef": 0.9 * coef}
    if response == "poisson":
        y = rng.poisson(np.exp(lines)).astype(np.float64)
    else:
        start["scales"] = np.full(k, 2.0)
    return x, y, start


def _ours(x: np.ndarray, y: np.ndarray, start: dict, response: str) -> float:
    fit = RegressionMixture(
        len(start["weights"]), response=response, init_params=start, tol=0, max_iter=ITERATIONS
    ).fit(x, y)
    return float(fit.loglik_)


def _theirs(x: np.ndarray, y: np.ndarray, start: dict, response: str) -> float:
    design = np.column_stack([np.ones(len(x)), x])
    weights, lines = start["weights"], np.column_stack([start["intercept"], start["coef"]])
    scales = start.get("scales")
    constant = gammaln(y + 1.0)[:, None]
    for _ in range(ITERATIONS):
        joint = _log_joint(y, design @ lines.T, weights, scales, constant)
        r = np.exp(joint - logsumexp(joint, axis=1)[:, None])
        weights = r.mean(axis=0)
        if scales is None:
            rates = np.exp(design @ lines.T)
            for k in range(len(weights)):
                gram = (design.T * (r[:, k] * rates[:, k])) @ design
                lines[k] = lines[k] + np.linalg.solve(
                    gram, design.T @ (r[:, k] * (y - rates[:, k]))
                )
        else:
            lines = np.stack([
                np.linalg.solve((design.T * w) @ design, design.T @ (w * y)) for w in r.T
            ])  # fmt: skip
            squares = (r * (y[:, None] - design @ lines.T) ** 2).sum(axis=0)
            scales = np.sqrt(squares / r.sum(axis=0))
    return float(
        logsumexp(_log_joint(y, design @ lines.T, weights, scales, constant), axis=1).sum()
    )


def _log_joint(
    y: np.ndarray,
    means: np.ndarray,
    weights: np.ndarray,
    scales: np.ndarray | None,
    constant: np.ndarray,
) -> np.ndarray:
    if scales is None:
        return np.log(weights) + y[:, None] * means - np.exp(means) - constant
    z = (y[:, None] - means) / scales
    return np.log(weights) - 0.5 * z**2 - np.log(scales) - 0.5 * np.log(2.0 * np.pi)
