"""Mixtures of linear regressions in the contract tests."""

import numpy as np
from scipy.special import logsumexp
from scipy.stats import norm, t

from emlib.data import Regression
from emlib.models.regression_mixture import RegressionMixtureModel, RegressionMixtureParams
from tests.families.contract import Family, Moved


class RegressionMixtureCase(Family):
    def __init__(self, name, dofs=np.inf, equal_scales=False, p=1):
        self.name = f"regression_mixture[{name}]"
        self.dofs, self.equal_scales, self.p = dofs, equal_scales, p

    def model(self, k):
        return RegressionMixtureModel(k, self.equal_scales, self.dofs)

    def draw(self, rng, n=40, missing=0.2, d=2, k=2):
        model = self.model(k)
        scales = rng.uniform(0.5, 1.0, (1 if self.equal_scales else k, d)) * np.ones((k, 1))
        free = rng.uniform(1.0, 2.5, 1 if self.dofs == "common" else k)
        dofs = free if isinstance(self.dofs, str) else np.asarray(self.dofs)
        params = RegressionMixtureParams(
            rng.dirichlet(np.full(k, 20.0)),
            3.0 * np.arange(k)[:, None] + rng.normal(size=(k, d)),
            rng.normal(size=(k, d, self.p)),
            scales,
            np.broadcast_to(dofs, k).astype(float),
        )
        covariates = rng.normal(size=(n, self.p))
        values, _ = model.sample(params, n, rng, covariates)
        holes = rng.random(values.shape) < missing
        holes[: 4 + self.p] = False
        values[holes] = np.nan
        data = Regression.from_arrays(values, covariates)
        return model.prepare(data), params, data

    def small(self, rng):
        values, covariates = rng.normal(size=(5, 2)), rng.normal(size=(5, self.p))
        views = [Regression.from_arrays(values[:n], covariates[:n]) for n in (1, 5)]
        same = Regression.from_arrays(values, np.ones((5, self.p)))
        models = [self.model(k) for k in (1, 5)] if isinstance(self.dofs, str) else [
            RegressionMixtureModel(k, self.equal_scales, np.min(self.dofs)) for k in (1, 5)
        ]  # fmt: skip
        return [(model, view) for model in models for view in (*views, same)]

    def brute_loglik(self, model, params, data):
        total = 0.0
        for row, z, weight in zip(data.values, data.covariates, data.weights, strict=True):
            joint = np.log(params.weights)
            for k, dof in enumerate(params.dofs):
                law = norm if np.isinf(dof) else t(dof)
                for j in np.flatnonzero(~np.isnan(row)):
                    scale = params.scales[k, j]
                    line = params.intercept[k, j] + params.coef[k, j] @ z
                    joint[k] += law.logpdf((row[j] - line) / scale) - np.log(scale)
            total += weight * logsumexp(joint) if (~np.isnan(row)).any() else 0.0
        return total

    def relabel(self, params, order):
        return RegressionMixtureParams(*(array[order] for array in vars(params).values()))

    def moved(self, rng, model, params, data):
        scale, shift = rng.uniform(0.1, 10.0, data.d), 1e3 * rng.normal(size=data.d)
        stretch, turn = 1e2 * rng.normal(size=self.p), rng.uniform(0.1, 10.0, self.p)
        coef = params.coef * scale[:, None] / turn
        moved = RegressionMixtureParams(
            params.weights,
            params.intercept * scale + shift - coef @ stretch,
            coef,
            params.scales * scale,
            params.dofs,
        )
        view = Regression.from_arrays(
            data.values * scale + shift, data.covariates * turn + stretch, data.weights
        )
        gain = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        return [Moved("an affine map of each response and each covariate", moved, view, gain)]

    def independent(self, rng):
        model, params, data = self.draw(rng, missing=0.0)
        arrays = {name: array.copy() for name, array in vars(params).items()}
        for name in ("intercept", "coef", "scales"):
            arrays[name][:, 1] = arrays[name][0, 1]
        arrays["dofs"][:] = arrays["dofs"][0]
        params = RegressionMixtureParams(**arrays)
        values, _ = model.sample(params, data.n, rng, data.covariates)
        return model, params, Regression.from_arrays(values, data.covariates), 1

    def without_column(self, params, column):
        kept = [np.delete(getattr(params, name), column, axis=1).ravel()
                for name in ("intercept", "coef", "scales")]  # fmt: skip
        return np.concatenate([params.weights, *kept])


CASES = [
    RegressionMixtureCase("normal"),
    RegressionMixtureCase("normal, equal scales, 2 covariates", equal_scales=True, p=2),
    RegressionMixtureCase("t each", dofs="each"),
    RegressionMixtureCase("t common, equal scales", dofs="common", equal_scales=True),
    RegressionMixtureCase("t given", dofs=(2.0, np.inf)),
]
