"""One comparison: the same work by emlib and by a peer, in turns, one thread each."""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """Two ways to do the same work: same data, same start, same number of iterations.

    Attributes
    ----------
    work : str
        What is done, with its sizes.
    peer : str
        Name and version of the peer.
    ours, theirs : callable
        Do the work and return the loglik they end at (NaN where the peer gives none).
    repeats : int
        Runs of each, taken in turns.
    note : str
        What a reader must know to judge the ratio.
    """

    work: str
    peer: str
    ours: Callable[[], float]
    theirs: Callable[[], float]
    repeats: int = 5
    note: str = ""


@dataclass(frozen=True)
class Timing:
    """Medians over the runs."""

    work: str
    peer: str
    ours_seconds: float
    theirs_seconds: float
    ours_loglik: float
    theirs_loglik: float
    note: str

    @property
    def ratio(self) -> float:
        """How many times faster emlib is."""
        return self.theirs_seconds / self.ours_seconds


def measured(comparison: Comparison) -> Timing:
    """Run both in turns, once unmeasured (compilation, caches), then ``repeats`` times."""
    ours_loglik, theirs_loglik = comparison.ours(), comparison.theirs()
    ours, theirs = [], []
    for _ in range(comparison.repeats):
        for run, seconds in ((comparison.ours, ours), (comparison.theirs, theirs)):
            began = time.perf_counter()
            run()
            seconds.append(time.perf_counter() - began)
    return Timing(
        comparison.work, comparison.peer, statistics.median(ours), statistics.median(theirs),
        ours_loglik, theirs_loglik, comparison.note,
    )  # fmt: skip


def holed(values: np.ndarray, rate: float, seed: int = 0) -> np.ndarray:
    """A copy with cells missing completely at random."""
    copy = np.array(values, dtype=np.float64)
    copy[np.random.default_rng(seed).random(copy.shape) < rate] = np.nan
    return copy
