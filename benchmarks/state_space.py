"""State-space models beside pykalman (EM) and statsmodels (the Kalman smoother).

pykalman takes a step with one hole for a missing step, so it climbs on complete data, and from
the same start in the same iterations comes to the same loglik.  statsmodels has no EM for these
models: its smoother, with all that EM's sums need (covariances of neighbours too), stands beside
our E-step, the same cells missing.
"""

from collections.abc import Iterator
from importlib.metadata import version

import numpy as np
from pykalman import KalmanFilter
from statsmodels.tsa.statespace.kalman_smoother import (
    SMOOTHER_STATE,
    SMOOTHER_STATE_AUTOCOV,
    SMOOTHER_STATE_COV,
)
from statsmodels.tsa.statespace.mlemodel import MLEModel

from benchmarks.side_by_side import Comparison, holed
from emlib import LinearGaussianStateSpace
from emlib.models.state_space import StateSpaceModel, StateSpaceParams

ITERATIONS = 5
PASSES = 10
NAMES = {
    "transition": "transition_matrices",
    "transition_offset": "transition_offsets",
    "transition_covariance": "transition_covariance",
    "observation": "observation_matrices",
    "observation_offset": "observation_offsets",
    "observation_covariance": "observation_covariance",
    "initial_mean": "initial_state_mean",
    "initial_covariance": "initial_state_covariance",
}


def comparisons() -> Iterator[Comparison]:
    """EM on complete data, the smoother on complete data and with a fifth of the cells missing."""
    for n, k, d in ((200, 2, 3), (2_000, 4, 6)):
        params = _params(k, d)
        values = _values(params, n)
        yield Comparison(
            f"state space, T = {n}, {k} states, {d} columns, {ITERATIONS} EM iterations",
            f"pykalman {version('pykalman')}",
            lambda values=values, params=params: _ours(values, params),
            lambda values=values, params=params: _pykalman(values, params),
            repeats=1,
        )
    for n, k, d, missing in ((2_000, 4, 6, 0.0), (2_000, 4, 6, 0.2), (2_000, 8, 20, 0.2)):
        params = _params(k, d)
        values = holed(_values(params, n), missing)
        yield Comparison(
            f"Kalman smoother, T = {n}, {k} states, {d} columns, {missing:.0%} missing, "
            f"{PASSES} passes",
            f"statsmodels {version('statsmodels')}",
            lambda values=values, params=params: _our_passes(values, params),
            lambda values=values, params=params: _statsmodels(values, params),
            repeats=3,
        )


def _params(k: int, d: int) -> StateSpaceParams:
    rng = np.random.default_rng(k + d)
    return StateSpaceParams(
        0.8 * np.linalg.qr(rng.normal(size=(k, k)))[0], np.zeros(k), np.eye(k),
        rng.normal(size=(d, k)), np.zeros(d), np.eye(d) + 0.3, np.zeros(k), np.eye(k),
    )  # fmt: skip


def _values(params: StateSpaceParams, n: int) -> np.ndarray:
    model = StateSpaceModel(len(params.initial_mean), initial_time=1)
    return model.sample(params, n, np.random.default_rng(n))[0]


def _ours(values: np.ndarray, params: StateSpaceParams) -> float:
    fit = LinearGaussianStateSpace(
        len(params.initial_mean), initial_time=1, initial_covariance_type="full", offsets="none",
        init_params={name: getattr(params, name) for name in NAMES}, tol=0, max_iter=ITERATIONS,
    )  # fmt: skip
    return float(fit.fit(values).loglik_)


def _pykalman(values: np.ndarray, params: StateSpaceParams) -> float:
    peer = KalmanFilter(
        **{theirs: getattr(params, ours) for ours, theirs in NAMES.items()},
        em_vars=[theirs for ours, theirs in NAMES.items() if not ours.endswith("offset")],
    )
    return float(peer.em(values, n_iter=ITERATIONS).loglikelihood(values))


def _our_passes(values: np.ndarray, params: StateSpaceParams) -> float:
    model = StateSpaceModel(len(params.initial_mean), initial_time=1)
    data = model.view(values)
    return [model.e_step(params, data).loglik for _ in range(PASSES)][-1]


def _statsmodels(values: np.ndarray, params: StateSpaceParams) -> float:
    k = len(params.initial_mean)
    peer = MLEModel(values, k_states=k).ssm
    peer["transition"], peer["selection"] = params.transition, np.eye(k)
    peer["state_cov"], peer["design"] = params.transition_covariance, params.observation
    peer["obs_cov"] = params.observation_covariance
    peer.initialize_known(params.initial_mean, params.initial_covariance)
    outputs = SMOOTHER_STATE | SMOOTHER_STATE_COV | SMOOTHER_STATE_AUTOCOV
    return [float(peer.smooth(smoother_output=outputs).llf) for _ in range(PASSES)][-1]
