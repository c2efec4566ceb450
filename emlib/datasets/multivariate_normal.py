"""Random multivariate normals."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.settings import Setting, count, number, rows


class MultivariateNormalGenerator(FamilyGenerator):
    """Normals with unit variances whose columns share one factor.

    Means are standard normal. ``correlation`` is the largest squared correlation of a column with
    the factor: each column's own is uniform between half of it and all of it, with a random sign,
    so the larger it is, the more the observed cells say of the missing ones.

    Settings: ``n``, ``d``, ``correlation`` (0.5).
    """

    family: ClassVar[str] = "multivariate_normal"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "correlation": number("not in [0, 1)", lambda value: 0 <= value < 1, 0.5),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw mean (d,) and covariance (d, d)."""
        d = settings["d"]
        shares = settings["correlation"] * rng.uniform(0.5, 1.0, d)
        loadings = np.sqrt(shares) * rng.choice([-1.0, 1.0], d)
        covariance = np.outer(loadings, loadings) + np.diag(1.0 - shares)
        return {"mean": rng.standard_normal(d), "covariance": covariance}
