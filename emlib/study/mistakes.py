"""Mistakes in a config: where, what was found, what is allowed. Collected, then shown at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import ValidationError

from emlib.errors import ConfigError
from emlib.study.paths import ID
from emlib.tracking.location import masked

Place = Sequence[str | int]

_EXPECTED = {
    "int_type": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "list_type": "a list",
    "tuple_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of keys to values",
    "model_attributes_type": "a mapping of keys to values",
}
_BOUNDS = {
    "greater_than": ("gt", "above"),
    "greater_than_equal": ("ge", "at least"),
    "less_than": ("lt", "below"),
    "less_than_equal": ("le", "at most"),
}


class Mistakes:
    """Collects mistakes by their place in one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.lines: list[str] = []

    def add(self, place: Place, text: str) -> None:
        """Note a mistake; ``place`` is a path of keys and positions, empty for the whole file."""
        where = where_is(place)
        line = masked(f"{self.file}: {where}: {text}" if where else f"{self.file}: {text}")
        if line not in self.lines:
            self.lines.append(line)

    def add_pydantic(self, error: ValidationError, known: Any, prefix: Place = ()) -> None:
        """Note each error of a validation; ``known(place)`` lists the keys allowed there."""
        for item in error.errors():
            place = [*prefix, *item["loc"]]
            self.add(*_explain(item, place, known))

    def raise_if_any(self) -> None:
        """Raise one ConfigError with every mistake, one a line."""
        if self.lines:
            raise ConfigError("\n".join(self.lines))


def check_id(place: Place, name: str, mistakes: Mistakes) -> None:
    """Ids become file names, so only some characters are allowed in them."""
    if not ID.fullmatch(name):
        mistakes.add(
            place,
            f"the id {shown(name)} is not allowed: it must start with a letter or digit, and hold "
            "only letters, digits and _ . + - (at most 100 of them)",
        )


def where_is(place: Place) -> str:
    """``("missingness", 1, "rate")`` -> ``missingness[1].rate``."""
    text = ""
    for part in place:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def unknown(name: object, allowed: Iterable[str], what: str) -> str:
    """Say that a name is not known, which is nearest, and what is allowed."""
    allowed = list(allowed)
    near = difflib.get_close_matches(str(name), allowed, n=1, cutoff=0.5)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"unknown {what} {name!r}{hint} (allowed: {', '.join(allowed) or 'none'})"


def shown(value: object) -> str:
    """A value as the file writes it."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    text = masked(repr(value))
    return text if len(text) <= 60 else text[:57] + "..."


def _explain(item: Any, place: list[str | int], known: Any) -> tuple[Place, str]:
    kind, found, context = item["type"], item.get("input"), item.get("ctx", {})
    if kind == "extra_forbidden":
        return place, unknown(place[-1], known(place[:-1]), "key")
    if kind == "missing":
        return place, "missing; it has no default"
    if kind in _BOUNDS:
        key, word = _BOUNDS[kind]
        return place, f"{shown(found)} is not {word} {context[key]}"
    if kind == "literal_error":
        return place, f"{shown(found)} is not one of {context['expected']}"
    if kind in _EXPECTED:
        return place, f"{shown(found)} is not {_EXPECTED[kind]}{_quoted(kind, found)}"
    if kind == "too_short":
        return place, "empty; at least one is needed"
    if kind in ("value_error", "assertion_error"):
        return place, str(context["error"])
    return place, f"{shown(found)}: {item['msg']}"


def _quoted(kind: str, found: object) -> str:
    """A hint where a number or a boolean was written as text."""
    if kind not in ("int_type", "float_type", "bool_type") or not isinstance(found, str):
        return ""
    if kind == "bool_type":
        return " (yes, no, on and off are text)"
    try:
        float(found)
    except ValueError:
        return ""
    return " but text; write it without quotes"
