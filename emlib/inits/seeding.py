"""Seedings that know the shape of the data: ``whitened_kmeans++``, ``gonzalez``, ``gmm_seeding``.

Rows with holes are completed by their conditional means under one normal with the available-case
moments (correlations over the rows where both columns are observed, eigenvalues raised to 1e-6
where that is not positive definite); see ``rows.py``.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows
from emlib.models.base import Model
from emlib.models.gaussian_mixture import GaussianMixtureModel

METRICS = ("euclidean", "mahalanobis")


class _Seeding(Init):
    holes: ClassVar[str] = "adapted"
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})


@dataclass(frozen=True)
class WhitenedKMeansPlusPlus(_Seeding):
    """k-means++ seeding (Arthur and Vassilvitskii 2007) in Mahalanobis distances.

    The rows are whitened first, by their overall covariance, so that the start does not change
    with the units of the columns or with any other affine map of complete data.  Holes: missing
    cells at their conditional means, see the top of this file.  Cost: four passes (covariance,
    completion, distances, start).
    """

    name: ClassVar[str] = "whitened_kmeans++"

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        rows = Rows.of(data, model.n_components)
        z = rows.whitened
        closest = np.ones(rows.table.n)
        labels = np.zeros(rows.table.n, dtype=np.int64)
        for k in range(model.n_components):
            distance = _squares(z, z[rows.draw(closest, rng.random())])
            nearer = distance < closest if k else np.ones(len(z), dtype=bool)
            labels[nearer] = k
            closest = np.where(nearer, distance, closest)
        return rows.start(model, data, labels, e_steps=3.0)


@dataclass(frozen=True)
class Gonzalez(_Seeding):
    """Farthest first: each next centre is the row farthest from those so far (Gonzalez 1985).

    The first is drawn.  It finds small and remote clusters, and outliers as well.  Of rows equally
    far the first in the order of their values is taken.  Holes: missing cells at their conditional
    means, see the top of this file.  Cost: four passes (moments, completion, distances, start).

    Parameters
    ----------
    metric : {"euclidean", "mahalanobis"}
        Of the standardized columns, or of the whitened ones.
    """

    name: ClassVar[str] = "gonzalez"

    metric: str = "euclidean"

    def __post_init__(self) -> None:
        if self.metric not in METRICS:
            raise ValueError(f"metric: {self.metric!r} is not one of {', '.join(METRICS)}")

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        rows = Rows.of(data, model.n_components)
        z = rows.completed if self.metric == "euclidean" else rows.whitened
        centre = rows.draw(np.ones(len(z)), rng.random())
        closest = _squares(z, z[centre])
        labels = np.zeros(len(z), dtype=np.int64)
        for k in range(1, model.n_components):
            distance = _squares(z, z[closest.argmax()])
            labels[distance < closest] = k
            closest = np.minimum(distance, closest)
        return rows.start(model, data, labels, e_steps=3.0)


@dataclass(frozen=True)
class GMMSeeding(_Seeding):
    """Adaptive seeding for Gaussian mixtures, after Bloemer and Bujna (2016).

    Component by component: the next mean is a row drawn by its squared Mahalanobis distance to the
    nearest of the normals so far, mixed with uniform chances; then every row goes to its nearest
    mean and each normal is estimated anew, its covariance shrunk to the pooled one.  So what is far
    is judged by each cluster's own shape, where k-means++ has one sphere for all.  The nearest mean
    is that of the standardized columns.  Holes: missing cells at their conditional means, see the
    top of this file.  Cost: K + 4 passes (moments, completion, distances, normals, start).

    Parameters
    ----------
    share : float
        In [0, 1]: share of the chances that goes by distance; the rest is uniform.
    """

    name: ClassVar[str] = "gmm_seeding"

    share: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.share <= 1:
            raise ValueError(f"share: {self.share!r} is not in [0, 1]")

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        rows = Rows.of(data, model.n_components)
        z, n_classes = rows.completed, model.n_components
        table = Table.from_array(z, rows.weights)
        labels = np.zeros(len(z), dtype=np.int64)
        closest = _squares(z, z[rows.draw(np.ones(len(z)), rng.random())])
        for k in range(1, n_classes):
            far = _mahalanobis(table, labels, k)
            total = float(rows.weights @ far)
            by_distance = far / total if total > 0 else 0.0
            chances = self.share * by_distance + (1 - self.share) / rows.weights.sum()
            fresh = closest > 0  # a row that is a mean already would be an empty component
            distance = _squares(z, z[rows.draw(np.where(fresh, chances, 0.0), rng.random())])
            labels[distance < closest] = k
            closest = np.minimum(distance, closest)
        return rows.start(model, data, labels, e_steps=3.0 + n_classes)


def _squares(points: NDArray[np.float64], centre: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(((points - centre) ** 2).sum(axis=1))


def _mahalanobis(table: Table, labels: NDArray[np.int64], n_classes: int) -> NDArray[np.float64]:
    """Squared distance of each row to the nearest of the classes' normals, shape (m,)."""
    from scipy.linalg import solve_triangular  # 0.3 s that most processes can spare

    params = GaussianMixtureModel(n_classes).start(table, np.eye(n_classes)[labels])
    nearest = np.full(table.n, np.inf)
    for mean, covariance in zip(params.means, params.covariances, strict=True):
        factor = np.linalg.cholesky(covariance)
        residual = solve_triangular(factor, (table.values - mean).T, lower=True)
        nearest = np.minimum(nearest, (residual**2).sum(axis=0))
    return nearest
