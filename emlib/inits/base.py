"""What an initialization strategy is: a function of model, data and random numbers.

Cost is counted in full-data E-step equivalents: every pass over all rows and components counts
as one, also where it computes distances only.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.models.base import TRAITS, Model


@dataclass(frozen=True, eq=False)
class Start:
    """Parameters to climb from, and what they cost in E-step equivalents."""

    params: Any
    e_steps: float


class Init(ABC):
    """An initialization strategy; its dataclass fields are its settings.

    Attributes
    ----------
    holes : {"native", "adapted", "no"}
        Whether the strategy is defined for data with holes, was adapted to them, or cannot.
    oracle : bool
        It knows the truth, so it is no competitor.
    deterministic : bool
        It draws nothing, so one start says all.
    by_row : bool
        It draws something for each row, so that the same seed means another start where the rows
        stand in another order.  All others must not depend on their order.
    columns : int or None
        The number of columns that it is for; any by default.
    needs : frozenset of str
        What a family must have for it to start there, of ``emlib.models.base.TRAITS``.
    """

    name: ClassVar[str]
    holes: ClassVar[str]
    oracle: ClassVar[bool] = False
    deterministic: ClassVar[bool] = False
    by_row: ClassVar[bool] = False
    columns: ClassVar[int | None] = None

    @property
    def needs(self) -> frozenset[str]:
        return frozenset()

    def lacks(self, family: type[Model] | Model) -> list[str]:
        """What it needs and a family does not have, in words."""
        lacking = self.needs - family.traits - family.posteriors
        return [TRAITS.get(name, repr(name)) for name in sorted(lacking)]

    def draws_by_row(self, model: Model) -> bool:
        """``by_row`` on this model, where that depends on it."""
        return self.by_row

    @abstractmethod
    def __call__(self, model: Model, data: Any, rng: np.random.Generator) -> Start:
        """Parameters for ``model`` (prepared) on ``data``.

        Raises
        ------
        InvalidData
            If no start of these data exists.
        Degenerate
            If every start that it tried collapsed.
        """


def one_hot(labels: NDArray[np.int64], n_components: int) -> NDArray[np.float64]:
    """Responsibilities (n, K) of hard labels (n,)."""
    return np.eye(n_components)[labels]
