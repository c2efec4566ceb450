"""Mechanisms whose log-odds are linear in a score: of other columns (mar), of the cell (mnar).

Rubin (1976), Inference and missing data, Biometrika 63.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.mechanisms.base import (
    COLUMNS,
    MAX_PROBABILITY,
    BoolArray,
    ByColumn,
    FloatArray,
    Layout,
    Mechanism,
    check_columns,
    column_rates,
    logistic_with_mean,
    standardised,
    weighted_score,
)
from emlib.datasets.naming import Mistakes, is_count, is_number, unknown_name
from emlib.datasets.settings import Setting, number

STRENGTH = number("not a finite number", lambda value: True, 2.0)


def _is_choice(observed: Any) -> bool:
    if isinstance(observed, Mapping):
        names = all(isinstance(name, str) for name in observed)
        numbers = all(is_number(weight) for weight in observed.values())
        return names and numbers and any(observed.values())
    if isinstance(observed, list | tuple):
        return 0 < len(observed) == len({*map(str, observed)}) and all(
            isinstance(name, str) for name in observed
        )
    return is_count(observed)


@dataclass(frozen=True)
class AtRandom(Mechanism):
    """``mar``: what is hidden depends only on columns that stay observed at every rate.

    With ``z`` the standardised columns in ``observed`` and ``u`` the standardised weighted sum of
    ``z`` over them, cell (i, j) of every other column is hidden with probability
    ``expit(a_j + strength * u_i)``. Because nothing is hidden in ``observed``, the other columns
    carry the whole rate: a rate above ``0.95 * hidden cells / all cells`` is impossible.

    Parameters
    ----------
    observed : list of str, dict of str to float, int, or None
        Names of the columns that stay observed, with their weights in the sum (1 without), or how
        many of the first ones do. None means the first half, at least one.
    strength : float, default 2
        Change of the log-odds for one standard deviation of ``u``; negative hides low rows.
    columns : dict of str to float, or None
        Relative rates of the other columns, 1 for those not named.
    """

    limit: ClassVar[str] = "hides nothing in the columns that stay observed (`observed`)"
    schema: ClassVar[Mapping[str, Setting]] = {
        "observed": Setting(
            _is_choice,
            "neither a number of columns, at least 1, nor a list of different column names, nor a "
            "mapping of them to weights that are not all 0",
            None,
        ),
        "strength": STRENGTH,
        "columns": COLUMNS,
    }

    observed: Sequence[str] | Mapping[str, float] | int | None = None
    strength: float = 2.0
    columns: Mapping[str, float] | None = None

    def stays_observed(self, columns: Sequence[str]) -> BoolArray:
        """Return the (d,) mask of columns in which nothing is ever hidden."""
        if self.observed is None or isinstance(self.observed, int):
            first = max(1, len(columns) // 2) if self.observed is None else self.observed
            return np.arange(len(columns)) < first
        return np.isin(np.asarray(columns), list(self.observed))

    def check(self, layout: Layout) -> Mistakes:
        columns = layout.columns
        d = len(columns)
        if d < 2:
            return [("mechanism", "'mar' needs at least two columns, and this table has one")]
        if isinstance(self.observed, Sequence | Mapping):
            unknown = [name for name in self.observed if name not in columns]
            if unknown:
                return [("observed", unknown_name(name, columns, "column")) for name in unknown]
        stays = self.stays_observed(columns)
        if stays.all():
            return [("observed", f"all {d} columns stay observed, so none can have holes")]
        kept = [name for name, kept in zip(columns, stays, strict=True) if kept]
        given = [name for name in self.columns or () if name in kept]
        if given:
            return [("columns", f"{given[0]!r} stays observed, so it has no rate of its own")]
        return check_columns({**(self.columns or {}), **dict.fromkeys(kept, 0.0)}, columns)

    def _rates(self, columns: Sequence[str], observed: FloatArray) -> FloatArray:
        stays = self.stays_observed(columns)
        kept = {name: 0.0 for name, kept in zip(columns, stays, strict=True) if kept}
        return column_rates({**(self.columns or {}), **kept}, columns, observed)

    def highest_rate(self, layout: Layout) -> float:
        most = float(self._rates(layout.columns, layout.observed).max())
        return MAX_PROBABILITY / most if most > 0 else 0.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        stays = self.stays_observed(columns)
        present = ~np.isnan(values)
        named = self.observed if isinstance(self.observed, Mapping) else {}
        seen = [name for name, kept in zip(columns, stays, strict=True) if kept]
        weights = np.array([named.get(name, 1.0) for name in seen])
        score = self.strength * weighted_score(values[:, stays], weights)
        means = rate * self._rates(columns, present.sum(axis=0))
        result = np.zeros(values.shape)
        for j in np.flatnonzero(means):
            result[:, j] = logistic_with_mean(score, float(means[j]), present[:, j])
        return result


@dataclass(frozen=True)
class NotAtRandom(ByColumn):
    """``mnar``: a cell's own value decides (self-masking).

    With ``z_ij`` the value standardised within its column, cell (i, j) is hidden with probability
    ``expit(a_j + strength * z_ij)``.

    Parameters
    ----------
    strength : float, default 2
        Change of the log-odds for one standard deviation; negative hides low values.
    columns : dict of str to float, or None
        Relative rates of columns, 1 for those not named.
    """

    schema: ClassVar[Mapping[str, Setting]] = {"strength": STRENGTH, "columns": COLUMNS}

    strength: float = 2.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        present = ~np.isnan(values)
        score = self.strength * np.where(present, standardised(values), 0.0)
        rates = rate * column_rates(self.columns, columns, present.sum(axis=0))
        if self.columns is None:
            rates = np.full(values.shape[1], rate)
        result = np.zeros(values.shape)
        for j in np.flatnonzero(rates):
            result[:, j] = logistic_with_mean(score[:, j], float(rates[j]), present[:, j])
        return result
