"""A certificate says what an end is, and its numbers are those of brute force."""

import importlib
import pkgutil

import numpy as np
import pytest

import tests.families
from emlib import BernoulliMixture, GaussianHMM, GaussianMixture
from emlib.algorithms import Stopping, climb
from emlib.data import Table
from emlib.inference import certify, observed_information
from emlib.inference.certificate import _judge
from emlib.models.differences import gradient, hessian, natural_steps
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams

FAMILIES = [
    case
    for module in pkgutil.iter_modules(tests.families.__path__)
    if "case_" in module.name
    for case in importlib.import_module(f"tests.families.{module.name}").CASES
]


def two_groups(rng, n=300, gap=2.5):
    x = rng.normal(size=(n, 2))
    x[: n // 3] += gap
    return x


def fitted(x, k=2, tol=1e-10, **settings):
    return GaussianMixture(k, tol=tol, max_iter=20_000, random_state=0, **settings).fit(x)


def loglik_in_chart(model, data, around):
    def loglik(vector):
        return model.e_step(model.unpack(vector, around, "unconstrained"), data).loglik

    return loglik


def test_the_eigenvalues_are_the_missing_fractions_of_oakes(rng):
    x = two_groups(rng)[:, :1]
    fit = fitted(x, covariance_type="tied")
    found = fit.certificate()
    information = observed_information(fit.model_, Table.from_array(x), fit.params_)
    assert found.verdict == "maximum"
    assert found.reason == ""
    assert found.eigenvalues == pytest.approx(information.missing_fractions, abs=1e-5)
    assert found.smallest_share == pytest.approx(1 - information.rate, abs=1e-5)
    assert found.rate == pytest.approx(information.rate, abs=1e-5)


def test_the_climb_s_own_rate_is_the_square_since_it_is_that_of_the_gain(rng):
    x = two_groups(rng)
    model = GaussianMixtureModel(2).prepare(Table.from_array(x))
    start = fitted(x, tol=1e-2).params_
    end = climb(model, Table.from_array(x), start, stopping=Stopping(tol=1e-8, max_iter=5000))
    found = certify(model, Table.from_array(x), end.params)
    assert end.linear_rate == pytest.approx(found.rate**2, abs=0.01)


def test_the_newton_decrement_is_what_is_left_to_gain_in_whatever_units(rng):
    x = two_groups(rng)
    for scale, shift in ((1.0, 0.0), (1e4, 1e6)):
        fit = fitted(x * scale + shift)
        model, data = fit.model_, Table.from_array(x * scale + shift)
        at = model.pack(fit.params_, "unconstrained")
        loglik = loglik_in_chart(model, data, fit.params_)
        moved = at + np.random.default_rng(1).normal(size=len(at)) * natural_steps(loglik, at)
        beside = model.unpack(moved, fit.params_, "unconstrained")
        found = certify(model, data, beside)
        gain = fit.loglik_ - model.e_step(beside, data).loglik
        assert found.newton_decrement == pytest.approx(gain, rel=0.02)
        slope = gradient(loglik, moved, natural_steps(loglik, moved))
        stats = model.e_step(beside, data)
        expected = model.q_in_chart(stats, beside)
        complete = -hessian(expected, moved, natural_steps(expected, moved))
        norm = np.sqrt(slope @ np.linalg.solve(complete, slope))
        assert found.gradient_norm == pytest.approx(norm, rel=0.05)


def test_an_end_that_is_not_stationary_is_uncertified_and_says_how_far_off(rng):
    x = two_groups(rng)
    model = GaussianMixtureModel(2).prepare(Table.from_array(x))
    start = model.random_start(Table.from_array(x), rng)
    found = certify(model, Table.from_array(x), start)
    assert found.verdict == "uncertified"
    assert "Newton step would gain" in found.reason


def equal_components(x):
    one = fitted(x, 1)
    return GaussianMixtureParams(
        np.array([0.5, 0.5]), np.repeat(one.means_, 2, 0), np.repeat(one.covariances_, 2, 0)
    )


def test_a_nearly_flat_direction_is_not_judged_from_afar():
    eigenvalues = np.array([0.999, 0.5])
    assert _judge(1e-3, eigenvalues, 0, 0)[0] == "uncertified"
    assert _judge(1e-6, eigenvalues, 0, 0)[0] == "maximum"
    rising = np.array([1.001, 0.5])
    assert _judge(1e-3, rising, 0, 0)[0] == "uncertified"
    assert _judge(1e-6, rising, 0, 0)[0] == "saddle"


def test_equal_components_on_two_groups_are_a_saddle_as_the_hessian_says(rng):
    x = two_groups(rng, gap=4.0)
    data = Table.from_array(x)
    model, params = GaussianMixtureModel(2).prepare(data), equal_components(x)
    found = certify(model, data, params)
    at, loglik = model.pack(params, "unconstrained"), loglik_in_chart(model, data, params)
    expected = model.q_in_chart(model.e_step(params, data), params)
    curved = hessian(loglik, at, natural_steps(expected, at))
    upwards = (np.linalg.eigvalsh(curved) > 1e-6 * np.abs(curved).max()).sum()
    assert found.verdict == "saddle"
    assert found.newton_decrement < 1e-6
    assert found.reason.startswith(f"the objective rises along {upwards} of {len(at)}")
    assert found.smallest_share < 0 < 1 < found.rate
    climbed = climb(model, data, params)
    assert climbed.status == "converged"  # the history alone cannot tell
    assert fitted(x).loglik_ > climbed.loglik + 10


def test_two_classes_on_two_items_are_not_identified(rng):
    x = (rng.random((400, 2)) < 0.5).astype(float)
    x[:150, 1] = x[:150, 0]
    found = BernoulliMixture(2, tol=1e-10, max_iter=50_000, random_state=0).fit(x).certificate()
    assert found.verdict == "not_identified"  # five parameters, four cells
    assert found.null_dimension == 2
    assert found.reason == "the data say nothing along 2 of 5 directions"
    assert found.smallest_share == pytest.approx(0.0, abs=1e-5)
    assert found.rate < 1


def test_a_state_that_is_never_left_lies_on_the_boundary(rng):
    x = rng.normal(size=(300, 1)) + 5.0 * np.repeat([0, 1], 150)[:, None]
    found = GaussianHMM(2, tol=1e-8, random_state=0).fit(x).certificate()
    assert found.verdict == "boundary"
    assert found.n_boundary == 2  # the first state is known, and the second is never left
    assert found.rate < 1


def test_a_zero_that_the_data_contradict_is_no_maximum(rng):
    ones = rng.random(400) < 0.5
    chances = np.where(ones[:, None], [0.8, 0.7, 0.8, 0.4], [0.2, 0.3, 0.2, 0.3])
    x = (rng.random((400, 4)) < chances).astype(float)
    guess = np.array([[0.2, 0.3, 0.2, 0.0], [0.8, 0.7, 0.8, 0.4]])
    start = {"weights": np.array([0.5, 0.5]), "probabilities": guess}
    stuck = BernoulliMixture(2, init_params=start, tol=1e-10, max_iter=50_000).fit(x)
    assert stuck.probabilities_[0, 3] == 0  # EM never leaves a zero
    found = stuck.certificate()
    assert found.verdict == "saddle"
    assert found.reason.startswith("the objective rises from 1 of ")


def test_a_collapse_beside_the_end_is_a_reason_and_no_exception():
    x = np.array([[0.0], [1.0], [2.0], [3.0]])
    data = Table.from_array(x)
    params = GaussianMixtureParams(
        np.array([0.5, 0.5]), np.array([[0.0], [2.0]]), np.array([[[1e-12]], [[1.0]]])
    )
    found = certify(GaussianMixtureModel(2).prepare(data), data, params)
    assert found.verdict == "uncertified"
    assert found.eigenvalues is None
    assert np.isnan([found.rate, found.smallest_share, found.newton_decrement]).all()


@pytest.mark.parametrize(
    "family", [one for one in FAMILIES if one.ends_inside], ids=lambda family: family.name
)
def test_every_family_s_ends_are_certified(family):
    for seed in range(20):  # the first that has an optimum
        model, params, data = family.draw(np.random.default_rng(seed), n=60)
        end = climb(model, data, params, stopping=Stopping(tol=1e-7, max_iter=1000))
        if end.status == "converged":
            break
    found = certify(model, data, end.params)
    assert found.verdict == ("boundary" if "boundary" in end.flags else "maximum"), found.reason
    assert found.newton_decrement < 1e-4
    assert (found.eigenvalues < 1).all()
    assert (found.eigenvalues > -1e-5).all()
