"""Compiled test whether covariances have a size: see ``emlib.models.collapse``."""

import numpy as np
from numba import njit


@njit(cache=True)
def is_definite(matrix, yardstick, share, diagonal_only, lower):
    """Whether ``matrix`` minus a share of ``yardstick`` (of its diagonal) is positive definite."""
    d = matrix.shape[0]
    for a in range(d):
        for b in range(a + 1):
            total = matrix[a, b]
            if a == b or not diagonal_only:
                total -= share * yardstick[a, b]
            for c in range(b):
                total -= lower[a, c] * lower[b, c]
            if a > b:
                lower[a, b] = total / lower[b, b]
            elif total > 0.0:
                lower[a, a] = np.sqrt(total)
            else:
                return False
    return True


@njit(cache=True)
def all_have_size(pooled, covariances, ratio, own):
    """Whether the pooled matrix and all ``covariances`` (K, d, d), none where K = 0, have a size.

    ``ratio`` of the pooled matrix is none, nor is a share ``own`` of a matrix's own diagonal; of
    the pooled one's own diagonal it is ``ratio`` as well.
    """
    lower = np.empty(pooled.shape)
    if not is_definite(pooled, pooled, ratio, True, lower):
        return False
    for k in range(covariances.shape[0]):
        if not is_definite(covariances[k], pooled, ratio, False, lower):
            return False
        if not is_definite(covariances[k], covariances[k], own, True, lower):
            return False
    return True
