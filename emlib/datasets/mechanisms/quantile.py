"""Quantile censoring: values beyond a quantile of their column go missing.

Muzellec, Josse, Boyer and Cuturi (2020), Missing data imputation using optimal transport, ICML,
whose third MNAR design hides values beyond quantiles with a fixed probability.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.datasets.mechanisms.base import (
    COLUMNS,
    ByColumn,
    FloatArray,
    Layout,
    column_rates,
)
from emlib.datasets.settings import Setting, choice, number


@dataclass(frozen=True)
class QuantileCensoring(ByColumn):
    """``quantile``: a cell is hidden where its value is beyond a quantile of its column.

    Without ``tail``, the share ``rate`` of the column that lies farthest on that side is hidden,
    all of it: the holes follow from the values alone, but for the last of them. With ``tail``, the
    share ``tail`` that lies farthest is the region, at every rate, and each of its values is
    hidden with probability ``rate / tail``. Equal values share the probability that is left for
    them.

    Parameters
    ----------
    side : {"upper", "lower", "both", "middle"}, default "upper"
        ``both`` takes half of the share from each end, ``middle`` what is left between them.
    tail : float or None
        Share of each column that can go missing.
    columns : dict of str to float, or None
        Relative rates of columns, 1 for those not named.
    """

    limit: ClassVar[str] = "hides values of the region (`tail`) alone"
    schema: ClassVar[Mapping[str, Setting]] = {
        "side": choice("upper", "lower", "both", "middle", default="upper"),
        "tail": number("not in (0, 1]", lambda value: 0 < value <= 1, None),
        "columns": COLUMNS,
    }

    side: str = "upper"
    tail: float | None = None

    def highest_rate(self, layout: Layout) -> float:
        rates = column_rates(self.columns, layout.columns, layout.observed)
        return min(super().highest_rate(layout), (self.tail or 1.0) / float(rates.max()))

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        present = ~np.isnan(values)
        rates = rate * column_rates(self.columns, columns, present.sum(axis=0))
        result = np.zeros(values.shape)
        for j in np.flatnonzero(rates):
            own, share = present[:, j], float(rates[j])
            tail = share if self.tail is None else self.tail
            inside = self._beyond(values[own, j], tail)
            result[own, j] = np.minimum(inside * (share / tail), 1.0)
        return result

    def _beyond(self, column: FloatArray, share: float) -> FloatArray:
        """How much of each value (n,) is in the region; the mean of it is ``share``."""
        if self.side == "upper":
            return _farthest(column, share)
        if self.side == "lower":
            return _farthest(-column, share)
        ends = share if self.side == "both" else 1 - share
        both = _farthest(column, ends / 2) + _farthest(-column, ends / 2)
        return both if self.side == "both" else 1 - both


def _farthest(column: FloatArray, share: float) -> FloatArray:
    """1 for values (n,) above the 1 - share quantile, a fraction for those equal to it."""
    _, group, count = np.unique(-column, return_inverse=True, return_counts=True)
    above = np.cumsum(count) - count
    return np.clip((share * len(column) - above) / count, 0.0, 1.0)[group]
