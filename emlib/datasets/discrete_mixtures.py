"""Random mixtures of counts, of ones and zeros, and of levels."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.naming import default_names
from emlib.datasets.settings import Setting, count, counts, positive, rows


class PoissonMixtureGenerator(FamilyGenerator):
    """Counts of equally large classes whose log rates differ.

    Settings: ``n``, ``d``, ``n_components``, ``rate`` (5), the median rate, and ``spread`` (0.7),
    the standard deviation of log rates: the lower it is, the more classes overlap.
    """

    family: ClassVar[str] = "poisson_mixture"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "n_components": count(2),
        "rate": positive(5.0),
        "spread": positive(0.7),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_components": settings["n_components"]}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,) and rates (K, d)."""
        k, d = settings["n_components"], settings["d"]
        rates = settings["rate"] * np.exp(settings["spread"] * rng.standard_normal((k, d)))
        return {"weights": np.full(k, 1 / k), "rates": rates}


class BernoulliMixtureGenerator(FamilyGenerator):
    """Ones and zeros of equally large classes.

    Settings: ``n``, ``d``, ``n_components``, and ``evenness`` (0.5), the parameter of the beta law
    of the probabilities: the lower it is, the more a cell says of the class.
    """

    family: ClassVar[str] = "bernoulli_mixture"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "n_components": count(2),
        "evenness": positive(0.5),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_components": settings["n_components"]}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,) and probabilities (K, d)."""
        k, evenness = settings["n_components"], settings["evenness"]
        probabilities = rng.beta(evenness, evenness, size=(k, settings["d"]))
        return {"weights": np.full(k, 1 / k), "probabilities": probabilities}


class LatentClassGenerator(FamilyGenerator):
    """Answers of equally large classes to items with differing numbers of levels.

    Settings: ``n``, ``n_levels``, a list with the number of levels of each item,
    ``n_components``, and ``evenness`` (0.5), the parameter of the Dirichlet law of an item's
    probabilities: the lower it is, the more an answer says of the class.
    """

    family: ClassVar[str] = "latent_class"
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "n_levels": counts(2),
        "n_components": count(2),
        "evenness": positive(0.5),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: settings[name] for name in ("n_components", "n_levels")}

    def columns(self, settings: dict[str, Any]) -> tuple[str, ...]:
        return default_names(len(settings["n_levels"]))

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw weights (K,), and probabilities (K, L) for each item."""
        k, evenness = settings["n_components"], settings["evenness"]
        items = [rng.dirichlet(np.full(levels, evenness), k) for levels in settings["n_levels"]]
        return {"weights": np.full(k, 1 / k), "probabilities": items}
