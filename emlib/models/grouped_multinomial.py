"""Multinomial counts whose categories are groups of latent cells.

The genetic linkage of Rao in Dempster, Laird and Rubin (1977), section 1, and gene counting
(Ceppellini, Siniscalco and Smith 1955).  Latent cell j has the probability

    c_j * prod_i theta_i ** a_ji,

theta being one or more blocks of probabilities that sum to one, so that the M-step divides
expected exponents by their sum.  A category that is missing from a row was not looked at: the
row's likelihood is that of its other counts given their total, and the E-step expects the missing
count as in section 4.2 of the same paper, truncation: by the negative binomial.
"""

from collections.abc import Sequence, Sized
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Counts
from emlib.errors import InvalidData
from emlib.models.base import Model, is_unconstrained
from emlib.models.checks import require_whole
from emlib.models.latent_cells import LatentCells, ratio
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors, Step
from emlib.models.simplex import pack_simplex, unpack_simplex, vanishing_shares, without
from emlib.models.special import xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GroupedMultinomialParams:
    """The probabilities theta (m,), block after block."""

    theta: Array


@dataclass(frozen=True, eq=False)
class LatentCounts:
    """Expected counts of the latent cells, shape (J,), with the loglik and its size."""

    counts: Array
    loglik: float
    magnitude: float

    def __add__(self, other: "LatentCounts") -> "LatentCounts":
        return LatentCounts(
            self.counts + other.counts,
            self.loglik + other.loglik,
            self.magnitude + other.magnitude,
        )

    def scaled(self, factor: float) -> "LatentCounts":
        """The sums with every unit weighted ``factor`` times as much."""
        return LatentCounts(factor * self.counts, factor * self.loglik, factor * self.magnitude)


