"""What every mechanism of missingness offers, and the arithmetic that they share.

A mechanism says with which probability a cell is hidden; the intercept or threshold behind it is
solved so that the mean of the probabilities is the requested rate. What drops together (a cell, a
row, a burst) shares one uniform number, drawn without looking at the rate, and is hidden where
that number falls below a probability that only grows with the rate: holes are nested.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.naming import Mistakes, is_number, unknown_name
from emlib.datasets.settings import Setting

FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

MAX_PROBABILITY = 0.95
"""Largest mean share of cells that is hidden where some columns carry the rate of others."""

BISECTIONS = 64


@dataclass(frozen=True)
class Layout:
    """What is known of a table at plan time.

    Parameters
    ----------
    columns : tuple of str
        Names of its ``d`` columns.
    observed : ndarray of shape (d,)
        Number of observed cells of each, or shares of one where the rows are not known yet.
    n : int or None
        Number of rows, where known.
    extras : tuple of str or None
        Names of the arrays beside the values; None where they are not known.
    """

    columns: tuple[str, ...]
    observed: FloatArray
    n: int | None = None
    extras: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Mechanism(ABC):
    """Which cells are hidden, and why. Subclasses are frozen; their fields are their settings."""

    limit: ClassVar[str] = "hides cells of every column"
    """Why a rate above the highest one is impossible."""
    by_row: ClassVar[bool] = False
    """Whether a row's cells share one uniform number; otherwise each cell has its own."""
    rated: ClassVar[bool] = True
    """Whether the config says the rate."""
    data: ClassVar[str] = "rows"
    """What it hides: cells of ``rows``, ``visibilities``, or ``any``."""
    schema: ClassVar[Mapping[str, Setting]] = {}
    """What each setting accepts."""

    def own_rate(self) -> float:
        """The rate of a mechanism whose rate is not in the config."""
        return 0.0

    def source_files(self) -> tuple[str, ...]:
        """Files that decide what is hidden, as the settings write them."""
        return ()

    def check_alone(self) -> Mistakes:
        """Return (path, message) for what is wrong for every table, beyond single settings."""
        return []

    def check(self, layout: Layout) -> Mistakes:
        """Return (path, message) for each setting that this table makes impossible."""
        return []

    def highest_rate(self, layout: Layout) -> float:
        """The largest rate allowed on this table."""
        return 1.0

    @abstractmethod
    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        """The (n, d) probabilities of hiding each cell; 0 where it is already missing."""

    def mask(
        self,
        values: FloatArray,
        rate: float,
        columns: Sequence[str],
        rng: np.random.Generator,
        extras: Mapping[str, npt.NDArray[Any]],
    ) -> BoolArray:
        """Draw the (n, d) cells that are hidden; ``extras`` are the arrays beside the values."""
        uniforms = rng.random((len(values), 1) if self.by_row else values.shape)
        return np.asarray(uniforms < self.probabilities(values, rate, columns))


# --- the rates of single columns ---


def is_relative_rates(given: Any) -> bool:
    """Tell whether a setting maps names of columns to numbers of at least 0."""
    return (
        isinstance(given, Mapping)
        and bool(given)
        and all(isinstance(k, str) and is_number(v) and v >= 0 for k, v in given.items())
    )


COLUMNS = Setting(
    is_relative_rates, "not a mapping of column names to relative rates of at least 0", None
)
"""``columns``: how often a column is hidden relative to those that are not named."""


def check_columns(relative: Mapping[str, float] | None, columns: Sequence[str]) -> Mistakes:
    """Return (path, message) for columns that the table lacks, and if no column can be hidden."""
    if relative is None:
        return []
    wrong = [
        ("columns", unknown_name(name, columns, "column"))
        for name in relative
        if name not in columns
    ]
    if not wrong and not any(relative.get(name, 1.0) > 0 for name in columns):
        return [("columns", "every column has the relative rate 0, so none can have holes")]
    return wrong


def column_rates(
    relative: Mapping[str, float] | None, columns: Sequence[str], observed: FloatArray
) -> FloatArray:
    """What to multiply the rate of the table by, to get that of each column (d,).

    ``w_j N / sum_k w_k n_k`` with ``w`` the relative rates, 1 where not named, and ``n`` the
    numbers of observed cells, ``N`` in all: the cells hidden over the whole table stay the rate.
    """
    weights = np.array([(relative or {}).get(name, 1.0) for name in columns], dtype=np.float64)
    total = float(weights @ observed)
    return weights * (float(np.sum(observed)) / total if total > 0 else 0.0)


@dataclass(frozen=True, kw_only=True)
class ByColumn(Mechanism):
    """A mechanism whose columns may have relative rates of their own.

    Parameters
    ----------
    columns : dict of str to float, or None
        Relative rates of columns, 1 for those not named; the rate of the table stays ``rate``.
    """

    columns: Mapping[str, float] | None = None

    def check(self, layout: Layout) -> Mistakes:
        return check_columns(self.columns, layout.columns)

    def highest_rate(self, layout: Layout) -> float:
        return highest_of(column_rates(self.columns, layout.columns, layout.observed))


def highest_of(rates: FloatArray) -> float:
    """The largest rate of a table whose columns have these multiples of it (d,)."""
    most = float(rates.max(initial=0.0))
    if most <= 1.0:
        return 1.0
    return MAX_PROBABILITY / most


# --- scores and intercepts ---


def standardised(values: FloatArray) -> FloatArray:
    """Centre and scale each column of (n, d) over its observed cells; 0 where it is constant."""
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = values - np.where(present, values, 0.0).sum(axis=0) / count
    widest = np.abs(np.where(present, centred, 0.0)).max(axis=0, initial=0.0)
    relative = centred / np.where(widest > 0, widest, 1.0)
    scale = np.sqrt(np.where(present, relative**2, 0.0).sum(axis=0) / count)
    return relative / np.where(scale > 0, scale, 1.0)


def weighted_score(values: FloatArray, weights: FloatArray) -> FloatArray:
    """The standardised weighted sum (n,) of the standardised columns of (n, d).

    Where a value is missing, the column's mean stands in for it.
    """
    z = standardised(values)
    return standardised((np.where(np.isnan(z), 0.0, z) @ weights)[:, None])[:, 0]


def solve_increasing(share: Callable[[float], float], target: float, high: float) -> float:
    """A point of [-high, high] up to which the increasing ``share`` is at most ``target``.

    It comes from a fixed number of bisections of an interval that does not depend on the target,
    so that it never falls as the target grows, not even by rounding.
    """
    low = -high
    for _ in range(BISECTIONS):
        middle = 0.5 * (low + high)
        if share(middle) <= target:
            low = middle
        else:
            high = middle
    return low


def logistic_with_mean(score: FloatArray, mean: float, counts: npt.NDArray[Any]) -> FloatArray:
    """Return ``expit(a + score)`` (n,), 0 without counts, with ``a`` such that the mean is right.

    ``counts`` (n,) weighs the mean; booleans mean presence.
    """
    from scipy.special import expit  # half a second that plain holes can spare

    result = np.zeros(score.shape)
    present = counts > 0
    if not present.any():
        return result
    used, weight = score[present], counts[present].astype(np.float64)
    total = float(weight.sum())
    high = 40.0 + float(np.abs(used).max())
    a = solve_increasing(lambda x: float(weight @ expit(x + used)), mean * total, high)
    result[present] = expit(a + used)
    return result
