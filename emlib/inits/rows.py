"""Distinct rows: what strategies that look at the geometry of the data work on.

Each row with an observed cell once, in the order of the values, its weights summed, its columns
standardized: so nothing that is built on them depends on the order of the rows or on units, and an
integer weight is that many copies.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits.base import Start
from emlib.models.base import Model
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams

Array = NDArray[np.float64]

SMALLEST = 1e-6
"""Least eigenvalue of a repaired correlation matrix."""


@dataclass(frozen=True, eq=False)
class Rows:
    """The distinct rows of a view.

    Attributes
    ----------
    table : Table
        m distinct rows of the columns that vary, standardized by available-case means and
        variances.
    number : ndarray of shape (n,)
        The distinct row that each row is; -1 for one that counts for nothing.
    """

    table: Table
    number: NDArray[np.int64]

    @classmethod
    def of(cls, data: Table, at_least: int = 1) -> "Rows":
        """The distinct rows of ``data``.

        Raises
        ------
        InvalidData
            If there are fewer than ``at_least``, or more are asked for and no column varies.
        """
        order = data.canonical_order
        values = data.values[order]
        equal = (values[1:] == values[:-1]) | (np.isnan(values[1:]) & np.isnan(values[:-1]))
        first = np.concatenate([[True], ~equal.all(axis=1)])
        if first.sum() < at_least:
            raise InvalidData(f"{first.sum()} distinct rows, fewer than {at_least} components")
        number = np.full(data.n, -1)
        number[order] = np.cumsum(first) - 1
        weights = np.bincount(number[order], data.weights[order])
        means, variances = Table.from_array(values[first], weights).column_moments
        varies = variances > 0
        if not varies.any():
            if at_least > 1:
                raise InvalidData("no column varies: nothing to tell components by")
            varies, variances = varies | True, variances + 1.0
        z = (values[first][:, varies] - means[varies]) / np.sqrt(variances[varies])
        return cls(Table.from_array(z, weights), number)

    @property
    def weights(self) -> Array:
        """Weights of the distinct rows, shape (m,)."""
        return self.table.weights

    @cached_property
    def correlation(self) -> Array:
        """The repaired available-case correlation, shape (d, d); see ``repaired``."""
        return repaired(available_correlation(self.table))

    @cached_property
    def completed(self) -> Array:
        """The rows, shape (m, d), each missing cell at its expectation given the observed ones,

        under one normal with the available-case moments.
        """
        if self.table.observed.all():
            return self.table.values
        d = self.table.d
        normal = GaussianMixtureParams(np.ones(1), np.zeros((1, d)), self.correlation[None])
        return GaussianMixtureModel(1).posterior(normal, self.table).completed

    @cached_property
    def whitened(self) -> Array:
        """The completed rows times the inverse Cholesky factor of the correlation, (m, d)."""
        from scipy.linalg import solve_triangular  # 0.3 s that most processes can spare

        factor = np.linalg.cholesky(self.correlation)
        return solve_triangular(factor, self.completed.T, lower=True).T

    def draw(self, probability: Array, uniform: float) -> int:
        """A row drawn with ``probability`` times weight."""
        return self.table.draw_row(probability, uniform)

    def spread(self, labels: NDArray[np.int64], n_components: int) -> Array:
        """Responsibilities (n, K) of all rows from labels (m,); even ones for rows of holes."""
        shares = np.full((len(self.number), n_components), 1.0 / n_components)
        seen = self.number >= 0
        shares[seen] = np.eye(n_components)[labels[self.number[seen]]]
        return shares

    def start(self, model: Model, data: Table, labels: NDArray[np.int64], e_steps: float) -> Start:
        """The model's start from labels (m,); ``e_steps`` is the cost until here."""
        params = model.start(data, self.spread(labels, model.n_components))
        return Start(params, e_steps + 1.0)


def available_correlation(table: Table) -> Array:
    """Correlations over the rows where both columns are observed, 0 where there are none.

    Of standardized columns, shape (d, d).  With holes it may be indefinite.
    """
    weights = table.weights[:, None] * table.observed
    z = np.where(table.observed, table.values, 0.0)
    both = weights.T @ table.observed
    correlation = ((weights * z).T @ z) / np.where(both > 0, both, 1.0)
    np.fill_diagonal(correlation, 1.0)
    return np.asarray(correlation)


def repaired(correlation: Array, smallest: float = SMALLEST) -> Array:
    """A positive definite correlation: eigenvalues raised to ``smallest``, the diagonal back to 1.

    Rousseeuw and Molenberghs (1993), the eigenvalue method.  A sound matrix stays as it is.
    """
    values, vectors = np.linalg.eigh(correlation)
    if values[0] >= smallest:
        return correlation
    raised = (vectors * np.maximum(values, smallest)) @ vectors.T
    size = np.sqrt(np.diagonal(raised))
    return np.asarray(raised / np.outer(size, size))


def normal_classes(
    points: Array, weights: Array, labels: NDArray[np.int64], n_classes: int, others: Array
) -> NDArray[np.int64]:
    """Classes of ``others`` by the normals (covariances shrunk) of labelled points, (len(others),).

    The E-step of mclust after an agglomeration of a part of the rows.
    """
    model = GaussianMixtureModel(n_classes)
    params = model.start(Table.from_array(points, weights), np.eye(n_classes)[labels])
    shares = model.posterior(params, Table.from_array(others)).responsibilities
    assert shares is not None
    return np.asarray(shares.argmax(axis=1))


def systematic(weights: Array, size: int) -> NDArray[np.int64]:
    """At most ``size`` rows, evenly spaced in their weight along the order of the values."""
    if len(weights) <= size:
        return np.arange(len(weights))
    places = (np.arange(size) + 0.5) / size * weights.sum()
    return np.unique(np.searchsorted(np.cumsum(weights), places))
