"""Bursts: steps of sequences that go missing one after the other, as when a sensor fails.

The two-state Markov chain of Gilbert (1960), Capacity of a burst-noise channel, Bell System
Technical Journal 39, 1253-1265, in its stationary state.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms.base import BoolArray, FloatArray, Layout, Mechanism
from emlib.datasets.naming import Mistakes
from emlib.datasets.settings import Setting, flag, number


@dataclass(frozen=True)
class Bursts(Mechanism):
    """``blocks``: hidden steps come in bursts whose lengths are geometric, with mean ``length``.

    After a hidden step the next one is observed with probability ``1 / length``; after an
    observed one it is hidden with probability ``rate / ((1 - rate) length)``; the first step is
    hidden with probability ``rate``. So every step is, and each burst has the mean length at
    every rate. Needs a rate of at most ``1 - 1 / length``, the one at which bursts would touch
    without any dependence. Completely at random: no value is looked at.

    Parameters
    ----------
    length : float, default 5
        Mean length of a burst in steps, above 1; bursts are cut by the end of their sequence.
    together : bool, default True
        Whether a burst hides all columns of its steps; otherwise each column has its own bursts.
    """

    limit: ClassVar[str] = "hides at most the share 1 - 1 / `length` of the steps"
    schema: ClassVar[Mapping[str, Setting]] = {
        "length": number("not a number above 1", lambda value: value > 1, 5.0),
        "together": flag(default=True),
    }

    length: float = 5.0
    together: bool = True

    def check(self, layout: Layout) -> Mistakes:
        if layout.extras is not None and "lengths" not in layout.extras:
            return [("mechanism", "'blocks' needs sequences, and the rows of this table are none")]
        return []

    def highest_rate(self, layout: Layout) -> float:
        return 1.0 - 1.0 / self.length

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.where(np.isnan(values), 0.0, rate)

    def mask(
        self,
        values: FloatArray,
        rate: float,
        columns: Sequence[str],
        rng: np.random.Generator,
        extras: Mapping[str, npt.NDArray[Any]],
    ) -> BoolArray:
        n, d = values.shape
        uniforms = rng.random((n, 1 if self.together else d))
        first = np.zeros(n, dtype=bool)
        lengths = extras.get("lengths", np.array([n]))
        first[(np.cumsum(lengths) - lengths)[lengths > 0]] = True
        onset = np.column_stack(
            [burst_thresholds(column, first, self.length) for column in uniforms.T]
        )
        return np.asarray((onset < rate) & ~np.isnan(values))


def burst_thresholds(uniforms: FloatArray, first: BoolArray, length: float) -> FloatArray:
    """The rate (n,) above which each step is hidden; uniform at every step up to 1 - 1 / length.

    The chains of all rates are driven by the same uniform a step: it ends the bursts of every
    rate where it is at least ``1 - 1 / length``; otherwise bursts go on, and begin at the rates
    whose probability of a begin is above it, ``rate > u length / (1 + u length)``. So a step's
    threshold is the least one since the last end or the sequence's first step.
    """
    n = len(uniforms)
    ends = (uniforms >= 1 - 1 / length) & ~first
    begun = uniforms * length / (1 + uniforms * length)
    own = np.where(first, uniforms, np.where(ends, 1.0, begun))
    order = np.argsort(own, kind="stable")
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n)
    stretch = n * np.cumsum(first | ends)
    return own[order][np.minimum.accumulate(rank - stretch) + stretch]
