"""Standard errors are those of theory where theory has them, and absent where there are none."""

import pickle

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from emlib import GaussianHMM, GaussianMixture, GroupedMultinomial, LinearGaussianStateSpace
from emlib.data import Table
from emlib.inference import observed_information
from emlib.inference.information import Information
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


def test_a_cell_that_shares_no_group_is_identified_beside_two_that_do():
    """Groups {0, 1} and {2}: the data tell the third chance alone, a binomial one."""
    fit = GroupedMultinomial(groups=[0, 0, 1], tol=1e-10).fit([[30, 70]])
    errors = fit.standard_errors()
    assert errors.null_dimension == 1
    assert errors.reasons["theta"].tolist() == ["not_identified", "not_identified", ""]
    assert errors["theta"][2] == pytest.approx(np.sqrt(0.3 * 0.7 / 100), rel=1e-4)


def test_directions_without_information_are_the_null_space_whatever_the_metric():
    complete = np.array([[2.0, 0.5], [0.5, 1.0]])
    observed = np.array([[1.0, -1.0], [-1.0, 1.0]])
    information = Information(np.zeros(2), observed, complete, np.ones(2, dtype=bool))
    assert observed @ information.unidentified == pytest.approx(np.zeros((2, 1)), abs=1e-12)
    assert np.linalg.norm(information.unidentified) == pytest.approx(1.0)
    silent = Information(np.zeros(2), np.diag([1.0, 0]), np.diag([2.0, 0]), np.ones(2, dtype=bool))
    assert abs(silent.unidentified[:, 0]) == pytest.approx([0.0, 1.0])


def test_a_bootstrap_of_weighted_sequences_is_that_of_copies():
    rng = np.random.default_rng(4)
    x = np.where(rng.random(120) < 0.5, 0.0, 4.0)[:, None] + rng.normal(size=(120, 1))
    settings = {"n_states": 2, "init_params": "kmeans", "random_state": 0}
    weighted = GaussianHMM(**settings).fit(x, lengths=[40] * 3, sample_weight=[4.0] * 3)
    copies = GaussianHMM(**settings).fit(np.vstack([x] * 4), lengths=[40] * 12)
    spreads = [fit.standard_errors("bootstrap", n_resamples=60)["means"].mean()
               for fit in (weighted, copies)]  # fmt: skip
    assert spreads[0] == pytest.approx(spreads[1], rel=0.35)  # .35 is 2.5 errors of 60 resamples


def test_a_covariance_that_vanishes_has_no_error():
    x = np.random.default_rng(0).normal(size=(60, 1)) + (-1.0) ** np.arange(60)[:, None]  # no level
    fixed = {"transition": [[1.0]], "observation": [[1.0]]}
    with pytest.warns(ConvergenceWarning):
        fit = LinearGaussianStateSpace(1, fixed=fixed, offsets="none", max_iter=3000).fit(x)
    assert "boundary" in fit.flags_
    errors = fit.standard_errors()
    assert errors.reasons["transition_covariance"].tolist() == [["boundary"]]
    assert np.isnan(errors["transition_covariance"]).all()
    assert np.isfinite(errors["observation_covariance"]).all()
