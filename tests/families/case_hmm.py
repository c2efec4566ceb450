"""Hidden Markov models in the contract tests."""

import numpy as np

from emlib.data import Sequences
from emlib.models.hmm import (
    CategoricalHMMModel,
    CategoricalHMMParams,
    GaussianHMMModel,
    GaussianHMMParams,
    MixtureHMMModel,
    MixtureHMMParams,
    PoissonHMMModel,
    PoissonHMMParams,
)
from emlib.models.hmm.stationary import stationary_distribution
from tests.families.contract import Family, Moved
from tests.hmm_twins import brute_loglik


def lengths_of(n, shortest=3):
    """Many short sequences, so that no first state is certain."""
    sizes = []
    while sum(sizes) < n:
        sizes.append(min(shortest + len(sizes) % 4, n - sum(sizes)))
    return sizes


class HMMCase(Family):
    """One family with one kind of first state."""

    def __init__(self, startprob="free"):
        self.startprob = startprob
        self.name = f"{self.family}[{startprob}]"

    longer, shortest, sticky = 1, 3, 0.5
    """How much longer its data are than asked for, and how they are made, so that optima lie
    inside."""

    def chain(self, rng, k):
        transmat = self.sticky * np.eye(k)
        transmat += (1.0 - self.sticky) * rng.dirichlet(np.full(k, 20.0), k)
        first = rng.dirichlet(np.full(k, 20.0))
        return (first if self.startprob == "free" else stationary_distribution(transmat)), transmat

    def draw(self, rng, n=40, missing=0.2):
        model, params = self.problem(rng)
        sizes = lengths_of(self.longer * n, self.shortest)
        values = np.vstack([model.sample(params, size, rng)[0] for size in sizes])
        whole = values.copy()
        values[rng.random(values.shape) < missing] = np.nan
        values[:4] = whole[:4]
        data = model.view(values, lengths=sizes)
        return model.prepare(data), params, data

    def brute_loglik(self, model, params, data):
        return brute_loglik(model, params, data)

    def relabel(self, params, order):
        arrays = {name: getattr(params, name)[order] for name in params.__dataclass_fields__}
        arrays["transmat"] = params.transmat[np.ix_(order, order)]
        return type(params)(**arrays)


class GaussianCase(HMMCase):
    family = "gaussian_hmm"

    def __init__(self, covariance_type, startprob="free"):
        super().__init__(startprob)
        self.covariance_type = covariance_type
        self.name = f"gaussian_hmm[{covariance_type}, {startprob}]"

    def problem(self, rng, d=2, k=2):
        model = GaussianHMMModel(k, self.covariance_type, startprob=self.startprob)
        root = rng.normal(size=(k, d, d + 2))
        full = root @ root.transpose(0, 2, 1) / d + 0.5 * np.eye(d)
        means = 4.0 * np.arange(k)[:, None] + rng.normal(size=(k, d))
        startprob, transmat = self.chain(rng, k)
        truth = {"startprob": startprob, "transmat": transmat, "means": means, "covars": full}
        return model, model.from_truth(truth)

    def small(self, rng):
        values = rng.normal(size=(3, 2))

        def model(k):
            return GaussianHMMModel(k, self.covariance_type, startprob=self.startprob)

        return [
            (model(1), Sequences.from_arrays(values[:1])),
            (model(1), Sequences.from_arrays(values)),
            (model(3), Sequences.from_arrays(values)),
        ]

    def relabel(self, params, order):
        if self.covariance_type != "tied":
            return super().relabel(params, order)
        return GaussianHMMParams(
            params.startprob[order], params.transmat[np.ix_(order, order)], params.means[order],
            params.covars,
        )  # fmt: skip

    def moved(self, rng, model, params, data):
        spherical = self.covariance_type == "spherical"
        scale = np.full(data.d, 3.7) if spherical else rng.uniform(0.1, 10.0, data.d)
        shift = rng.normal(size=data.d) * 1e3
        full = model.emission.full_covariances(params) * np.outer(scale, scale)
        truth = {
            "startprob": params.startprob, "transmat": params.transmat,
            "means": params.means * scale + shift, "covars": full,
        }  # fmt: skip
        table = Sequences.from_arrays(data.values * scale + shift, data.lengths, data.unit_weights)
        jacobian = -float((data.observed * np.log(scale)).sum(axis=1) @ data.weights)
        name = "an affine map of each column"
        return [Moved(name, model.from_truth(truth), table, jacobian)]


