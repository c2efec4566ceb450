"""Gaussian mixtures in the contract tests."""

import numpy as np

from emlib.data import Table
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from tests.families.contract import Family, Moved
from tests.twins import observed_loglik


class GaussianMixtureCase(Family):
    def __init__(self, covariance_type):
        self.covariance_type = covariance_type
        self.name = f"gaussian_mixture[{covariance_type}]"

    def draw(self, rng, n=40, missing=0.2, d=2, k=2):
        model = GaussianMixtureModel(k, self.covariance_type)
        root = rng.normal(size=(k, d, d + 2))
        full = root @ root.transpose(0, 2, 1) / d + 0.5 * np.eye(d)
        weights = rng.dirichlet(np.full(k, 20.0))
        means = 2.5 * np.arange(k)[:, None] + rng.normal(size=(k, d))
        params = GaussianMixtureParams(weights, means, model.structure.from_full(weights, full))
        values, _ = model.sample(params, n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = model.sample(params, 4, rng)[0]
        data = Table.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        values = rng.normal(size=(3, 2))
        return [
            (GaussianMixtureModel(1, self.covariance_type), Table.from_array(values[:1])),
            (GaussianMixtureModel(1, self.covariance_type), Table.from_array(values)),
            (GaussianMixtureModel(3, self.covariance_type), Table.from_array(values)),
        ]

    def brute_loglik(self, model, params, data):
        full = model.full_covariances(params)
        return observed_loglik(data.values, params.weights, params.means, full, data.weights)

    def relabel(self, params, order):
        return GaussianMixtureParams(
            params.weights[order],
            params.means[order],
            params.covariances if self.covariance_type == "tied" else params.covariances[order],
        )

    def moved(self, rng, model, params, data):
        similar = self.covariance_type in ("spherical", "EII", "EVE", "VVE", "EEV", "VEV")
        scale = np.full(data.d, 3.7) if similar else rng.uniform(0.1, 10.0, data.d)
        shift = rng.normal(size=data.d) * 1e3
        full = model.full_covariances(params) * np.outer(scale, scale)
        means = params.means * scale + shift
        moved = GaussianMixtureParams(
            params.weights, means, model.structure.from_full(params.weights, full)
        )
        table = Table.from_array(data.values * scale + shift, data.weights)
        jacobian = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        return [Moved("a scale, or an affine map of each column", moved, table, jacobian)]

    def independent(self, rng):
        model, params, _ = self.draw(rng, d=3)
        full = model.full_covariances(params).copy()
        full[:, 2, :], full[:, :, 2] = 0.0, 0.0
        full[:, 2, 2] = 1.3
        means = params.means.copy()
        means[:, 2] = 0.4
        params = GaussianMixtureParams(
            params.weights, means, model.structure.from_full(params.weights, full)
        )
        return model, params, Table.from_array(model.sample(params, 40, rng)[0]), 2

    def without_column(self, params, column):
        covariances = np.delete(params.covariances, column, axis=-1)
        if self.covariance_type in ("full", "tied"):
            covariances = np.delete(covariances, column, axis=-2)
        means = np.delete(params.means, column, axis=1)
        return np.concatenate([params.weights, means.ravel(), covariances.ravel()])


class CoupledCase(GaussianMixtureCase):
    """Volumes or shapes are common to all columns, so none is independent of the others."""

    independent = Family.independent


CASES = [GaussianMixtureCase(name) for name in ("full", "tied", "diag", "EEI")]
CASES += [
    CoupledCase(name)
    for name in ("spherical", "EII", "VEI", "EVI", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV")
]
