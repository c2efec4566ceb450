"""What must be known of all rows before the first E-step, in three passes over the partitions.

A table says some things of itself that hold for all its rows: means and variances of columns, what
to centre on, which levels occur.  A partition must say them of the whole data set.  Checks of the
data and inits read a sample, to which rows are added that show what a sample may miss: a column's
two values, designs of full rank, every level.
"""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Discrete, Table
from emlib.distributed.partitions import Partitions, on_each, results, tree_sum
from emlib.errors import InvalidData
from emlib.models.base import Model

Array = NDArray[np.float64]
Ints = NDArray[np.int64]

SAMPLE_ROWS = 10_000
"""Rows that the inits see; all of them where there are no more."""

BESIDE = ("covariates", "upper")
"""What a view may have beside its values and weights."""


@dataclass(frozen=True, eq=False)
class Count:
    """What a partition says of itself.

    Attributes
    ----------
    rows, informative : int
        All, and those that count.
    weight, total_weight : float
        Of these and of those.
    seen, means, first : ndarray of shape (d,)
        Weights, means and the first of the observed cells.
    covariate_means : ndarray of shape (p,), or None
    levels : list of ndarray, or None
        Of each column, where cells are levels.
    """

    rows: int
    informative: int
    weight: float
    total_weight: float
    seen: Array
    means: Array
    first: Array
    covariate_means: Array | None
    levels: list[Array] | None


def surveyed(client: Any, tables: Sequence[Any], model: Model) -> Partitions:
    """The partitions that have rows which count, each with what holds for all.

    Parameters
    ----------
    client : distributed.Client
    tables : sequence of Future
        Views, or None for a partition without any row.
    model : Model
        Not prepared: its cells are checked.

    Raises
    ------
    InvalidData
        If a cell is none of the family's, or no row counts.
    """
    found = results(client, on_each(client, tables, _counted, model, own=range(len(tables))))
    pairs = [
        (table, count)
        for table, count in zip(tables, found, strict=True)
        if count is not None and count.informative
    ]
    if not pairs:
        raise InvalidData("no row has an observed cell and a weight above 0")
    live, counts = [table for table, _ in pairs], [count for _, count in pairs]
    widths = sorted({len(count.means) for count in counts})
    if len(widths) > 1:
        raise InvalidData(f"partitions have {' and '.join(map(str, widths))} columns")
    constants = _constants(client, live, counts)
    parts = on_each(client, live, _with_constants, constants)
    drawn = _drawn([count.rows for count in counts])
    rows = tree_sum(client, on_each(client, parts, _few, model.levels, own=drawn))
    total = sum(count.total_weight for count in counts)
    sample = _with_constants(rows.view(model), None, constants)
    weights = np.array([count.weight for count in counts])
    share = len(rows.values) / sum(count.rows for count in counts)
    return Partitions(client, tuple(parts), weights, total, sample, share)


def _counted(table: Any, number: int, model: Model) -> Count | None:
    if table is None:
        return None
    if not isinstance(table, Table):
        raise InvalidData(
            f"{model.family} reads {type(table).__name__}, whose rows are not independent: "
            "partitions are of independent rows"
        )
    try:
        model.check_cells(table)
    except InvalidData as error:
        raise InvalidData(f"partition {number}: {error}") from None
    means, covariate_means = table.column_moments[0], getattr(table, "covariate_means", None)
    seen = sum(weights.sum(axis=0) for weights, _ in table.deviations(means))
    levels = table.live_levels if model.levels and isinstance(table, Discrete) else None
    return Count(
        table.n, int(table.informative.sum()), float(table.weights.sum()), table.total_weight,
        np.asarray(seen), means, table.first_observed, covariate_means, levels,
    )  # fmt: skip


def _constants(client: Any, tables: list[Any], counts: list[Count]) -> dict[str, Any]:
    """Cached properties of a view, as they are of all rows; see those of ``Table``."""
    seen = np.stack([count.seen for count in counts])
    has = (seen > 0).argmax(axis=0), np.arange(seen.shape[1])
    means = _merged(np.stack([count.means for count in counts]), seen)
    total = sum(count.total_weight for count in counts)
    second = tree_sum(client, on_each(client, tables, _products, means))
    count, squares = seen.sum(axis=0), np.diagonal(second)
    variances = squares / np.where(count > 0, count, 1.0)
    scatter = second + np.diag((total - count) * variances)
    constants: dict[str, Any] = {
        "column_moments": (means, variances),
        "first_observed": np.stack([count.first for count in counts])[has],
        "total_moments": (np.array([total]), means[None], scatter[None], variances),
    }
    if counts[0].covariate_means is not None:
        weights = np.array([[count.total_weight] for count in counts])
        covariates = np.stack([np.asarray(count.covariate_means) for count in counts])
        constants["covariate_means"] = _merged(
            covariates, np.broadcast_to(weights, covariates.shape)
        )
    if counts[0].levels is not None:
        columns = zip(*(count.levels or [] for count in counts), strict=True)
        constants["live_levels"] = [np.unique(np.concatenate(found)) for found in columns]
    return constants


