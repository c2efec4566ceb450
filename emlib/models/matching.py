"""How far estimated components are from the true ones, whatever their labels."""

from functools import cache
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
ALL_MATCHINGS = 5
"""Up to so many components all matchings are tried."""


def matched_distance(means: Floats, true_means: Floats, true_covariances: Floats) -> float:
    """Distance of component means from the true ones after the best matching of labels.

    Parameters
    ----------
    means, true_means : ndarray of shape (K, d)
    true_covariances : ndarray of shape (K, d, d)

    Returns
    -------
    float
        Root mean square over components of |mean - true mean| / sqrt(trace(covariance) / d), the
        labels matched so that it is least; NaN if the numbers of components differ.
    """
    if means.shape != true_means.shape:
        return float("nan")
    scale = np.trace(true_covariances, axis1=1, axis2=2) / means.shape[1]
    distance = ((means[:, None] - true_means[None]) ** 2).sum(axis=2) / scale
    return float(np.sqrt(_best_matching(distance).mean()))


def _best_matching(distance: Floats) -> Floats:
    """The entries (K,) of a square table, one in each row and column, of the least sum."""
    if len(distance) <= ALL_MATCHINGS:
        matchings = _permutations(len(distance))
        entries = distance[np.arange(len(distance)), matchings]
        return np.asarray(entries[entries.sum(axis=1).argmin()])
    from scipy.optimize import linear_sum_assignment  # 0.25 s that most processes can spare

    return np.asarray(distance[linear_sum_assignment(distance)])


@cache
def _permutations(k: int) -> NDArray[np.int64]:
    return np.array(list(permutations(range(k))), dtype=np.int64).reshape(-1, k)