class AxisCase(GaussianCase):
    """Structures in which a column can be independent of the others and of the states."""

    def independent(self, rng):
        model, params = self.problem(rng, d=3)
        full = model.emission.full_covariances(params).copy()
        full[:, 2, :], full[:, :, 2] = 0.0, 0.0
        full[:, 2, 2] = 1.3
        means = params.means.copy()
        means[:, 2] = 0.4
        truth = {
            "startprob": params.startprob, "transmat": params.transmat,
            "means": means, "covars": full,
        }  # fmt: skip
        params = model.from_truth(truth)
        sizes = lengths_of(40)
        values = np.vstack([model.sample(params, size, rng)[0] for size in sizes])
        return model, params, model.view(values, lengths=sizes), 2

    def without_column(self, params, column):
        covars = np.delete(params.covars, column, axis=-1)
        if self.covariance_type in ("full", "tied"):
            covars = np.delete(covars, column, axis=-2)
        means = np.delete(params.means, column, axis=1)
        chain = [params.startprob, params.transmat.ravel()]
        return np.concatenate([*chain, means.ravel(), covars.ravel()])


class PoissonCase(HMMCase):
    family = "poisson_hmm"

    def problem(self, rng, d=2, k=2):
        rates = 1.0 + 4.0 * np.arange(k)[:, None] + rng.random((k, d))
        params = PoissonHMMParams(*self.chain(rng, k), rates)
        return PoissonHMMModel(k, startprob=self.startprob), params

    def small(self, rng):
        values = rng.poisson(3.0, size=(3, 2)).astype(float)
        return [
            (PoissonHMMModel(1, startprob=self.startprob), Sequences.from_arrays(values[:1])),
            (PoissonHMMModel(3, startprob=self.startprob), Sequences.from_arrays(values)),
        ]

    def independent(self, rng):
        model, params = self.problem(rng, d=3)
        rates = params.rates.copy()
        rates[:, 2] = 2.0
        params = PoissonHMMParams(params.startprob, params.transmat, rates)
        sizes = lengths_of(40)
        values = np.vstack([model.sample(params, size, rng)[0] for size in sizes])
        return model, params, model.view(values, lengths=sizes), 2

    def without_column(self, params, column):
        rates = np.delete(params.rates, column, axis=1)
        return np.concatenate([params.startprob, params.transmat.ravel(), rates.ravel()])


class CategoricalCase(HMMCase):
    family = "categorical_hmm"
    completes_by_mean = False
    longer, shortest, sticky = 16, 8, 0.75

    def problem(self, rng, k=2):
        base = np.array([[0.75, 0.13, 0.12], [0.12, 0.13, 0.75]])
        probabilities = 0.9 * base + 0.1 * rng.dirichlet(np.full(3, 5.0), k)
        params = CategoricalHMMParams(*self.chain(rng, k), probabilities)
        return CategoricalHMMModel(k, 3, startprob=self.startprob), params

    def small(self, rng):
        values = np.array([[0.0], [2.0], [1.0]])
        return [
            (CategoricalHMMModel(1, startprob=self.startprob), Sequences.from_arrays(values[:1])),
            (CategoricalHMMModel(3, startprob=self.startprob), Sequences.from_arrays(values)),
        ]


class MixtureCase(HMMCase):
    family = "mixture_hmm"

    def __init__(self, covariance_type, startprob="free"):
        super().__init__(startprob)
        self.covariance_type = covariance_type
        self.name = f"mixture_hmm[{covariance_type}, {startprob}]"

    def problem(self, rng, d=2, k=2, m=2):
        model = MixtureHMMModel(k, m, self.covariance_type, startprob=self.startprob)
        root = rng.normal(size=(k, m, d, d + 2))
        full = root @ root.swapaxes(2, 3) / d + 0.5 * np.eye(d)
        means = 3.0 * np.arange(k * m).reshape(k, m, 1) + rng.normal(size=(k, m, d))
        weights = rng.dirichlet(np.full(m, 20.0), k)
        startprob, transmat = self.chain(rng, k)
        truth = {
            "startprob": startprob, "transmat": transmat, "weights": weights, "means": means,
            "covars": full,
        }  # fmt: skip
        return model, model.from_truth(truth)

    def small(self, rng):
        values = rng.normal(size=(3, 2))
        return [
            (MixtureHMMModel(1, 1, self.covariance_type), Sequences.from_arrays(values)),
            (MixtureHMMModel(2, 2, self.covariance_type), Sequences.from_arrays(values)),
        ]

    def relabel(self, params, order):
        if self.covariance_type != "tied":
            return super().relabel(params, order)
        return MixtureHMMParams(
            params.startprob[order], params.transmat[np.ix_(order, order)],
            params.weights[order], params.means[order], params.covars,
        )  # fmt: skip


CASES = [
    AxisCase("full"),
    AxisCase("tied", "stationary"),
    AxisCase("diag"),
    GaussianCase("spherical"),
    PoissonCase(),
    PoissonCase("stationary"),
    CategoricalCase(),
    CategoricalCase("stationary"),
    MixtureCase("tied"),
    MixtureCase("diag", "stationary"),
]
