"""Observed and missing information from the E-step and Q alone.

By Fisher's identity the score of the observed loglik is the gradient of Q at its own E-step, so
the Jacobian of that score is minus the observed information: Oakes (1999), JRSS B 61, 479-482,
whose two terms are the derivative of the gradient in the argument of Q and in its condition.
The first alone is the complete-data information; what is missing between the two is EM's rate
(Dempster, Laird and Rubin 1977, section 4; Orchard and Woodbury 1972).
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.models.base import Model
from emlib.models.differences import hessian, jacobian, natural_steps, shared_gradient

Array = NDArray[np.float64]

NULL = 1e-5
"""A direction whose observed share of the complete information is below this has none."""


@dataclass(frozen=True, eq=False)
class Information:
    """Information matrices at an optimum, in the model's unconstrained coordinates.

    Attributes
    ----------
    at : ndarray of shape (p,)
        The packed parameters.
    observed, complete : ndarray of shape (p, p)
        Minus the second derivatives of the objective (loglik plus log prior), and of Q.
    free : ndarray of shape (p,), bool
        False for coordinates on the boundary, which are frozen.
    """

    at: Array
    observed: Array
    complete: Array
    free: NDArray[np.bool_]

    @cached_property
    def _spectrum(self) -> tuple[Array, Array, Array]:
        """Shares of the complete information that are observed, ascending, and their directions.

        Directions are columns in free coordinates, scaled to unit complete information; the last
        ones are those that even complete data say nothing about.
        """
        free = np.ix_(self.free, self.free)
        complete = self.complete[free]
        size = np.sqrt(np.abs(np.diagonal(complete)))  # units differ by column
        size[size == 0] = 1.0
        values, vectors = np.linalg.eigh(complete / np.outer(size, size))
        kept = values > NULL**2 * max(values.max(initial=0.0), np.finfo(float).tiny)
        whiten = vectors[:, kept] / np.sqrt(values[kept]) / size[:, None]
        shares, directions = np.linalg.eigh(whiten.T @ self.observed[free] @ whiten)
        return shares, whiten @ directions, vectors[:, ~kept] / size[:, None]

    @property
    def null_dimension(self) -> int:
        """Dimension of the space of directions that the data say nothing about."""
        return int(self.free.sum()) - int((abs(self._spectrum[0]) > NULL).sum())

    @property
    def is_maximum(self) -> bool:
        """Whether no direction leads up: the end is no saddle."""
        return bool((self._spectrum[0] > -NULL).all())

    @property
    def missing_fractions(self) -> Array:
        """Fractions of missing information, descending, null directions left out."""
        shares = self._spectrum[0]
        return 1.0 - shares[abs(shares) > NULL]

    @property
    def rate(self) -> float:
        """Linear rate of EM: the largest fraction of missing information (NaN without any)."""
        fractions = self.missing_fractions
        return float(fractions[0]) if len(fractions) else float("nan")

    @property
    def covariance(self) -> Array:
        """Pseudo-inverse of the observed information; 0 for frozen coordinates."""
        shares, directions, _ = self._spectrum
        kept = abs(shares) > NULL
        result = np.zeros_like(self.observed)
        inside = (directions[:, kept] / shares[kept]) @ directions[:, kept].T
        result[np.ix_(self.free, self.free)] = inside
        return result

    @cached_property
    def unidentified(self) -> Array:
        """Orthonormal directions (p, m) without information, boundary coordinates left out."""
        shares, directions, silent = self._spectrum
        null = np.linalg.qr(np.hstack([directions[:, abs(shares) <= NULL], silent]))[0]
        result = np.zeros((len(self.at), null.shape[1]))
        result[self.free] = null
        return result


def observed_information(model: Model, data: Any, params: Any) -> Information:
    """Information matrices at ``params``, which should be an optimum.

    Parameters
    ----------
    model : Model
        Prepared for the data.
    data : Table or another view
    params : Params

    Returns
    -------
    Information
    """
    at = model.pack(params, "unconstrained")
    expected = model.q_in_chart(model.e_step(params, data), params)
    steps = natural_steps(expected, at)

    def unpack(vector: Array) -> Any:
        return model.unpack(vector, params, "unconstrained")

    gradient_of = shared_gradient(unpack, at, steps)

    def given(vector: Array) -> Array:
        stats = model.e_step(unpack(vector), data)
        return gradient_of(lambda there: model.q(stats, there))

    mixed = jacobian(given, at, steps)
    complete = -hessian(expected, at, steps)
    observed = complete - 0.5 * (mixed + mixed.T)
    return Information(at, observed, complete, np.isfinite(at) & (steps > 0))
