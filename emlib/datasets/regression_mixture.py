"""Random mixtures of linear and of Poisson regressions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import Drawn, FamilyGenerator
from emlib.datasets.settings import Setting, count, positive, rows


class RegressionMixtureGenerator(FamilyGenerator):
    """Equally large components, each with a line of its own and normal errors of variance 1.

    Covariates are standard normal. ``separation`` (3) is the root mean square distance of two
    lines, over covariates, in standard deviations: the lower it is, the more lines overlap.

    Settings: ``n``, ``n_components``, ``n_covariates`` (1), ``d`` (1), ``separation``.
    """

    family: ClassVar[str] = "regression_mixture"
    extras: ClassVar[tuple[str, ...]] = ("covariates",)
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "n_components": count(2),
        "n_covariates": count(1, 1),
        "d": count(1, 1),
        "separation": positive(3.0),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_components": settings["n_components"]}

    def columns(self, settings: dict[str, Any]) -> tuple[str, ...]:
        return ("y",) if settings["d"] == 1 else tuple(f"y{j + 1}" for j in range(settings["d"]))

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,), intercept (K, d), coef (K, d, p) and scales (K, d)."""
        k, d, p = (settings[name] for name in ("n_components", "d", "n_covariates"))
        size = settings["separation"] / np.sqrt(2.0 * (1 + p))
        return {
            "weights": np.full(k, 1 / k),
            "intercept": size * rng.standard_normal((k, d)),
            "coef": size * rng.standard_normal((k, d, p)),
            "scales": np.ones((k, d)),
        }

    def rows(
        self, settings: dict[str, Any], model: Any, params: Any, rng: np.random.Generator
    ) -> Drawn:
        """Draw covariates, then responses beside them."""
        covariates = rng.standard_normal((settings["n"], settings["n_covariates"]))
        values, labels = model.sample(params, settings["n"], rng, covariates)
        return values, labels, {"covariates": covariates}


class PoissonRegressionMixtureGenerator(RegressionMixtureGenerator):
    """Equally large components of counts, the logs of whose rates are lines.

    Covariates are standard normal, intercepts normal about ``log(rate)`` and coefficients about 0,
    with standard deviation ``spread``: the lower it is, the more components overlap.

    Settings: ``n``, ``n_components``, ``n_covariates`` (1), ``d`` (1), ``rate`` (5), ``spread``
    (0.7).
    """

    family: ClassVar[str] = "poisson_regression_mixture"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "n_components": count(2),
        "n_covariates": count(1, 1),
        "d": count(1, 1),
        "rate": positive(5.0),
        "spread": positive(0.7),
    }

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,), intercept (K, d) and coef (K, d, p)."""
        k, d, p = (settings[name] for name in ("n_components", "d", "n_covariates"))
        size = settings["spread"]
        return {
            "weights": np.full(k, 1 / k),
            "intercept": np.log(settings["rate"]) + size * rng.standard_normal((k, d)),
            "coef": size * rng.standard_normal((k, d, p)),
        }
