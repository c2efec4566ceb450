"""Latent cells of a multinomial: their probabilities as products, and the categories they form."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.models.special import xlogy

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class LatentCells:
    """Cell j has the probability ``constants[j] * prod(theta ** exponents[j])``.

    Attributes
    ----------
    groups : ndarray of shape (J,)
        Category of each cell.
    constants : ndarray of shape (J,)
    exponents : ndarray of shape (J, m)
    blocks : list of int
        Sizes of the parts of theta that sum to one each.
    """

    groups: NDArray[np.int64]
    constants: Array
    exponents: Array
    blocks: list[int]

    @classmethod
    def checked(
        cls, groups: Any, constants: Any, exponents: Any, blocks: Any, n_cells: int
    ) -> "LatentCells":
        """Cells from settings, None being the default of each; see ``GroupedMultinomialModel``.

        Raises
        ------
        ValueError
            If they do not fit together, or are no distribution at every theta.
        """
        cells = cls(
            np.asarray(range(n_cells) if groups is None else groups),
            np.asarray(np.ones(n_cells) if constants is None else constants, dtype=np.float64),
            np.asarray(np.eye(n_cells) if exponents is None else exponents, dtype=np.float64),
            [],
        )
        m = cells.exponents.shape[-1]
        cells.blocks.extend([m] if blocks is None else blocks)
        labels = cells.groups.tolist()
        if cells.groups.ndim != 1 or set(labels) != set(range(len(set(labels)))):
            raise ValueError(f"groups: {labels} are not columns 0, 1, ..., each at least once")
        if cells.exponents.ndim != 2 or not (cells.exponents >= 0).all():
            raise ValueError("exponents: not a table, cells by parameters, of numbers >= 0")
        if cells.constants.ndim != 1 or not (cells.constants > 0).all():
            raise ValueError(f"constants: {cells.constants.tolist()} are not positive numbers")
        if min(cells.blocks, default=0) < 1 or sum(cells.blocks) != m:
            raise ValueError(f"blocks: {cells.blocks} are not sizes that sum to {m} parameters")
        cells._check_sums()
        return cells

    @property
    def n_categories(self) -> int:
        """Number of categories."""
        return int(self.groups.max()) + 1

    @property
    def membership(self) -> Array:
        """1 where a cell (line) belongs to a category (column), shape (J, G)."""
        return np.eye(self.n_categories)[self.groups]

    def cut(self, theta: Array) -> list[Array]:
        """The blocks of a vector like theta."""
        return np.split(theta, np.cumsum(self.blocks)[:-1])

    def probabilities(self, theta: Array) -> Array:
        """Probabilities of the cells, shape (J,)."""
        return np.asarray(self.constants * np.exp(xlogy(self.exponents, theta).sum(axis=1)))

    def by_category(self, cells: Array) -> Array:
        """Sums over the cells of each category, shape (G,)."""
        return np.asarray(np.bincount(self.groups, cells, self.n_categories), dtype=np.float64)

    def shares(self, cells: Array, beta: float) -> Array:
        """Share of each cell in its category, raised to ``beta`` and normalized, shape (J,)."""
        if np.isinf(beta):
            hard = np.zeros(len(cells))
            for g in range(self.n_categories):
                own = np.flatnonzero(self.groups == g)
                hard[own[cells[own].argmax()]] = 1.0
            return hard
        powers = cells**beta
        return ratio(powers, self.by_category(powers)[self.groups])

    def drawn(self, counts: Array, shares: Array, rng: np.random.Generator) -> Array:
        """Counts of the categories drawn into their cells; a fraction is split as expected."""
        whole = np.floor(counts)
        result = (counts - whole)[self.groups] * shares
        for g in range(self.n_categories):
            own = self.groups == g
            if shares[own].sum() > 0:
                result[own] += rng.multinomial(int(whole[g]), shares[own] / shares[own].sum())
        return result

    def _check_sums(self) -> None:
        rng = np.random.default_rng(0)
        for _ in range(8):  # polynomials that are not equal differ almost everywhere
            theta = np.concatenate([rng.dirichlet(np.ones(size)) for size in self.blocks])
            total = self.probabilities(theta).sum()
            if abs(total - 1.0) > 1e-9:
                raise ValueError(
                    f"constants and exponents: the latent cells' probabilities sum to {total:.6g} "
                    f"at theta = {theta.round(3).tolist()}; they must sum to 1 at every theta"
                )


def ratio(part: Array, whole: Array) -> Array:
    """part / whole, 0 where the whole is 0."""
    part, whole = np.broadcast_arrays(part, whole)
    return np.asarray(np.divide(part, whole, out=np.zeros(part.shape), where=whole > 0))
