"""Messages between the supervisor and its worker: frames on two pipes. Standard library only.

A frame is a kind (one byte), a task number, a length, and so many bytes. The supervisor sends OPEN
(what to work on) and RUN (task numbers in order); the worker answers PLAN (its tasks), then one
FINAL or PROVISIONAL frame a task, as soon as it ends, or REFUSED when it cannot start.
"""

from __future__ import annotations

import fcntl
import json
import math
import os
import select
import struct
import time
from contextlib import suppress
from typing import Any, NamedTuple

FRAME = struct.Struct("<cII")
OPEN, RUN = b"O", b"R"
PLAN, FINAL, PROVISIONAL, REFUSED = b"P", b"F", b"V", b"X"
READ_BYTES = 1 << 18
PIPE_BYTES = 1 << 20
SMALL_PIPE_PAUSE = 0.02  # seconds in which quick fits do not fill 64 KiB


class Frame(NamedTuple):
    """One message."""

    kind: bytes
    task: int
    content: bytes

    def json(self) -> Any:
        return json.loads(self.content)


class Closed(Exception):
    """The other side is gone."""


class Overdue(Exception):
    """Nothing came in time."""


def send(file: int, kind: bytes, task: int = 0, content: bytes | object = b"") -> None:
    """Write one frame; anything but bytes goes as JSON.

    Raises
    ------
    Closed
        If nobody reads any more.
    """
    body = content if isinstance(content, bytes) else json.dumps(content).encode("utf-8")
    view = memoryview(FRAME.pack(kind, task, len(body)) + body)
    try:
        while view:
            view = view[os.write(file, view) :]
    except BrokenPipeError:
        raise Closed from None


class Reader:
    """Frames from a pipe, of which a megabyte may wait there (on Linux; 64 KiB elsewhere)."""

    def __init__(self, file: int) -> None:
        self._file = file
        self._longest_pause = SMALL_PIPE_PAUSE
        with suppress(AttributeError, OSError):
            fcntl.fcntl(file, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
            self._longest_pause = math.inf
        self._data = bytearray()
        self._looked = -math.inf

    def receive(self, seconds: float | None = None, pause: float = 0.0) -> Frame:
        """The next frame.

        Parameters
        ----------
        seconds : float, optional
            How long to wait for the whole of it.
        pause : float
            Least seconds between two looks at the pipe: a fit may take a tenth of a pause, and a
            look wakes a process. What was written meanwhile is in the pipe, and stays there
            whatever becomes of its writer.

        Raises
        ------
        Closed
            If the other side is gone.
        Overdue
            If the time is over.
        """
        end = None if seconds is None else time.monotonic() + seconds
        while (frame := self._take()) is None:
            if not self._data:
                pause = min(pause, self._longest_pause)
                time.sleep(max(0.0, self._looked + pause - time.monotonic()))
                self._looked = time.monotonic()
            left = None if end is None else max(0.0, end - time.monotonic())
            if not select.select([self._file], [], [], left)[0]:
                raise Overdue
            data = os.read(self._file, READ_BYTES)
            if not data:
                raise Closed
            self._data += data
        return frame

    def receive_all(self, seconds: float | None = None, pause: float = 0.0) -> list[Frame]:
        """The next frame, waited for as by ``receive``, and all that are at hand after it."""
        return [self.receive(seconds, pause), *iter(self._take, None)]

    def _take(self) -> Frame | None:
        if len(self._data) < FRAME.size:
            return None
        kind, task, length = FRAME.unpack_from(self._data)
        end = FRAME.size + length
        if len(self._data) < end:
            return None
        content = bytes(self._data[FRAME.size : end])
        del self._data[:end]
        return Frame(kind, task, content)
