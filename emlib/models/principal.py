"""Factors from principal components: where climbs of factor models start."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

SMALLEST_UNIQUENESS = 5e-3
"""Of a start, where principal components explain a column altogether."""


def principal_factors(
    covariance: Array, mask: NDArray[np.bool_], isotropic: bool
) -> tuple[Array, Array]:
    """Loadings (d, q), and noise () or (d,), of Tipping and Bishop (1999), equation 7.

    Exact for isotropic noise; with diagonal noise of the correlation matrix, the noise of a column
    being what the loadings leave of its variance.

    Parameters
    ----------
    covariance : ndarray of shape (d, d)
    mask : ndarray of shape (d, q), bool
        False where a loading is held at zero.
    isotropic : bool
    """
    d, q = mask.shape
    scale = np.ones(d)
    if not isotropic:
        scale = np.sqrt(np.diagonal(covariance))
        covariance = covariance / np.outer(scale, scale)
    values, vectors = np.linalg.eigh(covariance)
    rest = values[: d - q].mean() if q < d else 0.5 * values[0]
    rest = max(rest, SMALLEST_UNIQUENESS * np.trace(covariance) / d)
    size = np.sqrt(np.maximum(values[::-1][:q] - rest, 0.0))
    loadings = np.where(mask, vectors[:, ::-1][:, :q] * size, 0.0)
    if isotropic:
        return loadings, np.asarray(rest)
    noise = np.maximum(1.0 - (loadings**2).sum(axis=1), SMALLEST_UNIQUENESS)
    return loadings * scale[:, None], noise * scale**2
