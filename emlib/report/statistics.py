"""Intervals and summaries that the report is built on: proportions, contrasts, running times.

Wilson (1927); Agresti and Min (2005); Westfall and Young (1993) for max-T; Hansen et al. (2009)
for expected running times.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import ndtri, stdtrit  # scipy.stats takes over a second to import

Floats = NDArray[np.float64]


def wilson(hits: ArrayLike, trials: ArrayLike, level: float = 0.95) -> tuple[Floats, Floats]:
    """Wilson score interval of a proportion.

    Parameters
    ----------
    hits, trials : array_like, same shape
        Successes and trials; they need not be integers (an effective sample size is allowed).
    level : float
        Two-sided coverage.

    Returns
    -------
    low, high : ndarray
        Bounds in [0, 1]; NaN where there are no trials.
    """
    k, n = np.asarray(hits, dtype=float), np.asarray(trials, dtype=float)
    z2 = float(ndtri(0.5 + level / 2)) ** 2
    with np.errstate(invalid="ignore", divide="ignore"):
        p = k / n
        centre = (p + z2 / (2 * n)) / (1 + z2 / n)
        half = np.sqrt(z2 * (p * (1 - p) + z2 / (4 * n)) / n) / (1 + z2 / n)
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


def effective_trials(hits: ArrayLike, sizes: ArrayLike) -> float:
    """Trials left after allowing for starts that share a replicate (Kish design effect).

    Parameters
    ----------
    hits, sizes : array_like (R,)
        Successes and trials of each replicate.

    Returns
    -------
    float
        Between the number of replicates and the number of trials. Where every trial ended
        alike the clustering cannot be seen, and the number of replicates is taken.
    """
    k, m = np.asarray(hits, dtype=float), np.asarray(sizes, dtype=float)
    total, clusters = m.sum(), len(m)
    if clusters < 2 or total == 0:
        return float(clusters if total else 0)
    p = k.sum() / total
    if p in (0.0, 1.0):
        return float(clusters)
    robust = clusters / (clusters - 1) * np.sum((k - p * m) ** 2) / total**2
    if robust == 0:
        return float(total)
    return float(np.clip(p * (1 - p) / robust, clusters, total))


class Bootstrap:
    """Resamples of replicates, drawn once for each number of replicates and then shared.

    Sharing pairs what is compared, and keeps a large grid cheap.

    Parameters
    ----------
    generator : callable
        ``(*names) -> numpy.random.Generator``: the stream of a named draw.
    draws : int
        Number of bootstrap samples.
    """

    def __init__(self, generator: Callable[..., np.random.Generator], draws: int = 4000) -> None:
        self.draws = draws
        self._generator = generator
        self._kept: dict[tuple[str, int], Floats] = {}

    def weights(self, replicates: int) -> Floats:
        """How often each sample holds each replicate: (draws, replicates) counts."""
        key = ("replicates", replicates)
        if key not in self._kept:
            even = np.full(replicates, 1 / replicates)
            drawn = self._generator(*key).multinomial(replicates, even, self.draws)
            self._kept[key] = drawn.astype(float)
        return self._kept[key]

    def signs(self, replicates: int) -> Floats:
        """Sign flips of the replicates, (draws, replicates); all of them where those are few."""
        key = ("signs", replicates)
        if key not in self._kept:
            if 2**replicates <= 4 * self.draws:
                bits = np.arange(2**replicates)[:, None] >> np.arange(replicates) & 1
            else:
                bits = self._generator(*key).integers(2, size=(self.draws, replicates))
                bits[0] = 0  # the data as they are: the test stays exact (Phipson, Smyth 2010)
            signs = bits.astype(float)
            signs *= -2.0
            signs += 1.0
            self._kept[key] = signs
        return self._kept[key]


@dataclass(frozen=True)
class Contrasts:
    """Paired differences with simultaneous intervals; arrays have one entry a contrast."""

    difference: Floats
    low: Floats
    high: Floats
    standard_error: Floats
    critical: float
    replicates_needed: NDArray[np.int64]


def paired_contrasts(
    differences: ArrayLike,
    bootstrap: Bootstrap,
    level: float = 0.95,
    half_width: float = 0.05,
) -> Contrasts:
    """Mean paired differences with intervals that hold for all contrasts at once (max-T).

    Replicates, not starts, are the independent units. Centre and standard error get Agresti and
    Min's half observation in each of the four cells of the paired table, so that contrasts without
    a single discordant pair keep an honest width. Whether an interval leaves out 0 is an exact
    test for any number of replicates, as `max_t` says.

    Parameters
    ----------
    differences : array_like (R, m)
        For each replicate and contrast, hit minus hit of the baseline: -1, 0 or 1.
    half_width : float
        `replicates_needed` is how many replicates would give intervals of plus or minus this.
    """
    d = np.asarray(differences, dtype=float)
    n, m = d.shape
    if n == 0 or m == 0:
        nan = np.full(m, np.nan)
        return Contrasts(nan, nan, nan, nan, np.nan, np.zeros(m, dtype=np.int64))
    mean = d.mean(axis=0)
    centre, variance = _centred(d.sum(axis=0), (d**2).sum(axis=0), n)
    error = np.sqrt(variance / (n + 2))
    critical = max_t(d, bootstrap, level)
    low = np.maximum(np.minimum(centre - critical * error, mean), -1.0)
    high = np.minimum(np.maximum(centre + critical * error, mean), 1.0)
    width = critical if np.isfinite(critical) else float(ndtri(0.5 + level / 2))
    needed = np.ceil((width / half_width) ** 2 * variance).astype(np.int64)
    return Contrasts(mean, low, high, error, critical, needed)


def max_t(d: Floats, bootstrap: Bootstrap, level: float = 0.95) -> float:
    """Quantile of the largest absolute t over the columns of `d` (R, m) under flips of signs.

    If no contrast differs from the baseline, a replicate's differences are as likely with all
    signs turned, so this is the exact distribution (Westfall and Young 1993; for pairs of one
    contrast it is McNemar's exact test). Never below Student's quantile for one column, which
    keeps contrasts without a difference at an honest width.
    """
    n = len(d)
    centre, variance = _centred(bootstrap.signs(n) @ d, (d**2).sum(axis=0), n)
    largest = np.abs(centre / np.sqrt(variance / (n + 2))).max(axis=1)
    exact = float(np.quantile(largest, level, method="inverted_cdf"))
    floor = float(stdtrit(n - 1, 0.5 + level / 2)) if n > 1 else np.inf
    return max(exact * (1 + 1e-12), floor)


def _centred(sums: Floats, squares: Floats, n: int) -> tuple[Floats, Floats]:
    """Centre and variance of paired differences with half an observation in each of four cells."""
    centre = sums / (n + 2)
    return centre, (squares + 1) / (n + 2) - centre**2


def replicates_for(p: float, half_width: float = 0.05, level: float = 0.95) -> int:
    """Replicates that give one proportion near `p` an interval of plus or minus `half_width`."""
    z = float(ndtri(0.5 + level / 2))
    return int(np.ceil(z**2 * p * (1 - p) / half_width**2))


def running_time(
    work: ArrayLike, hits: ArrayLike, weights: Floats, level: float = 0.95
) -> tuple[float, float, float]:
    """Expected running time, total work over number of hits, with a bootstrap interval.

    Parameters
    ----------
    work, hits : array_like (R,)
        Work spent and hits found in each replicate.
    weights : ndarray (draws, R)
        From ``Bootstrap.weights``; sharing them pairs the intervals of several inits.

    Returns
    -------
    ert, low, high : float
        Infinite without a hit; `high` is infinite where resampling can lose every hit.
    """
    w, k = np.asarray(work, dtype=float), np.asarray(hits, dtype=float)
    with np.errstate(divide="ignore", invalid="ignore"):
        ert = float(w.sum() / k.sum()) if k.sum() else np.inf
        drawn = (weights @ w) / (weights @ k)
    drawn = np.where(np.isnan(drawn), np.inf, drawn)
    tail = (1 - level) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail], method="inverted_cdf")
    return ert, float(low), float(high)


def mean_and_error(values: ArrayLike) -> tuple[float, float, int]:
    """Mean, Monte-Carlo standard error and count of the values that are not NaN."""
    x = np.asarray(values, dtype=float)
    x = x[~np.isnan(x)]
    if len(x) == 0:
        return np.nan, np.nan, 0
    error = float(x.std(ddof=1) / np.sqrt(len(x))) if len(x) > 1 else np.nan
    return float(x.mean()), error, len(x)


def mean_interval(
    mean: ArrayLike, error: ArrayLike, count: ArrayLike, level: float = 0.95
) -> tuple[Floats, Floats]:
    """Student's interval of a mean, from what ``mean_and_error`` gives; NaN below two values."""
    m, n = np.asarray(mean, dtype=float), np.asarray(count, dtype=float)
    half = stdtrit(np.maximum(n - 1, 1), 0.5 + level / 2) * np.asarray(error, dtype=float)
    return m - half, m + half


def quantile(values: ArrayLike, q: float | list[float], axis: int | None = None) -> Floats:
    """Quantile that is an observed value, so that infinite losses neither vanish nor spread."""
    return np.asarray(np.quantile(np.asarray(values, float), q, axis=axis, method="inverted_cdf"))


def ecdf(values: ArrayLike, points: int = 200) -> tuple[Floats, Floats]:
    """Empirical distribution function: sorted finite values and shares of *all* values.

    Infinite values count in the denominator, so the last share is below one where there are any.
    At most `points` steps are kept, the first and the last among them.
    """
    x = np.sort(np.asarray(values, dtype=float))
    finite = x[np.isfinite(x)]
    if len(finite) == 0:
        return np.empty(0), np.empty(0)
    value, last = np.unique(finite[::-1], return_index=True)
    share = (len(finite) - last) / len(x)
    if len(value) > points:
        keep = np.unique(np.linspace(0, len(value) - 1, points).round().astype(int))
        value, share = value[keep], share[keep]
    return value, share
