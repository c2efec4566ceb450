"""Compiled agglomeration: clusters merged two by two where a criterion grows least.

The criteria are minus twice the classification loglik of normals, up to what no merger changes
(Banfield and Raftery 1993; Fraley 1998): for EII the sum of squares within clusters (Ward's), for
VVV the sum over clusters of w log(det(S / w) + (tr S + alpha) / w) with the scatter S and the
weight w, the second term being what keeps clusters of few rows finite (mclust's hcVVV, beta = 1).
"""

import numpy as np
from numba import njit


@njit(cache=True)
def determinant(matrix):
    """Determinant of a positive semi-definite matrix, by Cholesky in place; 0 if singular."""
    d = matrix.shape[0]
    result = 1.0
    for j in range(d):
        pivot = matrix[j, j]
        for k in range(j):
            pivot -= matrix[j, k] * matrix[j, k]
        if not pivot > 1e-14 * matrix[j, j]:
            return 0.0
        result *= pivot
        root = np.sqrt(pivot)
        for i in range(j + 1, d):
            total = matrix[i, j]
            for k in range(j):
                total -= matrix[i, k] * matrix[j, k]
            matrix[i, j] = total / root
        matrix[j, j] = root
    return result


@njit(cache=True)
def vvv_term(weight, scatter, n_rows, alpha, work):
    """A cluster's part of the VVV criterion; ``n_rows`` distinct rows are in it."""
    d = scatter.shape[0]
    trace = 0.0
    for j in range(d):
        trace += scatter[j, j]
    spread = 0.0
    if n_rows > d:
        for i in range(d):
            for j in range(i + 1):
                work[i, j] = scatter[i, j] / weight
        spread = determinant(work)
    return weight * np.log(spread + (trace + alpha) / weight)


@njit(cache=True)
def merged_cost(a, b, weights, means, scatters, n_rows, terms, alpha, vvv, work, joint):
    """What the criterion grows by if clusters a and b become one."""
    d = means.shape[1]
    share = weights[a] * weights[b] / (weights[a] + weights[b])
    if not vvv:
        total = 0.0
        for j in range(d):
            total += (means[a, j] - means[b, j]) ** 2
        return share * total
    for i in range(d):
        for j in range(i + 1):
            joint[i, j] = (
                scatters[a, i, j] + scatters[b, i, j]
                + share * (means[a, i] - means[b, i]) * (means[a, j] - means[b, j])
            )  # fmt: skip
    term = vvv_term(weights[a] + weights[b], joint, n_rows[a] + n_rows[b], alpha, work)
    return term - terms[a] - terms[b]


@njit(cache=True)
def agglomerate(points, point_weights, n_clusters, alpha, vvv):
    """Merge the rows (m, d) until ``n_clusters`` are left.

    Of equal costs the pair that stands first in the order of the rows is merged.  Returns labels
    (m,), numbered in the order of each cluster's first row, and the number of pairs looked at.
    """
    m, d = points.shape
    weights, means = point_weights.copy(), points.copy()
    scatters = np.zeros((m if vvv else 1, d, d))
    n_rows = np.ones(m, dtype=np.int64)
    terms = np.zeros(m)
    owner = np.arange(m)
    alive = np.ones(m, dtype=np.bool_)
    costs = np.full((m, m), np.inf)
    best = np.full(m, -1)
    work, joint = np.zeros((d, d)), np.zeros((d, d))
    pairs = 0
    if vvv:
        for a in range(m):
            terms[a] = vvv_term(weights[a], scatters[a], 1, alpha, work)
    for a in range(m):
        for b in range(a + 1, m):
            costs[a, b] = merged_cost(
                a, b, weights, means, scatters, n_rows, terms, alpha, vvv, work, joint
            )
            pairs += 1
            if best[a] < 0 or costs[a, b] < costs[a, best[a]]:
                best[a] = b
    for _ in range(m - n_clusters):
        a = -1
        for i in range(m):
            if best[i] >= 0 and (a < 0 or costs[i, best[i]] < costs[a, best[a]]):
                a = i
        b = best[a]
        total = weights[a] + weights[b]
        share = weights[a] * weights[b] / total
        if vvv:
            for i in range(d):
                for j in range(d):
                    scatters[a, i, j] += scatters[b, i, j] + share * (means[a, i] - means[b, i]) * (
                        means[a, j] - means[b, j]
                    )
        for j in range(d):
            means[a, j] += weights[b] / total * (means[b, j] - means[a, j])
        weights[a] = total
        n_rows[a] += n_rows[b]
        alive[b] = False
        best[b] = -1
        for i in range(m):
            if owner[i] == b:
                owner[i] = a
        if vvv:
            terms[a] = vvv_term(weights[a], scatters[a], n_rows[a], alpha, work)
        for i in range(m):
            if not alive[i] or i == a:
                continue
            cost = merged_cost(
                min(i, a), max(i, a), weights, means, scatters, n_rows, terms, alpha, vvv, work,
                joint,
            )  # fmt: skip
            pairs += 1
            costs[min(i, a), max(i, a)] = cost
            if i > a:
                continue
            if best[i] == a or best[i] == b:
                best[i] = nearest(i, costs, alive)
            elif best[i] < 0 or cost < costs[i, best[i]] or (
                cost == costs[i, best[i]] and a < best[i]
            ):  # fmt: skip
                best[i] = a
        for i in range(a + 1, b):  # rows between whose nearest was b
            if alive[i] and best[i] == b:
                best[i] = nearest(i, costs, alive)
        best[a] = nearest(a, costs, alive)
    labels = np.empty(m, dtype=np.int64)
    numbers = np.full(m, -1)
    found = 0
    for i in range(m):
        if numbers[owner[i]] < 0:
            numbers[owner[i]] = found
            found += 1
        labels[i] = numbers[owner[i]]
    return labels, pairs


@njit(cache=True)
def nearest(a, costs, alive):
    """The living cluster after a that is cheapest to merge with it; -1 if there is none."""
    best = -1
    for b in range(a + 1, len(alive)):
        if alive[b] and (best < 0 or costs[a, b] < costs[a, best]):
            best = b
    return best
