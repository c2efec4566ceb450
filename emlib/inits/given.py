"""Starts that are given: the generator's truth, or parameters from the user."""

from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np

from emlib.inits.base import Init, Start
from emlib.models.base import Model


@dataclass(frozen=True, eq=False)
class Given(Init):
    """The parameters themselves.  Holes do not matter.  Cost: none."""

    name: ClassVar[str] = "given"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = True

    params: Any = None

    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        if self.params is None:
            raise ValueError(f"{self.name}: bound to no parameters")
        return Start(self.params, e_steps=0.0)


@dataclass(frozen=True, eq=False)
class Truth(Given):
    """The generator's parameters: an oracle, planned for synthetic data only."""

    name: ClassVar[str] = "truth"
    oracle: ClassVar[bool] = True

    def bound(self, params: Any) -> "Truth":
        """The oracle of one data set."""
        return replace(self, params=params)
