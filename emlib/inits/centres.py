"""Strategies that place centres: ``points``, ``kmeans++`` and ``kmeans``.

Rows go to their nearest centre and the model's start turns this partition into parameters.
Distances are squared Euclidean over a row's observed columns, scaled up by the share of the total
variance that these columns carry, so that rows with different holes compare.  A row chosen as a
centre takes the column means where it has holes.  Columns are not rescaled.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits.base import Init, Start, one_hot
from emlib.models.base import Model


class _Centres(Init):
    """Common ground: pick rows along the table's canonical order, assign, start."""

    holes: ClassVar[str] = "adapted"

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"classes", "distances"})

    def _start(self, model: Model, data: Table, labels: NDArray, e_steps: float) -> Start:
        start = model.start(data, one_hot(labels, model.n_components))
        return Start(start, e_steps + 1.0)


@dataclass(frozen=True)
class Points(_Centres):
    """K rows with distinct values, drawn with equal chances (weights count), as centres.

    The classic random start of k-means (Forgy 1965) for mixtures (McLachlan and Peel 2000,
    section 2.12).  Cost: two passes (assignment, start).
    """

    name: ClassVar[str] = "points"

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        centres = np.empty((model.n_components, data.d))
        free = data.informative.astype(float)
        for k in range(model.n_components):
            if not free.any():
                raise InvalidData(f"points: {k} distinct rows, fewer than components")
            row = data.draw_row(free, rng.random())
            centres[k] = centre_at(data, row)
            free[same_rows(data, row)] = 0.0
        return self._start(model, data, nearest(data, centres), e_steps=1.0)


@dataclass(frozen=True)
class KMeansPlusPlus(_Centres):
    """Seeding alone: each next centre drawn by squared distance to the nearest so far.

    Arthur and Vassilvitskii (2007).  Cost: two passes (distances, start); where it is greedy, as
    many passes over distances as candidates.

    Parameters
    ----------
    greedy : bool
        Draw 2 + log K candidates for each centre and take the one that leaves least (section 5 of
        the paper; scikit-learn's seeding).
    """

    name: ClassVar[str] = "kmeans++"

    greedy: bool = False

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        centres = seed_centres(data, model.n_components, rng, self.greedy)
        e_steps = float(candidates(model.n_components, self.greedy))
        return self._start(model, data, nearest(data, centres), e_steps)


@dataclass(frozen=True)
class KMeans(_Centres):
    """Lloyd's algorithm from a k-means++ seeding, centres being available-case means.

    An empty cluster takes the row farthest from its centre.  Cost: the seeding, each pass of
    Lloyd's algorithm, and the start.

    Parameters
    ----------
    max_iter : int
    greedy : bool
        Of the seeding; see ``kmeans++``.
    """

    name: ClassVar[str] = "kmeans"

    max_iter: int = 100
    greedy: bool = False

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        from emlib.kernels.distances import lloyd

        centres = seed_centres(data, model.n_components, rng, self.greedy)
        _, variances = data.column_moments
        weights = data.weights * data.informative  # a row of holes fills no cluster
        labels, _, passes = lloyd(data.values, weights, centres, variances, self.max_iter)
        e_steps = float(candidates(model.n_components, self.greedy) + passes)
        return self._start(model, data, labels, e_steps)


def candidates(n_centres: int, greedy: bool) -> int:
    """Rows that are drawn for each centre of a seeding."""
    return 2 + int(math.log(n_centres)) if greedy else 1


def seed_centres(
    data: Table, n_centres: int, rng: np.random.Generator, greedy: bool = False
) -> NDArray[np.float64]:
    """k-means++ centres, shape (n_centres, d)."""
    from emlib.kernels.distances import squared_distances

    _, variances = data.column_moments
    probability = data.informative.astype(float)
    weights = data.weights * data.informative
    centres = np.empty((n_centres, data.d))
    closest = np.full(data.n, np.inf)
    for k in range(n_centres):
        draws = rng.random(candidates(n_centres, greedy) if k else 1)
        drawn = np.stack([centre_at(data, data.draw_row(probability, u)) for u in draws])
        left = np.minimum(closest[:, None], squared_distances(data.values, drawn, variances))
        best = int((weights @ left).argmin())
        centres[k], closest = drawn[best], left[:, best]
        if (closest * data.informative).max() > 0:
            probability = closest * data.informative
    return centres


def nearest(data: Table, centres: NDArray[np.float64]) -> NDArray[np.int64]:
    """Number of each row's nearest centre, shape (n,)."""
    from emlib.kernels.distances import squared_distances

    return squared_distances(data.values, centres, data.column_moments[1]).argmin(axis=1)


def centre_at(data: Table, row: int) -> NDArray[np.float64]:
    """A row as a centre, column means where it has holes, shape (d,)."""
    means, _ = data.column_moments
    return np.where(data.observed[row], data.values[row], means)


def same_rows(data: Table, row: int) -> NDArray[np.bool_]:
    """Rows equal to ``row``, holes included, shape (n,)."""
    equal = (data.values == data.values[row]) | ~(data.observed | data.observed[row])
    return np.asarray(equal.all(axis=1))
