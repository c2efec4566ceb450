"""Files that carry a checksum of themselves, so that every flipped bit is found by reading them.

Eight hexadecimal digits after a mark: the CRC-32 of the whole file, these digits being zeros.
Parquet files have the mark in their metadata, npz files in their archive's comment, so that any
reader takes them. Standard library only.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emlib.errors import StoreError
from emlib.study.paths import BLOCK_KINDS, StudyPaths

MARK = b"crc32:"
ZEROS = b"00000000"
BLANK = MARK + ZEROS
"""What a file holds before it is sealed."""


def sealed(content: bytes) -> bytes:
    """The content of a file with its checksum in place of the zeros after the last mark."""
    at = content.rindex(BLANK) + len(MARK)
    return content[:at] + _checksum(content, at) + content[at + len(ZEROS) :]


def flaw(content: bytes) -> str:
    """Why the content of a sealed file cannot be believed; empty if it can."""
    if not content:
        return "empty"
    at = content.rfind(MARK) + len(MARK)
    if at < len(MARK):
        return "torn, or without its checksum"
    return "" if content[at : at + len(ZEROS)] == _checksum(content, at) else "checksum differs"


def sound_bytes(path: Path) -> bytes:
    """Content of a file whose checksum holds.

    Raises
    ------
    StoreError
        If the file is damaged.
    FileNotFoundError
        If there is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    content = path.read_bytes()
    if reason := flaw(content):
        raise damaged(path, reason)
    return content


def damaged(path: Path, reason: str) -> StoreError:
    return StoreError(f"{path}: damaged ({reason}); the next run of the study makes it again")


def _checksum(content: bytes, at: int) -> bytes:
    view = memoryview(content)
    before = zlib.crc32(ZEROS, zlib.crc32(view[:at]))
    return b"%08x" % zlib.crc32(view[at + len(ZEROS) :], before)


def damaged_files(paths: StudyPaths, jobs: Mapping[str, Any]) -> list[tuple[Path, str]]:
    """Files of a study that are there and cannot be believed, and why.

    Parameters
    ----------
    paths : StudyPaths
    jobs : mapping
        ``prepare.jobs``: what the study consists of.
    """
    found = []
    for path in _files(paths, jobs):
        try:
            reason = flaw(path.read_bytes())
        except FileNotFoundError:
            continue
        except OSError as error:  # a sector of the disk that cannot be read
            reason = str(error.strerror)
        if reason:
            found.append((path, reason))
    return found


def _files(paths: StudyPaths, jobs: Mapping[str, Any]) -> Iterable[Path]:
    for kind in ("data", "masks"):
        yield from (paths.root / kind / f"{key}.npz" for key in jobs[kind])
    for kind in BLOCK_KINDS:
        yield from (paths.root / kind / f"{key}.parquet" for key in jobs["blocks"])
    yield from sorted(paths.tables.glob("*.parquet"))
    yield paths.pictures
