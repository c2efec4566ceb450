"""Mixtures of Poisson regressions in the contract tests."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import poisson

from emlib.data.count_regression import CountRegression
from emlib.models.poisson_regression_mixture import (
    PoissonRegressionMixtureModel,
    PoissonRegressionMixtureParams,
)
from tests.families.contract import Family, Moved


class PoissonRegressionMixtureCase(Family):
    name = "poisson_regression_mixture"
    p = 1

    def draw(self, rng, n=40, missing=0.2, d=2, k=2):
        model = PoissonRegressionMixtureModel(k)
        params = PoissonRegressionMixtureParams(
            rng.dirichlet(np.full(k, 20.0)),
            1.0 + 1.5 * np.arange(k)[:, None] + 0.2 * rng.normal(size=(k, d)),
            0.4 * rng.normal(size=(k, d, self.p)),
        )
        covariates = rng.normal(size=(n, self.p))
        values, _ = model.sample(params, n, rng, covariates)
        holes = rng.random(values.shape) < missing
        holes[: 4 + self.p] = False
        values[holes] = np.nan
        values[0] = 1.0
        data = CountRegression.from_arrays(values, covariates)
        return model.prepare(data), params, data

    def small(self, rng):
        values, covariates = rng.poisson(2.0, (5, 2)), rng.normal(size=(5, self.p))
        views = [CountRegression.from_arrays(values[:n], covariates[:n]) for n in (1, 5)]
        apart = CountRegression.from_arrays([[0.0], [0.0], [9.0], [8.0]], [[0], [1], [2], [4]])
        return [
            (PoissonRegressionMixtureModel(k), view) for k in (1, 2, 5) for view in (*views, apart)
        ]

    def brute_loglik(self, model, params, data):
        total = 0.0
        for row, z, weight in zip(data.values, data.covariates, data.weights, strict=True):
            joint = np.log(params.weights)
            seen = ~np.isnan(row)
            for k in range(len(joint)):
                rates = np.exp(params.intercept[k] + params.coef[k] @ z)
                joint[k] += poisson(rates[seen]).logpmf(row[seen]).sum()
            total += weight * logsumexp(joint) if seen.any() else 0.0
        return total

    def relabel(self, params, order):
        return PoissonRegressionMixtureParams(*(array[order] for array in vars(params).values()))

    def moved(self, rng, model, params, data):
        stretch, turn = 1e2 * rng.normal(size=self.p), rng.uniform(0.1, 10.0, self.p)
        coef = params.coef / turn
        moved = PoissonRegressionMixtureParams(
            params.weights, params.intercept - coef @ stretch, coef
        )
        covariates = data.covariates * turn + stretch
        view = CountRegression.from_arrays(data.values, covariates, data.weights)
        return [Moved("an affine map of each covariate", moved, view, 0.0)]

    def independent(self, rng):
        model, params, data = self.draw(rng, missing=0.0)
        arrays = {name: array.copy() for name, array in vars(params).items()}
        for name in ("intercept", "coef"):
            arrays[name][:, 1] = arrays[name][0, 1]
        params = PoissonRegressionMixtureParams(**arrays)
        values, _ = model.sample(params, data.n, rng, data.covariates)
        return model, params, CountRegression.from_arrays(values, data.covariates), 1

    def without_column(self, params, column):
        kept = [np.delete(a, column, axis=1).ravel() for a in (params.intercept, params.coef)]
        return np.concatenate([params.weights, *kept])


CASES = [PoissonRegressionMixtureCase()]
