"""The one writer and reader of tables and arrays."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from emlib.errors import StoreError
from emlib.study.arrays import load_npz, save_npz
from emlib.study.files import SCHEMAS, read_table, read_tables, table_bytes, write_table

ROWS = [
    {"fit_id": "b", "start": [1.0, 2.0], "final": None},
    {"fit_id": "a", "start": [], "final": [0.5]},
]


def timing(name, seconds):
    numbers = dict.fromkeys(("seconds_init", "seconds_climb", "seconds_polish"), seconds)
    times = {"started": 0.0, "ended": 1.0, "processor": "p"}
    return {"fit_id": name, "cell_id": "c", **numbers, **times}


def test_rows_come_back_as_they_went_in_and_in_their_order(tmp_path):
    path = tmp_path / "deep" / "params.parquet"
    write_table(path, ROWS, "params")
    assert read_table(path).to_pylist() == ROWS
    assert read_table(path, ["fit_id"]).column_names == ["fit_id"]


def test_the_same_rows_give_the_same_bytes_however_they_are_given():
    columns = {name: [row[name] for row in ROWS] for name in ROWS[0]}
    table = pa.Table.from_pylist(ROWS, schema=SCHEMAS["params"])
    assert table_bytes(ROWS, "params") == table_bytes(columns, "params")
    assert table_bytes(ROWS, "params") == table_bytes(table, "params")


def test_every_nan_is_written_with_the_same_bits():
    odd = np.frombuffer(np.uint64(0xFFF8000000000001).tobytes())[0]
    same = {table_bytes([timing("a", value)], "timings") for value in (np.nan, odd, None)}
    assert len(same) == 1


def test_files_carry_no_pandas_metadata_and_are_compressed_with_zstd(tmp_path):
    path = tmp_path / "timings.parquet"
    write_table(path, [timing("a", 0.1)], "timings")
    metadata = pq.read_metadata(path)
    assert list(metadata.metadata) == [b"checksum"]
    assert read_table(path).schema.metadata is None
    assert metadata.row_group(0).column(0).compression == "ZSTD"


@pytest.mark.parametrize(
    "rows",
    [[{"fit_id": "a", "start": []}], [{"fit_id": "a", "start": [], "final": [], "more": 1}]],
    ids=["missing", "unknown"],
)
def test_columns_must_be_those_of_the_schema(rows):
    with pytest.raises(ValueError, match="columns"):
        table_bytes(rows, "params")


def test_no_file_at_all_reads_as_no_rows():
    assert read_tables([], "fits").schema.equals(SCHEMAS["fits"])


def test_arrays_come_back_and_give_the_same_bytes(tmp_path):
    arrays = {"values_0": np.array([[1.0, np.nan]]), "columns": np.array(["a", "bc"])}
    save_npz(tmp_path / "a.npz", arrays)
    save_npz(tmp_path / "b.npz", arrays)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    back = load_npz(tmp_path / "a.npz")
    assert np.array_equal(back["values_0"], arrays["values_0"], equal_nan=True)
    assert back["columns"].tolist() == ["a", "bc"]


def test_arrays_of_objects_and_damaged_files_are_refused(tmp_path):
    with pytest.raises(ValueError, match="objects"):
        save_npz(tmp_path / "a.npz", {"x": np.array([{}], dtype=object)})
    (tmp_path / "b.npz").write_bytes(b"damaged")
    with pytest.raises(StoreError, match=r"b\.npz"):
        load_npz(tmp_path / "b.npz")
