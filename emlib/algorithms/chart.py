"""Extrapolation in coordinates: EM steps as vectors, and back where that lies in the space."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.base import Position, possible_position
from emlib.models.base import Degenerate, Model, is_unconstrained

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

    def position(self, data: Any, vector: Array, plain: Array, e_steps: float) -> Position | None:
        """The position at ``vector``, with ``plain`` where that is not finite; None if outside.

        The E-step, which counts also where it finds nothing, is the caller's to add in that case.
        """
        where = np.isfinite(vector)
        if not (where | ~np.isfinite(plain)).all():
            return None
        try:
            params = self.model.unpack(
                np.where(where, vector, plain), self.centre, self.coordinates
            )
        except (Degenerate, ArithmeticError, ValueError, np.linalg.LinAlgError):
            return None
        return possible_position(self.model, data, params, e_steps)
