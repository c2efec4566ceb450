"""Drop-out: once a column is missing, all later ones are.

Diggle and Kenward (1994), Informative drop-out in longitudinal data analysis, Applied Statistics
43, 49-93: the log-odds of dropping out are linear in the last value seen and in the current one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.mechanisms.base import (
    MAX_PROBABILITY,
    FloatArray,
    Layout,
    Mechanism,
    solve_increasing,
    standardised,
)
from emlib.datasets.naming import Mistakes, unknown_name
from emlib.datasets.settings import Setting, number


def _is_order(given: Any) -> bool:
    listed = isinstance(given, list | tuple) and all(isinstance(name, str) for name in given)
    return listed and len(set(given)) == len(given) >= 2


@dataclass(frozen=True)
class Monotone(Mechanism):
    """``monotone``: a row drops out before a column of ``order``, and stays out.

    With ``z_ij`` the standardised value of row i in column j of the order, a row that is still
    there before column j drops out with probability
    ``h_ij = expit(a + strength * z_i,j-1 + own_strength * z_ij)``, so that cell (i, j) is hidden
    with probability ``1 - prod_{k <= j} (1 - h_ik)``. One uniform a row decides all of its cells.
    The first column of the order is never hidden. Where a value is missing in the table, the
    column's mean stands in for it.

    Parameters
    ----------
    order : list of str, or None
        Columns in the order of time, at least two; the others are never hidden. None: all columns
        as the table has them.
    strength : float, default 2
        Change of the log-odds for one standard deviation of the last value seen: missing at
        random. 0: completely at random.
    own_strength : float, default 0
        The same for the value that drops out first: not at random.
    """

    limit: ClassVar[str] = "hides nothing in the first column of the order"
    by_row: ClassVar[bool] = True
    schema: ClassVar[Mapping[str, Setting]] = {
        "order": Setting(_is_order, "not a list of at least two different column names", None),
        "strength": number("not a finite number", lambda value: True, 2.0),
        "own_strength": number("not a finite number", lambda value: True, 0.0),
    }

    order: Sequence[str] | None = None
    strength: float = 2.0
    own_strength: float = 0.0

    def check(self, layout: Layout) -> Mistakes:
        if len(layout.columns) < 2:
            return [("mechanism", "'monotone' needs at least two columns, and this table has one")]
        return [
            ("order", unknown_name(name, layout.columns, "column"))
            for name in self.order or ()
            if name not in layout.columns
        ]

    def _places(self, columns: Sequence[str]) -> list[int]:
        return [list(columns).index(name) for name in self.order or columns]

    def highest_rate(self, layout: Layout) -> float:
        later = layout.observed[self._places(layout.columns)[1:]].sum()
        return MAX_PROBABILITY * float(later / max(1.0, layout.observed.sum()))

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        places = self._places(columns)
        z = standardised(values[:, places])
        z = np.where(np.isnan(z), 0.0, z)
        score = self.strength * z[:, :-1] + self.own_strength * z[:, 1:]
        present = ~np.isnan(values)
        later = present[:, places[1:]]
        wanted = rate * present.sum()

        def dropped(a: float) -> FloatArray:
            return np.asarray(-np.expm1(-np.cumsum(np.logaddexp(0.0, a + score), axis=1)))

        high = 40.0 + float(np.abs(score).max(initial=0.0))
        a = solve_increasing(lambda x: float(dropped(x)[later].sum()), float(wanted), high)
        result = np.zeros(values.shape)
        result[:, places[1:]] = np.where(later, dropped(a), 0.0)
        return result
