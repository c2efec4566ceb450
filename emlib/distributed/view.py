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


def cut(client: Any, model: Model, data: Any, bounds: Sequence[int] | None = None) -> Partitions:
    """Partitions of a view's rows.  Dask keeps the rows themselves: a lost worker is made good.

    Parameters
    ----------
    client : distributed.Client
    model : Model
        It makes the view of each partition.
    data : Table
    bounds : sequence of int, optional
        First rows of the partitions, and n; by default those of the chunks that an E-step in
        memory sums over.
    """
    from dask import delayed

    arrays = {"values": data.values, "sample_weight": data.weights}
    arrays |= {name: getattr(data, name) for name in BESIDE if hasattr(data, name)}
    blocks = [
        {name: delayed(array[begin:end], pure=False) for name, array in arrays.items()}
        for begin, end in pairwise(chunk_bounds(data.n) if bounds is None else bounds)
    ]
    return surveyed(client, tables_of(client, blocks, partial(_view, type(model))), model)


def _view(kind: type[Model], values: Any, sample_weight: Any, **beside: Any) -> Any:
    return kind.view(values, sample_weight, **beside)
