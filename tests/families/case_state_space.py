"""Linear Gaussian state-space models in the contract tests."""

from dataclasses import replace

import numpy as np
from scipy.stats import multivariate_normal

from emlib.models.state_space import StateSpaceModel, StateSpaceParams
from emlib.models.state_space.params import NAMES
from tests.families.contract import Family, Moved


def random_covariance(rng, size, diagonal=False):
    root = rng.normal(size=(size, size + 3))
    covariance = root @ root.T / size + 0.2 * np.eye(size)
    return np.diag(np.diagonal(covariance)) if diagonal else covariance


def random_state_space(rng, model, d):
    """Stable dynamics, and states that are well seen."""
    k = model.n_states
    transition = np.linalg.qr(rng.normal(size=(k, k)))[0] * rng.uniform(0.4, 0.6, k)
    diagonal = [
        getattr(model, f"{name}_covariance_type") == "diag"
        for name in ("transition", "observation")
    ]
    params = StateSpaceParams(
        transition, rng.normal(size=k), random_covariance(rng, k, diagonal[0]),
        rng.choice([-1.0, 1.0], size=(d, k)) * rng.uniform(0.7, 1.5, (d, k)), rng.normal(size=d),
        0.5 * random_covariance(rng, d, diagonal[1]),
        rng.normal(size=k), random_covariance(rng, k, model.initial_covariance_type == "diag"),
    )  # fmt: skip
    arrays = {name: getattr(params, name) for name in params.__dataclass_fields__}
    return StateSpaceParams(**(arrays | model.held(d)))


def stacked(params, n, initial_time=1):
    """Mean and covariance of all states in one vector, and what maps it to all observations."""
    lead, k = 1 - initial_time, len(params.initial_mean)
    total = n + lead
    means, covariance = np.zeros((total, k)), np.zeros((total, k, total, k))
    for t in range(total):
        if t == 0:
            means[0], block = params.initial_mean, params.initial_covariance
        else:
            means[t] = params.transition @ means[t - 1] + params.transition_offset
            block = params.transition @ covariance[t - 1, :, t - 1] @ params.transition.T
            block = block + params.transition_covariance
        for u in range(t, total):
            covariance[u, :, t], covariance[t, :, u] = block, block.T
            block = params.transition @ block
    maps = np.hstack([np.zeros((n * len(params.observation), lead * k)),
                      np.kron(np.eye(n), params.observation)])  # fmt: skip
    return means.ravel(), covariance.reshape(total * k, total * k), maps


def stacked_observations(params, n, initial_time=1):
    """Mean and covariance of all observations of a sequence in one vector."""
    means, covariance, maps = stacked(params, n, initial_time)
    mean = maps @ means + np.tile(params.observation_offset, n)
    noise = np.kron(np.eye(n), params.observation_covariance)
    return mean, maps @ covariance @ maps.T + noise


class StateSpaceCase(Family):
    classes = False

    def __init__(self, name, k=1, d=2, lengths=(12, 9, 10, 9), **settings):
        self.name = f"state_space[{name}]"
        self.complete_information = name in ("constant start", "correlated noise")  # the fast ones
        self.k, self.d, self.lengths, self.settings = k, d, lengths, settings

    def model(self, d):
        fixed = {name: value(self.k, d) for name, value in self.settings.get("fixed", {}).items()}
        return StateSpaceModel(self.k, **(self.settings | {"fixed": fixed}))

    def draw(self, rng, n=40, missing=0.2, d=None):
        d = d or self.d
        lengths = np.array(self.lengths) * n // 40 if n != 40 else np.array(self.lengths)
        model = self.model(d)
        if model.initial_covariance_type == "auto":
            model = model.prepare(model.view(rng.normal(size=(lengths.sum(), d)), lengths=lengths))
        params = random_state_space(rng, model, d)
        values, _ = model.simulate(params, lengths, rng)
        values[rng.random(values.shape) < missing] = np.nan
        values[:2] = rng.normal(size=(2, d))
        data = model.view(values, lengths=lengths)
        return model.prepare(data), params, data

    def small(self, rng):
        values = rng.normal(size=(4, self.d))
        model = self.model(self.d)
        return [
            (model, model.view(values[:1])),
            (model, model.view(values[:3])),
            (model, model.view(values[:2], lengths=[1, 1])),
            (model, model.view(values, lengths=[3, 1])),
        ]

    def brute_loglik(self, model, params, data):
        total = 0.0
        for s, weight in enumerate(data.unit_weights):
            y = data.values[data.offsets[s] : data.offsets[s + 1]]
            mean, covariance = stacked_observations(params, len(y), model.initial_time)
            seen = ~np.isnan(y.ravel())
            if seen.any():
                law = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
                total += weight * law.logpdf(y.ravel()[seen])
        return float(total)


class FreeCase(StateSpaceCase):
    """Loadings are estimated, so columns have no units, and a column may load on nothing."""

    def moved(self, rng, model, params, data):
        scale = rng.uniform(0.1, 10.0, data.d)
        shift = np.zeros(data.d)
        if model.offsets in ("observation", "both"):
            shift = rng.normal(size=data.d) * 1e3
        moved = replace(
            params,
            observation=params.observation * scale[:, None],
            observation_offset=params.observation_offset * scale + shift,
            observation_covariance=params.observation_covariance * np.outer(scale, scale),
        )
        view = model.view(data.values * scale + shift, data.unit_weights, lengths=data.lengths)
        jacobian = -float((data.observed * np.log(scale)).sum())
        return [Moved("an affine map of each column", moved, view, jacobian)]

    def independent(self, rng):
        model, params, data = self.draw(rng, missing=0.0)
        observation, noise = params.observation.copy(), params.observation_covariance.copy()
        observation[-1] = 0.0
        noise[-1, :-1], noise[:-1, -1] = 0.0, 0.0
        params = replace(params, observation=observation, observation_covariance=noise)
        values, _ = model.simulate(params, data.lengths, rng)
        return model, params, model.view(values, lengths=data.lengths), data.d - 1

    def without_column(self, params, column):
        arrays = {name: getattr(params, name) for name in NAMES}
        for name in ("observation", "observation_offset", "observation_covariance"):
            arrays[name] = np.delete(arrays[name], column, axis=0)
        arrays["observation_covariance"] = np.delete(
            arrays["observation_covariance"], column, axis=1
        )
        return np.concatenate([array.ravel() for array in arrays.values()])


class ConstantStartCase(FreeCase):
    """The constant stands in the equation of y_1, so it moves with the loadings of all columns."""

    independent = Family.independent


def loadings(k, d):
    return np.vstack([np.eye(k)] * (d // k))


CASES = [
    FreeCase("free", d=4, lengths=(40,), observation_covariance_type="diag"),
    ConstantStartCase(
        "constant start", d=4, observation_covariance_type="diag", offsets="transition",
        initial_covariance_type="zero", initial_time=1,
    ),
    FreeCase(
        "many sequences", d=4, lengths=(4,) * 10, observation_covariance_type="diag",
        offsets="transition", initial_time=1,
    ),
    StateSpaceCase(
        "two states", k=2, d=4, lengths=(40,), observation_covariance_type="diag",
        offsets="none", fixed={"observation": loadings},
    ),
    StateSpaceCase(
        "correlated noise", lengths=(10,) * 4, offsets="transition", integrate_missing_steps=True,
        fixed={
            "observation": lambda k, d: np.ones((d, k)),
            "transition": lambda k, d: 0.5 * np.eye(k),
            "initial_covariance": lambda k, d: np.eye(k),
            "transition_covariance": lambda k, d: np.eye(k),
        },
    ),
]  # fmt: skip
