"""Moments of a standard normal variable between limits, exact into the far tails.

Johnson, Kotz and Balakrishnan (1994), section 13.10.1.  Wide limits use the scaled complementary
error function, so that nothing underflows; narrow ones, whose two tails would cancel, use Gauss's
quadrature, whose terms are all positive.
"""

import math

import numpy as np
from numpy.typing import NDArray

from emlib.models.special import erf, erfcx, log_ndtr, ndtri_exp

Array = NDArray[np.float64]

_WIDEST = 3.0
"""Limits closer than this, with a density that varies by less than exp(4.5), are narrow."""
_DROP = 4.5
_NODES, _SHARES = np.polynomial.legendre.leggauss(24)
_NODES, _SHARES = 0.5 * (_NODES + 1.0), 0.5 * _SHARES

LOG_ROOT_TWO_PI = 0.5 * math.log(2.0 * math.pi)


def truncated_moments(low: Array, high: Array) -> tuple[Array, Array, Array]:
    """Log probability of ``[low, high]``, and mean and mean square of z given that it is there.

    Parameters
    ----------
    low, high : ndarray of shape (n,)
        With low < high; -inf and inf are allowed.
    """
    flip, near, far = _reflected(low, high)
    with np.errstate(invalid="ignore", over="ignore"):
        width, middle = far - near, 0.5 * (near + far)
        drop = width * middle  # of the log density between the two ends
        narrow = (width <= _WIDEST) & (drop <= _DROP)
    ended = far < np.inf
    if not ended.any():
        log_probability, mean, square = _open(near)
        return log_probability, np.where(flip, -mean, mean), square
    log_probability, mean, square = np.empty((3, len(near)))
    log_probability[~ended], mean[~ended], square[~ended] = _open(near[~ended])
    for part, moments in ((ended & narrow, _narrow), (ended & ~narrow, _wide)):
        log_probability[part], mean[part], square[part] = moments(near[part], far[part], drop[part])
    return log_probability, np.where(flip, -mean, mean), square


def draw_truncated(low: Array, high: Array, uniforms: Array) -> Array:
    """A standard normal draw in each ``[low, high]`` by inversion of uniforms in (0, 1)."""
    flip, near, far = _reflected(low, high)
    log_tail = log_ndtr(-near)
    ratio = np.exp(log_ndtr(-far) - log_tail)
    z = -ndtri_exp(log_tail + np.log1p(-uniforms * (1.0 - ratio)))
    return np.where(flip, -1.0, 1.0) * np.clip(z, near, far)


def _reflected(low: Array, high: Array) -> tuple[NDArray[np.bool_], Array, Array]:
    """The limits with the end nearer to zero first, on the positive side where both are on one."""
    flip = low + high < 0
    return flip, np.where(flip, -high, low), np.where(flip, -low, high)


def _open(near: Array) -> tuple[Array, Array, Array]:
    """Without a far end: the inverse of Mills' ratio."""
    with np.errstate(over="ignore"):
        hazard = math.sqrt(2.0 / math.pi) / erfcx(near * math.sqrt(0.5))
    return log_ndtr(-near), hazard, 1.0 + near * hazard


def _narrow(near: Array, far: Array, drop: Array) -> tuple[Array, Array, Array]:
    """By quadrature over the position t in [0, 1] between the limits."""
    width = (far - near)[:, None]
    z = near[:, None] + width * _NODES
    density = _SHARES * np.exp(-width * _NODES * (near[:, None] + 0.5 * width * _NODES))
    total = density.sum(axis=1)
    log_probability = np.log(width[:, 0] * total) - 0.5 * near**2 - LOG_ROOT_TWO_PI
    return log_probability, (density * z).sum(axis=1) / total, (density * z**2).sum(axis=1) / total


def _wide(near: Array, far: Array, drop: Array) -> tuple[Array, Array, Array]:
    """In units of the density at the near end, or, across zero, of the density at zero."""
    log_probability, mean, square = np.empty((3, len(near)))
    across = near < 0
    a, b = near[across], far[across]
    root = math.sqrt(0.5)
    probability = 0.5 * (erf(b * root) - erf(a * root))
    at_a, at_b = _density(a), _density(b)
    log_probability[across] = np.log(probability)
    mean[across] = -at_a * np.expm1(-drop[across]) / probability
    square[across] = 1.0 + (a * at_a - b * at_b) / probability
    a, b, fall = near[~across], far[~across], np.exp(-drop[~across])
    tail = math.sqrt(0.5 * math.pi) * erfcx(a * root)  # over the density at a
    rest = 1.0 - fall * erfcx(b * root) / erfcx(a * root)
    log_probability[~across] = log_ndtr(-a) + np.log(rest)
    mean[~across] = (1.0 - fall) / (tail * rest)
    square[~across] = 1.0 + (a - b * fall) / (tail * rest)
    return log_probability, mean, square


def _density(z: Array) -> Array:
    return np.exp(-0.5 * z**2 - LOG_ROOT_TWO_PI)
