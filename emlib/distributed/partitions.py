"""Partitions: the view of rows that workers hold, and sums over what is done with each.

Sums are taken in a tree whose shape follows from the number of partitions alone, so that the bits
depend on the partitions, and not on how many workers there are or on which of them was lost.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from operator import add
from typing import Any

import numpy as np
from numpy.typing import NDArray

FAN_IN = 8
"""Terms that are added at a time; part of the numerical definition, like the partitions."""


@dataclass(frozen=True, eq=False)
class Partitions:
    """Independent rows, one table a partition, each in the memory of a worker.

    Algorithms that deal out units (incremental, online) deal out partitions.

    Attributes
    ----------
    client : distributed.Client
    tables : tuple of distributed.Future
    unit_weights : ndarray of shape (n_partitions,)
        Sums of the weights of their rows.
    total_weight : float
        Sum of the weights of all rows with an observed cell: the n of BIC.
    sample : Table
        Rows that stand for all, in memory here.
    share : float
        How many of all rows these are, in (0, 1].
    """

    client: Any
    tables: tuple[Any, ...]
    unit_weights: NDArray[np.float64]
    total_weight: float
    sample: Any
    share: float

    @property
    def sorted_units(self) -> NDArray[np.int64]:
        """Numbers of the partitions, in their own order."""
        return np.arange(len(self.tables))

    def part(self, units: NDArray[np.int64]) -> "Partitions":
        """The partitions ``units`` alone, by their numbers, in that order."""
        tables = tuple(self.tables[unit] for unit in units)
        return replace(self, tables=tables, unit_weights=self.unit_weights[units])

    def total(
        self, work: Callable[..., Any], *shared: Any, own: Sequence[Any] | None = None
    ) -> Any:
        """Sum over the partitions of ``work(table, its own, *shared)``; see ``on_each``."""
        terms = on_each(self.client, self.tables, work, *shared, own=own)
        return tree_sum(self.client, terms)


def on_each(
    client: Any,
    tables: Sequence[Any],
    work: Callable[..., Any],
    *shared: Any,
    own: Sequence[Any] | None = None,
) -> list[Any]:
    """Futures of ``work(table, its own, *shared)``.

    Parameters
    ----------
    client : distributed.Client
    tables : sequence of Future
    work : callable
        It must not change the table, which other tasks may read meanwhile.
    *shared
        The same for every table.
    own : sequence, optional
        One thing a table, None by default.
    """
    mine = [None] * len(tables) if own is None else own
    return list(client.map(_quietly, tables, mine, work=work, shared=shared, pure=False))


def tree_sum(client: Any, terms: list[Any]) -> Any:
    """The sum of futures, neighbours first; fails as ``results`` does."""
    level = terms
    while len(level) > 1:
        groups = [level[i : i + FAN_IN] for i in range(0, len(level), FAN_IN)]
        level = list(client.map(_added, groups, pure=False))
    return results(client, level, terms)[0]


def results(client: Any, futures: list[Any], terms: list[Any] | None = None) -> list[Any]:
    """What futures have come to, which may follow from others, the ``terms``.

    Raises
    ------
    Exception
        What the first of the terms has failed with, whichever of them failed first.
    """
    try:
        return list(client.gather(futures))
    except Exception:
        for term in futures if terms is None else terms:
            term.result()
        raise


def _quietly(table: Any, own: Any, work: Callable[..., Any], shared: tuple[Any, ...]) -> Any:
    """Nobody reads warnings of a worker; whoever looks at the numbers sees what is not finite."""
    with np.errstate(all="ignore"):
        return work(table, own, *shared)


def _added(terms: list[Any]) -> Any:
    return reduce(add, terms)
