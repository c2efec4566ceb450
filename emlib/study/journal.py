"""Journals of finished fits: records with a checksum each, read whatever happened to the file.

A record: mark, length, checksum of the content, checksum of these twelve bytes; then the content,
which is the identity, a zlib-compressed JSON object, and the floats of its arrays, which it names
by their number. Floats survive bit for bit.
"""

from __future__ import annotations

import json
import struct
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emlib.errors import StoreError

OPENING = b"emlib journal 2\n"
MARK = b"\xabfit"
HEADER = struct.Struct("<4sIII")
LARGEST = 1 << 30  # bytes of a record's JSON
FLOATS = "f8"  # the one key of what stands for an array, with the number of its floats
MEASURED = "timings"  # the part of a record that two computations of it may disagree on

# --- records <-> bytes ----------------------------------------------------------------------------


def encode(record: Mapping[str, Any]) -> bytes:
    """Record -> bytes. ``array('d')`` values, at any depth, are kept as raw 64-bit floats."""
    floats: list[bytes] = []

    def keep(value: Any) -> dict[str, int]:
        if not isinstance(value, array) or value.typecode != "d":
            raise TypeError(f"a {type(value).__name__} cannot be stored")
        floats.append(_little_endian(value).tobytes())
        return {FLOATS: len(value)}

    text = json.JSONEncoder(separators=(",", ":"), default=keep).encode(record)
    return b"".join([zlib.compress(text.encode("utf-8"), 1), *floats])


def decode(content: bytes) -> dict[str, Any]:
    """What ``encode`` was given.

    Raises
    ------
    StoreError
        For bytes that are no record: their checksums were right, so another program wrote them.
    """
    unpacker = zlib.decompressobj()
    try:
        text = unpacker.decompress(content, LARGEST)
        if not unpacker.eof:
            raise ValueError(f"cut short, or above {LARGEST} bytes")
        floats = array("d", unpacker.unused_data)
        taken = 0

        def take(value: dict[str, Any]) -> Any:
            nonlocal taken
            if value.keys() != {FLOATS}:
                return value
            numbers = floats[taken : taken + value[FLOATS]]
            if len(numbers) != value[FLOATS]:
                raise ValueError(f"{len(floats)} floats, and more are named")
            taken += len(numbers)
            return _little_endian(numbers)

        record = json.loads(text, object_hook=take)
        if taken != len(floats):
            raise ValueError(f"{len(floats)} floats, and {taken} are named")
        if not isinstance(record, dict):
            raise ValueError("not a JSON object")
    except (zlib.error, ValueError, TypeError, RecursionError) as error:
        raise StoreError(f"a stored record cannot be read ({error})") from None
    return record


def _little_endian(values: array[float]) -> array[float]:
    if sys.byteorder == "big":
        values = array("d", values)
        values.byteswap()
    return values


def same_numbers(a: bytes, b: bytes) -> bool:
    """Whether two encoded records agree in everything but what was measured with a clock."""
    texts = []
    for content in (a, b):
        record = decode(content)
        record.pop(MEASURED, None)
        texts.append(json.dumps(record, sort_keys=True, default=lambda x: x.tobytes().hex()))
    return texts[0] == texts[1]


# --- reading --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """A part of a journal that cannot be read, though records follow it."""

    path: Path
    position: int
    reason: str

    def __str__(self) -> str:
        return (
            f"{self.path}: damaged at byte {self.position} ({self.reason}); "
            "the rest is read, the fits lost here are computed again"
        )


def read_journal(path: Path) -> Iterator[tuple[str, bytes] | Damage]:
    """Records (identity, content) of one journal in order, and the damage between them.

    A torn tail, the mark of a writer that was killed or is still writing, is cut off silently.
    """
    path = Path(path)
    data = path.read_bytes()
    if not data.startswith(OPENING):
        if not OPENING.startswith(data):
            yield Damage(path, 0, "not a journal of this version")
        return
    position = len(OPENING)
    while position < len(data):
        end, reason = _record_end(data, position)
        if not reason:
            body = data[position + HEADER.size : end]
            name = body[1 : 1 + body[0]] if body else b""
            if name and name.isascii() and len(name) == body[0]:
                yield name.decode("ascii"), body[1 + body[0] :]
            else:
                yield Damage(path, position, "no identity")
            position = end
            continue
        following = _next_record(data, position + 1)
        if following is None:
            if reason != "torn":
                yield Damage(path, position, reason)
            return
        yield Damage(path, position, "incomplete record" if reason == "torn" else reason)
        position = following


def _record_end(data: bytes, position: int) -> tuple[int, str]:
    """End of the record at ``position``, and why it cannot be used ("" if it can)."""
    if position + HEADER.size > len(data):
        return len(data), "torn"
    mark, length, content_sum, header_sum = HEADER.unpack_from(data, position)
    if mark != MARK or zlib.crc32(data[position : position + 12]) != header_sum:
        return len(data), "no record starts here"
    end = position + HEADER.size + length
    if end > len(data):
        return len(data), "torn"
    if zlib.crc32(data[position + HEADER.size : end]) != content_sum:
        return end, "checksum differs"
    return end, ""


def _next_record(data: bytes, position: int) -> int | None:
    """Where the next record with a sound header starts."""
    while (position := data.find(MARK, position)) >= 0:
        header = data[position : position + HEADER.size]
        if len(header) == HEADER.size and zlib.crc32(header[:12]) == HEADER.unpack(header)[3]:
            return position
        position += 1
    return None


# --- writing --------------------------------------------------------------------------------------


def record_bytes(identity: str, content: bytes) -> bytes:
    """One record as it stands in a journal."""
    body = bytes([len(identity)]) + identity.encode("ascii") + content
    head = MARK + struct.pack("<II", len(body), zlib.crc32(body))
    return head + struct.pack("<I", zlib.crc32(head)) + body
