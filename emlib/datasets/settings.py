"""What a dataset's settings may be: each kind says what it accepts, and what is wrong otherwise."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from emlib.datasets.naming import Mistakes, is_count, is_number, unknown_name

REQUIRED: Any = object()
"""The default of a setting that has none."""


@dataclass(frozen=True)
class Setting:
    """One setting: what it accepts, what other values are ("not a whole number"), its default.

    ``schema`` is what an editor may check of it, as JSON Schema.
    """

    accepts: Callable[[Any], bool]
    complaint: str
    default: Any = REQUIRED
    schema: Mapping[str, Any] = field(default_factory=dict)


def count(least: int = 1, default: Any = REQUIRED, most: int = 1_000_000) -> Setting:
    """A whole number of at least ``least``, and few enough to be listed one by one."""
    schema = {"type": "integer", "minimum": least, "maximum": most}

    def accepts(value: Any) -> bool:
        return is_count(value, least) and value <= most

    return Setting(
        accepts, f"not a whole number of at least {least} and at most {most}", default, schema
    )


def rows(least: int = 1, default: Any = REQUIRED) -> Setting:
    """A number of rows, steps or sequences."""
    return count(least, default, 1_000_000_000)


def number(complaint: str, holds: Callable[[float], bool], default: Any = REQUIRED) -> Setting:
    """A finite number for which ``holds`` is true; the complaint says which ("not in [0, 1)")."""

    def accepts(value: Any) -> bool:
        return is_number(value) and bool(holds(value))

    return Setting(accepts, complaint, default, {"type": "number"})


def positive(default: Any = REQUIRED) -> Setting:
    """A finite number above 0."""
    return number("not a positive number", lambda value: value > 0, default)


def probability(default: Any = REQUIRED) -> Setting:
    """A number strictly between 0 and 1."""
    return number("not in (0, 1)", lambda value: 0 < value < 1, default)


def choice(*names: str, default: Any = REQUIRED) -> Setting:
    """One of some words."""
    complaint = f"not one of {', '.join(names)}"
    return Setting(
        lambda value: isinstance(value, str) and value in names,
        complaint,
        default,
        {"enum": list(names)},
    )


def flag(default: bool = False) -> Setting:
    """True or false."""
    return Setting(
        lambda value: isinstance(value, bool),
        "neither true nor false",
        default,
        {"type": "boolean"},
    )


def counts(least: int = 1, default: Any = REQUIRED) -> Setting:
    """A list, not empty, of whole numbers of at least ``least``."""

    def accepts(value: Any) -> bool:
        items = value if isinstance(value, list | tuple) else []
        return bool(items) and all(is_count(item, least) for item in items)

    items = {"type": "integer", "minimum": least}
    schema = {"type": "array", "minItems": 1, "items": items}
    complaint = f"not a list of whole numbers of at least {least}"
    return Setting(accepts, complaint, default, schema)


def check_settings(
    settings: Mapping[str, Any], schema: Mapping[str, Setting], owner: str, what: str = "key"
) -> Mistakes:
    """Find unknown keys (of ``owner``), missing ones, and values that are not accepted.

    None is accepted where it is the default. ``what`` is the word for a key.
    """
    mistakes = [
        (str(key), unknown_name(key, schema, what, owner)) for key in settings if key not in schema
    ]
    mistakes += [
        (key, "is missing")
        for key, setting in schema.items()
        if key not in settings and setting.default is REQUIRED
    ]
    return mistakes + [
        (key, f"{settings[key]!r} is {setting.complaint}")
        for key, setting in schema.items()
        if key in settings
        and not (settings[key] is None and setting.default is None)
        and not setting.accepts(settings[key])
    ]


def with_defaults(settings: Mapping[str, Any], schema: Mapping[str, Setting]) -> dict[str, Any]:
    """The settings of a schema that were found sound, those not given at their defaults."""
    return {key: settings.get(key, setting.default) for key, setting in schema.items()}
