"""Random hidden Markov models: sequences whose states persist, with four kinds of emissions."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.settings import Setting, count, positive, probability, rows

CHAIN: dict[str, Setting] = {
    "length": rows(2),
    "n_sequences": rows(1, 1),
    "n_states": count(2),
    "persistence": probability(0.9),
}


def random_chain(settings: dict[str, Any], rng: np.random.Generator) -> Truth:
    """Even first states; each state stays with ``persistence`` and leaves at random odds."""
    k, stay = settings["n_states"], settings["persistence"]
    leaving = np.zeros((k, k))
    for state in range(k):
        leaving[state, np.arange(k) != state] = rng.dirichlet(np.full(k - 1, 2.0))
    return {"startprob": np.full(k, 1 / k), "transmat": stay * np.eye(k) + (1 - stay) * leaving}


def random_means(separation: float, shape: tuple[int, ...], rng: np.random.Generator) -> Any:
    """Normal means whose distances have the root mean square ``separation``."""
    return separation / np.sqrt(2 * shape[-1]) * rng.standard_normal(shape)


class GaussianHMMGenerator(FamilyGenerator):
    """Normal emissions of unit variance, independent columns.

    Settings: ``length``, ``n_sequences`` (1), ``n_states``, ``d``, ``persistence`` (0.9), and
    ``separation`` (3): root mean square distance of two states' means, in standard deviations.
    """

    family: ClassVar[str] = "gaussian_hmm"
    schema: ClassVar[Mapping[str, Setting]] = {**CHAIN, "d": count(), "separation": positive(3.0)}

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_states": settings["n_states"], "covariance_type": "full"}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the chain, means (K, d) and covars (K, d, d)."""
        k, d = settings["n_states"], settings["d"]
        return {
            **random_chain(settings, rng),
            "means": random_means(settings["separation"], (k, d), rng),
            "covars": np.tile(np.eye(d), (k, 1, 1)),
        }


class MixtureHMMGenerator(FamilyGenerator):
    """A mixture of normals of unit variance in each state.

    Settings: as for ``gaussian_hmm``, and ``n_mix`` (2) components a state, whose means lie half
    as far from each other as those of the states.
    """

    family: ClassVar[str] = "mixture_hmm"
    schema: ClassVar[Mapping[str, Setting]] = {
        **GaussianHMMGenerator.schema,
        "n_mix": count(1, 2),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        shape = {name: settings[name] for name in ("n_states", "n_mix")}
        return {**shape, "covariance_type": "full"}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the chain, weights (K, M), means (K, M, d) and covars (K, M, d, d)."""
        k, m, d = settings["n_states"], settings["n_mix"], settings["d"]
        states = random_means(settings["separation"], (k, 1, d), rng)
        return {
            **random_chain(settings, rng),
            "weights": rng.dirichlet(np.full(m, 5.0), size=k),
            "means": states + random_means(0.5 * settings["separation"], (k, m, d), rng),
            "covars": np.tile(np.eye(d), (k, m, 1, 1)),
        }


class PoissonHMMGenerator(FamilyGenerator):
    """Counts whose log rates differ between states.

    Settings: ``length``, ``n_sequences`` (1), ``n_states``, ``d``, ``persistence`` (0.9),
    ``rate`` (5), the median rate, and ``spread`` (1), the standard deviation of log rates.
    """

    family: ClassVar[str] = "poisson_hmm"
    schema: ClassVar[Mapping[str, Setting]] = {
        **CHAIN,
        "d": count(),
        "rate": positive(5.0),
        "spread": positive(1.0),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {"n_states": settings["n_states"]}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the chain and rates (K, d)."""
        deviations = rng.standard_normal((settings["n_states"], settings["d"]))
        rates = settings["rate"] * np.exp(settings["spread"] * deviations)
        return {**random_chain(settings, rng), "rates": rates}


class CategoricalHMMGenerator(FamilyGenerator):
    """One column of symbols.

    Settings: ``length``, ``n_sequences`` (1), ``n_states``, ``n_symbols``, ``persistence`` (0.9),
    and ``evenness`` (0.5), the parameter of the Dirichlet law of a state's probabilities: the
    lower it is, the more a symbol says of the state.
    """

    family: ClassVar[str] = "categorical_hmm"
    schema: ClassVar[Mapping[str, Setting]] = {
        **CHAIN,
        "n_symbols": count(2),
        "evenness": positive(0.5),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {name: settings[name] for name in ("n_states", "n_symbols")}

    def columns(self, settings: dict[str, Any]) -> tuple[str, ...]:
        return ("symbol",)

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw the chain and emissionprob (K, n_symbols)."""
        concentration = np.full(settings["n_symbols"], settings["evenness"])
        emissions = rng.dirichlet(concentration, size=settings["n_states"])
        return {**random_chain(settings, rng), "emissionprob": emissions}
