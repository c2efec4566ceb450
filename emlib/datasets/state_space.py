"""Random linear Gaussian state-space models: rotating, fading states seen through noise."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.settings import Setting, count, positive, probability, rows


class StateSpaceGenerator(FamilyGenerator):
    """States of variance 1 from the start on, whose dynamics are a rotation times a factor.

    Settings: ``length``, ``n_sequences`` (1), ``n_states``, ``d``, ``persistence`` (0.8), the
    modulus of the dynamics' eigenvalues, and ``noise`` (1), the variance of the observations'
    noise next to their signal's.
    """

    family: ClassVar[str] = "state_space"
    schema: ClassVar[Mapping[str, Setting]] = {
        "length": rows(2),
        "n_sequences": rows(1, 1),
        "n_states": count(1),
        "d": count(),
        "persistence": probability(0.8),
        "noise": positive(1.0),
    }

    def n_classes(self, settings: dict[str, Any]) -> None:
        """Return None: states are numbers, no classes."""

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_states": settings["n_states"]}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw a random rotation, loadings of rows of length 1, and levels."""
        k, d, persistence = settings["n_states"], settings["d"], settings["persistence"]
        rotation = np.linalg.qr(rng.standard_normal((k, k)))[0]
        loadings = rng.standard_normal((d, k))
        loadings /= np.linalg.norm(loadings, axis=1, keepdims=True)
        return {
            "transition": persistence * rotation,
            "transition_offset": np.zeros(k),
            "transition_covariance": (1 - persistence**2) * np.eye(k),
            "observation": loadings,
            "observation_offset": 3.0 * rng.standard_normal(d),
            "observation_covariance": settings["noise"] * np.eye(d),
            "initial_mean": np.zeros(k),
            "initial_covariance": np.eye(k),
        }
