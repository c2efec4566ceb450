"""Zero-inflated counts in the contract tests."""

import numpy as np
from scipy.stats import poisson

from emlib.data.count_regression import CountRegression
from emlib.models.zero_inflated_poisson import ZeroInflatedPoissonModel, ZeroInflatedPoissonParams
from tests.families.contract import Family, Moved


class ZeroInflatedPoissonCase(Family):
    classes = False

    def __init__(self, n_covariates):
        self.p = n_covariates
        self.name = f"zero_inflated_poisson[{n_covariates} covariates]"

    def draw(self, rng, n=40, missing=0.2, d=2):
        model = ZeroInflatedPoissonModel()
        params = ZeroInflatedPoissonParams(
            rng.uniform(0.3, 0.6, d),
            np.log(rng.uniform(2.0, 5.0, d)),
            0.4 * rng.normal(size=(d, self.p)),
        )
        covariates = rng.normal(size=(n, self.p)).round(1)
        values, _ = model.sample(params, n, rng, covariates)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = rng.integers(0, 4, size=(4, d))
        values[0] = 3.0
        data = CountRegression.from_arrays(values, covariates)
        return model.prepare(data), params, data

    def small(self, rng):
        covariates = rng.normal(size=(3, self.p))
        rows = np.array([[1.0, 2.0], [0.0, 3.0], [4.0, 0.0]])
        views = [
            CountRegression.from_arrays(values, covariates[: len(values)])
            for values in (rows[:1], rows, rows * 0.0, rows + 1.0, np.minimum(rows, 1.0))
        ]
        return [(ZeroInflatedPoissonModel(), view) for view in views]

    def brute_loglik(self, model, params, data):
        rates = np.exp(params.intercept + data.covariates @ params.coef.T)
        total = 0.0
        for (i, j), x in np.ndenumerate(data.values):
            if not np.isnan(x):
                chance = (1 - params.inflation[j]) * poisson(rates[i, j]).pmf(x)
                total += data.weights[i] * np.log(chance + params.inflation[j] * (x == 0))
        return total

    def moved(self, rng, model, params, data):
        if self.p == 0:
            return []
        stretch, turn = 10 * rng.normal(size=self.p), rng.uniform(0.1, 10.0, self.p)
        coef = params.coef / turn
        moved = ZeroInflatedPoissonParams(params.inflation, params.intercept - coef @ stretch, coef)
        view = CountRegression.from_arrays(
            data.values, data.covariates * turn + stretch, data.weights
        )
        return [Moved("an affine map of each covariate", moved, view, 0.0)]

    def independent(self, rng):
        model, params, data = self.draw(rng, missing=0.0)
        return model, params, data, 1

    def without_column(self, params, column):
        kept = [np.delete(a, column, axis=0).ravel() for a in vars(params).values()]
        return np.concatenate(kept)


CASES = [ZeroInflatedPoissonCase(0), ZeroInflatedPoissonCase(2)]
