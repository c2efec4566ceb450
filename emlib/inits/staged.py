"""Many small clusters from one-dimensional ones, then the most different groups of them."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.inits.base import Init, Start
from emlib.inits.hierarchical import merged
from emlib.inits.quantile import cut
from emlib.inits.rows import Rows
from emlib.models.base import Model

SPREAD = 0.8
"""Share of the total variance that the components which are cut carry together at least."""

MOST = 500
"""Cells of the product of one-dimensional clusters that are taken, the heaviest first."""

SWEEPS = 20


@dataclass(frozen=True)
class Staged(Init):
    """Local modes first, their groups after (after Maitra 2009).

    Each leading principal component is cut into K clusters by one-dimensional k-means from its
    quantiles; the occupied cells of their product are the first centres of a k-means of the rows,
    and what it ends with, many small clusters, is merged to K by Ward's criterion.  It draws
    nothing.  (Maitra takes the most separated of the small clusters as centres; their groups are
    less swayed by one stray cluster.)  Holes: missing cells at their conditional means under one
    normal with the available-case moments (``rows.py``).  Cost: three passes (moments, completion,
    start) and those of k-means, each counted by its centres over K.
    """

    name: ClassVar[str] = "staged"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        from emlib.kernels.distances import lloyd

        k = model.n_components
        rows = Rows.of(data, k)
        points, weights = rows.completed, rows.weights
        cells, work = product_cells(principal(points, weights), weights, k)
        sizes = np.bincount(cells, weights)
        heavy = np.sort(np.argsort(-sizes, kind="stable")[:MOST])
        centres = _means(points, weights, cells)[heavy]
        if len(centres) < k:  # fewer cells than clusters: every row is one
            centres = points[np.linspace(0, len(points) - 1, k).astype(int)]
        ones = np.ones(points.shape[1])
        labels, _, passes = lloyd(points, weights, centres, ones, SWEEPS)
        _, labels = np.unique(labels, return_inverse=True)
        work += passes * len(centres) / k
        if labels.max() + 1 > k:
            small = np.bincount(labels, weights)
            groups, pairs = merged(_means(points, weights, labels), small, k, "EII")
            labels, work = groups[labels], work + pairs / (len(points) * k)
        return rows.start(model, data, labels, 2.0 + work)


def principal(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The leading principal components, their signs fixed, shape (m, q)."""
    centred = points - weights @ points / weights.sum()
    variances, vectors = np.linalg.eigh((weights[:, None] * centred).T @ centred)
    share = np.cumsum(variances[::-1]) / max(variances.sum(), np.finfo(float).tiny)
    q = min(int(np.searchsorted(share, SPREAD)) + 1, len(variances))
    leading = vectors[:, ::-1][:, :q]
    largest = leading[np.abs(leading).argmax(axis=0), np.arange(q)]
    return np.asarray(centred @ (leading * np.sign(largest)))


def product_cells(scores: np.ndarray, weights: np.ndarray, k: int) -> tuple[np.ndarray, float]:
    """The occupied cell of each row in the product of one-dimensional k-means, and its passes."""
    from emlib.kernels.distances import lloyd

    cells, work = np.zeros(len(scores), dtype=np.int64), 0.0
    for column in scores.T:
        order = np.argsort(column, kind="stable")
        begin = np.empty(len(column), dtype=np.int64)
        begin[order] = cut(weights[order], k)
        line = np.ascontiguousarray(column[:, None])
        labels, _, passes = lloyd(line, weights, _means(line, weights, begin), np.ones(1), SWEEPS)
        _, cells = np.unique(cells * k + labels, return_inverse=True)
        work += passes / scores.shape[1]
    return cells, work


def _means(points: np.ndarray, weights: np.ndarray, labels: np.ndarray) -> np.ndarray:
    totals = np.bincount(labels, weights)
    sums = [np.bincount(labels, weights * column) for column in points.T]
    return np.ascontiguousarray(np.stack(sums, axis=1) / totals[:, None])
