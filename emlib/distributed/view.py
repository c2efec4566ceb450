"""A view in memory cut into partitions for the workers of a Dask cluster."""

from collections.abc import Sequence
from functools import partial
from itertools import pairwise
from typing import Any

from emlib.distributed.partitions import Partitions
from emlib.distributed.source import tables_of
from emlib.distributed.survey import BESIDE, surveyed
from emlib.models.base import Model
from emlib.parallel import chunk_bounds

MOST_PARTITIONS = 64
"""Dask spends milliseconds on each in every E-step; part of the numerical definition."""

LARGE = "distributed.admin.large-graph-warning-threshold"


def cut(client: Any, model: Model, data: Any, bounds: Sequence[int] | None = None) -> Partitions:
    """Partitions of a view's rows.  Dask keeps the rows themselves: a lost worker is made good.

    Parameters
    ----------
    client : distributed.Client
    model : Model
        It makes the view of each partition.
    data : Table
    bounds : sequence of int, optional
        First rows of the partitions, and n; see ``partition_bounds``.
    """
    import dask

    arrays = {"values": data.values, "sample_weight": data.weights}
    arrays |= {name: getattr(data, name) for name in BESIDE if hasattr(data, name)}
    blocks = [
        {name: dask.delayed(array[begin:end], pure=False) for name, array in arrays.items()}
        for begin, end in pairwise(partition_bounds(data.n) if bounds is None else bounds)
    ]
    with dask.config.set({LARGE: "1 PB"}):  # the rows go there with the tasks, and should
        tables = tables_of(client, blocks, partial(_view, type(model)))
    return surveyed(client, tables, model)


def partition_bounds(n: int) -> list[int]:
    """First rows of the partitions of n rows, and n: the chunks of an E-step, or fewer."""
    count = min(len(chunk_bounds(n)) - 1, MOST_PARTITIONS)
    return [n * i // count for i in range(count + 1)]


def _view(kind: type[Model], values: Any, sample_weight: Any, **beside: Any) -> Any:
    return kind.view(values, sample_weight, **beside)
