"""Parameters of linear Gaussian state-space models."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class StateSpaceParams:
    """A (k, k), b (k,), Q (k, k); C (d, k), d (d,), R (d, d); mu (k,) and P (k, k) of the first
    state, in this order.
    """

    transition: Array
    transition_offset: Array
    transition_covariance: Array
    observation: Array
    observation_offset: Array
    observation_covariance: Array
    initial_mean: Array
    initial_covariance: Array


def shapes(k: int, d: int) -> dict[str, tuple[int, ...]]:
    """Shapes of the parameters for k states and d columns, in their order."""
    return {
        "transition": (k, k),
        "transition_offset": (k,),
        "transition_covariance": (k, k),
        "observation": (d, k),
        "observation_offset": (d,),
        "observation_covariance": (d, d),
        "initial_mean": (k,),
        "initial_covariance": (k, k),
    }


NAMES = tuple(shapes(1, 1))
COVARIANCES = ("transition_covariance", "observation_covariance", "initial_covariance")


def is_singular(covariance: Array) -> bool:
    """Whether a covariance has a direction without any variance."""
    scale = np.sqrt(np.maximum(np.diagonal(covariance), 0.0))
    if not (scale > 0).all():
        return True
    return bool(np.linalg.eigvalsh(covariance / np.outer(scale, scale)).min() < 1e-12)
