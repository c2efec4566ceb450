"""Latent class analysis: categorical items, independent given the class, any cell missing.

Lazarsfeld and Henry (1968); EM by Goodman (1974), Biometrika 61, 215-231; notation of Linzer and
Lewis (2011), J. Stat. Softw. 42(10), section 2 (poLCA).  A missing answer drops out of its row's
product, as in their section 4.4.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.discrete import Coding, Discrete
from emlib.errors import InvalidData
from emlib.models.base import is_unconstrained
from emlib.models.bernoulli_mixture import probability_error
from emlib.models.checks import require_whole
from emlib.models.local_independence import ClassSums, LevelIndependence
from emlib.models.posterior import draw_labels
from emlib.models.simplex import pack_simplex, unpack_simplex
from emlib.models.special import xlogy

Array = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class LatentClassParams:
    """Weights (K,), and for each item the probabilities (K, L) of its levels."""

    weights: Array
    probabilities: tuple[Array, ...]


@dataclass(frozen=True)
class LatentClassModel(LevelIndependence):
    """A latent class model of ``n_components`` classes.

    Parameters
    ----------
    n_components : int
    n_levels : int, sequence of int, or sequence of sequence of int, optional
        Number of levels of every item, or of each: its codes are then 0, 1, ..., n_levels - 1.
        Or the codes of each item's levels themselves.  By default an item has the levels that
        occur in the data, whatever whole numbers they are coded by.
    """

    family: ClassVar[str] = "latent_class"
    columns: ClassVar[str] = "probabilities"
    traits: ClassVar[frozenset[str]] = frozenset({"classes"})
    search: ClassVar[tuple[str, ...]] = ("short_em", "random")
    levels: ClassVar[bool] = True

    n_components: int
    n_levels: int | Sequence[int] | Sequence[Sequence[float]] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.n_levels is not None:
            self._codes(len(self.n_levels) if isinstance(self.n_levels, Sequence) else 1)

    def prepare(self, data: Discrete) -> "LatentClassModel":
        """Check the answers and resolve the levels of each item; see ``Model.prepare``."""
        self.check_cells(data)
        resolved = replace(self, n_levels=self._coding(data))
        super(LatentClassModel, resolved).prepare(data)
        return resolved

    def check_cells(self, data: Discrete) -> None:
        if self.n_levels is None:
            require_whole(data, "code of a level")
        else:
            super().check_cells(data)

    def n_parameters(self, data: Discrete) -> int:
        free = sum(len(codes) - 1 for codes in self._coding(data))
        return self.n_components - 1 + self.n_components * free

    def q(self, stats: ClassSums, params: LatentClassParams) -> float:
        shares = xlogy(stats.counts, params.weights).sum()
        return float(shares + xlogy(stats.cells, self._table(params)).sum())

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        items = truth.get("probabilities")
        if not isinstance(items, list) or len(truth.get("weights", ())) != self.n_components:
            return False
        if self.n_levels is None:
            return True
        pairs = zip(self._codes(len(items)), items, strict=True)
        return all(max(codes) < np.shape(item)[1] for codes, item in pairs)

    def from_truth(self, truth: dict[str, Any]) -> LatentClassParams:
        """A generator's probabilities by code; levels that do not occur in the data drop out."""
        items = [np.asarray(item, dtype=float) for item in truth["probabilities"]]
        if self.n_levels is not None:
            codes = [np.array(known, dtype=int) for known in self._codes(len(items))]
            items = [item[:, known] for item, known in zip(items, codes, strict=True)]
            items = [item / item.sum(axis=1, keepdims=True) for item in items]
        return LatentClassParams(np.asarray(truth["weights"], dtype=float), tuple(items))

    def parameter_error(self, params: LatentClassParams, truth: dict[str, Any]) -> float:
        """Root mean square error of the probabilities, labels matched."""
        true = np.concatenate(self.from_truth(truth).probabilities, axis=1)
        return probability_error(np.concatenate(params.probabilities, axis=1), true)

    def functionals(self, params: LatentClassParams) -> dict[str, Any]:
        """Weights, and a list of the items' probabilities."""
        return {"weights": params.weights, "probabilities": list(params.probabilities)}

    def pack(
        self,
        params: LatentClassParams,
        coordinates: str = "natural",
        around: LatentClassParams | None = None,
    ) -> Array:
        unconstrained = is_unconstrained(coordinates)
        centre = params if around is None else around
        items = zip(params.probabilities, centre.probabilities, strict=True)
        return np.concatenate([
            pack_simplex(params.weights, unconstrained, centre.weights),
            *(pack_simplex(item, unconstrained, middle) for item, middle in items),
        ])  # fmt: skip

    def unpack(
        self, vector: Array, around: LatentClassParams, coordinates: str = "natural"
    ) -> LatentClassParams:
        unconstrained = is_unconstrained(coordinates)
        k = self.n_components
        sizes = [k - 1, *(k * (item.shape[1] - 1) for item in around.probabilities)]
        weights, *items = np.split(vector, np.cumsum(sizes)[:-1])
        middles = zip(items, around.probabilities, strict=True)
        return LatentClassParams(
            unpack_simplex(weights, around.weights, unconstrained),
            tuple(unpack_simplex(item, middle, unconstrained) for item, middle in middles),
        )

    def _coding(self, data: Discrete) -> Coding:
        if self.n_levels is None:
            return tuple(tuple(codes.tolist()) for codes in data.live_levels)
        return self._codes(data.d)

    def _codes(self, n_items: int) -> Coding:
        given = self.n_levels
        if given is None:
            raise RuntimeError("the levels of items are resolved by prepare(data) first")
        items = given if isinstance(given, Sequence) else [given] * n_items
        if len(items) != n_items:
            raise InvalidData(f"n_levels: {len(items)} items, but the data have {n_items} columns")
        if isinstance(items, tuple) and all(isinstance(item, tuple) for item in items):
            return items
        return tuple(_codes_of(item) for item in items)

    def _table(self, params: LatentClassParams) -> Array:
        return np.concatenate([item.T for item in params.probabilities])

    def _record(self, weights: Array, columns: tuple[Array, ...]) -> LatentClassParams:
        return LatentClassParams(weights, columns)

    @property
    def _sizes(self) -> list[int]:
        n_items = len(self.n_levels) if isinstance(self.n_levels, Sequence) else 0
        return [len(codes) for codes in self._codes(n_items)]

    def _seen(self, cells: Array) -> Array:
        sizes = self._sizes
        starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
        return np.repeat(np.add.reduceat(cells, starts, axis=0), sizes, axis=0)

    def _columns(self, cells: Array, params: LatentClassParams | None) -> tuple[Array, ...]:
        seen = self._seen(cells)
        table = np.zeros(cells.shape) if params is None else self._table(params).copy()
        np.divide(cells, seen, out=table, where=seen > 0)
        ends = np.cumsum([0, *self._sizes]).tolist()
        return tuple(table[a:b].T for a, b in pairwise(ends))

    def _expected(self, params: LatentClassParams, responsibilities: Array) -> Array:
        """The most probable level of each item: levels have no mean."""
        by_row = np.ascontiguousarray(responsibilities.T)
        best = [(item.T @ by_row).argmax(axis=0) for item in params.probabilities]
        return self._decoded(best)

    def _drawn(self, params: LatentClassParams, labels: Ints, rng: np.random.Generator) -> Array:
        chances = [item[labels] for item in params.probabilities]
        return self._decoded([draw_labels(p, p[:1], rng) for p in chances])

    def _decoded(self, positions: list[Ints]) -> Array:
        if self.n_levels is None:  # a generator's rows, coded from 0
            return np.stack(positions, axis=1).astype(np.float64)
        codes = self._codes(len(positions))
        pairs = zip(codes, positions, strict=True)
        return np.stack([np.array(known)[at] for known, at in pairs], axis=1)


def _codes_of(item: Any) -> tuple[float, ...]:
    if isinstance(item, int | np.integer) and item >= 1:
        return tuple(float(code) for code in range(item))
    codes = isinstance(item, Sequence) and not isinstance(item, str)
    if codes and len(item) and all(a < b for a, b in pairwise(item)):
        return tuple(float(code) for code in item)
    raise ValueError(f"n_levels: {item!r} is neither a positive integer nor ascending codes")
