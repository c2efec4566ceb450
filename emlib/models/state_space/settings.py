"""Settings of state-space models: what is estimated, what is held, and what the data must be."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Sequences
from emlib.errors import InvalidData, require_count
from emlib.models.base import Model
from emlib.models.state_space.params import (
    COVARIANCES,
    NAMES,
    StateSpaceParams,
    is_singular,
    shapes,
)
from emlib.models.state_space.smoother import Layout

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="StateSpaceSettings")

HELD_AT_ZERO = {
    "none": ("transition_offset", "observation_offset"),
    "observation": ("transition_offset",),
    "transition": ("observation_offset",),
    "both": (),
}
"""What each choice of offsets does not estimate."""

ALLOWED: dict[str, tuple[Any, ...]] = {
    "transition_covariance_type": ("full", "diag"),
    "observation_covariance_type": ("full", "diag"),
    "initial_covariance_type": ("auto", "full", "diag", "zero"),
    "offsets": tuple(HELD_AT_ZERO),
    "initial_time": (1, 0),
    "integrate_missing_steps": (False, True),
}


@dataclass(frozen=True, eq=False)
class StateSpaceSettings(Model):
    """What a linear Gaussian state-space model estimates.

    Parameters
    ----------
    n_states : int
        Dimension k of the state.
    transition_covariance_type, observation_covariance_type : {"full", "diag"}
    initial_covariance_type : {"auto", "full", "diag", "zero"}
        ``zero`` makes the initial state an unknown constant.  With one sequence no spread of
        initial states is likelier, so ``auto`` is ``zero`` then, and ``full`` else.
    offsets : {"observation", "transition", "both", "none"}
        Which offsets are estimated; the others are 0, or as ``fixed`` has them.
    initial_time : {1, 0}
        0 puts the initial state one step before the first observation (Shumway and Stoffer).
        At 1, with no more sequences than columns, the likelihood is unbounded: P and R can go to
        0 together, for an observation without error that starts where the data do.
    integrate_missing_steps : bool
        Steps without any observed cell say nothing of C, d and R, so they are left out there.
        True counts them, their y integrated out (Shumway and Stoffer): same optimum, more steps.
    fixed : mapping of str to array-like
        Parameters that are held at these values, by the names of the record.
    """

    rows: ClassVar[bool] = False
    n_components: ClassVar[int] = 1  # type: ignore[misc]

    n_states: int
    transition_covariance_type: str = "full"
    observation_covariance_type: str = "full"
    initial_covariance_type: str = "auto"
    offsets: str = "observation"
    initial_time: int = 0
    integrate_missing_steps: bool = False
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        require_count("n_states", self.n_states)
        for name, allowed in ALLOWED.items():
            if getattr(self, name) not in allowed:
                words = ", ".join(map(str, allowed))
                raise ValueError(f"{name}: {getattr(self, name)!r} is not one of {words}")
        if not isinstance(self.fixed, Mapping):
            raise ValueError(f"fixed: {self.fixed!r} is not a mapping of names to values")
        for name in self.fixed:
            if name not in NAMES:
                raise ValueError(f"fixed: {name!r} is not one of {', '.join(NAMES)}")

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Sequences:
        return Sequences.from_arrays(values, extras.get("lengths"), weights)

    def prepare(self: Self, data: Sequences) -> Self:
        """Check the data and resolve ``auto``; see ``Model.prepare``."""
        live = data.observed & (data.weights > 0)[:, None]
        empty = np.flatnonzero(~live.any(axis=0))
        if len(empty):
            raise InvalidData(f"column {empty[0]} has no observed cell: nothing to estimate from")
        kind = self.initial_covariance_type
        if kind == "auto":
            kind = "zero" if self.layout(data).informative.sum() == 1 else "full"
        model = replace(self, initial_covariance_type=kind)
        held = model.held(data.d)
        varies = live & (data.values != data.first_observed)
        constant = np.flatnonzero(~varies.any(axis=0))
        if len(constant) and "observation_covariance" not in held:
            raise InvalidData(
                f"column {constant[0]} is constant in its observed cells"
                + (" (n_samples=1)" if live.any(axis=1).sum() == 1 else "")
                + ": its likelihood is unbounded; drop the column"
            )
        for noise, around in (
            ("transition_covariance", {"transition", "transition_offset"}),
            ("observation_covariance", {"observation", "observation_offset"}),
        ):
            moving = sorted((around | model._anchored) - set(held))
            if noise in held and is_singular(held[noise]) and moving:
                raise InvalidData(f"{noise} is held singular: EM cannot move {moving[0]}; hold it")
        return model

    def held(self, d: int) -> dict[str, Array]:
        """Values of the parameters that are not estimated, for d columns.

        Raises
        ------
        InvalidData
            If a fixed value has the wrong shape for d columns, or is no covariance.
        """
        sizes = shapes(self.n_states, d)
        held = {name: np.zeros(sizes[name]) for name in HELD_AT_ZERO[self.offsets]}
        if self.initial_covariance_type == "zero":
            held["initial_covariance"] = np.zeros(sizes["initial_covariance"])
        for name, value in self.fixed.items():
            array = np.array(value, dtype=np.float64)
            if array.shape != sizes[name]:
                raise InvalidData(
                    f"fixed[{name!r}]: shape {array.shape} is not {sizes[name]} for these data"
                )
            if not np.isfinite(array).all():
                raise InvalidData(f"fixed[{name!r}]: not all values are finite")
            size = max(float(np.abs(array).max()), 1e-300)
            if name in COVARIANCES and (
                np.abs(array - array.T).max() > 1e-8 * size
                or np.linalg.eigvalsh(array).min() < -1e-10 * size
            ):
                raise InvalidData(f"fixed[{name!r}]: not symmetric and positive semi-definite")
            held[name] = array
        return held

    def layout(self, data: Sequences) -> Layout:
        """Where the states of these sequences stand."""
        return Layout(data, 1 - self.initial_time)

    @property
    def _anchored(self) -> frozenset[str]:
        """The initial mean where x_1 is mu plus noise that is held singular, else nothing."""
        singular = self.initial_covariance_type == "zero"
        if "initial_covariance" in self.fixed:
            singular = is_singular(np.asarray(self.fixed["initial_covariance"], dtype=np.float64))
        return frozenset({"initial_mean"}) if singular else frozenset()

    def _structured(self, name: str, covariance: Array) -> Array:
        if getattr(self, f"{name}_type") == "diag":
            return np.diag(np.diagonal(covariance))
        return covariance

    def _types(self, d: int) -> dict[str, str]:
        held = self.held(d)
        return {
            name: getattr(self, f"{name}_type") if name in COVARIANCES else ""
            for name in NAMES
            if name not in held
        }

    def _generic(self, d: int) -> StateSpaceParams:
        """Parameters without anything special but what is held."""
        rng = np.random.default_rng(0)
        arrays = {name: rng.normal(size=shape) for name, shape in shapes(self.n_states, d).items()}
        for name in COVARIANCES:
            size = len(arrays[name])
            whole = arrays[name] @ arrays[name].T + size * np.eye(size)
            arrays[name] = self._structured(name, whole)
        return StateSpaceParams(**(arrays | self.held(d)))
