"""How far estimated components are from the true ones, whatever their labels."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


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
        labels matched by the Hungarian method; NaN if the numbers of components differ.
    """
    if means.shape != true_means.shape:
        return float("nan")
    from scipy.optimize import linear_sum_assignment

    scale = np.trace(true_covariances, axis1=1, axis2=2) / means.shape[1]
    distance = ((means[:, None] - true_means[None]) ** 2).sum(axis=2) / scale
    fitted, true = linear_sum_assignment(distance)
    return float(np.sqrt(distance[fitted, true].mean()))
