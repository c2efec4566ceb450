"""What mixtures of regressions share: designs, starts, lines of the rows, posteriors."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Regression
from emlib.errors import InvalidData
from emlib.models.lines import SINGULAR, centred_design
from emlib.models.matching import matched_distance
from emlib.models.records import Posteriors
from emlib.models.simplex import log

Array = NDArray[np.float64]


def check_design(data: Regression, n_components: int) -> None:
    """Refuse data whose rows are too few, or do not tell the coefficients of one line apart.

    Raises
    ------
    InvalidData
    """
    rows = int(data.informative.sum())
    if rows < n_components:
        raise InvalidData(
            f"n_samples={rows} rows with an observed response: fewer than the {n_components} "
            "components of the mixture"
        )
    width = 1 + data.covariates.shape[1]
    for j in range(data.d):
        seen = data.observed[:, j] & (data.weights > 0)
        if not seen.any():
            raise InvalidData(f"response {j} has no observed cell: nothing to estimate from")
        design = centred_design(data.covariates[seen], data.covariate_means)
        size = np.linalg.norm(design, axis=0)
        shape = np.linalg.svd(design / np.where(size > 0, size, 1.0), compute_uv=False)
        rank = int((shape**2 > 10.0 * SINGULAR).sum())
        if rank < width:
            raise InvalidData(
                f"response {j}: the {seen.sum()} rows (n_samples={rows}) that show it have a "
                f"design of rank {rank}, less than the {width} of an intercept and {width - 1} "
                "covariates; drop covariates that are constant or follow from others"
            )


def one_line(data: Regression) -> tuple[Array, Array, Array]:
    """Least squares of each response on all rows: heights, coefficients, root mean squares."""
    w, y, x = _design(data, np.ones((data.n, 1)))
    lines, sizes = np.zeros((data.d, x.shape[1])), np.zeros(data.d)
    for j in range(data.d):
        root = np.sqrt(w[:, 0] * data.observed[:, j])
        lines[j] = np.linalg.lstsq(root[:, None] * x, root * y[:, j], rcond=None)[0]
        sizes[j] = np.sqrt(((root * (y[:, j] - x @ lines[j])) ** 2).sum() / (root**2).sum())
    means = data.column_moments[0]
    return means + lines[:, 0], lines[:, 1:], sizes


def _design(data: Regression, responsibilities: Array) -> tuple[Array, Array, Array]:
    """Weights (n, K), centred responses, 0 where missing, and the centred design."""
    w = responsibilities * (data.weights * data.informative)[:, None]
    y = np.where(data.observed, data.values - data.column_moments[0], 0.0)
    return w, y, centred_design(data.covariates, data.covariate_means)


def started_lines(data: Regression, responsibilities: Array) -> tuple[Array, Array, Array, Array]:
    """Weights, intercepts, coefficients and scales of a start that never fails."""
    w, y, x = _design(data, responsibilities)
    heights, slopes, sizes = one_line(data)
    k, (d, p) = w.shape[1], slopes.shape
    counts, extra = w.sum(axis=0), 2.0 + p
    intercept, coef, scales = np.zeros((k, d)), np.zeros((k, d, p)), np.zeros((k, d))
    for j in range(d):
        seen = data.observed[:, j]
        line = np.concatenate([[heights[j] - data.column_moments[0][j]], slopes[j]])
        residual = np.where(seen, y[:, j] - x @ line, 0.0)
        pooled = (x.T * (w.sum(axis=1) * seen)) @ x / max((w.sum(axis=1) * seen).sum(), 1e-300)
        for c in range(k):
            own = w[:, c] * seen
            gram = (x.T * own) @ x + extra * pooled
            move = np.linalg.lstsq(gram, x.T @ (own * residual), rcond=None)[0]
            intercept[c, j] = heights[j] + move[0]
            coef[c, j] = slopes[j] + move[1:]
            squares = own @ (residual - x @ move) ** 2 + extra * sizes[j] ** 2
            scales[c, j] = np.sqrt(squares / (own.sum() + extra))
    weights = (counts + 1.0 / k) / (counts.sum() + 1.0)
    return weights, intercept - coef @ data.covariate_means, coef, scales


def means_at(params: Any, covariates: Array) -> Array:
    """Every component's lines at the rows, shape (n, K, d)."""
    return np.asarray(params.intercept + np.einsum("np,kdp->nkd", covariates, params.coef))


def lines_at(params: Any, covariates: Array, labels: NDArray[np.int64]) -> Array:
    """The lines of the rows' own components, shape (n, d)."""
    slopes = np.einsum("np,ndp->nd", covariates, params.coef[labels])
    return np.asarray(params.intercept[labels] + slopes)


def posteriors_of(log_density: Array, weights: Array, means: Array, data: Regression) -> Posteriors:
    """Posteriors from log densities (n, K) and expected responses (n, K, d)."""
    from scipy.special import logsumexp

    joint = log(weights) + log_density
    loglik = logsumexp(joint, axis=1)
    responsibilities = np.exp(joint - loglik[:, None])
    expected = np.einsum("nk,nkd->nd", responsibilities, means)
    completed = np.where(data.observed, data.values, expected)
    return Posteriors(loglik, responsibilities, completed)


def line_error(params: Any, truth: dict[str, Any], scales: Array) -> float:
    """Root mean square error of the lines in units of ``scales``, labels matched."""
    true = [np.asarray(truth[name], dtype=np.float64) for name in ("intercept", "coef")]
    if params.coef.shape != true[1].shape:
        return float("nan")
    k = len(true[0])
    found = np.column_stack([params.intercept, params.coef.reshape(k, -1)])
    wanted = np.column_stack([true[0], true[1].reshape(k, -1)])
    units = (scales**2).mean(axis=1)[:, None, None] * np.eye(wanted.shape[1])
    return matched_distance(found, wanted, units)
