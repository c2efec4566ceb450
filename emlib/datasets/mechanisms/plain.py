"""Mechanisms that look at no value: no hole, cells at random, whole rows at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.datasets.mechanisms.base import (
    COLUMNS,
    ByColumn,
    FloatArray,
    Layout,
    Mechanism,
    column_rates,
)
from emlib.datasets.settings import Setting


@dataclass(frozen=True)
class Nothing(Mechanism):
    """``none``: no cell is hidden; its only rate is 0."""

    data: ClassVar[str] = "any"
    limit: ClassVar[str] = "hides nothing"
    rated: ClassVar[bool] = False

    def highest_rate(self, layout: Layout) -> float:
        return 0.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.zeros(values.shape)


@dataclass(frozen=True)
class CompletelyAtRandom(ByColumn):
    """``mcar``: every observed cell is hidden with probability ``rate``.

    Parameters
    ----------
    columns : dict of str to float, or None
        Relative rates of columns, 1 for those not named; the rate of the table stays ``rate``.
    """

    schema: ClassVar[Mapping[str, Setting]] = {"columns": COLUMNS}

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        present = ~np.isnan(values)
        if self.columns is None:
            return np.where(present, rate, 0.0)
        return np.where(
            present, rate * column_rates(self.columns, columns, present.sum(axis=0)), 0.0
        )


@dataclass(frozen=True)
class WholeRows(Mechanism):
    """``steps``: whole rows, such as the time steps of sequences, each with probability ``rate``.

    Completely at random too. A sequence keeps its length: a hidden step is one without a cell.
    """

    by_row: ClassVar[bool] = True

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.where(np.isnan(values), 0.0, rate)
