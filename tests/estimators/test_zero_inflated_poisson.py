"""The estimator of excess zeros: scikit-learn's contract, the peer's optimum, boundaries."""

import numpy as np
import pytest
from scipy.optimize import brentq
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import ZeroInflatedPoisson
from emlib.errors import InvalidData
from emlib.models.differences import hessian
from emlib.models.posterior import HARD, sampled, tempered
from tests.estimators.test_discrete_mixtures import rounded


class RoundedZeroInflatedPoisson(ZeroInflatedPoisson):
    """scikit-learn's checks fit real numbers; these become counts."""

    def _view(self, X, reset, sample_weight=None, **extras):
        return super()._view(rounded(self, X, reset), False, sample_weight, **extras)


CHECKS = list(estimator_checks_generator(RoundedZeroInflatedPoisson()))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ for _, c in CHECKS]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def drawn(rng, n, inflation, rate):
    counts = rng.poisson(rate, size=(n, 1)).astype(float)
    counts[rng.random((n, 1)) < inflation] = 0.0
    return counts


def test_the_optimum_is_that_of_statsmodels(rng):
    peer = pytest.importorskip("statsmodels.discrete.count_model").ZeroInflatedPoisson
    z = rng.normal(size=(300, 2))
    counts = drawn(rng, 300, 0.3, np.exp(0.7 + z @ [0.4, -0.3])[:, None])
    design = np.column_stack([np.ones(300), z])
    theirs = peer(counts[:, 0], design).fit(method="bfgs", maxiter=500, gtol=1e-8, disp=False)
    ours = ZeroInflatedPoisson(tol=1e-12, max_iter=5000).fit(counts, covariates=z)
    assert ours.loglik_ == pytest.approx(theirs.llf, abs=1e-8)
    odds = np.log(ours.inflation_ / (1 - ours.inflation_))
    assert [*odds, *ours.intercept_, *ours.coef_[0]] == pytest.approx(theirs.params, abs=1e-6)
    # not theirs.bse: statsmodels 0.15's own Hessian is not that of its loglik
    curvature = hessian(theirs.model.loglike, theirs.params, np.full(4, 1e-3))
    wanted = np.sqrt(np.diag(np.linalg.inv(-curvature)))[1:]
    errors = ours.standard_errors()
    assert [*errors["intercept"], *errors["coef"][0]] == pytest.approx(wanted, rel=1e-5)


def test_without_covariates_the_rate_solves_the_equation_of_the_positive_counts(rng):
    counts = drawn(rng, 500, 0.4, 2.5)
    fit = ZeroInflatedPoisson(tol=1e-13, max_iter=5000).fit(counts)
    mean = counts[counts > 0].mean()
    rate = brentq(lambda r: r / -np.expm1(-r) - mean, 1e-6, 50)
    assert fit.rates_[0] == pytest.approx(rate, abs=1e-6)
    share = (counts > 0).mean() / -np.expm1(-rate)
    assert fit.inflation_[0] == pytest.approx(1 - share, abs=1e-6)


def test_missing_counts_take_no_part_and_are_imputed_by_the_mean(rng):
    counts = drawn(rng, 200, 0.3, 2.0)
    holed = np.vstack([counts, np.full((20, 1), np.nan)])
    a = ZeroInflatedPoisson(tol=1e-10).fit(counts)
    b = ZeroInflatedPoisson(tol=1e-10).fit(holed)
    assert b.loglik_ == pytest.approx(a.loglik_, rel=1e-12)
    assert b.bic() == pytest.approx(a.bic())
    mean = (1 - b.inflation_) * b.rates_
    assert b.impute(holed)[-1] == pytest.approx(mean)
    draws = b.impute(holed, n_draws=200)[:, -20:]
    assert draws.mean() == pytest.approx(mean[0], abs=0.15)
    assert (draws == np.rint(draws)).all()


