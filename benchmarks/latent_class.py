"""Latent classes and Bernoulli mixtures beside StepMix, complete and with holes."""

from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
from stepmix.stepmix import StepMix

from benchmarks.side_by_side import Comparison, holed
from emlib import BernoulliMixture, LatentClass

ITERATIONS = 100
PEER = f"StepMix {version('stepmix')}"


def comparisons() -> Iterator[Comparison]:
    """Twenty items of four levels or of two; six binary items, whose rows repeat themselves."""
    x = answers(10_000, 20, 4, k=4)
    yield _compared("LatentClass, 20 items of 4 levels", x, 4)
    yield _compared("LatentClass, 20 items of 4 levels, 20 % holes", holed(x, 0.2), 4)
    x = answers(10_000, 20, 2, k=4)
    yield _compared("BernoulliMixture, 20 columns", x, 4, binary=True)
    yield _compared("BernoulliMixture, 20 columns, 20 % holes", holed(x, 0.2), 4, binary=True)
    x = answers(100_000, 6, 2, k=2)
    yield _compared("LatentClass, 6 items of 2 levels", x, 2)


def answers(n: int, d: int, levels: int, k: int) -> np.ndarray:
    """Rows of a random latent class model."""
    rng = np.random.default_rng(d * levels)
    labels = rng.integers(k, size=n)
    columns = []
    for _ in range(d):
        reached = np.cumsum(rng.dirichlet(np.ones(levels), size=k), axis=1)[labels, :-1]
        columns.append((rng.random(n)[:, None] > reached).sum(axis=1))
    return np.stack(columns, axis=1).astype(np.float64)


def _compared(work: str, x: np.ndarray, k: int, binary: bool = False) -> Comparison:
    start = _peer_start(x, k, binary)
    family = BernoulliMixture if binary else LatentClass
    kind = ("binary" if binary else "categorical") + ("_nan" if np.isnan(x).any() else "")

    def ours() -> float:
        return family(k, init_params=start, tol=0, max_iter=ITERATIONS).fit(x).loglik_

    def theirs() -> float:
        peer = StepMix(
            k, measurement=kind, abs_tol=0, rel_tol=0, max_iter=ITERATIONS, progress_bar=0,
            random_state=0,
        )  # fmt: skip
        return float(peer.fit(x).score(x) * len(x))

    size = f"n = {len(x)}, K = {k}, {ITERATIONS} iterations"
    return Comparison(f"{work}, {size}", PEER, ours, theirs, repeats=3)


def _peer_start(x: np.ndarray, k: int, binary: bool) -> dict:
    """The start that StepMix draws: shares of random responsibilities, equal weights."""
    r = np.random.RandomState(0).uniform(size=(len(x), k))
    r /= r.sum(axis=1, keepdims=True)
    shares = []
    for column in x.T:
        levels = range(int(np.nanmax(column)) + 1)
        sums = np.array([r[column == level].sum(axis=0) for level in levels])
        shares.append((sums / sums.sum(axis=0)).T)
    chances = np.stack([item[:, 1] for item in shares], axis=1) if binary else shares
    return {"weights": np.full(k, 1.0 / k), "probabilities": chances}
