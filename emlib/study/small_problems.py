"""A small problem of each family, from its generator: what inits are tried on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np

from emlib.datasets import GENERATORS
from emlib.inits import Init
from emlib.inits.imaging import Shape
from emlib.models import FAMILIES, make_model
from emlib.study.identity import rng as draws

SIZES: Mapping[str, Any] = {
    "n": 40, "length": 25, "n_sequences": 2, "d": 3, "n_components": 3, "n_states": 2,
    "n_levels": [2, 3, 4], "n_symbols": 4, "overlap": {"mean": 0.05}, "n_factors": 1,
    "pixels": 6, "n_frames": 4, "cadence": 120.0,
}  # fmt: skip
"""Settings of a small problem, where its generator has them."""

MODELS: Mapping[str, Mapping[str, Any]] = {"rotating_video": {"n_states": 12}}
"""Settings of models that no generator has."""


@dataclass(frozen=True)
class Problem:
    """A model and the arrays that its view is made of."""

    family: str
    settings: Mapping[str, Any]
    values: np.ndarray
    extras: Mapping[str, np.ndarray]

    def view(self, units: np.ndarray | None = None, weights: Any = None) -> Any:
        """The view, of some units (rows, or whole sequences) if these are named."""
        values, extras = self.values.copy(), dict(self.extras)
        whole = FAMILIES[self.family].view(values, weights, **extras)
        return whole if units is None else whole.part(units)

    def model(self, data: Any) -> Any:
        return make_model(self.family, dict(self.settings)).prepare(data)


@cache
def problem(family: str, holes: bool, **sizes: Any) -> Problem:
    """A small data set from the generator of the family, some of its cells missing."""
    generator = GENERATORS[family]
    wanted = {**SIZES, **sizes}
    given = {key: wanted[key] for key in generator.schema if key in wanted}
    path = draws(0, "contract", family, holes)
    truth = generator.draw_truth(given, path)
    data = generator.draw_rows(given, truth, path)
    values, extras = data.values.copy(), dict(data.extras)
    if holes:
        hidden = path.random(values.shape) < 0.2
        hidden[1] = True  # and a row without any cell
        values[hidden] = np.nan
        if "upper" in extras:
            extras["upper"] = np.where(hidden, np.nan, extras["upper"])
    for array in (values, *extras.values()):
        array.setflags(write=False)
    fields = {field.name for field in dataclasses.fields(FAMILIES[family])}  # type: ignore[arg-type]
    settings = {key: given[key] for key in fields & set(given) if key != "n_levels"}
    settings |= {**MODELS.get(family, {}), **{key: sizes[key] for key in fields & set(sizes)}}
    return Problem(family, settings, values, extras)


def sizes_of(init: Init) -> dict[str, Any]:
    """Settings of problems that an init asks for itself, the model's among them."""
    if isinstance(init, Shape):
        return {"gains": True}
    return {} if init.columns is None else {"d": init.columns}


def families_of(init: Init) -> list[str]:
    """Families that an init says it can start, among those that have a generator."""
    known = [name for name in FAMILIES if name in GENERATORS]
    return [name for name in known if not init.lacks(FAMILIES[name])]
