"""Errors that a user can act on: what was found, what is allowed, and where."""

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any


class EmlibError(Exception):
    """Base of every error that emlib raises on purpose; the command line shows only its text."""


class ConfigError(EmlibError):
    """A study's configuration cannot be used; the text lists every mistake, one a line."""


class InvalidData(EmlibError, ValueError):
    """A table cannot be read, or a model cannot take it."""


class StoreError(EmlibError):
    """A stored file is damaged, or two finished fits of one identity disagree."""


def printable(text: str) -> str:
    """Text for a terminal: characters that would steer it, or turn lines, as their escapes."""
    return "".join(
        c if c.isprintable() or c == "\n" else c.encode("unicode_escape").decode("ascii")
        for c in text
    )


def some(names: Sequence[str], most: int) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def require_count(name: str, value: Any) -> None:
    """Refuse what is not 1, 2, 3, ...

    Raises
    ------
    ValueError
    """
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 1:
        raise ValueError(f"{name}: {value!r} is not a positive integer")


def require_positive(name: str, value: Any) -> None:
    """Refuse what is not a positive number.

    Raises
    ------
    ValueError
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise ValueError(f"{name}: {value!r} is not a positive number")


def require_finite(name: str, value: Any) -> None:
    """Refuse what is not a finite number.

    Raises
    ------
    ValueError
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name}: {value!r} is not a finite number")
