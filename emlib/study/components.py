"""A study's components (mechanisms, models, inits, algorithms) resolved against their registries,
every default filled in.
"""

from __future__ import annotations

import dataclasses
import functools
import operator
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from emlib.study.engines import MEMORY, engine_of

SECTIONS = {
    "dataset": "datasets",
    "missingness": "missingness",
    "model": "models",
    "init": "inits",
    "algorithm": "algorithms",
}
NAMED_BY = {"models": "family", "inits": "init", "algorithms": "algorithm"}
_NO_DEFAULT = object()


def registry(section: str) -> Mapping[str, Any]:
    """Registered classes of a section, by name."""
    if section == "models":
        from emlib.models import FAMILIES

        return FAMILIES
    if section == "inits":
        from emlib.inits import INITS

        return INITS
    from emlib.algorithms import ALGORITHMS

    return ALGORITHMS


def settings_of(entry: Any) -> dict[str, tuple[Any, Any]]:
    """Name -> (type, default) of a registered class's settings, in types that YAML can write.

    What a model's ``prepare`` finds in the data is none.
    An init among the settings (the base of ``short_em``) is written by its name, or as a mapping
    with its name as ``init``.
    """
    if not dataclasses.is_dataclass(entry):
        return {}
    hints = typing.get_type_hints(entry)
    settings = {}
    for field in dataclasses.fields(entry):
        kind = _written(hints[field.name])
        if field.init and kind is not None and not field.metadata.get("prepared"):
            settings[field.name] = (kind, _default(field))
    return settings


def bases_of(entry: Any) -> frozenset[str]:
    """Settings of a registered class that are inits themselves."""
    if not dataclasses.is_dataclass(entry):
        return frozenset()
    hints = typing.get_type_hints(entry)
    names = [field.name for field in dataclasses.fields(entry)]
    return frozenset(name for name in names if any(map(_is_init, _members(hints[name]))))


