"""Random normal columns with detection limits or intervals."""

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from emlib.datasets.dataset import Truth
from emlib.datasets.family import Drawn, FamilyGenerator
from emlib.datasets.settings import Setting, choice, count, probability, rows


class CensoredNormalGenerator(FamilyGenerator):
    """Normal columns, regressed on standard normal covariates, a share of whose cells is censored.

    Intercepts and coefficients are standard normal, standard deviations uniform between a half
    and 2. The limit of a column is the quantile of its marginal law that censors the share
    ``censored`` of its cells, below it (``left``) or above it (``right``); with ``interval`` that
    share of the cells, drawn at random, is known to the nearest standard deviation only.

    Settings: ``n``, ``d``, ``n_covariates`` (0), ``censored`` (0.3), ``side`` (``left``).
    """

    family: ClassVar[str] = "censored_normal"
    extras: ClassVar[tuple[str, ...]] = ("covariates", "upper")
    schema: ClassVar[Mapping[str, Setting]] = {
        "n": rows(),
        "d": count(),
        "n_covariates": count(0, 0),
        "censored": probability(0.3),
        "side": choice("left", "right", "interval", default="left"),
    }

    def model_settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        return {}

    def parameters(self, settings: dict[str, Any], rng: np.random.Generator) -> Truth:
        """Draw intercept (d,), coef (d, p) and scales (d,)."""
        d, p = settings["d"], settings["n_covariates"]
        return {
            "intercept": rng.standard_normal(d),
            "coef": rng.standard_normal((d, p)),
            "scales": rng.uniform(0.5, 2.0, d),
        }

    def rows(
        self, settings: dict[str, Any], model: Any, params: Any, rng: np.random.Generator
    ) -> Drawn:
        """Draw values, then hide what lies beyond the limits."""
        from scipy.special import ndtri

        covariates = rng.standard_normal((settings["n"], settings["n_covariates"]))
        values, _ = model.sample(params, settings["n"], rng, covariates)
        size = np.sqrt(params.scales**2 + (params.coef**2).sum(axis=1))
        share, chances = settings["censored"], rng.random(values.shape)
        if settings["side"] == "left":
            limit = params.intercept + size * ndtri(share)
            low, high = np.where(values <= limit, -np.inf, values), np.maximum(values, limit)
        elif settings["side"] == "right":
            limit = params.intercept - size * ndtri(share)
            low, high = np.minimum(values, limit), np.where(values >= limit, np.inf, values)
        else:
            floor = np.floor(values / size) * size
            low = np.where(chances < share, floor, values)
            high = np.where(chances < share, floor + size, values)
        return low, None, {"covariates": covariates, "upper": high}
