"""Random factor models: one, or a mixture of them."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.hmm import random_means
from emlib.datasets.naming import Mistakes
from emlib.datasets.settings import Setting, count, positive, probability, rows

FACTORS: dict[str, Setting] = {
    "n": rows(),
    "d": count(2),
    "n_factors": count(),
    "communality": probability(0.6),
}


def random_factors(settings: dict[str, Any], rng: np.random.Generator) -> tuple[Any, Any]:
    """Loadings (d, q) and noise variances (d,) of columns of unit variance.

    A column's share of variance that factors explain lies within a third of what is left on
    either side of ``communality``; its loadings point anywhere.
    """
    d, q, middle = settings["d"], settings["n_factors"], settings["communality"]
    shares = middle + min(middle, 1 - middle) / 3 * rng.uniform(-1.0, 1.0, d)
    directions = rng.standard_normal((d, q))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return np.sqrt(shares)[:, None] * directions, 1.0 - shares


def check_factors(settings: dict[str, Any]) -> Mistakes:
    """Find more factors than columns."""
    q, d = settings["n_factors"], settings["d"]
    return [("n_factors", f"{q} factors for {d} columns")] if q >= d else []


class FactorAnalysisGenerator(FamilyGenerator):
    """Columns of unit variance that share factors; means are standard normal.

    Settings: ``n``, ``d``, ``n_factors``, and ``communality`` (0.6), the share of a column's
    variance that factors explain: the lower it is, the harder factors are to find.
    """

    family: ClassVar[str] = "factor_analysis"
    schema: ClassVar[Mapping[str, Setting]] = FACTORS

    def check_together(self, settings: dict[str, Any]) -> Mistakes:
        return check_factors(settings)

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_factors": settings["n_factors"]}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw mean (d,), loadings (d, q) and noise_variance (d,)."""
        loadings, noise = random_factors(settings, rng)
        mean = rng.standard_normal(settings["d"])
        return {"mean": mean, "loadings": loadings, "noise_variance": noise}


class MixtureOfFactorAnalyzersGenerator(FamilyGenerator):
    """Equally large components, each with factors of its own.

    Settings: as for ``factor_analysis``, and ``n_components`` and ``separation`` (3): root mean
    square distance of two components' means, in standard deviations.
    """

    family: ClassVar[str] = "mixture_of_factor_analyzers"
    schema: ClassVar[Mapping[str, Setting]] = {
        **FACTORS,
        "n_components": count(2),
        "separation": positive(3.0),
    }

    def check_together(self, settings: dict[str, Any]) -> Mistakes:
        return check_factors(settings)

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: settings[name] for name in ("n_components", "n_factors")}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,), means (K, d), loadings (K, d, q) and noise_variances (K, d)."""
        k, d = settings["n_components"], settings["d"]
        loadings, noise = zip(*(random_factors(settings, rng) for _ in range(k)), strict=True)
        return {
            "weights": np.full(k, 1 / k),
            "means": random_means(settings["separation"], (k, d), rng),
            "loadings": np.stack(loadings),
            "noise_variances": np.stack(noise),
        }
