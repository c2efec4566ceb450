"""The method of moments for hidden Markov models of symbols."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.errors import InvalidData
from emlib.inits.base import Init, Start

Array = NDArray[np.float64]

DIRECTIONS = 20
"""Random combinations of symbols; the one that tells the states apart best counts."""

FLOOR = 1e-3
"""Probabilities are at least this share of an even one, so that EM can leave what is wrong."""


@dataclass(frozen=True)
class SpectralMoments(Init):
    """Parameters from the moments of two and three steps in a row, without any climb.

    Hsu, Kakade and Zhang (2012) project the moments of x_1, x_2, x_3 to the K leading singular
    vectors; the parameters themselves follow from the eigenvectors that all matrices
    U_1' E[x_1 x_3'; x_2 = i] U_3 (U_1' E[x_1 x_3'] U_3)^-1 share, whose eigenvalues are
    P(x_2 = i | state) (Mossel and Roch 2006; Anandkumar, Hsu and Kakade 2012, algorithm A), here of
    the best of some random combinations of symbols.  Then E[x_1 x_2'] gives the transitions, and
    the first symbols the first state.  Every estimate is projected to probabilities.  Moments are
    averaged along the sequences, as if these were stationary.  There must be as many symbols as
    states, and the states' laws must not be mixtures of each other.

    Holes: steps in a row with a missing one among them are left out.  Cost: one pass.
    """

    name: ClassVar[str] = "spectral_moments"
    holes: ClassVar[str] = "adapted"
    needs: ClassVar[frozenset[str]] = frozenset({"classes", "order", "symbols"})

    def __call__(self, model: Any, data: Sequences, rng: np.random.Generator) -> Start:
        k, s = model.n_states, model.n_symbols
        if s < k:
            raise InvalidData(f"spectral_moments: {s} symbols, fewer than the {k} states")
        triples, pairs, first = moments(data, s)
        if len(triples[0]) == 0:
            raise InvalidData("spectral_moments: no three steps in a row are observed")
        emissions = emission_matrix(triples, s, k, rng)
        inverse = np.linalg.pinv(emissions)
        joint = _floored(inverse @ pairs @ inverse.T)
        transmat = joint / joint.sum(axis=1, keepdims=True)
        occupied = joint.sum(axis=1) / joint.sum()
        began = np.clip(inverse @ first + occupied, 0.0, None)  # one sequence more, as all steps
        truth = {
            "startprob": _floored(began) / _floored(began).sum(),
            "transmat": transmat,
            "emissionprob": emissions.T,
        }
        return Start(model.from_truth(truth), e_steps=1.0)


Triples = tuple[NDArray[np.int64], Array]
"""Distinct triples of symbols (m, 3), and how often each was seen (m,)."""


def moments(data: Sequences, n_symbols: int) -> tuple[Triples, Array, Array]:
    """Counts of triples, of pairs (S, S), and of the first symbols of sequences (S,)."""
    symbols = np.where(data.observed, data.values, -1.0)[:, 0].astype(np.int64)
    step = np.arange(data.n)
    left = np.repeat(data.offsets[1:], data.lengths) - step  # steps until the sequence ends
    known = (symbols >= 0) & (data.weights > 0)
    pair = np.flatnonzero(known[:-1] & known[1:] & (left[:-1] > 1))
    codes = symbols[pair] * n_symbols + symbols[pair + 1]
    pairs = tally(codes, data.weights[pair], n_symbols**2)
    three = pair[np.isin(pair + 1, pair)]
    lines, number = np.unique(
        np.stack([symbols[three], symbols[three + 1], symbols[three + 2]], axis=1),
        axis=0, return_inverse=True,
    )  # fmt: skip
    counts = tally(number.ravel(), data.weights[three], len(lines))
    begins = data.offsets[:-1][known[data.offsets[:-1]]]
    first = tally(symbols[begins], data.weights[begins], n_symbols)
    return (lines, counts), pairs.reshape(n_symbols, n_symbols), first


def tally(codes: NDArray[np.int64], weights: Array, size: int) -> Array:
    """Summed weights of each code, shape (size,)."""
    return np.bincount(codes, weights, minlength=size).astype(np.float64)


def emission_matrix(triples: Triples, n_symbols: int, k: int, rng: np.random.Generator) -> Array:
    """P(symbol | state) as columns, (S, K)."""
    (before, shown, after), counts = triples[0].T, triples[1] / triples[1].sum()
    outer = np.zeros((n_symbols, n_symbols))
    np.add.at(outer, (before, after), counts)
    left, _, right = np.linalg.svd(outer)
    left, right = left[:, :k], right[:k].T
    projected = np.zeros((n_symbols, k, k))
    np.add.at(
        projected, shown, counts[:, None, None] * left[before][:, :, None] * right[after][:, None]
    )
    shared = projected @ np.linalg.pinv(projected.sum(axis=0))
    best, vectors = -1.0, np.eye(k)
    for direction in rng.standard_normal((DIRECTIONS, n_symbols)):
        values, candidate = np.linalg.eig(np.tensordot(direction, shared, 1))
        gaps = np.abs(values.real[:, None] - values.real)[~np.eye(k, dtype=bool)]
        gap = gaps.min() / gaps.max() if k > 1 and gaps.max() > 0 else 0.0
        if gap > best:
            best, vectors = gap, candidate
    inverse = np.linalg.pinv(vectors)
    chances = np.einsum("ki,sij,jk->sk", inverse, shared, vectors).real
    chances = _floored(chances)
    return np.asarray(chances / chances.sum(axis=0))


def _floored(chances: Array) -> Array:
    """Not negative, and no entry below ``FLOOR`` of the mean one."""
    positive = np.clip(chances, 0.0, None)
    mean = positive.mean()
    return np.maximum(positive, FLOOR * mean) if mean > 0 else np.ones_like(chances)