def _merged(means: Array, weights: Array) -> Array:
    """Means of all, from those of the partitions (m, d) and what they weigh."""
    first = means[(weights > 0).argmax(axis=0), np.arange(means.shape[1])]
    total = weights.sum(axis=0)
    shift = (weights * (means - first)).sum(axis=0)  # means of far-away numbers keep their digits
    return np.asarray(first + shift / np.where(total > 0, total, 1.0))


def _products(table: Table, own: None, means: Array) -> Array:
    """Sums of products of the observed cells' deviations, shape (d, d)."""
    total = np.zeros((table.d, table.d))
    for weights, deviation in table.deviations(means):
        total += (weights * deviation).T @ deviation
    return total


def _with_constants(table: Any, own: None, constants: dict[str, Any]) -> Any:
    """The table, saying of itself what holds for all rows."""
    known = copy(table)
    vars(known).update(constants)
    return known


def _drawn(sizes: list[int]) -> list[Ints]:
    """Rows of the sample, by partition: the same ones each time."""
    ends = np.cumsum(sizes)
    n = int(ends[-1])
    if n <= SAMPLE_ROWS:
        return [np.arange(size) for size in sizes]
    rows = np.sort(np.random.default_rng(0).choice(n, SAMPLE_ROWS, replace=False))
    cuts = np.split(rows, np.searchsorted(rows, ends[:-1]))
    return [cut - (end - size) for cut, end, size in zip(cuts, ends, sizes, strict=True)]


@dataclass(frozen=True, eq=False)
class Few:
    """Rows of a data set that are kept for the sample; a sum keeps what shows something new.

    Attributes
    ----------
    values, weights : ndarray of shape (m, d) and (m,)
    beside : dict of str to ndarray
    drawn : ndarray of shape (m,), bool
        Rows of the sample proper.
    levels : bool
        Whether cells are levels, of which each is to be shown.
    """

    values: Array
    weights: Array
    beside: dict[str, Array]
    drawn: NDArray[np.bool_]
    levels: bool

    def __add__(self, other: "Few") -> "Few":
        beside = {name: np.concatenate([a, other.beside[name]]) for name, a in self.beside.items()}
        return Few(
            np.concatenate([self.values, other.values]),
            np.concatenate([self.weights, other.weights]),
            beside,
            np.concatenate([self.drawn, other.drawn]),
            self.levels,
        ).thinned()

    def thinned(self) -> "Few":
        """The drawn rows, and of the others those that show something new."""
        kept = self.drawn.copy()
        kept[self._spanning()] = True
        beside = {name: array[kept] for name, array in self.beside.items()}
        return Few(self.values[kept], self.weights[kept], beside, self.drawn[kept], self.levels)

    def view(self, model: Model) -> Any:
        """The rows as the model reads them."""
        return model.view(self.values, self.weights, **self.beside)

    def _spanning(self) -> list[int]:
        """Rows that span what the rows which show a column do, in (1, covariates, the column).

        By QR with pivoting (Golub and Van Loan 2013, section 5.4.2).
        """
        from scipy.linalg import qr

        rows: list[int] = []
        upper = self.beside.get("upper", self.values)
        covariates = self.beside.get("covariates", np.empty((len(self.values), 0)))
        for cells, high in zip(self.values.T, upper.T, strict=True):
            seen = np.flatnonzero((cells == high) & (self.weights > 0))
            if not len(seen):
                continue
            if self.levels:
                rows += seen[np.unique(cells[seen], return_index=True)[1]].tolist()
            lines = np.column_stack([covariates[seen], cells[seen]])
            lines = lines - lines[0]
            size = np.abs(lines).max(axis=0)
            design = np.column_stack([np.ones(len(seen)), lines / np.where(size > 0, size, 1.0)])
            pivots = qr(design.T, mode="r", pivoting=True)[1]
            rows += seen[pivots[: design.shape[1]]].tolist()
        return rows


def _few(table: Table, drawn: Ints, levels: bool) -> Few:
    chosen = np.zeros(table.n, dtype=bool)
    chosen[drawn] = True
    beside = {name: getattr(table, name) for name in BESIDE if hasattr(table, name)}
    return Few(table.values, table.weights, beside, chosen, levels).thinned()
