"""The one writer and the one reader of a study's tables.

Parquet with fixed schemas, the caller's row order, zstd, no pandas metadata, one NaN, and a
checksum of the whole: without it a flipped bit can read back as another number.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from emlib.study.atomic import write_bytes
from emlib.study.checksums import BLANK, damaged, sealed, sound_bytes
from emlib.study.measures import MEASURES

_TYPES = {
    "str": pa.string(),
    "f64": pa.float64(),
    "i32": pa.int32(),
    "bool": pa.bool_(),
    "floats": pa.list_(pa.float64()),
}
_PLAIN = (pa.string(), pa.float64(), pa.int32(), pa.bool_())


def _schema(columns: str) -> pa.Schema:
    """``"a:str b:f64"`` -> schema."""
    pairs = (column.split(":") for column in columns.split())
    return pa.schema([(name, _TYPES[kind]) for name, kind in pairs])


SCHEMAS: dict[str, pa.Schema] = {
    "plan": _schema(
        "cell_id:str dataset:str missingness:str mechanism:str rate:f64 model:str init:str "
        "algorithm:str oracle:bool starts:i32 replicates:i32 fits:i32"
    ),
    "fits": _schema(
        "fit_id:str cell_id:str dataset:str missingness:str mechanism:str rate:f64 model:str "
        "init:str algorithm:str oracle:bool replicate:i32 start:i32 data_id:str "
        "status:str rule:str flags:str message:str loglik:f64 objective:f64 loglik_start:f64 "
        "loglik_polished:f64 status_polished:str n_iter:i32 e_steps_init:f64 e_steps_climb:f64 "
        "e_steps_polish:f64 predicted_gain:f64 linear_rate:f64 eigenvalue_ratio:f64 "
        "smallest_component:f64 n_rows:i32 n_parameters:i32 "
        + "".join(f"{name}:f64 " for name in MEASURES)
        + "bic:f64"
    ),
    "curves": _schema(
        "fit_id:str cell_id:str init:str algorithm:str replicate:i32 start:i32 iteration:i32 "
        "e_steps:f64 objective:f64 loglik:f64"
    ),
    "timings": _schema(
        "fit_id:str cell_id:str seconds_init:f64 seconds_climb:f64 seconds_polish:f64 "
        "started:f64 ended:f64 processor:str"
    ),
    "references": _schema(
        "reference_id:str data_id:str dataset:str missingness:str model:str replicate:i32 "
        "loglik:f64 loglik_with_spurious:f64 source:str starts:i32 e_steps:f64 "
        "eigenvalue_ratio:f64 smallest_component:f64"
    ),
    "params": _schema("fit_id:str start:floats final:floats"),
    "certificates": _schema(
        "of:str data_id:str dataset:str missingness:str model:str replicate:i32 objective:f64 "
        "verdict:str reason:str newton_decrement:f64 gradient_norm:f64 smallest_share:f64 "
        "em_rate:f64 null_dimension:i32 boundary_dimension:i32"
    ),
}


Rows = Mapping[str, Sequence[Any]] | Iterable[Mapping[str, Any]]
"""Columns by name, or rows as mappings; a pyarrow Table will do as well."""


def write_table(
    path: Path, rows: Rows | pa.Table, schema: str | pa.Schema, planned_as: str = ""
) -> None:
    """Write ``table_bytes(rows, schema, planned_as)``; the file appears whole or not at all."""
    write_bytes(Path(path), table_bytes(rows, schema, planned_as))


def table_bytes(rows: Rows | pa.Table, schema: str | pa.Schema, planned_as: str = "") -> bytes:
    """Content of a parquet file; the same rows give the same bytes.

    Parameters
    ----------
    rows : Table, mapping of columns, or rows as mappings
        Exactly the schema's columns. In float columns None becomes NaN.
    schema : str or Schema
        A name in ``SCHEMAS``, or a schema.
    planned_as : str
        Digest of all that decides the rows, kept in the file's metadata.

    Raises
    ------
    ValueError
        If columns are missing or unknown.
    """
    schema = SCHEMAS[schema] if isinstance(schema, str) else schema
    table = _as_table(rows, schema)
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd", store_schema=False) as writer:
        writer.write_table(table)
        if planned_as:
            writer.add_key_value_metadata({"planned_as": planned_as})
        writer.add_key_value_metadata({"checksum": BLANK.decode()})
    return sealed(buffer.getvalue())


def read_table(
    path: Path, columns: Sequence[str] | None = None, repeating: Sequence[str] = ()
) -> pa.Table:
    """Read a parquet file, its checksum verified.

    Parameters
    ----------
    path : Path
    columns : sequence of str, optional
        All by default.
    repeating : sequence of str
        Columns of text that come dictionary-encoded, as they are in the file.

    Raises
    ------
    StoreError
        If the file is damaged.
    FileNotFoundError
        If there is none.
    """
    content = sound_bytes(Path(path))
    try:
        with pq.ParquetFile(pa.BufferReader(content), read_dictionary=list(repeating)) as file:
            table = file.read(columns=None if columns is None else list(columns))
            return table.replace_schema_metadata(None)
    except (pa.ArrowInvalid, OSError) as error:
        raise damaged(Path(path), str(error)) from error


def planned_as(path: Path) -> str:
    """Digest of all that decided a table's rows; empty where its writer was told none."""
    metadata = pq.read_metadata(path).metadata or {}
    return str(metadata.get(b"planned_as", b"").decode())


