"""Compiled distances over observed coordinates, and Lloyd's k-means on them.

The squared distance of a row with holes to a centre is the sum over the row's observed columns,
scaled up by the share of total variance that those columns carry (the partial distance of Dixon
1979 with columns counted by their variance).  Without holes it is the squared Euclidean distance.
"""

import numpy as np
from numba import njit


@njit(cache=True)
def squared_distances(values, centres, variances):
    """Partial squared distances of all rows to all centres, shape (n, K).

    A row without observed cells is at distance 0 of every centre.
    """
    n, d = values.shape
    n_centres = centres.shape[0]
    distances = np.zeros((n, n_centres))
    total = variances.sum()
    for i in range(n):
        seen = 0.0
        holes = False
        for j in range(d):
            if np.isnan(values[i, j]):
                holes = True
                continue
            seen += variances[j]
            for k in range(n_centres):
                difference = values[i, j] - centres[k, j]
                distances[i, k] += difference * difference
        if holes and seen > 0.0:
            for k in range(n_centres):
                distances[i, k] *= total / seen
    return distances


@njit(cache=True)
def lloyd(values, weights, centres, variances, max_iter):
    """Lloyd's algorithm with available-case centres.

    An empty cluster takes the row farthest from its own centre.  Returns the labels, the centres
    and the number of passes over the rows.
    """
    n, d = values.shape
    n_centres = centres.shape[0]
    centres = centres.copy()
    labels = np.full(n, -1)
    passes = 0
    for _ in range(max_iter):
        distances = squared_distances(values, centres, variances)
        passes += 1
        moved = False
        nearest = np.zeros(n)
        rows = np.zeros(n_centres)
        for i in range(n):
            best = 0
            for k in range(1, n_centres):
                if distances[i, k] < distances[i, best]:
                    best = k
            nearest[i] = distances[i, best] * (weights[i] > 0.0)
            rows[best] += weights[i]
            if labels[i] != best:
                labels[i] = best
                moved = True
        for k in range(n_centres):
            if rows[k] == 0.0:
                farthest = nearest.argmax()
                if nearest[farthest] > 0.0:
                    labels[farthest] = k
                    nearest[farthest] = 0.0
                    moved = True
        if not moved:
            break
        # Deviations from the old centres keep all digits far from zero.
        shifts = np.zeros((n_centres, d))
        totals = np.zeros((n_centres, d))
        for i in range(n):
            k = labels[i]
            for j in range(d):
                if not np.isnan(values[i, j]):
                    totals[k, j] += weights[i]
                    shifts[k, j] += weights[i] * (values[i, j] - centres[k, j])
        for k in range(n_centres):
            for j in range(d):
                if totals[k, j] > 0.0:
                    centres[k, j] += shifts[k, j] / totals[k, j]
    return labels, centres, passes
