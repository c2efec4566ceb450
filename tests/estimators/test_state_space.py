"""LinearGaussianStateSpace: parity with peers, and what practitioners do with it."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from emlib import LinearGaussianStateSpace
from emlib.errors import InvalidData
from emlib.models.state_space import StateSpaceModel
from emlib.models.state_space.params import NAMES
from tests.families.case_state_space import random_state_space

TO_PYKALMAN = {
    "transition": "transition_matrices",
    "transition_offset": "transition_offsets",
    "transition_covariance": "transition_covariance",
    "observation": "observation_matrices",
    "observation_offset": "observation_offsets",
    "observation_covariance": "observation_covariance",
    "initial_mean": "initial_state_mean",
    "initial_covariance": "initial_state_covariance",
}


def problem(rng, k=2, d=3, n=80, missing=0.0, **settings):
    model = StateSpaceModel(k, **({"initial_covariance_type": "full"} | settings))
    params = random_state_space(rng, model, d)
    values, states = model.sample(params, n, rng)
    values[rng.random(values.shape) < missing] = np.nan
    return params, values, states


def arrays(params):
    return {name: getattr(params, name) for name in NAMES}


def loglik_of(values, params, initial_time=1):
    """The estimator's loglik at given parameters: nothing is estimated."""
    fit = LinearGaussianStateSpace(len(params.initial_mean), initial_time=initial_time,
                                   fixed=arrays(params), tol=0, max_iter=1)  # fmt: skip
    return fit.fit(values).loglik_


@pytest.mark.parametrize("missing_steps", [False, True])
@pytest.mark.parametrize(
    "moving",
    [
        ("transition_covariance", "observation_covariance", "initial_mean", "initial_covariance"),
        tuple(name for name in NAMES if not name.endswith("offset")),
    ],
    ids=["default", "all but offsets"],
)
def test_same_start_same_iterations_same_numbers_as_pykalman(rng, moving, missing_steps):
    pykalman = pytest.importorskip("pykalman")
    params, values, _ = problem(rng, offsets="none")
    if missing_steps:
        values[20:24] = np.nan
    peer = pykalman.KalmanFilter(
        **{TO_PYKALMAN[name]: array for name, array in arrays(params).items()},
        em_vars=[TO_PYKALMAN[name] for name in moving],
    )
    peer = peer.em(np.ma.masked_invalid(values), n_iter=10)
    held = {name: a for name, a in arrays(params).items() if name not in moving}
    ours = LinearGaussianStateSpace(
        2, initial_time=1, initial_covariance_type="full", offsets="none",
        init_params=arrays(params), fixed=held, tol=0, max_iter=10,
    ).fit(values)  # fmt: skip
    for name in NAMES:
        theirs = getattr(peer, TO_PYKALMAN[name])
        assert getattr(ours, f"{name}_") == pytest.approx(theirs, rel=1e-6, abs=1e-6)
    means, covariances = peer.smooth(np.ma.masked_invalid(values))
    smoothed = ours.smooth(values)
    assert smoothed[0] == pytest.approx(means, abs=1e-6)
    assert smoothed[1] == pytest.approx(covariances, abs=1e-6)
    assert ours.filter(values)[0] == pytest.approx(
        peer.filter(np.ma.masked_invalid(values))[0], abs=1e-6
    )


@pytest.mark.parametrize("diagonal", [False, True])
def test_the_loglik_and_the_smoothed_states_are_those_of_statsmodels(rng, diagonal):
    mlemodel = pytest.importorskip("statsmodels.tsa.statespace.mlemodel")
    kind = "diag" if diagonal else "full"
    params, values, _ = problem(rng, missing=0.3, offsets="both", observation_covariance_type=kind)
    values[10] = np.nan
    peer = mlemodel.MLEModel(values, k_states=2)
    peer.ssm["transition"], peer.ssm["state_intercept"] = (
        params.transition, params.transition_offset[:, None]
    )  # fmt: skip
    peer.ssm["state_cov"], peer.ssm["selection"] = params.transition_covariance, np.eye(2)
    peer.ssm["design"], peer.ssm["obs_intercept"] = (
        params.observation, params.observation_offset[:, None]
    )  # fmt: skip
    peer.ssm["obs_cov"] = params.observation_covariance
    peer.ssm.initialize_known(params.initial_mean, params.initial_covariance)
    result = peer.ssm.smooth()
    assert loglik_of(values, params) == pytest.approx(result.llf, rel=1e-6)
    fit = LinearGaussianStateSpace(2, initial_time=1, fixed=arrays(params), tol=0, max_iter=1)
    means, covariances = fit.fit(values).smooth(values)
    assert means == pytest.approx(result.smoothed_state.T, abs=1e-6)
    assert covariances == pytest.approx(result.smoothed_state_cov.transpose(2, 0, 1), abs=1e-6)