def _members(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if is_union(kind) else (kind,)


def _is_init(kind: Any) -> bool:
    from emlib.inits import Init

    return isinstance(kind, type) and issubclass(kind, Init)


def base_settings(base: Any) -> tuple[Any, dict[str, Any]]:
    """Name and settings of an init that is written as a setting of another one."""
    settings = dict(base) if isinstance(base, Mapping) else {"init": base}
    return settings.pop("init", None), settings


def required(default: Any) -> bool:
    """Whether a setting has no default."""
    return default is _NO_DEFAULT


def _default(field: dataclasses.Field) -> Any:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    if default is dataclasses.MISSING:
        return _NO_DEFAULT
    return getattr(default, "name", default)


def _written(kind: Any) -> Any:
    """The part of a type that a config can write; None if there is none."""
    if is_union(kind):
        members = [_written(member) for member in typing.get_args(kind)]
        return functools.reduce(operator.or_, [m for m in members if m is not None])
    if kind in (str, int, float, bool, type(None)):
        return kind
    if typing.get_origin(kind) in (list, tuple, Sequence):
        return list[str] if typing.get_args(kind)[:1] == (str,) else list[Any]
    if typing.get_origin(kind) in (dict, Mapping):
        return dict[str, Any]
    return str | dict[str, Any] if _is_init(kind) else None


# --- resolving ------------------------------------------------------------------------------------


def resolved_axis(section: str, axis: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Id -> its name in the registry and its full settings; inits also say what they are, and
    models their engine where it is not the default one."""
    result: dict[str, dict[str, Any]] = {}
    for key, given in axis.items():
        name, settings = split(section, key, given)
        entry = registry(section)[name]
        full = _full_settings(entry, settings)
        result[key] = {NAMED_BY[section]: name, "settings": full}
        if section == "models" and (engine := engine_of(given or {})) != MEMORY:
            result[key]["engine"] = engine
        if section == "inits":
            from emlib.inits import make_init

            init = make_init(name, full)
            result[key]["oracle"] = bool(init.oracle)
            result[key]["deterministic"] = bool(init.deterministic or init.oracle)
    return result


def _full_settings(entry: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Every setting of a registered class, with the defaults, those of inits among them too."""
    bases, full = bases_of(entry), {}
    for setting, (kind, default) in settings_of(entry).items():
        value = settings.get(setting, default)
        if setting in bases and value is not None:
            name, own = base_settings(value)
            full[setting] = {"init": name, **_full_settings(registry("inits")[name], own)}
        else:
            full[setting] = _plain(value, kind)
    return full


def missingness_axis(lines: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Id -> mechanism, rate and settings; ids are ``none``, ``mcar-0.1``, ...

    Settings that are not given and are None by default are left out: one that a later version adds
    changes no draw.
    """
    from emlib.datasets import own_rate

    axis = {}
    for line in lines:
        settings = {k: v for k, v in line.items() if k not in ("mechanism", "rate", "id")}
        full = {
            name: settings.get(name, default)
            for name, (_, default) in settings_of(mechanisms()[line["mechanism"]]).items()
            if settings.get(name, default) is not None
        }
        own = own_rate(line["mechanism"], full)
        for rate in rates(line) if own is None else [own]:
            axis[missingness_id({**line, "rate": rate})] = {
                "mechanism": line["mechanism"],
                "rate": float(rate),
                "settings": full,
            }
    return axis


def expand_ids(axis: str, ids: str | list[str], study: Mapping[str, Any]) -> list[str]:
    """Ids of a line of ``exclude``; a mechanism without a rate stands for all its rates."""
    found = set()
    for one in [ids] if isinstance(ids, str) else ids:
        for key, settings in study[SECTIONS[axis]].items():
            family = axis == "missingness" and missingness_id({**settings, "id": one}) == key
            if key == one or family:
                found.add(key)
    return sorted(found)


def _plain(value: Any, kind: Any) -> Any:
    """JSON's own types, and a float where the setting is one."""
    if isinstance(value, int) and not isinstance(value, bool) and _is_float(kind):
        return float(value)
    if isinstance(value, tuple | list):
        return [_plain(item, None) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _plain(item, None) for key, item in value.items()}
    return value


def _is_float(kind: Any) -> bool:
    members = typing.get_args(kind) if is_union(kind) else (kind,)
    return float in members and int not in members


def is_union(kind: Any) -> bool:
    """Whether a type is a union."""
    return typing.get_origin(kind) in (typing.Union, types.UnionType)


def split(section: str, key: str, given: Any) -> tuple[str, dict[str, Any]]:
    """The name in the registry and the settings that an id stands for."""
    settings = dict(given or {})
    if section == "models":
        settings.pop("engine", None)
    return settings.pop(NAMED_BY[section], key), settings


def rates(line: Mapping[str, Any]) -> list[Any]:
    """Rates of a line of ``missingness``."""
    rate = line.get("rate", 0.0)
    return rate if isinstance(rate, list) else [rate]


def missingness_id(line: Mapping[str, Any]) -> str:
    """The line's id (its mechanism, unless it has one) and its rate: ``mcar-0.1``.

    Mechanisms that are not given a rate have none in their id: ``none``, ``file``.
    """
    name = str(line.get("id", line["mechanism"]))
    if not is_rated(line["mechanism"]):
        return name
    return f"{name}-{repr(float(line['rate'])).removesuffix('.0')}"


def is_rated(mechanism: Any) -> bool:
    """Whether the config gives this mechanism a rate."""
    return mechanism not in mechanisms() or mechanisms()[mechanism].rated


def mechanisms() -> Mapping[str, Any]:
    """Registered mechanisms of missingness, by name."""
    from emlib.datasets import MECHANISMS

    return MECHANISMS


def ids_of_axis(axis: str, raw: Mapping[str, Any]) -> list[str] | None:
    """Ids that ``exclude`` may name on an axis; None if there is no such axis."""
    if axis not in SECTIONS:
        return None
    section = raw.get(SECTIONS[axis])
    if axis != "missingness":
        return list(section) if isinstance(section, Mapping) else ["em"]
    ids: dict[str, None] = {}
    for line in section if isinstance(section, list) else [{"mechanism": "none"}]:
        if isinstance(line, Mapping) and isinstance(line.get("mechanism"), str):
            ids[str(line.get("id", line["mechanism"]))] = None
            for rate in rates(line):
                if isinstance(rate, int | float) and not isinstance(rate, bool):
                    ids[missingness_id({**line, "rate": rate})] = None
    return list(ids)


def is_oracle(key: str, given: Any) -> bool:
    """Whether an init's id stands for one that starts from the truth."""
    name = split("inits", key, given if isinstance(given, Mapping) else None)[0]
    return bool(getattr(registry("inits").get(name), "oracle", False))
