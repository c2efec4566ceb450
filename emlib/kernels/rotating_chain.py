"""Posterior of a stationary chain u_t = rho u_t-1 + sqrt(1 - rho^2) w_t and a constant c.

    y_t = left_t c + right_t u_t + noise of variance 1;   c, u_1 and w_t standard normal.

The Kalman filter and the Rauch-Tung-Striebel smoother given c, on which only the means depend, by
slopes (the augmented filter: de Jong 1991, Annals of Statistics 19, 1073); c itself is a regression
of the innovations.  All that is inverted is a sum of covariances, so that strong data lose no
digits.  The chain has no direction of its own: a rotation of the states is in ``right``.  Each step
is a few calls of BLAS on k by k matrices, so nothing is compiled here.
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
        Of the covariance of all y.
    largest : float
        Trace of a matrix that was inverted.  None has an eigenvalue below 1, so that rounding of
        its determinant is up to so many times epsilon.
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
    largest: float


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
        If a covariance is not positive definite.
    """
    from scipy.linalg.lapack import dtrtrs

    n_frames, n_rows, k = right.shape
    innovation = 1.0 - correlation**2
    unit, identity = np.eye(k), np.eye(n_rows)
    expected, slope = np.zeros((k, values.shape[2])), np.zeros((k, k))
    covariance = unit.copy()
    filtered, gains = np.empty((n_frames, k, k)), np.zeros((n_frames, k, k))
    means, slopes = np.empty((n_frames, *expected.shape)), np.empty((n_frames, k, k))
    constant_precision, constant_shift = unit.copy(), np.zeros_like(expected)
    log_det, largest = 0.0, 1.0
    for t in range(n_frames):
        y, a, b = values[t], left[t], right[t]
        seen = b @ covariance
        innovations = seen @ b.T + identity
        largest = max(largest, float(np.trace(innovations)))
        factor = cholesky(innovations)
        log_det += 2.0 * float(np.log(np.diagonal(factor)).sum())
        whole = np.hstack([seen, a - b @ slope, y - b @ expected])
        white = dtrtrs(factor, whole, lower=1)[0]
        seen, border, surprise = white[:, :k], white[:, k : 2 * k], white[:, 2 * k :]
        constant_precision += border.T @ border
        constant_shift += border.T @ surprise
        means[t], slopes[t] = expected + seen.T @ surprise, slope + seen.T @ border
        filtered[t] = covariance - seen.T @ seen
        if t < n_frames - 1:
            covariance = correlation**2 * filtered[t] + innovation * unit
            gains[t] = correlation * (filtered[t] @ inverse(covariance)[0])
            expected, slope = correlation * means[t], correlation * slopes[t]
    largest = max(largest, float(np.trace(constant_precision)))
    constant_covariance, last = inverse(constant_precision)
    constant = constant_covariance @ constant_shift

    covariances, variances = filtered, np.empty((n_frames, k))
    lagged, crossed = np.zeros(k), np.zeros(k)
    later = np.zeros((k, k))
    means -= slopes @ constant
    for t in reversed(range(n_frames)):
        if t < n_frames - 1:
            gain = gains[t]
            means[t] += gain @ (means[t + 1] - correlation * means[t])
            slopes[t] += gain @ (slopes[t + 1] - correlation * slopes[t])
            cross = covariances[t + 1] @ gain.T
            # Given the next state the covariance is a multiple of the gain: nothing is subtracted.
            own = gain * (innovation / correlation) if correlation > 0 else filtered[t]
            covariances[t] = own + gain @ cross
            lagged += np.diagonal(cross) + _by_row(later, slopes[t])
            crossed += cross[np.arange(k), partner] + _by_row(later, slopes[t][partner])
        later = slopes[t] @ constant_covariance
        variances[t] = np.diagonal(covariances[t]) + _by_row(later, slopes[t])
    return ChainPosterior(
        constant, constant_covariance, means, covariances, slopes, variances, lagged, crossed,
        log_det + last, largest,
    )  # fmt: skip


def _by_row(left: Array, right: Array) -> Array:
    return np.asarray(np.einsum("ij,ij->i", left, right))


def cholesky(matrix: Array) -> Array:
    """Lower factor of a symmetric positive definite matrix, above it 0."""
    from scipy.linalg.lapack import dpotrf

    factor, wrong = dpotrf(matrix.T, lower=1)  # its transpose is itself, in LAPACK's order
    if wrong:
        raise np.linalg.LinAlgError("a covariance is not positive definite")
    return np.asarray(factor)


def inverse(matrix: Array) -> tuple[Array, float]:
    """Of a symmetric positive definite matrix, and the logarithm of its determinant."""
    from scipy.linalg.lapack import dpotri

    factor = cholesky(matrix)
    half = dpotri(factor, lower=1)[0]
    whole = half + half.T
    whole.flat[:: len(matrix) + 1] *= 0.5
    return whole, 2.0 * float(np.log(np.diagonal(factor)).sum())