def test_forecasts_are_smoothed_steps_that_nobody_observed(rng):
    params, values, _ = problem(rng, missing=0.2)
    fit = LinearGaussianStateSpace(2, fixed=arrays(params), tol=0, max_iter=1).fit(values)
    means, covariances = fit.forecast(3)
    longer = np.vstack([values, np.full((3, 3), np.nan)])
    assert means == pytest.approx(fit.impute(longer)[-3:])
    first, _ = fit.forecast(1)
    ahead = np.vstack([values, [[0.0, 0.0, 0.0]]])
    assert fit.predict(ahead)[-1] == pytest.approx(first[0])
    draws = fit.impute(longer, n_draws=3000)[:, -3:]
    spread = np.stack([np.cov(draws[:, t].T) for t in range(3)])
    assert spread == pytest.approx(covariances, rel=0.25, abs=0.15 * covariances.max())
    with pytest.raises(ValueError, match="n_steps: 0"):
        fit.forecast(0)
    with pytest.raises(ValueError, match="2 sequences were fitted"):
        fit.fit(values, lengths=[40, 40]).forecast(1)


def test_dynamics_are_found_again(rng):
    params, values, states = problem(
        rng, n=1500, missing=0.2, observation_covariance_type="diag", offsets="observation"
    )
    fit = LinearGaussianStateSpace(2, observation_covariance_type="diag", tol=0, max_iter=300).fit(
        values
    )
    error = fit.model_.parameter_error(fit.params_, arrays(params))
    assert error < 0.15
    truth = loglik_of(values, replace(params, initial_covariance=np.eye(2)))
    assert fit.loglik_ > truth - 1
    found = fit.transform(values)
    x = np.column_stack([found, np.ones(len(found))])
    rest = states - x @ np.linalg.lstsq(x, states, rcond=None)[0]
    best = LinearGaussianStateSpace(2, fixed=arrays(params), tol=0, max_iter=1).fit(values)
    least = states - best.transform(values)
    assert (rest**2).sum() < 1.05 * (least**2).sum()


def test_many_states_start_from_several_steps(rng):
    _, values, _ = problem(rng, k=3, d=1, n=300, missing=0.1)
    fit = LinearGaussianStateSpace(3, max_iter=50, tol=0).fit(values)
    assert (np.diff(fit.history_.loglik) > 0).all()


def test_random_starts_differ_and_respect_what_is_held(rng):
    _, values, _ = problem(rng)
    held = {"transition": [[0.9, 0.1], [0.0, 0.5]]}
    fit = LinearGaussianStateSpace(
        2, init_params="random", n_init=3, random_state=0, fixed=held, max_iter=5, tol=0
    ).fit(values)
    assert fit.transition_.tolist() == held["transition"]
    assert len({start.loglik for start in fit.starts_}) == 3


def test_what_is_identified_has_standard_errors_and_the_rest_says_why_not(rng):
    _, values, _ = problem(
        rng, k=1, d=3, n=300, observation_covariance_type="diag", offsets="transition"
    )
    fit = LinearGaussianStateSpace(
        1, observation_covariance_type="diag", offsets="none", tol=1e-7, max_iter=20_000
    ).fit(values - values.mean(axis=0))
    errors = fit.standard_errors()
    assert (errors.reasons["observation"] == "not_identified").all()
    assert (errors.reasons["transition_covariance"] == "not_identified").all()
    assert np.isnan(errors["observation"]).all()
    a = fit.transition_.item()
    assert 0.5 < errors["transition"].item() / np.sqrt((1 - a**2) / 300) < 3
    assert errors["transition_moduli"] == pytest.approx(errors["transition"].ravel())
    assert (np.diagonal(errors["observation_covariance"]) > 0).all()
    held = fit.observation_
    tied = LinearGaussianStateSpace(
        1, observation_covariance_type="diag", offsets="none", fixed={"observation": held},
        tol=1e-7, max_iter=20_000,
    ).fit(values - values.mean(axis=0))  # fmt: skip
    assert tied.standard_errors()["transition_covariance"].item() > 0


