"""Spectral clustering of the rows."""

import warnings
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows, normal_classes, systematic
from emlib.models.base import Model

NEIGHBOUR = 7
"""Its distance is a row's own scale (Zelnik-Manor and Perona 2005)."""


@dataclass(frozen=True)
class Spectral(Init):
    """Normalized cuts of a graph of the rows (Shi and Malik 2000; Ng, Jordan and Weiss 2002).

    Weights of the edges are exp(-d_ij^2 / (s_i s_j)), a row's scale s_i being the distance of its
    seventh neighbour (Zelnik-Manor and Perona 2005), so no bandwidth is chosen; clusters are read
    off the eigenvectors by pivoted QR (Damle, Minden and Ying 2019).  It draws nothing.  The other
    spectral start, the projection of Vempala and Wang (2004) to the K leading singular vectors,
    is empty where there are no more columns than components, so the graph was chosen; it also
    follows clusters that are no spheres.  Holes: distances of standardized columns over those that
    both rows show, scaled up by their share (Dixon 1979); the mean distance where there are none.
    Cost: four passes and m / K for m rows in the graph (all distances; K eigenvectors).

    Parameters
    ----------
    subset : int
        Of more distinct rows so many make the graph, evenly spaced along the order of the values;
        the others go to the clusters by the E-step of their normals.
    """

    name: ClassVar[str] = "spectral"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    subset: int = 500

    def __post_init__(self) -> None:
        require_count("subset", self.subset)

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        k = model.n_components
        rows = Rows.of(data, k)
        kept = systematic(rows.weights, max(self.subset, k))
        weights = rows.weights[kept]
        labels = cuts(affinity(rows.table.values[kept], weights), k)
        if len(kept) < rows.table.n:
            points = rows.completed
            classes = normal_classes(points[kept], weights, labels, k, points)
            classes[kept] = labels
            labels = classes
        return rows.start(model, data, labels, 3.0 + len(kept) ** 2 / (rows.table.n * k))


def affinity(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights of the edges between rows (m, d) that stand for so many each, shape (m, m)."""
    from sklearn.metrics.pairwise import nan_euclidean_distances

    distances = nan_euclidean_distances(values)
    unknown = np.isnan(distances)
    distances = np.where(unknown, distances[~unknown].mean(), distances)
    np.fill_diagonal(distances, 0.0)
    neighbour = min(NEIGHBOUR, len(values) - 1)
    scale = np.partition(distances, neighbour, axis=1)[:, neighbour]
    typical = scale[scale > 0].mean() if (scale > 0).any() else 1.0
    scale = np.where(scale > 0, scale, typical)
    return np.exp(-(distances**2) / np.outer(scale, scale)) * np.outer(weights, weights)


def cuts(edges: np.ndarray, k: int) -> np.ndarray:
    """Labels (m,) of K clusters."""
    from sklearn.cluster import spectral_clustering

    if k == 1:
        return np.zeros(len(edges), dtype=np.int64)
    if k == len(edges):
        return np.arange(k)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a graph in parts is what good clusters give
        labels = spectral_clustering(
            edges, n_clusters=k, assign_labels="cluster_qr", random_state=0
        )
    return np.asarray(labels, dtype=np.int64)
