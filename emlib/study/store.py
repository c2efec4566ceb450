"""The store of finished fits: append-only journals, a checksum a record. Standard library only.

``store/<2 hex>/<data id>/<host-pid-random>.journal``: one writer a file, so that writers never wait
for each other, and one folder a data set with its holes, so that a job opens only what it can use.
A record: mark, length, checksum of the content, checksum of these twelve bytes; then the content,
which is the identity and a zlib-compressed JSON object. Floats survive bit for bit.
"""

from __future__ import annotations

import base64
import json
import os
import secrets
import socket
import struct
import time
import zlib
from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emlib.errors import StoreError
from emlib.study.locks import FileLock

OPENING = b"emlib journal 1\n"
MARK = b"\xabfit"
HEADER = struct.Struct("<4sIII")
SYNC_SECONDS = 1.0
OPEN_FILES = 64
MEASURED = "timings"  # the part of a record that two computations of it may disagree on

# --- records <-> bytes ----------------------------------------------------------------------------


def encode(record: Mapping[str, Any]) -> bytes:
    """Record -> bytes. ``array('d')`` values, at any depth, are kept as raw 64-bit floats."""
    text = json.dumps(record, separators=(",", ":"), default=_pack_array)
    return zlib.compress(text.encode("utf-8"), 1)


def decode(content: bytes) -> dict[str, Any]:
    """What ``encode`` was given."""
    return json.loads(zlib.decompress(content), object_hook=_unpack_array)


def _pack_array(value: Any) -> dict[str, str]:
    if isinstance(value, array) and value.typecode == "d":
        if struct.pack("=d", 1.0) != struct.pack("<d", 1.0):
            value = array("d", value)
            value.byteswap()
        return {"f8": base64.b64encode(value.tobytes()).decode("ascii")}
    raise TypeError(f"a {type(value).__name__} cannot be stored")


def _unpack_array(value: dict[str, Any]) -> Any:
    if value.keys() != {"f8"}:
        return value
    numbers = array("d", base64.b64decode(value["f8"]))
    if struct.pack("=d", 1.0) != struct.pack("<d", 1.0):
        numbers.byteswap()
    return numbers


def same_numbers(a: bytes, b: bytes) -> bool:
    """Whether two encoded records agree in everything but what was measured with a clock."""
    texts = []
    for content in (a, b):
        record = json.loads(zlib.decompress(content))
        record.pop(MEASURED, None)
        texts.append(json.dumps(record, sort_keys=True))
    return texts[0] == texts[1]


# --- reading --------------------------------------------------------------------------------------


class Found(NamedTuple):
    """A stored record, still encoded, and the file that holds it."""

    content: bytes
    path: Path


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
            yield body[1 : 1 + body[0]].decode("ascii"), body[1 + body[0] :]
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


# --- the store ------------------------------------------------------------------------------------


class Store:
    """Finished fits by identity.

    Parameters
    ----------
    root : Path
        ``results/store``.
    """

    def __init__(self, root: Path) -> None:
        self.root = Path(root)

    def shard(self, data_id: str) -> Path:
        """Folder of the journals of one data set with its holes."""
        return self.root / data_id[:2] / data_id

    def journals(self, data_id: str) -> list[Path]:
        return sorted(self.shard(data_id).glob("*.journal"))

    def read(self, data_id: str) -> tuple[dict[str, Found], list[Damage]]:
        """All records of one shard by identity, and the damage met on the way.

        Raises
        ------
        StoreError
            If two records of one identity disagree; the text names both files.
        """
        found: dict[str, Found] = {}
        damages: list[Damage] = []
        for path in self.journals(data_id):
            for item in read_journal(path):
                if isinstance(item, Damage):
                    damages.append(item)
                    continue
                identity, content = item
                first = found.setdefault(identity, Found(content, path))
                if first.content != content and not same_numbers(first.content, content):
                    raise StoreError(
                        f"fit {identity}: {first.path} and {path} hold different numbers for it; "
                        "one comes from other code, libraries or another processor: "
                        "delete the one that you do not trust"
                    )
        return found, damages

    def shards(self) -> list[str]:
        """Data ids that the store knows."""
        return sorted(path.name for path in self.root.glob("??/*") if path.is_dir())


class Writer:
    """Appends finished fits to journals of its own, one a data id.

    A record is flushed to the system when it is appended, so it survives the death of this process;
    it is on the disk (fsync) a second later, or when the writer is closed. While a writer lives it
    holds the store's lock, shared with other writers.

    Parameters
    ----------
    store : Store
    lock : bool
        False for whoever holds the store's lock alone.
    """

    def __init__(self, store: Store, lock: bool = True) -> None:
        self.store = store
        self._name = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}.journal"
        self._files: dict[str, int] = {}
        self._dirty: set[str] = set()
        self._synced = time.monotonic()
        self._lock = writers_lock(store.root, shared=True)
        if lock:
            self._lock.acquire(wait=None)

    def append(self, data_id: str, identity: str, content: bytes) -> None:
        """Append one encoded record.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        body = bytes([len(identity)]) + identity.encode("ascii") + content
        head = MARK + struct.pack("<II", len(body), zlib.crc32(body))
        record = head + struct.pack("<I", zlib.crc32(head)) + body
        try:
            _write_all(self._open(data_id), record)
            self._dirty.add(data_id)
            if time.monotonic() - self._synced >= SYNC_SECONDS:
                self.sync()
        except OSError as error:
            raise StoreError(f"{self.store.shard(data_id)}: cannot be written ({error})") from error

    def _open(self, data_id: str) -> int:
        if data_id not in self._files:
            if len(self._files) >= OPEN_FILES:
                self._close_files()
            folder = self.store.shard(data_id)
            folder.mkdir(parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND
            file = self._files[data_id] = os.open(folder / self._name, flags, 0o666)
            if not os.fstat(file).st_size:
                _write_all(file, OPENING)
                _sync_folder(folder)
        return self._files[data_id]

    def _close_files(self) -> None:
        try:
            self.sync()
        finally:
            for file in self._files.values():
                os.close(file)
            self._files.clear()

    def sync(self) -> None:
        """Force everything appended so far onto the disk."""
        for data_id in sorted(self._dirty):
            os.fsync(self._files[data_id])
        self._dirty.clear()
        self._synced = time.monotonic()

    def close(self) -> None:
        try:
            self._close_files()
        except OSError as error:
            raise StoreError(f"{self.store.root}: cannot be written ({error})") from error
        finally:
            self._lock.release()

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def writers_lock(root: Path, shared: bool) -> FileLock:
    """The store's lock: writers share it, whoever rewrites journals needs it alone."""
    return FileLock(Path(root) / ".lock", shared=shared)


def _write_all(file: int, content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(file, view) :]


def _sync_folder(folder: Path) -> None:
    file = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