def greatest(path: Path, columns: Sequence[str]) -> dict[str, float]:
    """The largest value of some columns of numbers, by the file's own statistics.

    A file without rows has none. One without statistics is read.
    """
    with pq.ParquetFile(path) as file:
        data = file.metadata
        place = {name: data.schema.names.index(name) for name in columns}
        groups = [
            data.row_group(k) for k in range(data.num_row_groups) if data.row_group(k).num_rows
        ]
        found = {
            name: [group.column(column).statistics for group in groups]
            for name, column in place.items()
        }
    if all(one is not None and one.has_min_max for several in found.values() for one in several):
        return {name: max(one.max for one in several) for name, several in found.items() if several}
    table = read_table(path, columns)
    return {name: np.nanmax(table[name].to_numpy()) for name in columns}


def read_tables(
    paths: Iterable[Path], schema: str, columns: Sequence[str] | None = None
) -> pa.Table:
    """Tables of one schema, one after the other; an empty table if there is no path."""
    tables = [read_table(path, columns) for path in paths]
    if tables:
        return pa.concat_tables(tables)
    empty = SCHEMAS[schema].empty_table()
    return empty if columns is None else empty.select(list(columns))


def _as_table(rows: Any, schema: pa.Schema) -> pa.Table:
    if isinstance(rows, pa.Table):
        columns = {name: rows.column(name) for name in rows.column_names}
    elif isinstance(rows, Mapping):
        columns = dict(rows)
    else:
        rows = list(rows)
        names = set(rows[0]).union(*rows) if rows else set(schema.names)
        try:
            columns = {name: [row[name] for row in rows] for name in names}
        except KeyError:
            missing = [name for name in names if any(name not in row for row in rows)]
            raise ValueError(f"rows without {', '.join(sorted(missing))}") from None
    _check_names(columns, schema)
    arrays = [_column(columns[field.name], field.type) for field in schema]
    return pa.Table.from_arrays(arrays, schema=schema.remove_metadata())


def _check_names(columns: Mapping[str, Any], schema: pa.Schema) -> None:
    missing = [name for name in schema.names if name not in columns]
    unknown = sorted(set(columns) - set(schema.names))
    if missing or unknown:
        found = [", ".join(names) or "none" for names in (missing, unknown)]
        raise ValueError(f"columns missing: {found[0]}; columns unknown: {found[1]}")


def _column(values: Sequence[Any] | pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """A column without nulls but in lists. Buffers are built here: ``pa.array`` imports pandas."""
    if isinstance(values, pa.ChunkedArray):
        if values.type == kind and kind in _PLAIN and not values.null_count:
            return _one_nan(values.combine_chunks(), kind)
        values = values.to_pylist()
    n = len(values)
    if kind == pa.float64():
        numbers = np.array(values, dtype=float)
        numbers[np.isnan(numbers)] = np.nan
        return pa.Array.from_buffers(kind, n, [None, pa.py_buffer(numbers)])
    if kind == pa.string():
        if not {*map(type, values)} <= {str}:
            values = ["" if value is None else str(value) for value in values]
        return _strings(values)
    if kind == pa.bool_():
        bits = np.packbits(
            np.array([bool(value) for value in values], dtype=bool), bitorder="little"
        )
        return pa.Array.from_buffers(kind, n, [None, pa.py_buffer(bits)])
    if kind == pa.int32():
        numbers = np.array(values, dtype=np.int32)
        return pa.Array.from_buffers(kind, n, [None, pa.py_buffer(numbers)])
    if any(value is None for value in values):
        return pa.array([None if value is None else list(value) for value in values], type=kind)
    ends = np.cumsum([0, *map(len, values)], dtype=np.int32)
    parts = np.array([number for value in values for number in value], dtype=float)
    inner = pa.Array.from_buffers(pa.float64(), len(parts), [None, pa.py_buffer(parts)])
    return pa.Array.from_buffers(kind, n, [None, pa.py_buffer(ends)], children=[inner])


def _one_nan(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if kind != pa.float64():
        return values
    numbers = np.array(values)
    numbers[np.isnan(numbers)] = np.nan
    return pa.Array.from_buffers(kind, len(numbers), [None, pa.py_buffer(numbers)])


def _strings(texts: Sequence[str]) -> pa.Array:
    whole = "".join(texts)
    content = whole.encode("utf-8")
    ascii_only = len(content) == len(whole)
    sizes = map(len, texts) if ascii_only else (len(text.encode("utf-8")) for text in texts)
    ends = np.zeros(len(texts) + 1, dtype=np.int64)
    np.cumsum(np.fromiter(sizes, dtype=np.int64, count=len(texts)), out=ends[1:])
    if ends[-1] > np.iinfo(np.int32).max:
        raise ValueError(f"a column of {ends[-1]} bytes of text does not fit in one array")
    buffers = [None, pa.py_buffer(ends.astype(np.int32)), pa.py_buffer(content)]
    return pa.Array.from_buffers(pa.string(), len(texts), buffers)
