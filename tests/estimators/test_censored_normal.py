"""The estimator of detection limits: scikit-learn's contract, limits, imputation, refusals."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import CensoredNormal
from emlib.errors import InvalidData
from emlib.models.differences import hessian
from emlib.models.posterior import tempered

CHECKS = list(estimator_checks_generator(CensoredNormal()))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ for _, c in CHECKS]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_without_limits_it_is_the_normal_fit_of_each_column(rng):
    x = (rng.normal(size=(50, 3)) + 100.0) * [1, 10, 1e-6]
    fit = CensoredNormal().fit(x)
    assert fit.intercept_ == pytest.approx(x.mean(axis=0), rel=1e-14)
    assert fit.scales_ == pytest.approx(x.std(axis=0), rel=1e-9)
    assert fit.loglik_ == pytest.approx(norm(x.mean(0), x.std(0)).logpdf(x).sum(), rel=1e-9)
    assert fit.n_parameters_ == 6
    assert fit.standard_errors()["intercept"] == pytest.approx(x.std(axis=0) / 50**0.5, rel=1e-6)


def test_a_missing_cell_takes_no_part(rng):
    x = rng.normal(size=(40, 2))
    x[:10, 0] = np.nan
    fit = CensoredNormal(upper_limit=[0.5, np.inf]).fit(x)
    alone = CensoredNormal(upper_limit=0.5).fit(x[10:, :1])
    assert fit.intercept_[0] == pytest.approx(alone.intercept_[0], rel=1e-9)


def test_limits_of_all_cells_and_of_single_cells_say_the_same(rng):
    x = rng.normal(size=(60, 2))
    a = CensoredNormal(lower_limit=-0.5, upper_limit=[1.0, 0.8]).fit(x)
    low = np.where(x <= -0.5, -np.inf, np.minimum(x, [1.0, 0.8]))
    high = np.where(x >= [1.0, 0.8], np.inf, np.maximum(x, -0.5))
    b = CensoredNormal().fit(low, upper=high)
    assert a.loglik_ == b.loglik_
    assert a.score_samples(x) == pytest.approx(b.score_samples(low, upper=high))
    assert a.bic(x) == pytest.approx(b.bic())


def test_the_optimum_is_that_of_a_general_optimizer(rng):
    z = rng.normal(size=(80, 2))
    y = 1.0 + z @ [0.5, -2.0] + rng.normal(size=80)
    low, high = np.where(y < 0, -np.inf, np.where(y > 2, 2.0, y)), np.maximum(y, 0.0)
    high = np.where(y > 2, np.where(y > 3, np.inf, 3.0), high)
    low = np.where(y > 3, 3.0, low)

    exact = low == high

    def loss(v):
        law = norm(v[0] + z @ v[1:3], np.exp(v[3]))
        within = np.where(exact, 1.0, law.cdf(high) - law.cdf(low))
        return -np.where(exact, law.logpdf(y), np.log(within)).sum()

    best = minimize(loss, [1.0, 0.0, 0.0, 1.0], method="BFGS", options={"gtol": 1e-7})
    fit = CensoredNormal(tol=1e-11, max_iter=5000)
    fit.fit(low[:, None], upper=high[:, None], covariates=z)
    assert fit.loglik_ == pytest.approx(-best.fun, abs=1e-8)
    assert [*fit.intercept_, *fit.coef_[0]] == pytest.approx(best.x[:3], abs=1e-5)
    covariance = np.linalg.inv(hessian(loss, best.x, np.full(4, 1e-3)))
    errors = fit.standard_errors()
    assert errors["coef"][0] == pytest.approx(np.sqrt(np.diag(covariance))[1:3], rel=1e-4)


def test_a_censored_cell_is_imputed_between_its_limits(rng):
    x = rng.normal(size=(100, 1))
    x[0] = np.nan
    fit = CensoredNormal(lower_limit=0.2).fit(x)
    filled, below = fit.impute(x), x <= 0.2
    assert (filled[below] < 0.2).all()
    assert filled[0, 0] == pytest.approx(fit.intercept_[0])
    assert np.array_equal(filled[x > 0.2], x[x > 0.2])
    draws = fit.impute(x, n_draws=300)
    assert (draws[:, below] <= 0.2).all()
    assert draws[:, below].mean() == pytest.approx(filled[below].mean(), abs=0.02)
    proper = fit.impute(x, n_draws=3, proper=True)
    assert proper.shape == (3, 100, 1)


def test_draws_beside_covariates_need_them(rng):
    z = rng.normal(size=(50, 1))
    fit = CensoredNormal().fit(3 * z + rng.normal(size=(50, 1)), covariates=z)
    drawn, _ = fit.sample(1000, covariates=np.full((1000, 1), 2.0))
    expected = fit.intercept_[0] + 2 * fit.coef_[0, 0]
    assert drawn.mean() == pytest.approx(expected, abs=5 * fit.scales_[0] / 1000**0.5)
    with pytest.raises(ValueError, match="covariates: drawing 1 rows needs them"):
        fit.sample()
    assert CensoredNormal().fit(z).sample(5)[0].shape == (5, 1)


def test_starting_values_need_no_coefficients_without_covariates(rng):
    x = rng.normal(size=(30, 1))
    start = {"intercept": [0.0], "scales": [1.0]}
    fit = CensoredNormal(lower_limit=0.0, init_params=start, max_iter=0, tol=0).fit(x)
    assert fit.intercept_ == 0.0
    with pytest.raises(ValueError, match="are not positive"):
        CensoredNormal(init_params={"intercept": [0.0], "scales": [0.0]}).fit(x)


INF = np.inf


@pytest.mark.parametrize(
    ("low", "high", "words"),
    [
        ([1, 2, 3], [INF, INF, INF], "censored on one side only"),
        ([-INF, -INF], [1, 2], "censored on one side only"),
        ([1, -INF], [INF, 2], "one value agrees with every cell"),
        ([1, 1, 0], [1, 1, 2], "one value agrees with every cell"),
        ([0, 1], [2, 3], "one value agrees with every cell"),
        ([5, 5], [5, 5], "constant in its observed cells"),
        ([5], [5], r"constant in its observed cells \(n_samples=1\)"),
        ([np.nan], [np.nan], "no observed cell"),
        ([1, -INF], [INF, 0], "the likelihood rises with the scale"),
        ([1, 3, -INF, -INF], [INF, INF, 0, 2], "the likelihood rises with the scale"),
    ],
)
def test_a_column_without_a_maximum_is_refused_with_the_reason(low, high, words):
    low, high = np.array(low, float)[:, None], np.array(high, float)[:, None]
    with pytest.raises(InvalidData, match=f"column 0.*{words}"):
        CensoredNormal().fit(low, upper=high)


@pytest.mark.parametrize(
    ("low", "high"),
    [
        ([1, 2], [1, 2]),
        ([0, 2, -INF, -INF], [INF, INF, 1, 3]),
        ([0, 3], [2, 4]),
        ([1, 1.5], [1, INF]),
    ],
)
def test_the_least_data_with_a_maximum_are_fitted(low, high):
    low, high = np.array(low, float)[:, None], np.array(high, float)[:, None]
    fit = CensoredNormal(tol=1e-9, max_iter=100_000).fit(low, upper=high)
    assert fit.status_ == "converged"


def test_regressions_without_a_maximum_are_refused_with_the_reason(rng):
    z, y = rng.normal(size=(10, 1)), rng.normal(size=(10, 1))
    with pytest.raises(InvalidData, match="do not tell 2 covariates"):
        CensoredNormal().fit(y, covariates=np.hstack([z, 2 * z + 1]))
    with pytest.raises(InvalidData, match="a regression agrees with every cell"):
        CensoredNormal().fit(1 + 2 * z, covariates=z)
    group = np.arange(10.0)[:, None] >= 5
    with pytest.raises(InvalidData, match="one side only"):
        CensoredNormal().fit(y, upper=np.where(group, INF, y), covariates=group)


def test_a_word_that_it_does_not_read_is_named(rng):
    fit = CensoredNormal().fit(rng.normal(size=(5, 1)))
    with pytest.raises(TypeError, match="'covariate': CensoredNormal reads upper, covariates"):
        fit.score(rng.normal(size=(5, 1)), covariate=np.ones((5, 1)))


def test_a_posterior_that_it_cannot_give_is_refused(rng):
    fit = CensoredNormal().fit(rng.normal(size=(5, 1)))
    with pytest.raises(NotImplementedError, match="no classes to temper or to draw"):
        fit.model_.e_step(fit.params_, fit._data, tempered(0.5))
