"""Zero-inflated counts beside statsmodels, from the same start to the same optimum.

The update differs (BFGS there, EM here), so both climb until nothing is left to gain.
"""

from collections.abc import Iterator

import numpy as np
import statsmodels
from statsmodels.discrete.count_model import ZeroInflatedPoisson as Peer

from benchmarks.side_by_side import Comparison
from emlib import ZeroInflatedPoisson


def comparisons() -> Iterator[Comparison]:
    """With and without covariates."""
    rng = np.random.default_rng(0)
    for n, p in ((100_000, 0), (5_000, 3)):
        z = rng.standard_normal((n, p))
        counts = rng.poisson(np.exp(0.7 + z @ np.full(p, 0.3))).astype(float)
        counts[rng.random(n) < 0.3] = 0.0
        yield _comparison(counts, z)


def _comparison(counts: np.ndarray, z: np.ndarray) -> Comparison:
    n, p = z.shape
    design = np.column_stack([np.ones(n), z])
    half = 0.5 * (counts == 0).mean()
    intercept = np.log(counts.mean() / (1.0 - half))
    start = {"inflation": [half], "intercept": [intercept], "coef": np.zeros((1, p))}
    packed = [np.log(half / (1.0 - half)), intercept, *np.zeros(p)]

    def ours() -> float:
        fit = ZeroInflatedPoisson(init_params=start, tol=1e-7, max_iter=5000)
        return float(fit.fit(counts[:, None], covariates=z).loglik_)

    def theirs() -> float:
        fitted = Peer(counts, design).fit(start_params=packed, maxiter=500, gtol=1e-6, disp=False)
        return float(fitted.llf)

    return Comparison(
        f"zero-inflated Poisson, n={n}, {p} covariates", f"statsmodels {statsmodels.__version__}",
        ours, theirs, 3, "until converged: emlib by EM, statsmodels by BFGS",
    )  # fmt: skip
