"""How to start: one registry; each docstring cites its paper and says what it costs."""

from dataclasses import fields
from typing import Any

from emlib.inits.base import Init, Start
from emlib.inits.centres import KMeans, KMeansPlusPlus, Points
from emlib.inits.factors import PCA
from emlib.inits.given import Given, Truth
from emlib.inits.random import Random
from emlib.inits.segments import Segments
from emlib.inits.short_em import ShortEM

INITS: dict[str, type[Init]] = {
    init.name: init
    for init in (Random, Points, KMeans, KMeansPlusPlus, ShortEM, PCA, Segments, Truth)
}

__all__ = ["INITS", "Given", "Init", "Start", "init_settings", "make_init"]


def init_settings(name: str) -> tuple[str, ...]:
    """Names of the settings that an init takes."""
    hidden = {"params"}
    return tuple(field.name for field in fields(INITS[name]) if field.name not in hidden)  # type: ignore[arg-type]


def make_init(name: str, settings: dict[str, Any] | None = None) -> Init:
    """An init by its name.  A ``base`` among the settings is itself a name.

    Raises
    ------
    ValueError
        If the name is unknown or a setting is not allowed.
    """
    if name not in INITS:
        raise ValueError(f"init: {name!r} is not one of {', '.join(INITS)}")
    settings = dict(settings or {})
    if isinstance(settings.get("base"), str):
        settings["base"] = make_init(settings["base"])
    unknown = set(settings) - set(init_settings(name))
    if unknown:
        allowed = ", ".join(init_settings(name)) or "none"
        raise ValueError(f"{name}: unknown setting {sorted(unknown)[0]!r}; allowed: {allowed}")
    return INITS[name](**settings)
