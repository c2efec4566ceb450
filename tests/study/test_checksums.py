"""Every flipped bit, and every torn end, of a file that emlib writes is found by its checksum."""

from pathlib import Path

import numpy as np
import pytest

from emlib.errors import StoreError
from emlib.study.arrays import load_npz, save_npz
from emlib.study.checksums import damaged_files, flaw
from emlib.study.files import read_table, write_table
from emlib.study.paths import StudyPaths


def written(folder, suffix):
    path = folder / f"file{suffix}"
    if suffix == ".npz":
        save_npz(path, {"values_0": np.arange(6.0), "columns": np.array(["a", "b"])})
        return path, load_npz
    rows = [{"fit_id": str(i), "start": [0.5 * i], "final": [1.0, i]} for i in range(5)]
    write_table(path, rows, "params")
    return path, read_table


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_every_single_flipped_bit_is_found(tmp_path, suffix):
    path, _ = written(tmp_path, suffix)
    good = path.read_bytes()
    assert flaw(good) == ""
    believed = []
    for place in range(len(good)):
        for bit in range(8):
            damaged = bytearray(good)
            damaged[place] ^= 1 << bit
            if not flaw(bytes(damaged)):
                believed.append((place, bit))
    assert believed == []


@pytest.mark.parametrize("suffix", [".npz", ".parquet"])
def test_every_torn_end_is_found_and_readers_refuse_the_file(tmp_path, suffix):
    path, read = written(tmp_path, suffix)
    good = path.read_bytes()
    assert [size for size in range(len(good)) if not flaw(good[:size])] == []
    path.write_bytes(good[:-20])
    with pytest.raises(StoreError, match=rf"file{suffix}: damaged .* makes it again"):
        read(path)


def test_damaged_pictures_of_a_report_are_found(tmp_path: Path) -> None:
    paths = StudyPaths(tmp_path)
    nothing = {"data": [], "masks": [], "blocks": []}
    save_npz(paths.pictures, {"a": np.arange(3.0)})
    assert damaged_files(paths, nothing) == []
    paths.pictures.write_bytes(paths.pictures.read_bytes()[:-1])
    assert [path for path, _ in damaged_files(paths, nothing)] == [paths.pictures]
