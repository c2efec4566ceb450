"""Model-based agglomeration, as mclust starts its mixtures."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.errors import require_count
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows, normal_classes, systematic
from emlib.models.base import Model

CRITERIA = ("VVV", "EII")
TRANSFORMS = ("svd", "none")


@dataclass(frozen=True)
class Hierarchical(Init):
    """Rows merged two by two where the classification likelihood of normals falls least.

    Banfield and Raftery (1993), Fraley (1998); the criteria are those of mclust's ``hc``.  It draws
    nothing; of equal mergers the first in the order of the values is made.  Holes: missing cells at
    their conditional means under one normal with the available-case moments (``rows.py``).  Cost:
    three passes (moments, completion, start) and all the mergers that were looked at, m^2 or so of
    m rows, K of which a row are a pass.

    Parameters
    ----------
    criterion : {"VVV", "EII"}
        Clusters of any covariances, or equal spheres (Ward's).
    transform : {"svd", "none"}
        ``svd`` (the default of mclust) scales the principal components of the standardized columns
        by the square roots of their singular values: half way to whitening (Scrucca and Raftery
        2015).  ``none`` takes the standardized columns.
    subset : int
        Of more distinct rows so many are merged, evenly spaced along the order of the values; the
        others go to the clusters by the E-step of their normals, as in mclust.
    """

    name: ClassVar[str] = "hierarchical"
    holes: ClassVar[str] = "adapted"
    deterministic: ClassVar[bool] = True
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    criterion: str = "VVV"
    transform: str = "svd"
    subset: int = 1000

    def __post_init__(self) -> None:
        if self.criterion not in CRITERIA:
            raise ValueError(f"criterion: {self.criterion!r} is not one of {', '.join(CRITERIA)}")
        if self.transform not in TRANSFORMS:
            raise ValueError(f"transform: {self.transform!r} is not one of {', '.join(TRANSFORMS)}")
        require_count("subset", self.subset)

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        rows = Rows.of(data, model.n_components)
        points = rows.completed
        if self.transform == "svd":
            points = half_whitened(points, rows.weights)
        kept = systematic(rows.weights, max(self.subset, model.n_components))
        labels, pairs = merged(points[kept], rows.weights[kept], model.n_components, self.criterion)
        e_steps = 2.0 + pairs / (rows.table.n * model.n_components)
        if len(kept) < len(points):
            classes = normal_classes(
                points[kept], rows.weights[kept], labels, model.n_components, points
            )
            classes[kept] = labels
            labels, e_steps = classes, e_steps + 1.0
        return rows.start(model, data, labels, e_steps)


def merged(
    points: np.ndarray, weights: np.ndarray, n_clusters: int, criterion: str
) -> tuple[np.ndarray, int]:
    """Labels (m,) of so many clusters, and the number of mergers that were looked at."""
    from emlib.kernels.agglomeration import agglomerate

    total = weights.sum()
    centred = points - weights @ points / total
    alpha = float(weights @ (centred**2).sum(axis=1)) / (total * points.shape[1])
    return agglomerate(np.ascontiguousarray(points), weights, n_clusters, alpha, criterion == "VVV")


def half_whitened(points: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Standardized rows times V S^(-1/2) of their singular value decomposition, shape (m, r).

    Directions without any spread are left out.  Weights count as copies.
    """
    total = weights.sum()
    centred = points - weights @ points / total
    spread = np.sqrt(weights @ centred**2 / max(total - 1.0, 1.0))
    scaled = centred / np.where(spread > 0, spread, 1.0)
    squares, vectors = np.linalg.eigh((weights[:, None] * scaled).T @ scaled)
    kept = squares > 1e-12 * squares[-1]
    if not kept.any():
        return scaled
    return np.asarray(scaled @ vectors[:, kept] / squares[kept] ** 0.25)
