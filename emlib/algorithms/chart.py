"""Extrapolation in coordinates: EM steps as vectors, and back where that lies in the space."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.base import Position, possible_position
from emlib.algorithms.em import em_step
from emlib.models.base import Model, is_unconstrained
from emlib.models.records import COLLAPSES

Array = NDArray[np.float64]


class Chart:
    """Coordinates around fixed parameters.

    A coordinate that is not finite at one of the points that an algorithm looks at lies on the
    boundary there: it takes no part, and keeps the value of the plain EM step.
    """

    def __init__(self, model: Model, centre: Any, coordinates: str) -> None:
        is_unconstrained(coordinates)
        self.model, self.centre, self.coordinates = model, centre, coordinates

    def vector(self, params: Any) -> Array:
        """Coordinates, shape (p,)."""
        return self.model.pack(params, self.coordinates, self.centre)

    def position(self, data: Any, vector: Array, plain: Array) -> Position | None:
        """The position at ``vector``, with ``plain`` where that is not finite; None if outside."""
        where = np.isfinite(vector)
        try:
            params = self.model.unpack(
                np.where(where, vector, plain), self.centre, self.coordinates
            )
        except (*COLLAPSES, ValueError):
            return None
        return possible_position(self.model, data, params)


def after_em_step(model: Model, data: Any, jumped: Position | None) -> Position | None:
    """The position one EM step after an extrapolated one; None where there is none.

    The step takes away what the extrapolation added in directions that EM is fast in.
    """
    if jumped is None:
        return None
    try:
        there = em_step(model, data, jumped)
    except COLLAPSES:
        return None
    return there if math.isfinite(there.objective) else None
