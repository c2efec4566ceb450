"""Multivariate amputation: patterns of columns that are hidden together, by weighted sum scores.

Schouten, Lugtig and Vink (2018), Generating missing values for simulation purposes: a multivariate
amputation procedure, JSCS 88, 1909-1930; ``ampute`` of the R package mice.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms.base import (
    MAX_PROBABILITY,
    BoolArray,
    FloatArray,
    Layout,
    Mechanism,
    logistic_with_mean,
    weighted_score,
)
from emlib.datasets.naming import Mistakes, is_number, unknown_name
from emlib.datasets.settings import Setting, choice

TYPES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "RIGHT": lambda u: u,
    "LEFT": lambda u: -u,
    "MID": lambda u: -np.abs(u),
    "TAIL": lambda u: np.abs(u),
}
"""Log-odds of being hidden, up to the intercept, at a standardised weighted sum score."""


def _is_patterns(given: Any) -> bool:
    lists = isinstance(given, list | tuple) and len(given) > 0
    return lists and all(
        isinstance(pattern, list | tuple)
        and 0 < len(pattern) == len({*map(str, pattern)})
        and all(isinstance(name, str) for name in pattern)
        for pattern in given
    )


def _is_shares(given: Any) -> bool:
    listed = isinstance(given, list | tuple) and len(given) > 0
    positive = listed and all(is_number(share) and share > 0 for share in given)
    return positive and abs(sum(given) - 1) <= 1e-6


def _is_type(given: Any) -> bool:
    several = given if isinstance(given, list | tuple) else [given]
    return bool(several) and all(isinstance(one, str) and one in TYPES for one in several)


def _is_weights(given: Any) -> bool:
    several = given if isinstance(given, list | tuple) else [given]
    return bool(several) and all(
        isinstance(one, Mapping)
        and all(isinstance(name, str) and is_number(weight) for name, weight in one.items())
        and any(one.values())
        for one in several
    )


@dataclass(frozen=True)
class Ampute(Mechanism):
    """``ampute``: each row is a candidate for one pattern, whose cells are hidden or stay together.

    A row becomes a candidate for pattern k with probability ``freq_k``. With ``u_ik`` the
    standardised weighted sum of the row's standardised values, all cells of the pattern are hidden
    with probability ``expit(a_k + f(u_ik))``, where ``f`` is ``u``, ``-u``, ``-|u|`` or ``|u|``
    for the types RIGHT, LEFT, MID and TAIL. ``a_k`` is solved so that the same share of the cells
    of every pattern's candidates is hidden, and the share of all cells is the rate. Under MAR only
    columns outside the pattern have a weight, under MNAR by default only those in it; under MCAR
    there is no score.

    Parameters
    ----------
    patterns : list of lists of str, or None
        Columns that are hidden together; None: each column alone.
    freq : list of float, or None
        Shares of candidates, which sum to 1; None: equal ones.
    mech : {"MAR", "MNAR", "MCAR"}
    type : str or list of str
        RIGHT, LEFT, MID or TAIL, for all patterns or one each.
    weights : dict of str to float, list of them, or None
        Weights of columns in the sum score, for all patterns or one mapping each; columns that
        are not named have none. None: 1 for every column that may have one.
    """

    limit: ClassVar[str] = "hides at most 95% of the candidates of each pattern"
    by_row: ClassVar[bool] = True
    schema: ClassVar[Mapping[str, Setting]] = {
        "patterns": Setting(_is_patterns, "not a list of lists of different column names", None),
        "freq": Setting(_is_shares, "not a list of positive numbers that sum to 1", None),
        "mech": choice("MAR", "MNAR", "MCAR", default="MAR"),
        "type": Setting(_is_type, f"not one of {', '.join(TYPES)}, nor a list of them", "RIGHT"),
        "weights": Setting(
            _is_weights, "not a mapping of column names to weights, not all 0, or a list", None
        ),
    }

    patterns: Sequence[Sequence[str]] | None = None
    freq: Sequence[float] | None = None
    mech: str = "MAR"
    type: str | Sequence[str] = "RIGHT"
    weights: Mapping[str, float] | Sequence[Mapping[str, float]] | None = None

    def check(self, layout: Layout) -> Mistakes:
        columns = layout.columns
        named = {name for pattern in self.patterns or () for name in pattern}
        weighted = {name for one in self._each(self.weights, 1) for name in one or ()}
        unknown = [
            (setting, unknown_name(name, columns, "column"))
            for setting, names in (("patterns", named), ("weights", weighted))
            for name in sorted(names - set(columns))
        ]
        if unknown:
            return unknown
        k = len(self.patterns) if self.patterns is not None else len(columns)
        for setting in ("freq", "type", "weights"):
            given = getattr(self, setting)
            if isinstance(given, list | tuple) and len(given) != k:
                return [(setting, f"has {len(given)} items for {k} patterns")]
        return self._check_weights(columns) if self.mech != "MCAR" else []

    def _check_weights(self, columns: Sequence[str]) -> Mistakes:
        members = self._members(columns)
        for at, (own, weights) in enumerate(zip(members, self._weights(columns), strict=True)):
            if self.mech == "MAR" and own.all():
                text = f"pattern {at} hides every column, so no observed one is left for MAR"
                return [("patterns", text)]
            if self.mech == "MAR" and np.any(weights[own]):
                name = columns[int(np.flatnonzero(own & (weights != 0))[0])]
                text = f"{name!r} is hidden by pattern {at}; under MAR it can have no weight there"
                return [("weights", text)]
        return []

    def highest_rate(self, layout: Layout) -> float:
        return MAX_PROBABILITY / self._cases_per_cell(layout.columns, layout.observed)

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        hidden = (self._by_pattern(values, rate, columns) * self._shares(columns)) @ self._members(
            columns
        )
        return np.where(np.isnan(values), 0.0, hidden)

    def mask(
        self,
        values: FloatArray,
        rate: float,
        columns: Sequence[str],
        rng: np.random.Generator,
        extras: Mapping[str, npt.NDArray[Any]],
    ) -> BoolArray:
        bounds = np.cumsum(self._shares(columns))[:-1]
        candidate = np.searchsorted(bounds, rng.random(len(values)), side="right")
        chosen = self._by_pattern(values, rate, columns)[np.arange(len(values)), candidate]
        hidden = rng.random(len(values)) < chosen
        return np.asarray(self._members(columns)[candidate] & hidden[:, None] & ~np.isnan(values))

    def _by_pattern(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        """Probability (n, K) that a row is hidden as a candidate of each pattern."""
        members, weights = self._members(columns), self._weights(columns)
        present = ~np.isnan(values)
        cases = rate * self._cases_per_cell(columns, present.sum(axis=0))
        counts = present @ members.T.astype(np.float64)
        types = self._each(self.type, len(members))
        result = np.zeros(counts.shape)
        for k, (own, kind) in enumerate(zip(weights, types, strict=True)):
            score = np.zeros(len(values)) if self.mech == "MCAR" else weighted_score(values, own)
            result[:, k] = logistic_with_mean(TYPES[kind](score), cases, counts[:, k])
        return result

    def _members(self, columns: Sequence[str]) -> BoolArray:
        """Which columns each pattern hides (K, d)."""
        if self.patterns is None:
            return np.eye(len(columns), dtype=bool)
        return np.array([[name in pattern for name in columns] for pattern in self.patterns])

    def _shares(self, columns: Sequence[str]) -> FloatArray:
        """Shares of candidates (K,)."""
        k = len(self._members(columns))
        shares = np.full(k, 1 / k) if self.freq is None else np.asarray(self.freq, np.float64)
        return shares / shares.sum()

    def _weights(self, columns: Sequence[str]) -> FloatArray:
        """Weights of the columns in each pattern's score (K, d)."""
        members = self._members(columns)
        if self.weights is None:
            return np.where(members if self.mech == "MNAR" else ~members, 1.0, 0.0)
        given = self._each(self.weights, len(members))
        return np.array([[float(one.get(name, 0.0)) for name in columns] for one in given])

    def _cases_per_cell(self, columns: Sequence[str], observed: FloatArray) -> float:
        """The share of candidates to hide for each hidden share of the table's cells."""
        hidden = float(self._shares(columns) @ self._members(columns) @ observed)
        return float(np.sum(observed)) / hidden if hidden > 0 else np.inf

    @staticmethod
    def _each(given: Any, k: int) -> Sequence[Any]:
        return given if isinstance(given, list | tuple) else [given] * k
