"""One multivariate normal in the contract tests."""

import numpy as np

from emlib.data import Table
from emlib.models.multivariate_normal import MultivariateNormalModel, MultivariateNormalParams
from tests.families.contract import Family, Moved
from tests.twins import observed_loglik


class MultivariateNormalCase(Family):
    name = "multivariate_normal"
    classes = False

    def draw(self, rng, n=40, missing=0.2, d=3):
        model = MultivariateNormalModel()
        root = rng.normal(size=(d, d + 2))
        params = MultivariateNormalParams(rng.normal(size=d), root @ root.T / d + 0.5 * np.eye(d))
        values, _ = model.sample(params, n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = model.sample(params, 4, rng)[0]
        data = Table.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        values = rng.normal(size=(3, 2))
        holes = np.array([[1.0, np.nan], [np.nan, 2.0], [3.0, 4.0]])
        return [
            (MultivariateNormalModel(), Table.from_array(v)) for v in (values[:1], values, holes)
        ]

    def brute_loglik(self, model, params, data):
        return observed_loglik(
            data.values, np.ones(1), params.mean[None], params.covariance[None], data.weights
        )

    def moved(self, rng, model, params, data):
        scale = rng.uniform(0.1, 10.0, data.d)
        shift = rng.normal(size=data.d) * 1e3
        moved = MultivariateNormalParams(
            params.mean * scale + shift, params.covariance * np.outer(scale, scale)
        )
        table = Table.from_array(data.values * scale + shift, data.weights)
        jacobian = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        return [Moved("an affine map of each column", moved, table, jacobian)]

    def independent(self, rng):
        model, params, _ = self.draw(rng)
        covariance = params.covariance.copy()
        covariance[2, :], covariance[:, 2] = 0.0, 0.0
        covariance[2, 2] = 1.3
        params = MultivariateNormalParams(params.mean, covariance)
        return model, params, Table.from_array(model.sample(params, 40, rng)[0]), 2

    def without_column(self, params, column):
        kept = np.arange(len(params.mean)) != column
        return np.concatenate([params.mean[kept], params.covariance[np.ix_(kept, kept)].ravel()])


CASES = [MultivariateNormalCase()]
