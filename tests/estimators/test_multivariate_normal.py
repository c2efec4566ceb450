"""The estimator of one normal: scikit-learn's contract, imputation, starting values."""

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import GaussianMixture, MultivariateNormal

CHECKS = list(estimator_checks_generator(MultivariateNormal()))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ for _, c in CHECKS]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)  # check_array_api_input skips itself: it needs SCIPY_ARRAY_API


def holed(rng, n=120, d=3):
    root = rng.normal(size=(d, d))
    x = rng.normal(size=(n, d)) @ root + 5.0
    x[rng.random(x.shape) < 0.25] = np.nan
    return x


def test_it_is_the_mixture_of_one_component(rng):
    x = holed(rng)
    one = MultivariateNormal(tol=1e-10).fit(x)
    mixture = GaussianMixture(1, tol=1e-10, init_params="random", random_state=0).fit(x)
    assert one.loglik_ == pytest.approx(mixture.loglik_, abs=1e-8)
    assert one.mean_ == pytest.approx(mixture.means_[0], rel=1e-5)
    assert one.covariance_ == pytest.approx(mixture.covariances_[0], rel=1e-4)
    assert one.n_parameters_ == mixture.n_parameters_ == 9
    assert one.bic() == pytest.approx(mixture.bic(), abs=1e-7)


def test_a_missing_cell_is_filled_by_its_regression_on_the_observed_ones(rng):
    x = holed(rng)
    model = MultivariateNormal().fit(x)
    row = np.array([[4.0, np.nan, 6.0]])
    s, m = model.covariance_, model.mean_
    slopes = np.linalg.solve(s[np.ix_([0, 2], [0, 2])], s[[0, 2], 1])
    assert model.impute(row)[0, 1] == pytest.approx(m[1] + slopes @ (row[0, [0, 2]] - m[[0, 2]]))
    draws = model.impute(np.repeat(row, 4000, axis=0), n_draws=1)[0, :, 1]
    rest = s[1, 1] - slopes @ s[[0, 2], 1]
    assert draws.var() == pytest.approx(rest, rel=0.1)


def test_standard_errors_of_complete_data_are_those_of_the_textbook(rng):
    x = rng.normal(size=(200, 2)) * [1.0, 3.0]
    model = MultivariateNormal().fit(x)
    errors = model.standard_errors()
    s = model.covariance_
    assert errors["mean"] == pytest.approx(np.sqrt(np.diag(s) / 200), rel=1e-4)
    fourth = np.sqrt((np.outer(np.diag(s), np.diag(s)) + s**2) / 200)
    assert errors["covariance"] == pytest.approx(fourth, rel=1e-3)
    assert errors.rate == pytest.approx(0.0, abs=1e-4)


@pytest.mark.parametrize(
    ("covariance", "words"),
    [([[1.0, 2.0], [2.0, 1.0]], "not positive definite"), ([[1.0, 0.5], [0.1, 1.0]], "not symm")],
)
def test_wrong_starting_values_are_named(rng, covariance, words):
    start = {"mean": [0.0, 0.0], "covariance": covariance}
    with pytest.raises(ValueError, match=words):
        MultivariateNormal(init_params=start).fit(rng.normal(size=(20, 2)))


def test_a_sample_has_the_moments_of_the_fit(rng):
    model = MultivariateNormal(random_state=0).fit(holed(rng))
    drawn, labels = model.sample(50_000)
    assert labels is None
    assert drawn.mean(axis=0) == pytest.approx(model.mean_, abs=0.05)
    assert np.cov(drawn.T) == pytest.approx(model.covariance_, abs=0.15)
