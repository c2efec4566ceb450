"""Standard errors are those of theory where theory has them, and absent where there are none."""

import pickle

import numpy as np
import pytest

from emlib import GaussianMixture
from emlib.data import Table
from emlib.inference import observed_information
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams


def two_groups(rng, n=400, gap=3.0):
    x = rng.normal(size=(n, 2))
    x[: n // 3] += gap
    return x


def fitted(x, k=2, **settings):
    return GaussianMixture(k, tol=1e-10, max_iter=20_000, random_state=0, **settings).fit(x)


def test_one_normal_has_the_textbook_standard_errors(rng):
    x = rng.normal(size=(50, 2)) @ np.array([[2.0, 0.0], [1.0, 0.5]]) + 1e5
    errors = fitted(x, 1).standard_errors()
    s = np.cov(x.T, bias=True)
    assert errors["means"][0] == pytest.approx(np.sqrt(np.diag(s) / 50), rel=1e-5)
    variance = (np.outer(np.diag(s), np.diag(s)) + s**2) / 50
    assert errors["covariances"][0] == pytest.approx(np.sqrt(variance), rel=1e-5)
    assert errors["weights"] == pytest.approx([0.0])  # known to be one
    assert errors.rate == pytest.approx(0.0, abs=1e-6)
    assert errors.null_dimension == 0


def test_missing_cells_cost_the_information_that_theory_says(rng):
    x = rng.normal(size=(200, 1)) * 3
    weights = np.r_[np.ones(100), np.zeros(100)]
    half = GaussianMixture(1, tol=1e-10).fit(x, sample_weight=weights).standard_errors()
    holed = np.column_stack([x, rng.normal(size=200)])
    holed[100:, 0] = np.nan
    fit = fitted(holed, 1, covariance_type="diag")
    errors = fit.standard_errors()
    assert errors["means"][0, 0] == pytest.approx(half["means"][0, 0], rel=1e-5)
    assert errors.missing_fractions == pytest.approx([0.5, 0.5, 0.0, 0.0], abs=1e-5)
    assert errors.rate == pytest.approx(0.5, abs=1e-5)


def test_the_largest_missing_fraction_is_the_rate_of_em(rng):
    x = two_groups(rng, gap=2.0)
    data = Table.from_array(x)
    fit = GaussianMixture(2, tol=1e-12, max_iter=50_000, random_state=0).fit(x)
    model, params = fit.model_, fit.params_
    rate = observed_information(model, data, params).rate
    at = model.pack(params, "unconstrained")
    moved = at + 1e-3 * np.random.default_rng(0).normal(size=len(at))
    here, sizes = model.unpack(moved, params, "unconstrained"), []
    for _ in range(60):
        here = model.m_step(model.e_step(here, data), here)
        sizes.append(np.linalg.norm(model.pack(here, "unconstrained", params) - at))
    assert sizes[-1] / sizes[-2] == pytest.approx(rate, abs=0.01)


def test_the_bootstrap_agrees_where_there_are_many_rows(rng):
    fit = fitted(two_groups(rng, 600))
    exact, resampled = fit.standard_errors(), fit.standard_errors("bootstrap", n_resamples=200)
    assert resampled.n_failed == 0
    for name in ("weights", "means"):
        assert resampled[name] == pytest.approx(exact[name], rel=0.25)


def test_a_saddle_has_no_standard_errors(rng):
    x = two_groups(rng)
    one = fitted(x, 1)
    twice = GaussianMixtureParams(
        np.array([0.5, 0.5]), np.repeat(one.means_, 2, 0), np.repeat(one.covariances_, 2, 0)
    )
    fit = GaussianMixture(
        2, init_params={n: getattr(twice, n) for n in ("weights", "means", "covariances")}
    )
    errors = fit.fit(x).standard_errors()
    assert np.isnan(errors["means"]).all()
    assert set(np.unique(errors.reasons["means"])) <= {"saddle", "not_identified"}


def test_equal_components_leave_directions_unidentified(rng):
    model = GaussianMixtureModel(2, "diag")
    data = Table.from_array(rng.normal(size=(300, 2)))
    data = data.reweighted(np.ones(300))
    mean, variance = data.column_moments
    params = GaussianMixtureParams(
        np.array([0.3, 0.7]), np.tile(mean, (2, 1)), np.tile(variance, (2, 1))
    )
    information = observed_information(model.prepare(data), data, params)
    assert information.null_dimension >= 1  # the weights say nothing


def test_a_prior_counts_as_information(rng):
    x = two_groups(rng, 60)
    without = fitted(x).standard_errors()
    with_prior = fitted(x, prior="fraley_raftery").standard_errors()
    assert with_prior["means"].sum() < without["means"].sum()


def test_a_pickled_fit_has_no_data_and_says_so(rng):
    fit = pickle.loads(pickle.dumps(fitted(two_groups(rng))))
    assert np.isfinite(fit.bic())
    with pytest.raises(ValueError, match="fit again"):
        fit.standard_errors()


def test_an_unknown_method_is_refused(rng):
    with pytest.raises(ValueError, match="information or bootstrap"):
        fitted(two_groups(rng)).standard_errors("jackknife")
