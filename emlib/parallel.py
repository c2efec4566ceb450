"""Rows in chunks, E-steps of chunks on threads; what comes out does not depend on how many."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from emlib.errors import require_count

CHUNK_ROWS = 1 << 15
"""Most rows of a chunk; part of the numerical definition, since chunks fix the order of sums."""

Chunk = TypeVar("Chunk")

_executor: ContextVar[Executor | None] = ContextVar("executor", default=None)


def chunk_bounds(n: int) -> list[int]:
    """Where n rows are cut into chunks of nearly equal length: first rows, and n."""
    count = -(-n // CHUNK_ROWS)
    return [n * i // count for i in range(count + 1)]


@contextmanager
def threads(n_threads: int) -> Iterator[None]:
    """E-steps inside run their chunks on this many threads.

    Raises
    ------
    ValueError
        If ``n_threads`` is not a positive integer.
    """
    require_count("n_threads", n_threads)
    if n_threads == 1:
        yield
        return
    with ThreadPoolExecutor(n_threads) as pool:
        token = _executor.set(pool)
        try:
            yield
        finally:
            _executor.reset(token)


def add_chunks(work: Callable[[Chunk], Iterable[Any]], chunks: list[Chunk]) -> list[Any]:
    """Sums, entry by entry and in the order of the chunks, of what ``work`` gives for each."""
    pool = _executor.get()
    parts = iter(map(work, chunks) if pool is None or len(chunks) == 1 else pool.map(work, chunks))
    total = list(next(parts))
    for part in parts:
        total = [sum_so_far + term for sum_so_far, term in zip(total, part, strict=True)]
    return total
