"""Compiled sweep of plane rotations for common axes of several matrices."""

import math

from numba import njit

FLAT = 1e-15
"""A plane whose objective varies by less than this share of its terms is left as it is."""


@njit(cache=True)
def turn_planes(along, precisions, axes):
    """Turn every plane of two axes to the minimum of sum_k tr(along_k diag(precisions_k)).

    In the plane of axes i and j at angle t the sum is, but for a constant, P cos 2t + R sin 2t
    with P = sum_k (p_ki - p_kj) (a_kii - a_kjj) / 2 and R = sum_k (p_ki - p_kj) a_kij.

    ``along`` (K, d, d), the matrices along the axes, and ``axes`` (d, d), columns, move in place;
    returns the sine of the largest angle.
    """
    n_matrices, d = precisions.shape
    largest = 0.0
    for i in range(d):
        for j in range(i + 1, d):
            p = 0.0
            r = 0.0
            size = 0.0
            for k in range(n_matrices):
                gap = precisions[k, i] - precisions[k, j]
                p += 0.5 * gap * (along[k, i, i] - along[k, j, j])
                r += gap * along[k, i, j]
                size += (precisions[k, i] + precisions[k, j]) * (along[k, i, i] + along[k, j, j])
            if math.hypot(p, r) <= FLAT * size:
                continue
            angle = 0.5 * math.atan2(-r, -p)
            c = math.cos(angle)
            s = math.sin(angle)
            largest = max(largest, abs(s))
            for a in range(d):
                first = axes[a, i]
                axes[a, i] = c * first + s * axes[a, j]
                axes[a, j] = c * axes[a, j] - s * first
            for k in range(n_matrices):
                for a in range(d):
                    first = along[k, a, i]
                    along[k, a, i] = c * first + s * along[k, a, j]
                    along[k, a, j] = c * along[k, a, j] - s * first
                for a in range(d):
                    first = along[k, i, a]
                    along[k, i, a] = c * first + s * along[k, j, a]
                    along[k, j, a] = c * along[k, j, a] - s * first
    return largest
