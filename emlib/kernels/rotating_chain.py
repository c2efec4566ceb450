"""Posterior of a stationary chain u_t = rho u_t-1 + sqrt(1 - rho^2) w_t and a constant c.

    y_t = left_t c + right_t u_t + noise of variance 1;   c, u_1 and w_t standard normal.

The joint precision is block tridiagonal in u with a border for c; its Cholesky factor by blocks is
the information filter, the way back the Rauch-Tung-Striebel smoother (Rue and Held 2005, Gaussian
Markov Random Fields, section 2.4).  The chain has no direction of its own: a rotation of the states
is in ``right``.  Each step is a few calls of BLAS on k by k matrices, so nothing is compiled here.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class ChainPosterior(NamedTuple):
    """Moments given all frames.

    Attributes
    ----------
    constant, constant_covariance : ndarray of shapes (k, c), (k, k)
    means : ndarray of shape (T, k, c)
    covariances : ndarray of shape (T, k, k)
        Of u_t given c.
    slopes : ndarray of shape (T, k, k)
        What E[u_t | c] loses for a unit of c.
    variances : ndarray of shape (T, k)
        Of u_t, c integrated out.
    lagged, crossed : ndarray of shape (k,)
        Sums over t of the covariance of each entry of u_t with the same one, and with its partner,
        of u_t-1.
    log_det : float
        Of the posterior precision.
    """

    constant: Array
    constant_covariance: Array
    means: Array
    covariances: Array
    slopes: Array
    variances: Array
    lagged: Array
    crossed: Array
    log_det: float


def posterior(
    values: Array, left: Array, right: Array, correlation: float, partner: NDArray[np.int64]
) -> ChainPosterior:
    """Condition the chain on all frames.

    Parameters
    ----------
    values : ndarray of shape (T, n, c)
        Rows of zeros where a frame has less; c data sets of one law, each with means of its own.
    left, right : ndarray of shape (T, n, k)
    correlation : float
        In [0, 1).
    partner : ndarray of shape (k,), int
        The entry that a rotation mixes each one with.

    Raises
    ------
    numpy.linalg.LinAlgError
        If a block is not positive definite.
    """
    n_frames, _, k = right.shape
    innovation = 1.0 - correlation**2
    pull = correlation / innovation
    filtered = np.empty((n_frames, k, k))
    borders = np.empty((n_frames, k, k))
    shifts = np.empty((n_frames, k, values.shape[2]))
    constant_precision = np.eye(k)
    constant_shift = np.zeros((k, values.shape[2]))
    diagonal = np.arange(k)
    log_det = 0.0
    for t in range(n_frames):
        y, a, b = values[t], left[t], right[t]
        block = b.T @ b
        if n_frames == 1:
            own = 1.0
        elif t == 0:
            own = 1.0 + correlation**2 / innovation
        elif t < n_frames - 1:
            own = (1.0 + correlation**2) / innovation
        else:
            own = 1.0 / innovation
        block[diagonal, diagonal] += own
        border, shift = b.T @ a, b.T @ y
        if t:
            block -= pull**2 * filtered[t - 1]
            border += pull * (filtered[t - 1] @ borders[t - 1])
            shift += pull * (filtered[t - 1] @ shifts[t - 1])
        filtered[t], block_log_det = inverse(block)
        log_det += block_log_det
        borders[t], shifts[t] = border, shift
        weighted = filtered[t] @ border
        constant_precision += a.T @ a - border.T @ weighted
        constant_shift += a.T @ y - weighted.T @ shift
    constant_covariance, last = inverse(constant_precision)
    constant = constant_covariance @ constant_shift

    means, slopes = np.empty_like(shifts), np.empty((n_frames, k, k))
    covariances, variances = filtered.copy(), np.empty((n_frames, k))
    lagged, crossed = np.zeros(k), np.zeros(k)
    later = np.zeros((k, k))
    for t in reversed(range(n_frames)):
        shift, border = shifts[t] - borders[t] @ constant, borders[t]
        if t < n_frames - 1:
            shift = shift + pull * means[t + 1]
            border = border + pull * slopes[t + 1]
            cross = pull * (covariances[t + 1] @ filtered[t])
            covariances[t] += pull * (filtered[t] @ cross)
        means[t], slopes[t] = filtered[t] @ shift, filtered[t] @ border
        if t < n_frames - 1:
            lagged += np.diagonal(cross) + _by_row(later, slopes[t])
            crossed += cross[diagonal, partner] + _by_row(later, slopes[t][partner])
        later = slopes[t] @ constant_covariance
        variances[t] = np.diagonal(covariances[t]) + _by_row(later, slopes[t])
    return ChainPosterior(
        constant, constant_covariance, means, covariances, slopes, variances, lagged, crossed,
        log_det + last,
    )  # fmt: skip


def _by_row(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", left, right))


def inverse(matrix: Array) -> tuple[Array, float]:
    """Of a symmetric positive definite matrix, and the logarithm of its determinant."""
    from scipy.linalg.lapack import dpotrf, dpotri

    factor, wrong = dpotrf(matrix, lower=1)
    if wrong:
        raise np.linalg.LinAlgError("the posterior precision is not positive definite")
    half = np.tril(dpotri(factor, lower=1)[0])
    whole = half + half.T
    whole.flat[:: len(matrix) + 1] *= 0.5
    return whole, 2.0 * float(np.log(np.diagonal(factor)).sum())
