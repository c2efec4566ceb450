"""Factor analysis and mixtures of factor analyzers in the contract tests."""

import numpy as np

from emlib.data import Table
from emlib.models.factor_analysis import FactorAnalysisModel, FactorAnalysisParams
from emlib.models.factor_mixture import (
    MixtureOfFactorAnalyzersModel,
    MixtureOfFactorAnalyzersParams,
)
from tests.families.contract import Family, Moved
from tests.twins import observed_loglik

MASK = np.array([[1, 1, 0]] * 6 + [[0, 0, 1]] * 3, dtype=bool)
"""Two factors that can be rotated into each other and one that cannot."""


class FactorAnalysisCase(Family):
    classes = False

    def __init__(self, n_factors, noise, mask=None):
        self.n_factors, self.noise, self.mask = n_factors, noise, mask
        masked = "" if mask is None else ",masked"
        self.name = f"factor_analysis[{n_factors},{noise}{masked}]"
        self.complete_information = n_factors == 1 or noise == "isotropic"  # few parameters

    def draw(self, rng, n=40, missing=0.2):
        """Three times the rows, and a simple structure: EM takes a hundred iterations or so."""
        q, d = self.n_factors, {1: 4, 2: 6, 3: 9}[self.n_factors]
        model = FactorAnalysisModel(q, self.noise, self.mask)
        weak = np.where(np.arange(d)[:, None] * q // d == np.arange(q), 1.0, 0.2)
        loadings = weak * rng.choice([-1.0, 1.0], (d, q)) * rng.uniform(1.0, 1.5, (d, q))
        if self.mask is not None:
            loadings[~self.mask] = 0.0
        noise = rng.uniform(0.25, 0.75, d) if self.noise == "diagonal" else np.array(0.4)
        params = FactorAnalysisParams(rng.normal(size=d), loadings, noise)
        values, _ = model.sample(params, 3 * n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:8] = model.sample(params, 8, rng)[0]
        data = Table.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        values = rng.normal(size=(7, 6 if self.mask is None else len(self.mask)))
        model = FactorAnalysisModel(self.n_factors, self.noise, self.mask)
        return [(model, Table.from_array(values[:n])) for n in (1, 3, 4, 5, 7)]

    def brute_loglik(self, model, params, data):
        covariance = model.covariance(params)[None]
        return observed_loglik(data.values, np.ones(1), params.mean[None], covariance, data.weights)

    def moved(self, rng, model, params, data):
        scale = np.full(data.d, 3.7)
        if self.noise == "diagonal":
            scale = rng.uniform(0.1, 10.0, data.d)
        shift = rng.normal(size=data.d) * 1e3
        squared = scale**2 if self.noise == "diagonal" else np.array(scale[0] ** 2)
        moved = FactorAnalysisParams(
            params.mean * scale + shift,
            params.loadings * scale[:, None],
            params.noise_variance * squared,
        )
        table = Table.from_array(data.values * scale + shift, data.weights)
        jacobian = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        turn = np.linalg.qr(rng.normal(size=(self.n_factors, self.n_factors)))[0]
        moves = [Moved("an affine map of each column", moved, table, jacobian)]
        if self.mask is None:
            turned = FactorAnalysisParams(
                params.mean, params.loadings @ turn, params.noise_variance
            )
            moves.append(Moved("a rotation of the factors", turned, data, 0.0))
        return moves

    def independent(self, rng):
        model, params, _ = self.draw(rng)
        params.loadings[2] = 0.0
        return model, params, Table.from_array(model.sample(params, 40, rng)[0]), 2

    def without_column(self, params, column):
        arrays = [np.delete(params.mean, column), np.delete(params.loadings, column, axis=0)]
        arrays.append(np.delete(params.noise_variance, column))
        return np.concatenate([a.ravel() for a in arrays])


class ProbabilisticPCACase(FactorAnalysisCase):
    """All columns share the noise variance, so none is independent of the others."""

    independent = Family.independent


class FactorMixtureCase(Family):
    complete_information = False  # many parameters

    def __init__(self, noise):
        self.noise = noise
        self.name = f"mixture_of_factor_analyzers[{noise}]"

    def draw(self, rng, n=40, missing=0.2, d=4, k=2, q=1):
        model = MixtureOfFactorAnalyzersModel(k, q, self.noise)
        loadings = rng.choice([-1.0, 1.0], (k, d, q)) * rng.uniform(1.0, 1.5, (k, d, q))
        shape = (k, d) if self.noise == "diagonal" else k
        params = MixtureOfFactorAnalyzersParams(
            rng.dirichlet(np.full(k, 20.0)),
            5.0 * np.arange(k)[:, None] + rng.normal(size=(k, d)),
            loadings,
            rng.uniform(0.25, 0.75, shape),
        )
        values, _ = model.sample(params, 5 * n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:8] = model.sample(params, 8, rng)[0]
        data = Table.from_array(values)
        return model.prepare(data), params, data

    def small(self, rng):
        values = rng.normal(size=(4, 3))
        return [
            (MixtureOfFactorAnalyzersModel(1, 1, self.noise), Table.from_array(values[:1])),
            (MixtureOfFactorAnalyzersModel(1, 1, self.noise), Table.from_array(values)),
            (MixtureOfFactorAnalyzersModel(4, 1, self.noise), Table.from_array(values)),
            (MixtureOfFactorAnalyzersModel(5, 1, self.noise), Table.from_array(values)),
        ]

    def brute_loglik(self, model, params, data):
        full = model.covariances(params)
        return observed_loglik(data.values, params.weights, params.means, full, data.weights)

    def relabel(self, params, order):
        return MixtureOfFactorAnalyzersParams(
            params.weights[order],
            params.means[order],
            params.loadings[order],
            params.noise_variances[order],
        )

    def moved(self, rng, model, params, data):
        scale = np.full(data.d, 3.7)
        if self.noise == "diagonal":
            scale = rng.uniform(0.1, 10.0, data.d)
        shift = rng.normal(size=data.d) * 1e3
        moved = MixtureOfFactorAnalyzersParams(
            params.weights,
            params.means * scale + shift,
            params.loadings * scale[:, None],
            params.noise_variances * (scale if self.noise == "diagonal" else scale[0]) ** 2,
        )
        table = Table.from_array(data.values * scale + shift, data.weights)
        jacobian = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        return [Moved("an affine map of each column", moved, table, jacobian)]


class DiagonalMixtureCase(FactorMixtureCase):
    def independent(self, rng):
        model, params, _ = self.draw(rng)
        params.loadings[:, 2] = 0.0
        params.means[:, 2] = 0.4
        params.noise_variances[:, 2] = 1.3
        return model, params, Table.from_array(model.sample(params, 40, rng)[0]), 2

    def without_column(self, params, column):
        arrays = [
            params.weights,
            np.delete(params.means, column, axis=1),
            np.delete(params.loadings, column, axis=1),
            np.delete(params.noise_variances, column, axis=1),
        ]
        return np.concatenate([a.ravel() for a in arrays])


CASES = [
    FactorAnalysisCase(1, "diagonal"),
    FactorAnalysisCase(2, "diagonal"),
    FactorAnalysisCase(3, "diagonal", MASK),
    ProbabilisticPCACase(2, "isotropic"),
    DiagonalMixtureCase("diagonal"),
    FactorMixtureCase("isotropic"),
]