def test_standard_errors_of_the_level_of_the_nile_are_those_of_the_numeric_hessian(
    reference_values,
):
    y = np.array(reference_values["lgssm_nile_diffuse"]["data"]["y"], dtype=float)[:, None]
    fixed = {"transition": [[1.0]], "observation": [[1.0]]}
    fit = LinearGaussianStateSpace(offsets="none", fixed=fixed, tol=1e-9, max_iter=50_000).fit(y)
    errors = fit.standard_errors()
    names = ("transition_covariance", "observation_covariance", "initial_mean")

    def loglik(vector):
        named = dict(zip(names, (vector[:1, None], vector[1:2, None], vector[2:]), strict=True))
        return fit.model_.e_step(replace(fit.params_, **named), fit._data).loglik

    at = np.array([getattr(fit, f"{name}_").item() for name in names])
    steps = 0.02 * at
    hessian = np.empty((3, 3))
    for i in range(3):
        for j in range(3):
            e, f = np.eye(3)[i] * steps, np.eye(3)[j] * steps
            corners = loglik(at + e + f) - loglik(at + e - f) - loglik(at - e + f)
            hessian[i, j] = (corners + loglik(at - e - f)) / (4 * steps[i] * steps[j])
    expected = np.sqrt(np.diagonal(np.linalg.inv(-hessian)))
    found = [errors[name].item() for name in names]
    assert found == pytest.approx(expected, rel=0.02)


def test_the_parametric_bootstrap_agrees(rng):
    _, values, _ = problem(rng, k=1, d=3, n=150, observation_covariance_type="diag",
                           offsets="none")  # fmt: skip
    fit = LinearGaussianStateSpace(
        1, observation_covariance_type="diag", offsets="none", random_state=0,
        fixed={"observation": np.ones((3, 1))},
    ).fit(values)  # fmt: skip
    a, b = fit.standard_errors(), fit.standard_errors("bootstrap", n_resamples=60)
    assert b["transition"].item() == pytest.approx(a["transition"].item(), rel=0.4)


def test_names_can_be_held_at_their_starting_values(rng):
    params, values, _ = problem(rng, initial_time=1)
    fit = LinearGaussianStateSpace(
        2, initial_time=1, initial_covariance_type="full", offsets="both",
        fixed=("transition", "initial_covariance"), init_params=arrays(params), max_iter=3, tol=0,
    ).fit(values)  # fmt: skip
    assert (fit.transition_ == params.transition).all()
    assert (fit.initial_covariance_ == params.initial_covariance).all()
    assert (fit.observation_ != params.observation).all()
    with pytest.raises(ValueError, match="'transition' has no value in init_params"):
        LinearGaussianStateSpace(2, fixed=["transition"]).fit(values)
    with pytest.raises(ValueError, match="neither a mapping nor a list of names"):
        LinearGaussianStateSpace(2, fixed="transition").fit(values)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("transition_covariance", [[1.0, 0.5], [0.0, 1.0]], "not symmetric"),
        ("transition_covariance", np.zeros((2, 2)), "not positive definite"),
        ("observation_covariance", np.eye(3) + 0.1, "not diagonal"),
        ("observation_offset", np.ones(3), "differs from the value it is held at"),
    ],
)
def test_wrong_starting_values_are_named(rng, name, value, words):
    params, values, _ = problem(rng, offsets="none", observation_covariance_type="diag")
    model = LinearGaussianStateSpace(
        2, offsets="none", observation_covariance_type="diag", initial_covariance_type="full",
        init_params=arrays(params) | {name: value},
    )  # fmt: skip
    with pytest.raises(ValueError, match=words):
        model.fit(values)


def test_it_is_a_scikit_learn_estimator_as_far_as_sequences_allow(rng):
    _, values, _ = problem(rng, missing=0.1)
    model = LinearGaussianStateSpace(2, max_iter=3, tol=0, fixed={"transition": 0.5 * np.eye(2)})
    twin = clone(model)
    assert repr(twin) == repr(model)
    model.fit(values)
    back = pickle.loads(pickle.dumps(model))
    assert back.score(values) == model.score(values) == pytest.approx(model.loglik_)
    assert model.bic() > model.aic()
    with pytest.raises(ValueError, match="features"):
        model.score(values[:, :2])
    with pytest.raises(InvalidData, match="column 0 is constant"):
        twin.fit(np.ones((5, 2)))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        sample, states = model.sample(4)
    assert sample.shape == (4, 3)
    assert states.shape == (4, 2)
