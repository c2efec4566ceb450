"""Small checks shared by the readers of settings: names, numbers, the nearest known word."""

import difflib
import math
from collections.abc import Iterable
from typing import Any, TypeGuard

Mistakes = list[tuple[str, str]]
"""Pairs of the place in the settings (``overlap.mean``) and what is wrong there."""


def default_names(d: int) -> tuple[str, ...]:
    """Return the names ``x1 ... xd`` of columns that have none of their own."""
    return tuple(f"x{j + 1}" for j in range(d))


def unknown_name(name: Any, allowed: Iterable[str], what: str, owner: str = "") -> str:
    """Say that a name is not known (in its owner), which one is nearest, and what is allowed."""
    known = list(allowed)
    near = difflib.get_close_matches(str(name), known, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    place = f" of {owner}" if owner else ""
    return f"unknown {what} {name!r}{place}{hint} (allowed: {', '.join(known) or 'none'})"


def is_number(value: Any) -> TypeGuard[float]:
    """Tell whether a setting is a finite real number; booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


def is_count(value: Any, least: int = 1) -> TypeGuard[int]:
    """Tell whether a setting is a whole number of at least ``least``; booleans are not."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
