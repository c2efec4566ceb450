"""Mechanisms that hide cells: completely at random, at random, not at random (Rubin 1976).

One uniform is drawn for each cell, whatever the rate, and the cell is hidden where it falls below
a probability that only grows with the rate: holes are nested. Probabilities are logistic in a
score, with the intercept of each column solved so that their mean is the requested rate.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Protocol

import numpy as np
import numpy.typing as npt
from scipy.special import expit

from emlib.datasets.naming import default_names, is_number, unknown_name
from emlib.errors import InvalidData

FloatArray = npt.NDArray[np.float64]
Mistakes = list[tuple[str, str]]

MAX_PROBABILITY = 0.95
"""Largest mean share of the cells of a column that ``mar`` agrees to hide."""

_BISECTIONS = 64


class Mechanism(Protocol):
    """What a mechanism offers: checks at plan time, and the probability of hiding each cell."""

    def check(self, columns: Sequence[str]) -> Mistakes:
        """Return (path, message) for each setting that these columns make impossible."""

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        """Return the largest rate allowed, given the number of observed cells of each column."""

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        """Return the (n, d) probabilities of hiding each cell; 0 where it is already missing."""


@dataclass(frozen=True)
class Nothing:
    """``none``: no cell is hidden; its only rate is 0."""

    def check(self, columns: Sequence[str]) -> Mistakes:
        return []

    def highest_rate(self, columns: Sequence[str], observed: FloatArray) -> float:
        return 0.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.zeros(values.shape)


@dataclass(frozen=True)
class CompletelyAtRandom:
    """``mcar``: every observed cell is hidden with probability ``rate``."""

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
    "mar": AtRandom,
    "mnar": NotAtRandom,
}


def check_mechanism(
    mechanism: str,
    settings: Mapping[str, Any] | None,
    rates: float | Sequence[float],
    d: int | None = None,
    columns: Sequence[str] | None = None,
    observed: Sequence[int] | None = None,
) -> Mistakes:
    """Find every mistake in one missingness entry of a configuration, without any data.

    Parameters
    ----------
    mechanism : str
        A name in ``MECHANISMS``.
    settings : mapping
        Everything of the entry but ``mechanism`` and ``rate``.
    rates : float or sequence of float
        Requested shares of hidden cells, each in [0, 1).
    d, columns : int, sequence of str
        The table's columns. Without both, only what holds for any table is checked.
    observed : sequence of int
        Number of observed cells of each column, where the table has holes of its own.

    Returns
    -------
    list of (path, message)
        ``path`` is relative to the entry: ``mechanism``, ``rate``, ``rate[1]``, a setting.
    """
    if mechanism not in MECHANISMS:
        return [("mechanism", unknown_name(mechanism, MECHANISMS, "mechanism"))]
    indexed = {"rate": rates} if isinstance(rates, int | float) else _indexed(rates)
    mistakes = [(path, f"{rate} is not in [0, 1)") for path, rate in indexed.items() if _bad(rate)]
    wrong = _check_settings(mechanism, settings or {})
    if wrong:
        return mistakes + wrong
    built = build(mechanism, settings)
    if columns is None:
        columns = default_names(d) if d is not None else None
    if columns is not None:
        wrong = built.check(columns)
        if wrong:
            return mistakes + wrong
    elif mechanism != "none":
        return mistakes
    columns = columns or ()
    counts = np.asarray(observed if observed is not None else np.ones(len(columns)), np.float64)
    highest = built.highest_rate(columns, counts)
    for path, rate in indexed.items():
        if not _bad(rate) and rate > highest:
            mistakes.append((path, f"{rate} is more than {mechanism!r} can hide here; {highest:.3g} is the most"))
    return mistakes


def draw_mask(
    mechanism: str,
    settings: Mapping[str, Any] | None,
    rate: float,
    values: FloatArray,
    rng: np.random.Generator,
    columns: Sequence[str] | None = None,
) -> npt.NDArray[np.bool_]:
    """Draw which cells are hidden.

    Parameters
    ----------
    mechanism, settings, rate
        As in :func:`check_mechanism`; ``rate`` is the expected share of the observed cells.
    values : ndarray of shape (n, d)
        The table; cells that are NaN stay missing and are never counted as hidden.
    rng : numpy.random.Generator
        Keyed without the rate, so that the holes of a lower rate are among those of a higher one.
    columns : sequence of str, optional
        Names of the columns, needed where ``settings`` names some of them.

    Returns
    -------
    ndarray of bool, shape (n, d)
        True where a cell is hidden. Rows may lose all their cells.

    Raises
    ------
    InvalidData
        If the mechanism cannot hide this share of this table.
    """
    values = np.asarray(values, dtype=np.float64)
    names = tuple(columns) if columns is not None else default_names(values.shape[1])
    counts = np.isfinite(values).sum(axis=0)
    mistakes = check_mechanism(mechanism, settings, rate, columns=names, observed=counts.tolist())
    if mistakes:
        raise InvalidData("; ".join(f"missingness {path}: {text}" for path, text in mistakes))
    uniforms = rng.random(values.shape)
    if rate == 0:
        return np.zeros(values.shape, dtype=bool)
    probabilities = build(mechanism, settings).probabilities(values, float(rate), names)
    return np.asarray(uniforms < probabilities)


def standardised(values: FloatArray) -> FloatArray:
    """Centre and scale each column of (n, d) over its observed cells; 0 where it is constant."""
    present = ~np.isnan(values)
    count = np.maximum(present.sum(axis=0), 1)
    centred = values - np.where(present, values, 0.0).sum(axis=0) / count
    scale = np.sqrt(np.where(present, centred**2, 0.0).sum(axis=0) / count)
    return np.where(scale > 0, centred / np.where(scale > 0, scale, 1.0), 0.0 * centred)


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


def build(mechanism: str, settings: Mapping[str, Any] | None) -> Mechanism:
    """Make a mechanism from settings that :func:`check_mechanism` found sound."""
    built: Mechanism = MECHANISMS[mechanism](**(settings or {}))
    return built


def _check_settings(mechanism: str, settings: Mapping[str, Any]) -> Mistakes:
    allowed = [field.name for field in fields(MECHANISMS[mechanism])]
    mistakes = [
        (str(key), unknown_name(key, allowed, f"setting of mechanism {mechanism!r}"))
        for key in settings
        if key not in allowed
    ]
    strength = settings.get("strength", 0.0)
    if "strength" in allowed and not is_number(strength):
        mistakes.append(("strength", f"{strength!r} is not a finite number"))
    observed = settings.get("observed")
    if "observed" in allowed and observed is not None and not _is_choice(observed):
        what = "neither a number of columns, at least 1, nor a list of different column names"
        mistakes.append(("observed", f"{observed!r} is {what}"))
    return mistakes


def _is_choice(observed: Any) -> bool:
    if isinstance(observed, list | tuple):
        return 0 < len(observed) == len({*map(str, observed)}) and all(
            isinstance(name, str) for name in observed
        )
    return isinstance(observed, int) and not isinstance(observed, bool) and observed >= 1


def _indexed(rates: Sequence[float]) -> dict[str, float]:
    return {f"rate[{i}]": rate for i, rate in enumerate(rates)}


def _bad(rate: Any) -> bool:
    return not (is_number(rate) and 0.0 <= rate < 1.0)
