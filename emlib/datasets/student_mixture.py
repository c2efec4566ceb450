"""Random mixtures of t distributions: Gaussian mixtures of a wanted overlap, with heavier tails."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.gaussian_mixture import GaussianMixtureGenerator
from emlib.datasets.naming import Mistakes
from emlib.datasets.settings import Setting, positive


class StudentMixtureGenerator(FamilyGenerator):
    """Locations and scatter matrices of a random Gaussian mixture, whose overlap is the wanted one.

    Settings: those of ``gaussian_mixture``, and ``dof`` (5), the degrees of freedom of every
    component: the lower, the more outliers.
    """

    family: ClassVar[str] = "student_mixture"
    schema: ClassVar[Mapping[str, Setting]] = {
        **GaussianMixtureGenerator.schema,
        "dof": positive(5.0),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_components": settings["n_components"]}

    def check_together(self, settings: dict[str, Any]) -> Mistakes:
        return GaussianMixtureGenerator().check(_normal(settings))

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,), means (K, d), covariances (K, d, d), and dofs (K,)."""
        truth = GaussianMixtureGenerator().draw_truth(_normal(settings), rng)
        return {**truth, "dofs": np.full(settings["n_components"], float(settings["dof"]))}


def _normal(settings: dict[str, Any]) -> dict[str, Any]:
    return {key: settings[key] for key in GaussianMixtureGenerator.schema}
