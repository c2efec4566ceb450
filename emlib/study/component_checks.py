"""Checks of a config's components against their registries: names, keys, types and values."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

from emlib.errors import EmlibError
from emlib.study.components import (
    NAMED_BY,
    base_settings,
    bases_of,
    is_rated,
    is_union,
    mechanisms,
    missingness_id,
    rates,
    registry,
    required,
    settings_of,
    split,
)
from emlib.study.engines import ENGINES, engine_of
from emlib.study.mistakes import Mistakes, Place, check_id, shown, unknown


def check_axes(raw: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Check every component that has the right shape; the schema speaks of the others."""
    from emlib.datasets import check_spec

    for key, spec in _items(raw, "datasets"):
        for path, text in check_spec(spec or {}):
            mistakes.add(["datasets", key, *place_of(path)], text)
    for section in ("models", "inits", "algorithms"):
        for key, given in _items(raw, section):
            _check_component(section, key, given, mistakes)
    lines = raw.get("missingness")
    seen: dict[str, int] = {}
    for i, line in enumerate(lines if isinstance(lines, list) else []):
        if isinstance(line, Mapping):
            _check_missingness(i, line, seen, mistakes)


def _items(raw: Mapping[str, Any], section: str) -> list[tuple[str, Any]]:
    axis = raw.get(section)
    if not isinstance(axis, Mapping):
        return []
    return [(k, v) for k, v in axis.items() if v is None or isinstance(v, Mapping)]


def _check_component(section: str, key: str, given: Any, mistakes: Mistakes) -> None:
    named_by = NAMED_BY[section]
    name, settings = split(section, key, given)
    known = registry(section)
    explicit = named_by in (given or {})
    if not explicit and section == "models":
        mistakes.add([section, key, named_by], f"missing; one of {', '.join(known)}")
        return
    if not isinstance(name, str) or name not in known:
        place = [section, key, named_by] if explicit else [section, key]
        mistakes.add(place, unknown(name, known, named_by))
        return
    before = len(mistakes.lines)
    _check_settings([section, key], known[name], settings, named_by, mistakes)
    if section == "models" and (engine := engine_of(given or {})) not in ENGINES:
        mistakes.add([section, key, "engine"], unknown(engine, ENGINES, "engine"))
    if len(mistakes.lines) == before:
        _check_built(section, key, name, settings, mistakes)


def _check_settings(
    place: list[str | int],
    entry: Any,
    settings: Mapping[str, Any],
    named_by: str,
    mistakes: Mistakes,
) -> None:
    schema, bases = settings_of(entry), bases_of(entry)
    for setting, value in settings.items():
        if setting not in schema:
            beside = [named_by, "engine"] if named_by == "family" else [named_by]
            mistakes.add([*place, setting], unknown(setting, [*beside, *schema], "key"))
        elif setting in bases and value is not None:
            _check_base([*place, setting], value, mistakes)
        else:
            _check_type([*place, setting], value, schema[setting][0], mistakes)
    for setting, (_, default) in schema.items():
        if required(default) and setting not in settings:
            mistakes.add([*place, setting], "missing; it has no default")


def _check_base(place: list[str | int], value: Any, mistakes: Mistakes) -> None:
    """An init among the settings of another one, to any depth."""
    if not isinstance(value, str | Mapping):
        text = "the name of an init or a mapping such as {init: points, ...}"
        mistakes.add(place, f"{shown(value)} is not {text}")
        return
    known = registry("inits")
    name, settings = base_settings(value)
    if not isinstance(name, str) or name not in known:
        where = [*place, "init"] if isinstance(value, Mapping) else place
        what = (
            f"missing; one of {', '.join(known)}" if name is None else unknown(name, known, "init")
        )
        mistakes.add(where, what)
        return
    _check_settings(place, known[name], settings, "init", mistakes)


def _check_type(place: Place, value: Any, kind: Any, mistakes: Mistakes) -> None:
    if _has_infinite(value):  # the files of a study hold finite numbers alone
        mistakes.add(place, f"{shown(value)} is not a finite number")
        return
    try:
        _adapter(kind).validate_python(value, strict=None if _lists(value) else True)
    except ValidationError as error:
        first = error.errors()[0]
        if len(error.errors()) == 1 and not is_union(kind):
            mistakes.add_pydantic(error, lambda place: [], place)
        else:
            allowed = {
                e["type"].removesuffix("_type").replace("none_required", "null")
                for e in error.errors()
            }
            mistakes.add(
                place,
                f"{shown(value)} is not {' or '.join(sorted(allowed))}"
                if allowed
                else first["msg"],
            )


def _has_infinite(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(map(_has_infinite, value.values()))
    if isinstance(value, list):
        return any(map(_has_infinite, value))
    return isinstance(value, float) and not math.isfinite(value)


def _lists(value: Any) -> bool:
    return isinstance(value, list)


@cache
def _adapter(kind: Any) -> TypeAdapter:
    try:
        return TypeAdapter(kind, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:
        return TypeAdapter(kind)


def _check_built(
    section: str, key: str, name: str, settings: dict[str, Any], mistakes: Mistakes
) -> None:
    """Settings of the right types may still be refused by the component itself."""
    try:
        _make(section)(name, settings)
    except (EmlibError, ValueError, TypeError) as error:
        mistakes.add([section, key], str(error))


def _make(section: str) -> Any:
    if section == "models":
        from emlib.models import make_model

        return make_model
    if section == "inits":
        from emlib.inits import make_init

        return make_init
    from emlib.algorithms import make_algorithm

    return make_algorithm


def _check_missingness(
    i: int, line: Mapping[str, Any], seen: dict[str, int], mistakes: Mistakes
) -> None:
    from emlib.datasets import check_mechanism

    place: list[str | int] = ["missingness", i]
    name = line.get("mechanism")
    if name is None:
        mistakes.add([*place, "mechanism"], f"missing; one of {', '.join(mechanisms())}")
        return
    if not isinstance(name, str):
        mistakes.add([*place, "mechanism"], f"{shown(name)} is not text")
        return
    if "id" in line:
        check_id(("missingness", str(i)), str(line["id"]), mistakes)
    settings = {k: v for k, v in line.items() if k not in ("mechanism", "rate", "id")}
    if "rate" not in line and is_rated(name):
        mistakes.add([*place, "rate"], "missing; a number or a list of numbers in [0, 1)")
        return
    found = check_mechanism(name, settings, line.get("rate", 0.0))
    for path, text in found:
        mistakes.add([*place, *place_of(path)], text)
    for rate in [] if found else rates(line):
        key = missingness_id({**line, "rate": rate})
        if len(key) > 100:
            mistakes.add(place, f"the id {shown(key)} has {len(key)} characters, of at most 100")
        same = key.lower()  # some file systems do not tell cases apart
        if same in seen:
            mistakes.add(
                place, f"{key!r} is already at missingness[{seen[same]}]; give it an `id:`"
            )
        seen.setdefault(same, i)


def place_of(path: str) -> list[str | int]:
    """``rate[1]`` -> ``["rate", 1]``."""
    parts: list[str | int] = []
    for part in path.replace("[", ".[").split("."):
        if part:
            parts.append(int(part[1:-1]) if part.startswith("[") else part)
    return parts
