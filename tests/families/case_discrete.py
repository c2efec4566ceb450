"""Poisson and Bernoulli mixtures and latent classes in the contract tests."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import bernoulli, poisson

from emlib.data import Discrete
from emlib.models.bernoulli_mixture import BernoulliMixtureModel, BernoulliMixtureParams
from emlib.models.latent_class import LatentClassModel, LatentClassParams
from emlib.models.poisson_mixture import PoissonMixtureModel, PoissonMixtureParams
from tests.families.contract import Family

SIZES = [2, 4, 3, 2, 2, 3, 2, 2]


class DiscreteCase(Family):
    rows_for_one = 1
    """Rows in place of each that is asked for: an answer says less than a number."""

    def draw(self, rng, n=40, missing=0.2, d=None):
        params = self.params(rng, d or self.d)
        model = self.model(2)
        values, _ = model.sample(params, self.rows_for_one * n, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = model.sample(params, 4, rng)[0]
        values[:4] = self.all_levels(values[:4])
        data = Discrete.from_array(values)
        return model.prepare(data), params, data

    def all_levels(self, values):
        return values

    def small(self, rng):
        values = self.model(1).sample(self.one(rng), 3, rng)[0]
        views = [Discrete.from_array(v) for v in (values[:1], values, values, np.zeros((3, 2)))]
        return [(self.model(k), view) for k, view in zip((1, 1, 3, 2), views, strict=True)]

    def one(self, rng):
        return self.relabel(self.params(rng, 2), [0])

    def brute_loglik(self, model, params, data):
        total = 0.0
        for row, weight in zip(data.values, data.weights, strict=True):
            if not np.isnan(row).all():
                laws = [self.row_law(params, row, k) for k in range(2)]
                total += weight * logsumexp(np.log(params.weights) + laws)
        return total

    def row_law(self, params, row, k):
        return sum(self.cell(params, x, j, k) for j, x in enumerate(row) if not np.isnan(x))

    def independent(self, rng):
        model, params, _ = self.draw(rng)
        params = self.alike(params, self.d - 1)
        values = model.sample(params, 40, rng)[0]
        values[:4] = self.all_levels(values[:4])
        return model, params, Discrete.from_array(values), self.d - 1


class PoissonCase(DiscreteCase):
    name = "poisson_mixture"
    model = PoissonMixtureModel
    d = 3

    def params(self, rng, d):
        rates = np.exp(rng.normal(size=(2, d)) + [[0.5], [2.0]])
        return PoissonMixtureParams(rng.dirichlet([20.0, 20.0]), rates)

    def cell(self, params, x, j, k):
        return poisson(params.rates[k, j]).logpmf(x)

    def relabel(self, params, order):
        weights = params.weights[order] / params.weights[order].sum()
        return PoissonMixtureParams(weights, params.rates[order])

    def alike(self, params, j):
        rates = params.rates.copy()
        rates[:, j] = 2.5
        return PoissonMixtureParams(params.weights, rates)

    def without_column(self, params, column):
        return np.concatenate([params.weights, np.delete(params.rates, column, axis=1).ravel()])


class BernoulliCase(DiscreteCase):
    name = "bernoulli_mixture"
    model = BernoulliMixtureModel
    d = 8
    rows_for_one = 3

    def params(self, rng, d):
        chances = rng.uniform([[0.15], [0.75]], [[0.25], [0.85]], size=(2, d))
        return BernoulliMixtureParams(rng.dirichlet([20.0, 20.0]), chances)

    def cell(self, params, x, j, k):
        return bernoulli(params.probabilities[k, j]).logpmf(x)

    def relabel(self, params, order):
        weights = params.weights[order] / params.weights[order].sum()
        return BernoulliMixtureParams(weights, params.probabilities[order])

    def alike(self, params, j):
        chances = params.probabilities.copy()
        chances[:, j] = 0.4
        return BernoulliMixtureParams(params.weights, chances)

    def without_column(self, params, column):
        kept = np.delete(params.probabilities, column, axis=1)
        return np.concatenate([params.weights, kept.ravel()])


class LatentClassCase(DiscreteCase):
    name = "latent_class"
    model = LatentClassModel
    completes_by_mean = False
    d = 8
    rows_for_one = 3

    def params(self, rng, d):
        sizes = SIZES[:d]
        items = tuple(
            0.45 * rng.dirichlet(np.full(size, 99.0), size=2) + 0.55 * np.eye(2, size)
            for size in sizes
        )
        return LatentClassParams(rng.dirichlet([20.0, 20.0]), items)

    def all_levels(self, values):
        sizes = SIZES[: values.shape[1]]
        return np.stack([np.arange(4) % size for size in sizes], axis=1)

    def cell(self, params, x, j, k):
        return np.log(params.probabilities[j][k, int(x)])

    def relabel(self, params, order):
        weights = params.weights[order] / params.weights[order].sum()
        return LatentClassParams(weights, tuple(item[order] for item in params.probabilities))

    def alike(self, params, j):
        items = list(params.probabilities)
        items[j] = np.repeat(items[j][:1], 2, axis=0)
        return LatentClassParams(params.weights, tuple(items))

    def without_column(self, params, column):
        kept = [item.ravel() for j, item in enumerate(params.probabilities) if j != column]
        return np.concatenate([params.weights, *kept])


CASES = [PoissonCase(), BernoulliCase(), LatentClassCase()]
