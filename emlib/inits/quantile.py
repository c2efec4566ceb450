"""Classes of one column, cut at its quantiles."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits.base import Init, Start
from emlib.inits.rows import Rows
from emlib.models.base import Model


@dataclass(frozen=True)
class Quantile(Init):
    """K classes of equal weight along the values of the one column.

    What mclust starts one-dimensional mixtures from (``qclass``; Scrucca et al. 2016).  Equal
    values stay together.  A row is whole or empty, so holes need no care.  Cost: one pass.
    """

    name: ClassVar[str] = "quantile"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = True
    columns: ClassVar[int | None] = 1
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})

    def __call__(self, model: Model, data: Table, rng: np.random.Generator) -> Start:
        if data.d != 1:
            raise InvalidData(f"init 'quantile' is for one column, not for {data.d}")
        rows = Rows.of(data)
        return rows.start(model, data, cut(rows.weights, model.n_components), e_steps=0.0)


def cut(weights: np.ndarray, n_classes: int) -> np.ndarray:
    """Labels of sorted rows: of about equal weight, none empty while there are rows, (m,)."""
    m, k = len(weights), np.arange(n_classes)
    middle = np.cumsum(weights) - 0.5 * weights
    begins = np.searchsorted(middle, k / n_classes * weights.sum())
    begins = np.maximum.accumulate(begins - k) + k
    begins = np.clip(begins, 0, m - n_classes + k)
    return np.searchsorted(begins, np.arange(m), side="right") - 1
