"""The example of an own model keeps what every family promises."""

import importlib.util
from pathlib import Path

import numpy as np
from scipy.stats import binom

from tests.families.contract import Family

_PATH = Path(__file__).parents[2] / "examples" / "own_model.py"
_SPEC = importlib.util.spec_from_file_location("own_model", _PATH)
own_model = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(own_model)


class CoinsCase(Family):
    name = "examples/own_model"
    draws_cells = False

    def draw(self, rng, n=40, missing=0.2):
        model = own_model.CoinsModel()
        params = own_model.Coins(np.array([rng.uniform(0.1, 0.4), rng.uniform(0.6, 0.9)]))
        values, _ = model.sample(params, n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:2] = [[2.0], [8.0]]
        return model, params, model.view(values)

    def small(self, rng):
        model = own_model.CoinsModel()
        return [(model, model.view(rows)) for rows in ([[3.0]], [[3.0], [8.0]], [[3.0], [np.nan]])]

    def brute_loglik(self, model, params, data):
        a, b = (binom(10, chance).pmf(data.values[:, 0]) for chance in params.chances)
        rows = np.where(np.isnan(data.values[:, 0]), 0.0, np.log(0.5 * a + 0.5 * b))
        return float(data.weights @ rows)

    def relabel(self, params, order):
        return own_model.Coins(params.chances[order])


CASES = [CoinsCase()]
