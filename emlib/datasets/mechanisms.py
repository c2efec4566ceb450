"""Mechanisms that hide cells: completely at random, at random, not at random (Rubin 1976).

They hide values alone, never covariates or the ends of sequences. Each gives the probability of
hiding a cell, logistic in a score where it depends on values, with the intercept of each column
solved so that the mean of the probabilities is the requested rate.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from emlib.datasets.naming import Mistakes, unknown_name

FloatArray = npt.NDArray[np.float64]

MAX_PROBABILITY = 0.95
"""Largest mean share of the cells of a column that ``mar`` agrees to hide."""

_BISECTIONS = 64


class Mechanism(Protocol):
    """What a mechanism offers: checks at plan time, and the probability of hiding each cell."""

    limit: ClassVar[str]
    """Why a rate above the highest one is impossible."""
    by_row: ClassVar[bool]
    """Whether a row's cells are hidden together: one uniform a row, not a cell."""

    def check(self, columns: Sequence[str]) -> Mistakes:
        """Return (path, message) for each setting that these columns make impossible."""

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        """Return the largest rate allowed, given the number of observed cells of each column."""

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        """Return the (n, d) probabilities of hiding each cell; 0 where it is already missing."""


@dataclass(frozen=True)
class Nothing:
    """``none``: no cell is hidden; its only rate is 0."""

    limit: ClassVar[str] = "hides nothing"
    by_row: ClassVar[bool] = False

    def check(self, columns: Sequence[str]) -> Mistakes:
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        return 0.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.zeros(values.shape)


@dataclass(frozen=True)
class CompletelyAtRandom:
    """``mcar``: every observed cell is hidden with probability ``rate``."""

    limit: ClassVar[str] = "hides cells of every column"
    by_row: ClassVar[bool] = False

    def check(self, columns: Sequence[str]) -> Mistakes:
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        return 1.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.where(np.isnan(values), 0.0, rate)


@dataclass(frozen=True)
class WholeRows:
    """``steps``: whole rows, such as the time steps of sequences, each with probability ``rate``.

    Completely at random too. A sequence keeps its length: a hidden step is one without a cell.
    """

    limit: ClassVar[str] = "hides rows of every column"
    by_row: ClassVar[bool] = True

    def check(self, columns: Sequence[str]) -> Mistakes:
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        return 1.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.where(np.isnan(values), 0.0, rate)


@dataclass(frozen=True)
class AtRandom:
    """``mar``: what is hidden depends only on columns that stay observed at every rate.

    With ``z`` the standardised columns in ``observed`` and ``u`` the standardised mean of ``z``
    over them, cell (i, j) of every other column is hidden with probability
    ``expit(a_j + strength * u_i)``. Because nothing is hidden in ``observed``, the other columns
    carry the whole rate: a rate above ``0.95 * hidden cells / all cells`` is impossible.

    Parameters
    ----------
    observed : list of str, int, or None
        Names of the columns that stay observed, or how many of the first ones do.
        None means the first half, at least one.
    strength : float, default 2
        Change of the log-odds for one standard deviation of ``u``; negative hides low rows.
    """

    limit: ClassVar[str] = "hides nothing in the columns that stay observed (`observed`)"
    by_row: ClassVar[bool] = False

    observed: Sequence[str] | int | None = None
    strength: float = 2.0

    def stays_observed(self, columns: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Return the (d,) mask of columns in which nothing is ever hidden."""
        if self.observed is None or isinstance(self.observed, int):
            first = max(1, len(columns) // 2) if self.observed is None else self.observed
            return np.arange(len(columns)) < first
        return np.isin(np.asarray(columns), list(self.observed))

    def check(self, columns: Sequence[str]) -> Mistakes:
        d = len(columns)
        if d < 2:
            return [("mechanism", "'mar' needs at least two columns, and this table has one")]
        if isinstance(self.observed, Sequence):
            unknown = [name for name in self.observed if name not in columns]
            if unknown:
                return [("observed", unknown_name(name, columns, "column")) for name in unknown]
        if self.stays_observed(columns).all():
            return [("observed", f"all {d} columns stay observed, so none can have holes")]
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        hideable = observed[~self.stays_observed(columns)].sum()
        return MAX_PROBABILITY * float(hideable / max(1.0, observed.sum()))

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        stays = self.stays_observed(columns)
        present = ~np.isnan(values)
        seen = standardised(values[:, stays])
        score = standardised(np.where(np.isnan(seen), 0.0, seen).mean(axis=1)[:, None])[:, 0]
        mean = rate * present.sum() / max(1, present[:, ~stays].sum())
        result = np.zeros(values.shape)
        for j in np.flatnonzero(~stays):
            result[:, j] = logistic_with_mean(self.strength * score, mean, present[:, j])
        return result


@dataclass(frozen=True)
class NotAtRandom:
    """``mnar``: a cell's own value decides (self-masking).

    With ``z_ij`` the value standardised within its column, cell (i, j) is hidden with probability
    ``expit(a_j + strength * z_ij)``.

    Parameters
    ----------
    strength : float, default 2
        Change of the log-odds for one standard deviation; negative hides low values.
    """

    limit: ClassVar[str] = "hides cells of every column"
    by_row: ClassVar[bool] = False

    strength: float = 2.0

    def check(self, columns: Sequence[str]) -> Mistakes:
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        return 1.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        present = ~np.isnan(values)
        score = self.strength * np.where(present, standardised(values), 0.0)
        result = np.zeros(values.shape)
        for j in range(values.shape[1]):
            result[:, j] = logistic_with_mean(score[:, j], rate, present[:, j])
        return result


MECHANISMS: dict[str, type] = {
    "none": Nothing,
    "mcar": CompletelyAtRandom,
    "steps": WholeRows,
    "mar": AtRandom,
    "mnar": NotAtRandom,
}


def standardised(values: FloatArray) -> FloatArray:
    """Centre and scale each column of (n, d) over its observed cells; 0 where it is constant."""
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = values - np.where(present, values, 0.0).sum(axis=0) / count
    widest = np.abs(np.where(present, centred, 0.0)).max(axis=0, initial=0.0)
    relative = centred / np.where(widest > 0, widest, 1.0)
    scale = np.sqrt(np.where(present, relative**2, 0.0).sum(axis=0) / count)
    return relative / np.where(scale > 0, scale, 1.0)


def logistic_with_mean(
    score: FloatArray, mean: float, present: npt.NDArray[np.bool_]
) -> FloatArray:
    """Return ``expit(a + score)``, 0 where not present, with ``a`` such that its mean is ``mean``.

    ``a`` comes from a fixed number of bisections of an interval that does not depend on ``mean``,
    so that each probability never falls as ``mean`` grows, not even by rounding.
    """
    result = np.zeros(score.shape)
    if not present.any():
        return result
    used = score[present]
    high = 40.0 + float(np.abs(used).max())
    low = -high
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        if float(expit(middle + used).sum()) <= mean * used.size:
            low = middle
        else:
            high = middle
    result[present] = expit(low + used)
    return result
