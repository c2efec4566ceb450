"""Censored normals in the contract tests."""

import numpy as np
from scipy.integrate import quad
from scipy.stats import norm

from emlib.data import Intervals
from emlib.models.censored_normal import CensoredNormalModel, CensoredNormalParams
from tests.families.contract import Family, Moved


class CensoredNormalCase(Family):
    classes = False

    def __init__(self, n_covariates):
        self.p = n_covariates
        self.name = f"censored_normal[{n_covariates} covariates]"

    def draw(self, rng, n=40, missing=0.2, d=2):
        model = CensoredNormalModel()
        params = CensoredNormalParams(
            rng.normal(size=d), rng.normal(size=(d, self.p)), rng.uniform(0.5, 2.0, d)
        )
        covariates = rng.normal(size=(n, self.p))
        values, _ = model.sample(params, n, rng, covariates)
        low, high = censored(rng, values, values.std(axis=0))
        low[rng.random(low.shape) < missing] = np.nan
        low[:6], high[:6] = values[:6], values[:6]
        data = Intervals.from_ends(low, high, covariates)
        return model.prepare(data), params, data

    def small(self, rng):
        values, covariates = rng.normal(size=(6, 2)), rng.normal(size=(6, self.p))
        views = [
            Intervals.from_ends(values[:1], values[:1], covariates[:1]),
            Intervals.from_ends(values, values, covariates),
            Intervals.from_ends(values[:1], values[:1] + 1.0, covariates[:1]),
            Intervals.from_ends(values, np.full((6, 2), np.inf), covariates),
            Intervals.from_ends(np.minimum(values, 0.0), np.maximum(values, 0.0), covariates),
        ]
        return [(CensoredNormalModel(), view) for view in views]

    def brute_loglik(self, model, params, data):
        means = params.intercept + data.covariates @ params.coef.T
        total = 0.0
        for (i, j), low in np.ndenumerate(data.values):
            law, high = norm(means[i, j], params.scales[j]), data.upper[i, j]
            if low == high:
                total += data.weights[i] * law.logpdf(low)
            elif low < high:
                ends = np.clip([low, high], means[i, j] - 40, means[i, j] + 40)
                total += data.weights[i] * np.log(quad(law.pdf, *ends, epsabs=0)[0])
        return total

    def moved(self, rng, model, params, data):
        scale, shift = rng.uniform(0.1, 10.0, data.d), 1e3 * rng.normal(size=data.d)
        stretch, turn = 1e2 * rng.normal(size=self.p), rng.uniform(0.1, 10.0, self.p)
        coef = params.coef * scale[:, None] / turn
        moved = CensoredNormalParams(
            params.intercept * scale + shift - coef @ stretch, coef, params.scales * scale
        )
        covariates = data.covariates * turn + stretch
        view = Intervals.from_ends(
            data.values * scale + shift, data.upper * scale + shift, covariates, data.weights
        )
        gain = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        return [Moved("an affine map of each column and each covariate", moved, view, gain)]

    def independent(self, rng):
        model, params, data = self.draw(rng, missing=0.0)
        return model, params, data, 1

    def without_column(self, params, column):
        kept = [np.delete(a, column, axis=0).ravel() for a in vars(params).values()]
        return np.concatenate(kept)


def censored(rng, values, sizes):
    """Lower and upper ends: exact, below, above or around the values, a quarter each."""
    kind = rng.integers(4, size=values.shape)
    down, up = rng.exponential(size=(2, *values.shape)) * sizes
    low = np.where(kind == 1, -np.inf, np.where(kind == 3, values - down, values))
    high = np.where(kind == 2, np.inf, np.where((kind == 1) | (kind == 3), values + up, values))
    low = np.where(kind == 2, values - down, low)
    return low, high


CASES = [CensoredNormalCase(0), CensoredNormalCase(2)]
