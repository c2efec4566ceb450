"""The one writer and the one reader of a study's arrays: npz files with a checksum of the whole."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from emlib.study.atomic import write_bytes
from emlib.study.checksums import BLANK, damaged, sealed, sound_bytes


def save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write named arrays; the same arrays give the same bytes, and none may hold objects."""
    buffer = io.BytesIO()
    for name, array in arrays.items():
        if np.asarray(array).dtype.hasobject:
            raise ValueError(f"{name}: an array of objects cannot be kept")
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.comment = BLANK
    write_bytes(Path(path), sealed(buffer.getvalue()))


def load_npz(path: Path) -> dict[str, np.ndarray]:
    """Read named arrays.

    Raises
    ------
    StoreError
        If the file is damaged.
    """
    content = sound_bytes(Path(path))
    try:
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            return {name: file[name] for name in file.files}
    except Exception as error:
        raise damaged(Path(path), str(error)) from error
