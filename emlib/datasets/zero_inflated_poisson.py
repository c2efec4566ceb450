"""Random counts with excess zeros."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import Drawn, FamilyGenerator
from emlib.datasets.settings import Setting, count, positive, probability, rows


class ZeroInflatedPoissonGenerator(FamilyGenerator):
    """Zero-inflated Poisson columns, log rates regressed on standard normal covariates.

    Each column's share of structural zeros is ``inflation``; its rate is ``rate`` times a factor
    between a half and 2, so the lower ``rate``, the more Poisson zeros hide the structural ones.
    Coefficients are normal with standard deviation 0.3.

    Settings: ``n``, ``d``, ``n_covariates`` (0), ``inflation`` (0.3), ``rate`` (2).
    """

    family: ClassVar[str] = "zero_inflated_poisson"
    extras: ClassVar[tuple[str, ...]] = ("covariates",)
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "n_covariates": count(0, 0),
        "inflation": probability(0.3),
        "rate": positive(2.0),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw inflation (d,), intercept (d,) and coef (d, p)."""
        d, p = settings["d"], settings["n_covariates"]
        return {
            "inflation": np.full(d, settings["inflation"]),
            "intercept": np.log(settings["rate"] * 2.0 ** rng.uniform(-1.0, 1.0, d)),
            "coef": 0.3 * rng.standard_normal((d, p)),
        }

    def rows(
        self, settings: dict[str, Any], model: Any, params: Any, rng: np.random.Generator
    ) -> Drawn:
        """Draw covariates, then counts beside them."""
        covariates = rng.standard_normal((settings["n"], settings["n_covariates"]))
        values, _ = model.sample(params, settings["n"], rng, covariates)
        return values, None, {"covariates": covariates}
