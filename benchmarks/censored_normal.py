"""Censored regressions beside a general optimizer, from the same start to the same optimum.

No package of Python that many people take fits these, so the peer is what they write instead:
the loglik with its gradient, and scipy's L-BFGS.
"""

from collections.abc import Iterator

import numpy as np
import scipy
from scipy.optimize import minimize
from scipy.special import erfcx, log_ndtr

from benchmarks.side_by_side import Comparison
from emlib import CensoredNormal


def comparisons() -> Iterator[Comparison]:
    """A third, then two thirds of the responses censored from below."""
    rng = np.random.default_rng(0)
    for share in (0.33, 0.67):
        z = rng.standard_normal((20_000, 3))
        y = z @ np.ones(3) + rng.standard_normal(20_000)
        yield _comparison(np.maximum(y, np.quantile(y, share)), z, share)


def _comparison(y: np.ndarray, z: np.ndarray, share: float) -> Comparison:
    n, p = z.shape
    design, limit = np.column_stack([np.ones(n), z]), y.min()
    below = y <= limit
    line = np.linalg.lstsq(design, y, rcond=None)[0]
    scale = np.sqrt(np.mean((y - design @ line) ** 2))
    start = {"intercept": line[:1], "coef": line[None, 1:], "scales": [scale]}

    def ours() -> float:
        fit = CensoredNormal(lower_limit=limit, init_params=start, tol=1e-7, max_iter=5000)
        return float(fit.fit(y[:, None], covariates=z).loglik_)

    def loss(v: np.ndarray) -> tuple[float, np.ndarray]:
        scale = np.exp(v[-1])
        r = (y - design @ v[:-1]) / scale
        mills = np.sqrt(2.0 / np.pi) / erfcx(-r[below] * np.sqrt(0.5))
        slope = r.copy()
        slope[below] = -mills
        exact = -0.5 * r[~below] ** 2 - v[-1] - 0.5 * np.log(2.0 * np.pi)
        scales = (r[~below] ** 2 - 1.0).sum() - (mills * r[below]).sum()
        total = exact.sum() + log_ndtr(r[below]).sum()
        return -total, -np.append(design.T @ slope / scale, scales)

    def theirs() -> float:
        packed = np.append(line, np.log(scale))
        return -float(minimize(loss, packed, jac=True, method="L-BFGS-B", tol=1e-12).fun)

    return Comparison(
        f"censored regression, n={n}, {p} covariates, {share:.0%} censored",
        f"scipy {scipy.__version__} L-BFGS-B", ours, theirs, 3,
        "until converged: EM's rate is the share of missing information",
    )  # fmt: skip