def test_the_chance_of_a_structural_zero_is_bayes_rule(rng):
    fit = ZeroInflatedPoisson().fit(drawn(rng, 200, 0.3, 2.0))
    p, rate = fit.inflation_[0], fit.rates_[0]
    found = fit.predict_proba([[0.0], [1.0], [np.nan]]).ravel()
    assert found == pytest.approx([p / (p + (1 - p) * np.exp(-rate)), 0.0, p])


@pytest.mark.parametrize("counts", [[1, 2, 3, 2], [0, 1, 2, 3, 2, 1, 2, 4], [0, 0, 1, 1]])
def test_too_few_zeros_leave_none_structural_and_say_so(counts):
    counts = np.array(counts, dtype=float)[:, None]
    fit = ZeroInflatedPoisson().fit(counts)
    assert fit.inflation_ == 0.0
    assert fit.flags_ == ("boundary",)
    assert fit.rates_[0] == pytest.approx(counts.mean(), rel=1e-12)
    errors = fit.standard_errors()
    assert errors.reasons["inflation"] == "boundary"
    assert errors["rates"][0] == pytest.approx((counts.mean() / len(counts)) ** 0.5, rel=1e-4)


def test_enough_zeros_raise_no_flag(rng):
    assert ZeroInflatedPoisson().fit(drawn(rng, 300, 0.3, 3.0)).flags_ == ()


@pytest.mark.parametrize(
    ("counts", "covariates", "words"),
    [
        ([[0.0], [0.0]], None, "column 0 has no count above zero"),
        ([[np.nan], [np.nan]], None, "no observed cell"),
        ([[1.0], [-2.0]], None, "row 1, column 0: -2 is no count"),
        ([[1.0], [2.0]], [[3.0], [3.0]], "do not tell 1 covariates and an intercept apart"),
    ],
)
def test_counts_that_say_nothing_are_refused(counts, covariates, words):
    with pytest.raises(InvalidData, match=words):
        ZeroInflatedPoisson().fit(counts, covariates=covariates)


def test_starting_values_are_checked():
    with pytest.raises(ValueError, match=r"not in \[0, 1\)"):
        ZeroInflatedPoisson(init_params={"inflation": [1.0], "intercept": [0.0]}).fit(
            [[0.0], [1.0]]
        )


def test_far_away_covariates_lose_nothing(rng):
    z = rng.normal(size=(200, 1))
    counts = drawn(rng, 200, 0.3, np.exp(0.5 + 0.5 * z))
    near = ZeroInflatedPoisson(tol=1e-10).fit(counts, covariates=z)
    far = ZeroInflatedPoisson(tol=1e-10).fit(counts, covariates=1e4 + 100 * z)
    assert far.loglik_ == pytest.approx(near.loglik_, abs=1e-7)
    assert far.coef_ * 100 == pytest.approx(near.coef_, rel=1e-6)


def test_posteriors_split_the_zeros_as_their_name_says(rng):
    model = ZeroInflatedPoisson()._make_model()
    data = model.view(drawn(rng, 400, 0.4, 1.0))
    params = model.from_truth({"inflation": [0.4], "intercept": [0.0], "coef": np.empty((1, 0))})
    exact = model.e_step(params, data)
    zeros, share = exact.tally.zeros[0, 0], 0.4 / (0.4 + 0.6 * np.exp(-1.0))
    assert exact.structural[0, 0] == pytest.approx(zeros * share)
    assert model.e_step(params, data, HARD).structural[0, 0] == zeros
    warm = model.e_step(params, data, tempered(0.5)).structural[0, 0]
    odds = (share / (1 - share)) ** 0.5
    assert warm == pytest.approx(zeros * odds / (1 + odds))
    draws = [model.e_step(params, data, sampled(rng)).structural[0, 0] for _ in range(300)]
    assert np.mean(draws) == pytest.approx(zeros * share, rel=0.02)
    assert all(d == round(d) for d in draws)
