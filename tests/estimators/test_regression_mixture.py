"""RegressionMixture: scikit-learn's contract, least squares, shapes, missing responses."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm, poisson
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import RegressionMixture
from emlib.errors import InvalidData

UNBOUNDED = {
    "check_sample_weights_shape": "lies on one line exactly",
    "check_sample_weights_not_overwritten": "lies on one line exactly",
    "check_sample_weight_equivalence_on_dense_data": "design of rank 9",
}
"""Checks whose data have an unbounded likelihood or no line, and why they are refused."""


@pytest.mark.parametrize(
    ("estimator", "check"),
    list(estimator_checks_generator(RegressionMixture(random_state=0))),
    ids=lambda part: getattr(part, "func", part).__name__ if callable(part) else "",
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    name = getattr(check, "func", check).__name__
    if name in UNBOUNDED:
        with pytest.raises(InvalidData, match=UNBOUNDED[name]):
            check(estimator)
    else:
        check(estimator)


def test_an_integer_weight_is_that_many_copies(rng):
    x, y, _ = two_lines(rng, 80)
    weights = rng.integers(0, 4, 80)
    start = {"weights": [0.5, 0.5], "intercept": [-1, 2], "coef": [[1, 0], [0, 1]],
             "scales": [1, 1]}  # fmt: skip
    fit = RegressionMixture(2, init_params=start, tol=0, max_iter=10)
    a = clone(fit).fit(x, y, sample_weight=weights)
    b = clone(fit).fit(np.repeat(x, weights, axis=0), np.repeat(y, weights))
    assert a.loglik_ == pytest.approx(b.loglik_, rel=1e-10)
    assert a.bic() == pytest.approx(b.bic(), rel=1e-10)
    assert a.coef_ == pytest.approx(b.coef_, rel=1e-9)


def parts(fit):
    return {name: getattr(fit, f"{name}_") for name in ("weights", "intercept", "coef", "scales")}


def two_lines(rng, n=200, responses=1):
    x = rng.normal(size=(n, 2))
    labels = rng.integers(2, size=n)
    slopes = np.array([[[2.0, 0.0]] * responses, [[-1.0, 1.0]] * responses])
    height = np.array([-1.0, 3.0])[labels, None]
    y = height + np.einsum("np,ndp->nd", x, slopes[labels]) + 0.5 * rng.normal(size=(n, responses))
    return x, (y[:, 0] if responses == 1 else y), labels


def test_one_component_is_least_squares(rng):
    x, y, _ = two_lines(rng)
    weights = rng.random(200)
    x, y = x + 1e4, y + 1e5
    fit = RegressionMixture(tol=1e-12).fit(x, y, sample_weight=weights)
    peer = LinearRegression().fit(x, y, sample_weight=weights)
    residuals = y - peer.predict(x)
    scale = np.sqrt(weights @ residuals**2 / weights.sum())
    assert fit.coef_[0] == pytest.approx(peer.coef_, rel=1e-9)
    assert fit.intercept_[0] == pytest.approx(peer.intercept_, rel=1e-9)
    assert fit.scales_[0] == pytest.approx(scale, rel=1e-9)
    assert fit.loglik_ == pytest.approx(weights @ norm(0, scale).logpdf(residuals), rel=1e-9)
    assert fit.predict(x) == pytest.approx(peer.predict(x), rel=1e-9)
    assert fit.n_parameters_ == 4
    x = x - 1e4
    unweighted = RegressionMixture(tol=1e-12).fit(x, y)
    design = np.column_stack([np.ones(200), x])
    errors = unweighted.scales_[0] * np.sqrt(np.diagonal(np.linalg.inv(design.T @ design)))
    found = unweighted.standard_errors()
    assert found["coef"][0] == pytest.approx(errors[1:], rel=1e-6)
    assert found["intercept"][0] == pytest.approx(errors[0], rel=1e-6)


@pytest.mark.parametrize("responses", [1, 2])
def test_shapes_follow_those_of_y(rng, responses):
    x, y, _ = two_lines(rng, responses=responses)
    fit = RegressionMixture(2, random_state=0).fit(x, y)
    tail = () if responses == 1 else (2,)
    assert fit.weights_.shape == (2,)
    assert fit.intercept_.shape == fit.scales_.shape == (2, *tail)
    assert fit.coef_.shape == (2, *tail, 2)
    assert not hasattr(fit, "dofs_")
    assert fit.predict(x).shape == y.shape
    assert fit.predict_components(x).shape == (200, 2, *tail)
    mixed = np.einsum("k,nk...->n...", fit.weights_, fit.predict_components(x))
    assert fit.predict(x) == pytest.approx(mixed)
    assert fit.predict_proba(x, y).shape == (200, 2)
    assert fit.sample(x)[0].shape == y.shape
    assert fit.standard_errors()["coef"].shape == fit.coef_.shape
    assert fit.impute(x, y).shape == y.shape
    assert fit.impute(x, y, n_draws=3).shape == (3, *y.shape)
    again = RegressionMixture(2, init_params=parts(fit)).fit(x, y)
    assert again.loglik_ == pytest.approx(fit.loglik_, abs=1e-2)


def test_classes_and_lines_are_found_again(rng):
    x, y, labels = two_lines(rng)
    fit = RegressionMixture(2, equal_scales=True, random_state=0, n_init=3).fit(x, y)
    order = np.argsort(fit.intercept_)
    assert fit.intercept_[order] == pytest.approx([-1.0, 3.0], abs=0.3)
    assert fit.coef_[order] == pytest.approx(np.array([[2.0, 0.0], [-1.0, 1.0]]), abs=0.3)
    assert fit.scales_[0] == fit.scales_[1] == pytest.approx(0.5, abs=0.1)
    assert (order[labels] == fit.predict_proba(x, y).argmax(axis=1)).mean() > 0.9
    assert fit.score(x, y) == pytest.approx(fit.loglik_ / 200)
    assert fit.bic(x, y) == pytest.approx(fit.bic())
    assert fit.icl() > fit.bic() > fit.aic()


def test_a_row_without_a_response_takes_no_part_and_is_filled(rng):
    x, y, _ = two_lines(rng)
    holed = y.copy()
    holed[:30] = np.nan
    start = {"weights": [0.4, 0.6], "intercept": [-1, 3], "coef": [[2, 0], [-1, 1]],
             "scales": [1, 1]}  # fmt: skip
    a = RegressionMixture(2, init_params=start).fit(x, holed)
    b = RegressionMixture(2, init_params=start).fit(x[30:], y[30:])
    assert a.loglik_ == pytest.approx(b.loglik_, rel=1e-12)
    assert a.bic() == pytest.approx(b.bic(), rel=1e-12)
    assert a.predict_proba(x, holed)[0] == pytest.approx(a.weights_)
    assert a.impute(x, holed)[:30] == pytest.approx(a.predict(x)[:30])
    assert a.impute(x, holed)[30:] == pytest.approx(y[30:])


def test_a_seen_response_tells_of_a_missing_one(rng):
    x, y, _ = two_lines(rng, responses=2)
    fit = RegressionMixture(2, random_state=0).fit(x, y)
    holed = y.copy()
    holed[:, 1] = np.nan
    error = np.sqrt(((fit.impute(x, holed) - y)[:, 1] ** 2).mean())
    assert error < 0.5 * np.sqrt(((fit.predict(x) - y)[:, 1] ** 2).mean())


def test_t_errors_withstand_outliers(rng):
    x, y, _ = two_lines(rng)
    y[:6] += 100.0
    fit = RegressionMixture(2, response="student", dofs=2.0, random_state=0, n_init=5).fit(x, y)
    assert np.sort(fit.intercept_) == pytest.approx([-1.0, 3.0], abs=0.4)
    assert fit.dofs_.tolist() == [2.0, 2.0]


def test_one_poisson_component_is_the_maximum_that_a_general_optimizer_finds(rng):
    x = rng.normal(size=(80, 2)) + 5.0
    y = rng.poisson(np.exp(0.4 * x[:, 0] - 0.3 * x[:, 1])).astype(float)
    fit = RegressionMixture(response="poisson", tol=1e-12).fit(x, y)

    def loss(line):
        return -poisson.logpmf(y, np.exp(line[0] + x @ line[1:])).sum()

    best = minimize(loss, np.zeros(3), method="BFGS")
    assert fit.loglik_ == pytest.approx(-best.fun, abs=1e-7)
    assert fit.coef_[0] == pytest.approx(best.x[1:], abs=1e-4)
    assert fit.predict(x) == pytest.approx(np.exp(fit.intercept_[0] + x @ fit.coef_[0]))
    assert not hasattr(fit, "scales_")
    # At the maximum of a Poisson regression fitted and observed totals agree.
    assert fit.predict(x).sum() == pytest.approx(y.sum(), rel=1e-6)


def test_a_class_of_zeros_has_rate_zero_and_is_flagged(rng):
    x = rng.normal(size=(100, 1))
    y = np.where(np.arange(100) < 50, 0.0, rng.poisson(40.0, 100))
    start = {"weights": [0.5, 0.5], "intercept": [-3.0, 3.0], "coef": [[0.0], [0.0]]}
    fit = RegressionMixture(2, response="poisson", init_params=start, tol=1e-9, max_iter=5000)
    fit.fit(x, y)
    assert fit.flags_ == ("boundary",)
    assert np.isneginf(fit.intercept_).tolist() == [True, False]
    assert fit.weights_ == pytest.approx([0.5, 0.5], abs=1e-9)
    assert np.isfinite(fit.loglik_)
    assert fit.predict_components(x)[0, 0] == 0.0
    assert fit.standard_errors().reasons["intercept"][0] == "boundary"


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (np.ones((9, 1)), np.arange(9.0), "rank 1, less than the 2"),
        (np.arange(9.0)[:, None] * [1.0, 2.0], np.arange(9.0) ** 2, "rank 2, less than the 3"),
        (np.arange(9.0)[:, None], 3.0 - np.arange(9.0), "lies on one line exactly"),
        (np.arange(9.0)[:, None], np.ones(9), "lies on one line exactly"),
        (np.arange(9.0)[:, None], np.full(9, np.nan), "no observed|fewer"),
    ],
)
def test_data_that_determine_no_line_are_refused_with_the_reason(x, y, words):
    with pytest.raises(InvalidData, match=words):
        RegressionMixture(2).fit(x, y)


@pytest.mark.parametrize("apart", [1e-2, 1e-4, 1e-5])
def test_a_nearly_collinear_design_is_solved_to_many_digits(rng, apart):
    x = rng.normal(size=(60, 1))
    y = x[:, 0] + rng.normal(size=60)
    design = np.column_stack([x, x + apart * rng.normal(size=(60, 1))])
    centred = np.column_stack([np.ones(60), design - design.mean(axis=0)])
    fitted = centred @ np.linalg.lstsq(centred, y, rcond=None)[0]
    assert RegressionMixture().fit(design, y).predict(design) == pytest.approx(fitted, abs=1e-9)


def test_a_design_that_leaves_no_digits_is_refused(rng):
    x = rng.normal(size=(60, 1))
    design = np.column_stack([x, x + 1e-8 * rng.normal(size=(60, 1))])
    with pytest.raises(InvalidData, match="rank 2, less than the 3"):
        RegressionMixture().fit(design, rng.normal(size=60))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"response": "gamma"}, "'gamma' is not"),
        ({"response": "poisson"}, "is no count"),
        ({"response": "poisson", "equal_scales": True}, "counts have no scales"),
        ({"dofs": 3.0}, "response='student' only"),
        ({"equal_scales": 1}, "neither true nor false"),
        ({"init_params": {"weights": [0.5, 0.5]}}, "needed are"),
        ({"init_params": {"weights": [0.5, 0.5], "intercept": [0, 1], "coef": [[0, 1], [1, 0]],
                          "scales": [-1, 1]}}, "not positive"),
    ],
)  # fmt: skip
def test_wrong_settings_are_named(rng, settings, words):
    x, y, _ = two_lines(rng, 30)
    with pytest.raises(ValueError, match=words):
        RegressionMixture(2, **settings).fit(x, y)


def test_y_keeps_its_dimensions_after_the_fit(rng):
    x, y, _ = two_lines(rng, 50)
    fit = RegressionMixture().fit(x, y)
    with pytest.raises(ValueError, match="dimensions"):
        fit.score(x, y[:, None])
