"""Draws of missing cells, proper ones included (Little and Rubin 2019, section 10.2)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.stopping import Stopping
from emlib.errors import require_count
from emlib.inference.bootstrap import refits
from emlib.inference.information import observed_information
from emlib.models.base import Model

Array = NDArray[np.float64]

MOST_FAILURES = 100


@dataclass(frozen=True, eq=False)
class Imputer:
    """Conditional simulation around a fit.

    Attributes
    ----------
    model : Model
    fitted : view
        The data of the fit, which say how sure the parameters are.
    params : Params
        The fitted parameters.
    stopping : Stopping
        Of the bootstrap refits.
    """

    model: Model
    fitted: Any
    params: Any
    stopping: Stopping

    def draw(self, data: Any, n_draws: int, proper: bool | str, rng: np.random.Generator) -> Array:
        """Completed copies of ``data``, shape (n_draws, n, d).

        Raises
        ------
        ValueError
            If ``proper`` is unknown, or the information is not positive definite where the
            normal approximation is asked for.
        """
        require_count("n_draws", n_draws)
        draws = self._parameters(proper, rng)
        return np.stack([self.model.complete(next(draws), data, rng) for _ in range(n_draws)])

    def _parameters(self, proper: bool | str, rng: np.random.Generator) -> Iterator[Any]:
        if proper is False:
            return iter(lambda: self.params, None)
        if proper in (True, "bootstrap"):
            return self._refitted(rng)
        if proper == "normal":
            return self._normal(rng)
        raise ValueError(f"proper: {proper!r} is not False, True, 'bootstrap' or 'normal'")

    def _refitted(self, rng: np.random.Generator) -> Iterator[Any]:
        failures = 0
        for end in refits(self.model, self.fitted, self.params, rng, self.stopping):
            if end is not None:
                yield end
                continue
            failures += 1
            if failures > MOST_FAILURES:
                raise ValueError(f"proper: {failures} bootstrap refits collapsed")

    def _normal(self, rng: np.random.Generator) -> Iterator[Any]:
        params = self.model.settled(self.params, self.model.e_step(self.params, self.fitted))
        refusal = "proper: 'normal' needs a positive definite information; use 'bootstrap'"
        try:
            information = observed_information(self.model, self.fitted, params)
        except np.linalg.LinAlgError:  # a covariance is singular to rounding
            raise ValueError(refusal) from None
        if information.null_dimension or not information.is_maximum:
            raise ValueError(refusal)
        values, vectors = np.linalg.eigh(information.covariance)
        root = vectors * np.sqrt(np.maximum(values, 0.0))
        while True:
            moved = information.at + root @ rng.standard_normal(len(values))
            yield self.model.unpack(moved, params, "unconstrained")
