"""Data sets larger than memory: copied once, batch by batch, to a file that is mapped to memory."""

import tempfile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.errors import InvalidData


def is_dataset(x: Any) -> bool:
    """Whether ``x`` is a dataset of Apache Arrow, as ``pyarrow.dataset.dataset`` opens them."""
    return hasattr(x, "to_batches") and hasattr(x, "schema") and hasattr(x, "count_rows")


def mapped(dataset: Any) -> NDArray[np.float64]:
    """The columns of a dataset as an array that lives on disk.

    The file takes n d 8 bytes of the folder for temporary files, has no name, and goes with the
    array.

    Parameters
    ----------
    dataset : pyarrow.dataset.Dataset
        Its columns are numbers; a null is a missing cell.

    Returns
    -------
    ndarray of shape (n, d)

    Raises
    ------
    InvalidData
        If the dataset has no rows, or a column that is not of numbers.
    """
    import pyarrow.types

    names = dataset.schema.names
    for name, kind in zip(names, dataset.schema.types, strict=True):
        if not (pyarrow.types.is_integer(kind) or pyarrow.types.is_floating(kind)):
            raise InvalidData(f"column {name!r} is of {kind}: a table has numbers")
    shape = (dataset.count_rows(), len(names))
    if 0 in shape:
        raise InvalidData(f"data of shape {shape}: a table has rows and columns")
    with tempfile.TemporaryFile() as file:
        array: NDArray[np.float64] = np.memmap(file, dtype=np.float64, mode="w+", shape=shape)
    first = 0
    for batch in dataset.to_batches(batch_readahead=1, fragment_readahead=1):
        rows = slice(first, first + batch.num_rows)
        for j, name in enumerate(names):
            array[rows, j] = batch.column(name).to_numpy(zero_copy_only=False)
        first = rows.stop
    return array
