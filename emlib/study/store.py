"""The store of finished fits: append-only journals, a checksum a record. Standard library only.

``store/<2 hex>/<data id>/<host-pid-random>.journal``: one writer a file, so that writers never wait
for each other, and one folder a data set with its holes, so that a job opens only what it can use.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from contextlib import suppress
from itertools import starmap
from pathlib import Path
from typing import NamedTuple

from emlib.errors import StoreError
from emlib.study.journal import OPENING, Damage, read_journal, record_bytes, same_numbers
from emlib.study.locks import FileLock

SYNC_SECONDS = 1.0
OPEN_FILES = 64


class Found(NamedTuple):
    """A stored record, still encoded, and the file that holds it."""

    content: bytes
    path: Path


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

        If a journal goes meanwhile, what it was compacted to is read.

        Raises
        ------
        StoreError
            If two records of one identity disagree; the text names both files.
        """
        paths = self.journals(data_id)
        while True:
            try:
                return self._read(paths)
            except FileNotFoundError:
                before, paths = paths, self.journals(data_id)
                if paths == before:
                    raise

    def _read(self, paths: list[Path]) -> tuple[dict[str, Found], list[Damage]]:
        found: dict[str, Found] = {}
        damages: list[Damage] = []
        for path in paths:
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

    def size(self) -> tuple[int, int]:
        """Number of its journals, and their bytes."""
        sizes = []
        for path in self.root.glob("??/*/*.journal"):
            with suppress(FileNotFoundError):  # compacted meanwhile
                sizes.append(path.stat().st_size)
        return len(sizes), sum(sizes)


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

    def append(self, data_id: str, *records: tuple[str, bytes]) -> None:
        """Append encoded records of one data set, each with its identity.

        Raises
        ------
        StoreError
            If the file cannot be written.
        """
        content = b"".join(starmap(record_bytes, records))
        try:
            _write_all(self._open(data_id), content)
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
