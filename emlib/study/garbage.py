"""Python's collector of cycles, kept out of where a block's thousands of plain records are made.

They hold no cycles, but each thousand new ones has the collector look through the others again: a
third of the time of planning a block, and of assembling its tables.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """No collection inside; afterwards as before."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
