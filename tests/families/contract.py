"""What every family is held to: a case says how to draw it, the tests are the same for all."""

from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar

import numpy as np

from emlib.data import Sequences, Visibilities
from emlib.models.base import Model


@dataclass(frozen=True)
class Moved:
    """The same problem in other units: params and data moved by one element of the group."""

    name: str
    params: Any
    data: Any
    shift: float
    """What the loglik gains, the log Jacobian."""


class Family:
    """One family in the contract tests; a case subclasses it in a file of its own.

    ``draw`` must give parameters in the inside of their space, and data drawn from them, so that
    a climb from there has somewhere to go and its optimum is no boundary (as a rule).
    """

    name: ClassVar[str]
    classes: ClassVar[bool] = True
    """Whether it has latent classes that can be relabelled."""
    weighted: ClassVar[bool] = True
    """Whether it has several units, which may have weights (not so the numbers of one image)."""
    complete_information: ClassVar[bool] = True
    """Whether the optimum of ``draw(n=150)`` is a regular one, its information comparable."""
    ends_inside: ClassVar[bool] = True
    """Whether a climb on ``draw(n=60)`` ends at an optimum inside, or is flagged to be none."""

    draws_cells: ClassVar[bool] = True
    """Whether the model draws missing cells, which an example may leave out."""
    completes_by_mean: ClassVar[bool] = True
    """Whether a completed cell is a conditional mean (not a most probable level)."""

    def draw(
        self, rng: np.random.Generator, n: int = 40, missing: float = 0.2
    ) -> tuple[Model, Any, Any]:
        """A prepared model, random parameters, and a view of about n rows with holes."""
        raise NotImplementedError

    def magnitude(self, model: Any, end: Any, data: Any) -> float:
        """What the rounding of a climb's objective is measured by."""
        return float(np.abs(end.history.loglik).max()) + data.n

    def small(self, rng: np.random.Generator) -> list[tuple[Model, Any]]:
        """Models (not prepared) and views at the edge: one row, one component, K = n."""
        raise NotImplementedError

    def brute_loglik(self, model: Any, params: Any, data: Any) -> float:
        """The observed-data loglik, weights included, straight from the formula."""
        raise NotImplementedError

    def relabel(self, params: Any, order: Any) -> Any:
        """The parameters with components (states) in another order."""
        raise NotImplementedError

    def moved(self, rng: np.random.Generator, model: Any, params: Any, data: Any) -> list[Moved]:
        """The problem under elements of the group that the family is invariant under."""
        return []

    def independent(self, rng: np.random.Generator) -> tuple[Model, Any, Any, int]:
        """Model, params, complete data, and a column independent of the rest and of the classes."""
        raise NotImplementedError

    def without_column(self, params: Any, column: int) -> np.ndarray:
        """All numbers of the parameters that do not belong to ``column``."""
        raise NotImplementedError


def rebuilt(model: Any, data: Any, units: np.ndarray, weights: Any = None) -> Any:
    """The view with the units ``units`` (numbers, repeats allowed) in that order."""
    if isinstance(data, Visibilities):
        kept = {f.name: getattr(data, f.name) for f in fields(data) if f.name != "stations"}
        return replace(data, **{name: array[units] for name, array in kept.items()})
    if isinstance(data, Sequences):
        rows = np.concatenate([np.arange(data.offsets[u], data.offsets[u + 1]) for u in units])
        extras = {"lengths": data.lengths[units]}
    else:
        rows, extras = np.asarray(units), {}
    for name in ("covariates", "upper"):
        if getattr(data, name, None) is not None:
            extras[name] = getattr(data, name)[rows]
    kept = data.unit_weights[units] if weights is None else weights
    return model.view(data.values[rows], kept, **extras)


def with_values(model: Any, data: Any, values: np.ndarray) -> Any:
    """The view with other values (and holes), all else the same."""
    if isinstance(data, Visibilities):
        return replace(data, values=values)
    extras = {
        name: getattr(data, name)
        for name in ("lengths", "covariates", "upper")
        if getattr(data, name, None) is not None
    }
    return model.view(values, data.unit_weights, **extras)


def n_movable(data: Any) -> int:
    """How many parts of the data may stand in any order: its units, or an image's visibilities."""
    return data.n if isinstance(data, Visibilities) else len(data.unit_weights)


def cells(data: Any) -> np.ndarray:
    """Values (n, d); of visibilities their real and imaginary parts."""
    parts = [data.values.real, data.values.imag]
    return np.stack(parts, axis=1) if isinstance(data, Visibilities) else data.values
