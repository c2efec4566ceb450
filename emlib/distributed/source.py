"""From Dask arrays and data frames to tables in the workers' memory, one a partition."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.errors import InvalidData


def blocks_of(collections: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Partition by partition, the delayed blocks of some collections, by their names.

    Parameters
    ----------
    collections : mapping of str to dask Array, DataFrame or Series
        Cut alike: block i of each has the same rows.

    Raises
    ------
    InvalidData
        If one is no collection of Dask, is cut along columns or not as the first is, or has
        columns that are not of numbers.
    """
    named = {name: _blocks(name, collection) for name, collection in collections.items()}
    (first, blocks), *others = named.items()
    for name, these in others:
        if len(these) != len(blocks):
            raise InvalidData(
                f"{name}: {len(these)} partitions, where {first} has {len(blocks)}: both must be "
                "cut alike"
            )
    return [dict(zip(named, parts, strict=True)) for parts in zip(*named.values(), strict=True)]


def _blocks(name: str, collection: Any) -> list[Any]:
    import dask.array as da

    if isinstance(collection, da.Array):
        if collection.dtype.kind not in "biuf":
            raise InvalidData(f"{name}: an array of {collection.dtype}: a table has numbers")
        if collection.ndim == 2 and collection.numblocks[1] > 1:
            raise InvalidData(
                f"{name}: {collection.numblocks[1]} chunks along columns, so that no chunk has a "
                "whole row: rechunk({1: -1}) puts rows together"
            )
        return list(collection.to_delayed().ravel())
    if hasattr(collection, "to_delayed") and hasattr(collection, "npartitions"):
        _check_columns(name, collection)
        return list(collection.to_delayed())
    raise InvalidData(
        f"{name}: {type(collection).__name__} is neither an array nor a data frame of Dask: "
        "dask.array.from_array and dask.dataframe.read_parquet make them"
    )


def _check_columns(name: str, frame: Any) -> None:
    from pandas.api.types import is_numeric_dtype

    kinds = frame.dtypes if hasattr(frame.dtypes, "items") else {frame.name: frame.dtypes}
    for column, kind in kinds.items():
        if not is_numeric_dtype(kind):
            raise InvalidData(f"{name}: column {column!r} is of {kind}: a table has numbers")


def tables_of(client: Any, blocks: list[dict[str, Any]], view: Callable[..., Any]) -> list[Any]:
    """Futures of the views of the blocks, None for those without a row.

    A worker that is lost takes its tables with it: Dask reads and makes them again from their
    source.

    Parameters
    ----------
    client : distributed.Client
    blocks : list of dict
        As ``blocks_of`` gives them.
    view : callable
        Makes a view of blocks, by their names; None stands for weights of one.
    """
    from dask import delayed

    make = delayed(_table, pure=False)
    made = [make(number, view, list(parts), *parts.values()) for number, parts in enumerate(blocks)]
    return list(client.compute(made))


def _table(number: int, view: Callable[..., Any], names: list[str], *blocks: Any) -> Any:
    parts = {name: numbers(block) for name, block in zip(names, blocks, strict=True)}
    (first, rows), *others = parts.items()
    for name, these in others:
        if len(these) != len(rows):
            raise InvalidData(
                f"partition {number}: {name} has {len(these)} rows, and {first} has {len(rows)}: "
                "both must be cut alike"
            )
    if not len(rows):
        return None
    weights = parts.pop("sample_weight", None)
    nothing = weights is not None and not weights.any()  # of a part of the rows this may be so
    try:
        table = view(sample_weight=None if nothing else weights, **parts)
    except ValueError as error:
        raise InvalidData(f"partition {number}: {error}") from None
    return replace(table, weights=np.zeros(len(rows))) if nothing else table


def numbers(block: Any) -> NDArray[Any]:
    """A block as an array, NaN where a cell is missing; views make it one of float64."""
    if hasattr(block, "to_numpy"):
        return np.asarray(block.to_numpy(dtype=np.float64, na_value=np.nan))
    return np.asarray(block)