@dataclass(frozen=True, eq=False)
class GroupedMultinomialModel(Model):
    """Latent cells, and the categories that they are counted in.

    Parameters
    ----------
    groups : sequence of int, length J, optional
        Category (column of the data, from 0) of each latent cell; each its own by default.
    constants : sequence of float, length J, optional
        The c_j, all 1 by default.
    exponents : sequence of shape (J, m), optional
        The a_ji, by default the identity: a free probability for each latent cell.
    blocks : sequence of int, optional
        Sizes of the blocks of theta; all of it is one by default.
    """

    family: ClassVar[str] = "grouped_multinomial"
    traits: ClassVar[frozenset[str]] = frozenset()
    posteriors: ClassVar[frozenset[str]] = frozenset({"sampled"})
    search: ClassVar[tuple[str, ...]] = ("random",)

    groups: Sequence[int] | None = None
    constants: Sequence[float] | None = None
    exponents: Sequence[Sequence[float]] | None = None
    blocks: Sequence[int] | None = None

    def __post_init__(self) -> None:
        for name in ("groups", "constants", "exponents", "blocks"):
            given = getattr(self, name)
            if given is not None and (isinstance(given, str) or not isinstance(given, Sized)):
                raise ValueError(f"{name}: {given!r} is not a sequence")
        if self._given:
            lengths = sorted({len(given) for given in self._given})
            if len(lengths) > 1:
                raise ValueError(
                    f"groups, constants, exponents: lengths {lengths} are not one number of cells"
                )
            self.cells  # noqa: B018  checks them

    @property
    def cycle(self) -> tuple[Step, ...]:
        return (Step(frozenset({"theta"})),)

    @property
    def _given(self) -> list[Any]:
        return [x for x in (self.groups, self.constants, self.exponents) if x is not None]

    @property
    def n_components(self) -> int:  # type: ignore[override]
        """Number of latent cells."""
        return len(self._given[0]) if self._given else 1

    @cached_property
    def cells(self) -> LatentCells:
        """The latent cells as arrays."""
        settings = (self.groups, self.constants, self.exponents, self.blocks)
        return LatentCells.checked(*settings, self.n_components)

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Counts:
        return Counts.from_array(values, weights)

    def n_parameters(self, data: Counts) -> int:
        return sum(size - 1 for size in self.cells.blocks)

    def check_cells(self, data: Counts) -> None:
        require_whole(data)

    def prepare(self, data: Counts) -> "GroupedMultinomialModel":
        """Check the counts; without a specification each column is a latent cell."""
        model = self if self._given else replace(self, groups=range(data.d))
        if model.cells.n_categories != data.d:
            raise InvalidData(
                f"{data.d} columns of counts for {model.cells.n_categories} categories"
            )
        self.check_cells(data)
        if not data.totals.sum() > 0:
            raise InvalidData("there is no count above zero: nothing to estimate from")
        return model

    def e_step(
        self, params: GroupedMultinomialParams, data: Counts, posterior: Posterior = EXACT
    ) -> LatentCounts:
        cells = self.cells.probabilities(params.theta)
        categories = self.cells.by_category(cells)
        total, seen = data.totals.sum(axis=1), data.patterns @ categories
        unseen = np.where(data.patterns, 0.0, categories) * ratio(total, seen)[:, None]
        expected = (data.totals + unseen).sum(axis=0)
        shares = self.cells.shares(cells, posterior.beta)
        counts = expected[self.cells.groups] * shares
        if posterior.rng is not None:
            counts = self.cells.drawn(expected, shares, posterior.rng)
        kernel = xlogy(data.totals, categories).sum() - xlogy(total, seen).sum()
        coefficient = data.weights @ data.log_coefficients
        return LatentCounts(counts, float(kernel + coefficient), float(abs(kernel) + coefficient))

    def m_step(
        self,
        stats: LatentCounts,
        params: GroupedMultinomialParams,
        free: frozenset[str] | None = None,
    ) -> GroupedMultinomialParams:
        if free is not None and "theta" not in free:
            return params
        used = stats.counts @ self.cells.exponents
        blocks = zip(self.cells.cut(used), self.cells.cut(params.theta), strict=True)
        return GroupedMultinomialParams(
            np.concatenate([u / u.sum() if u.sum() > 0 else old for u, old in blocks])
        )

    def q(self, stats: LatentCounts, params: GroupedMultinomialParams) -> float:
        return float(xlogy(stats.counts @ self.cells.exponents, params.theta).sum())

    def start(self, data: Counts, responsibilities: Array) -> GroupedMultinomialParams:
        """Each row's counts split by its responsibilities, and one count over all latent cells."""
        within = responsibilities @ self.cells.membership
        split = ratio(responsibilities, within[:, self.cells.groups])
        known = np.where(data.observed, data.values, 0.0)[:, self.cells.groups]
        counts = data.weights @ (known * split) + 1.0 / self.n_components
        even = np.concatenate([np.full(size, 1.0 / size) for size in self.cells.blocks])
        return self.m_step(LatentCounts(counts, 0.0, 0.0), GroupedMultinomialParams(even))

    def posterior(self, params: GroupedMultinomialParams, data: Counts) -> Posteriors:
        categories = self._categories(params)
        known = np.where(data.observed, data.values, 0.0)
        seen, total = data.observed @ categories, known.sum(axis=1)
        loglik = xlogy(known, categories).sum(axis=1) - xlogy(total, seen) + data.log_coefficients
        completed = np.where(data.observed, known, categories * ratio(total, seen)[:, None])
        return Posteriors(loglik, None, completed)

    def complete(
        self, params: GroupedMultinomialParams, data: Counts, rng: np.random.Generator
    ) -> Array:
        """Draw the number of missed counts, negative binomial, then their categories."""
        categories = self._categories(params)
        known = np.where(data.observed, data.values, 0.0)
        seen, total = data.observed @ categories, known.sum(axis=1)
        drawn, left = known.copy(), np.zeros(data.n, dtype=np.int64)
        some = (total > 0) & (seen < 1.0)
        left[some] = rng.negative_binomial(total[some], seen[some])
        chance = np.where(data.observed, 0.0, categories)
        rest = chance.sum(axis=1)
        for g in range(data.d):
            share = np.clip(ratio(chance[:, g], rest), 0.0, 1.0)
            taken = rng.binomial(left, share)
            drawn[:, g] += taken
            left, rest = left - taken, rest - chance[:, g]
        return drawn

    def bootstrapped(
        self, params: GroupedMultinomialParams, data: Counts, rng: np.random.Generator
    ) -> Counts:
        """Rows are few: their counts are drawn anew, given each row's total."""
        categories = self._categories(params)
        known = np.where(data.observed, data.values, 0.0).sum(axis=1) * data.weights
        chances = np.where(data.observed, categories, 0.0)
        chances[~data.informative] = categories
        drawn = rng.multinomial(
            np.rint(known).astype(np.int64), ratio(chances, chances.sum(axis=1)[:, None])
        )
        values = np.where(data.observed, drawn, np.nan)
        return self.view(values, (data.weights > 0).astype(np.float64))

    def sample(
        self, params: GroupedMultinomialParams, n: int, rng: np.random.Generator, total: int = 1
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw n rows of ``total`` counts, and the latent cell that most of each come from."""
        latent = rng.multinomial(total, self.cells.probabilities(params.theta), size=n)
        return (latent @ self.cells.membership).astype(np.float64), latent.argmax(axis=1)

    def diagnose(self, params: GroupedMultinomialParams, stats: LatentCounts) -> Diagnosis:
        """``boundary``: a probability is zero, or on its way there."""
        gone = any(gone.any() for _, gone in self._vanishing(params, stats))
        return Diagnosis(("boundary",) if gone or (params.theta == 0).any() else ())

    def settled(
        self, params: GroupedMultinomialParams, stats: LatentCounts
    ) -> GroupedMultinomialParams:
        """Probabilities on their way to zero at zero."""
        blocks = [without(*pair) for pair in self._vanishing(params, stats)]
        return GroupedMultinomialParams(np.concatenate(blocks))

    def _vanishing(
        self, params: GroupedMultinomialParams, stats: LatentCounts
    ) -> list[tuple[Array, NDArray[np.bool_]]]:
        """Each block of theta, and which of it are on their way to zero."""
        used = self.cells.cut(stats.counts @ self.cells.exponents)
        pairs = zip(self.cells.cut(params.theta), used, strict=True)
        return [(block, vanishing_shares(counts, block)) for block, counts in pairs]

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return "theta" in truth

    def from_truth(self, truth: dict[str, Any]) -> GroupedMultinomialParams:
        return GroupedMultinomialParams(np.asarray(truth["theta"], dtype=np.float64))

    def parameter_error(self, params: GroupedMultinomialParams, truth: dict[str, Any]) -> float:
        """Root mean square error of the probabilities."""
        if params.theta.shape != np.shape(truth["theta"]):
            return float("nan")
        return float(np.sqrt(((params.theta - truth["theta"]) ** 2).mean()))

    def pack(
        self,
        params: GroupedMultinomialParams,
        coordinates: str = "natural",
        around: GroupedMultinomialParams | None = None,
    ) -> Array:
        free = is_unconstrained(coordinates)
        pairs = zip(
            self.cells.cut(params.theta), self.cells.cut((around or params).theta), strict=True
        )
        return np.concatenate([pack_simplex(block, free, centre) for block, centre in pairs])

    def unpack(
        self, vector: Array, around: GroupedMultinomialParams, coordinates: str = "natural"
    ) -> GroupedMultinomialParams:
        free = is_unconstrained(coordinates)
        parts = np.split(vector, np.cumsum(np.array(self.cells.blocks) - 1)[:-1])
        pairs = zip(parts, self.cells.cut(around.theta), strict=True)
        blocks = [unpack_simplex(part, centre, free) for part, centre in pairs]
        return GroupedMultinomialParams(np.concatenate(blocks))

    def _categories(self, params: GroupedMultinomialParams) -> Array:
        return self.cells.by_category(self.cells.probabilities(params.theta))
