"""Locks between processes: kernel ``flock``, which dies with its holder. Standard library only.

On one machine they hold; across the nodes of a network file system they depend on the site, and
where there are none at all, work goes on without: that is said once.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError

POLL_SECONDS = 0.1
NO_LOCKS = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)
_without: set[int] = set()  # file systems that were said to have no locks


class LockHeld(EmlibError):
    """Another process holds the lock."""


class FileLock:
    """A lock on a file, held from ``acquire`` to ``release`` or to the end of the process.

    Parameters
    ----------
    path : Path
        The lock's file; its folder is made. The file stays: deleting it would let two processes
        lock two files of one name.
    shared : bool
        Whether several holders may share it; one exclusive holder shuts all others out.

    Notes
    -----
    The descriptor is not inherited by child processes, so a child that outlives the holder does
    not keep the lock.
    """

    def __init__(self, path: Path, shared: bool = False) -> None:
        self.path = Path(path)
        self.shared = shared
        self._file: int | None = None

    def acquire(
        self, wait: float | None = 0.0, on_wait: Callable[[str], object] | None = None
    ) -> None:
        """Take the lock.

        Parameters
        ----------
        wait : float or None
            Seconds to wait for another holder; None waits as long as it takes.
        on_wait : callable, optional
            Told once who holds the lock, if there is anything to wait for.

        Raises
        ------
        LockHeld
            If another process still holds it; the text names that process.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            self._lock(file, wait, on_wait)
        except BaseException:
            os.close(file)
            raise
        self._file = file

    def _lock(self, file: int, wait: float | None, on_wait: Callable[[str], object] | None) -> None:
        kind = fcntl.LOCK_SH if self.shared else fcntl.LOCK_EX
        end = None if wait is None else time.monotonic() + wait
        told = False
        while not flock(file, kind | fcntl.LOCK_NB, self.path):
            holder = _holder(file)
            if end is not None and time.monotonic() >= end:
                raise LockHeld(f"{self.path}: held by {holder}")
            if on_wait is not None and not told:
                on_wait(holder)
                told = True
            time.sleep(POLL_SECONDS)
        if not self.shared:
            os.ftruncate(file, 0)
            os.pwrite(file, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)

    def release(self) -> None:
        """Give the lock back; nothing happens if it is not held."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    @property
    def held(self) -> bool:
        return self._file is not None

    def __enter__(self) -> FileLock:
        if not self.held:
            self.acquire(wait=None)
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def flock(file: int, kind: int, path: Path) -> bool:
    """Lock an open file; False if another process holds it and ``kind`` says not to wait.

    Where its file system has no locks, says so once, and that must do.
    """
    try:
        fcntl.flock(file, kind)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno not in NO_LOCKS:
            raise
        if (device := os.fstat(file).st_dev) not in _without:
            _without.add(device)
            print(
                f"{path}: this file system has no locks ({error.strerror}), so nothing stops a "
                "second run: start no study twice, and leave the store alone while jobs run",
                file=sys.stderr,
                flush=True,
            )
    return True


def awaited(path: Path, what: str) -> FileLock:
    """The lock, taken however long it takes; says once whom ``what`` waits for."""
    lock = FileLock(path)

    def say(holder: str) -> None:
        print(f"{what}: waiting for {holder}", file=sys.stderr, flush=True)

    lock.acquire(wait=None, on_wait=say)
    return lock


def _holder(file: int) -> str:
    text = os.pread(file, 200, 0).decode(errors="replace").strip()
    return text or "another process"


def append_line(path: Path, record: dict[str, Any]) -> None:
    """Append one JSON line to a file that several processes share; lines never mix."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    line = json.dumps(record, ensure_ascii=False) + "\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        flock(file, fcntl.LOCK_EX, path)
        os.write(file, line.encode("utf-8"))
    finally:
        os.close(file)
