"""How to start: one registry; each docstring cites its paper and says what it costs."""

from collections.abc import Mapping
from dataclasses import fields
from typing import Any

from emlib.inits.base import Init, Start
from emlib.inits.centres import KMeans, KMeansPlusPlus, Points
from emlib.inits.combinators import CEM, SEM, Combinator, Perturb, Uniform
from emlib.inits.factors import PCA
from emlib.inits.given import Given, Truth
from emlib.inits.hierarchical import Hierarchical
from emlib.inits.imaging import Dirty, Disk, Double, Flat, GaussianShape, Motion, PowerLaw
from emlib.inits.quantile import Quantile
from emlib.inits.races import BestOf, ShortEM, SuccessiveHalving
from emlib.inits.random import Random, RandomPosterior
from emlib.inits.seeding import GMMSeeding, Gonzalez, WhitenedKMeansPlusPlus
from emlib.inits.segments import Segments
from emlib.inits.spectral import Spectral
from emlib.inits.spectral_moments import SpectralMoments
from emlib.inits.split import Split
from emlib.inits.staged import Staged
from emlib.inits.subspace import Subspace

INITS: dict[str, type[Init]] = {
    init.name: init
    for init in (
        Random,
        RandomPosterior,
        Points,
        KMeans,
        KMeansPlusPlus,
        WhitenedKMeansPlusPlus,
        Gonzalez,
        GMMSeeding,
        Hierarchical,
        Quantile,
        Staged,
        Split,
        Spectral,
        BestOf,
        ShortEM,
        SuccessiveHalving,
        CEM,
        SEM,
        Perturb,
        Segments,
        Uniform,
        SpectralMoments,
        PCA,
        Subspace,
        PowerLaw,
        Flat,
        Motion,
        GaussianShape,
        Disk,
        Double,
        Dirty,
        Truth,
    )
}

__all__ = [
    "CEM",
    "INITS",
    "SEM",
    "BestOf",
    "Combinator",
    "Given",
    "Init",
    "Perturb",
    "ShortEM",
    "Start",
    "SuccessiveHalving",
    "Uniform",
    "init_settings",
    "make_init",
]


def init_settings(name: str) -> tuple[str, ...]:
    """Names of the settings that an init takes."""
    hidden = {"params"}
    return tuple(field.name for field in fields(INITS[name]) if field.name not in hidden)  # type: ignore[arg-type]


def make_init(name: str, settings: Mapping[str, Any] | None = None) -> Init:
    """An init by its name.

    A ``base`` among the settings is a name too, or a mapping with the name as ``init`` and its own
    settings beside it.

    Raises
    ------
    ValueError
        If the name is unknown or a setting is not allowed.
    """
    if not isinstance(name, str) or name not in INITS:
        raise ValueError(f"init: {name!r} is not one of {', '.join(INITS)}")
    settings = dict(settings or {})
    unknown = set(settings) - set(init_settings(name))
    if unknown:
        allowed = ", ".join(init_settings(name)) or "none"
        raise ValueError(f"{name}: unknown setting {sorted(unknown)[0]!r}; allowed: {allowed}")
    base = settings.get("base")
    if isinstance(base, str):
        settings["base"] = make_init(base)
    elif isinstance(base, Mapping):
        own = dict(base)
        if "init" not in own:
            raise ValueError(f"{name}: base: {base!r} names no init; write {{init: points, ...}}")
        settings["base"] = make_init(own.pop("init"), own)
    return INITS[name](**settings)
