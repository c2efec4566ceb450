"""StudentMixture: scikit-learn's contract, starting values, standard errors, imputations."""

import warnings

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import GaussianMixture, StudentMixture
from emlib.errors import InvalidData
from tests.conftest import mixture_rows

COLLAPSES = {
    "check_sample_weights_shape",
    "check_sample_weights_not_overwritten",
    "check_sample_weight_equivalence_on_dense_data",
}
"""A few distinct rows, repeated: the likelihood is unbounded and every short climb collapses,
which the default init says as an error; from kmeans, which climbs nothing, there is a fit."""


def name_of(check):
    return getattr(check, "func", check).__name__


def checks(init_params):
    return estimator_checks_generator(
        StudentMixture(2, dofs="common", init_params=init_params, random_state=0)
    )


@pytest.mark.parametrize(
    ("estimator", "check"),
    [pair for pair in checks("short_em") if name_of(pair[1]) not in COLLAPSES]
    + [pair for pair in checks("kmeans") if name_of(pair[1]) in COLLAPSES],
    ids=lambda part: name_of(part) if callable(part) else "",
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


def test_an_unbounded_likelihood_is_refused_with_its_reason():
    x = np.repeat([[1.0, 3.0], [2.0, 1.0]], 4, axis=0)
    with pytest.raises(InvalidData, match="all of 10 tries collapsed"):
        StudentMixture(2, random_state=0).fit(x)


def heavy_rows(rng, n=300, dof=2.0):
    centres = np.array([[0.0, 0.0], [8.0, 8.0]])
    labels = rng.integers(2, size=n)
    noise = rng.normal(size=(n, 2)) / np.sqrt(rng.chisquare(dof, n) / dof)[:, None]
    return centres[labels] + noise, labels


def test_given_infinite_degrees_of_freedom_are_gaussian_mixture(rng):
    x = mixture_rows(rng, 200, 3, 2, missing=0.2)
    start = {"weights": [0.5, 0.5], "means": x[~np.isnan(x).any(axis=1)][:2],
             "covariances": np.eye(3)[None] * np.ones((2, 1, 1))}  # fmt: skip
    settings = {"init_params": start, "tol": 0, "max_iter": 20}
    ours = StudentMixture(2, dofs=np.inf, **settings).fit(x)
    normal = GaussianMixture(2, **settings).fit(x)
    assert ours.loglik_ == pytest.approx(normal.loglik_, rel=1e-12)
    assert ours.means_ == pytest.approx(normal.means_, rel=1e-9)
    assert ours.covariances_ == pytest.approx(normal.covariances_, rel=1e-9)
    assert ours.n_parameters_ == normal.n_parameters_


def test_outliers_move_locations_little(rng):
    x, labels = heavy_rows(rng)
    x[:8] = rng.uniform(-400, 400, size=(8, 2))
    fit = StudentMixture(2, dofs="common", random_state=0).fit(x)
    order = np.argsort(fit.means_[:, 0])
    assert fit.means_[order] == pytest.approx(np.array([[0, 0], [8, 8]]), abs=0.5)
    assert (fit.predict(x)[8:] == order[labels[8:]]).mean() > 0.95
    assert fit.dofs_[0] == fit.dofs_[1] < 2.5


def test_each_start_ends_with_its_own_status_and_the_counts_of_parameters_agree(rng):
    x, _ = heavy_rows(rng, 120)
    sizes = {"each": 13, "common": 12, 3.0: 11}
    for dofs, size in sizes.items():
        fit = StudentMixture(2, dofs=dofs, n_init=3, random_state=1).fit(x)
        assert len(fit.starts_) == 3
        assert fit.n_parameters_ == size
        assert fit.aic() == pytest.approx(-2 * fit.loglik_ + 2 * size)


def test_standard_errors_are_those_of_the_numerical_information_and_of_refits(rng):
    x, _ = heavy_rows(rng, 400, 3.0)
    x[rng.random(x.shape) < 0.1] = np.nan
    fit = StudentMixture(2, dofs="common", tol=1e-9, random_state=0).fit(x)
    errors = fit.standard_errors()
    assert not any((reason != "").any() for reason in errors.reasons.values())
    # Location of a t with known shape: information (dof + d) / (dof + d + 2) / scatter a row.
    k = 0
    size = np.sqrt(np.diagonal(fit.covariances_[k]) / (fit.weights_[k] * 400))
    dof = fit.dofs_[k]
    expected = size * np.sqrt((dof + 4) / (dof + 2))
    assert errors["means"][k] == pytest.approx(expected, rel=0.15)  # holes, overlap
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        refits = fit.standard_errors("bootstrap", n_resamples=40)
    assert errors["means"] == pytest.approx(refits["means"], rel=0.5)


def test_infinite_degrees_of_freedom_have_no_standard_error_but_all_else_has(rng):
    x = rng.uniform(size=(150, 2))
    fit = StudentMixture(1, tol=1e-9).fit(x)
    assert fit.flags_ == ("boundary",)
    errors = fit.standard_errors()
    assert errors.reasons["dofs"].tolist() == ["boundary"]
    normal = GaussianMixture(1, tol=1e-9).fit(x).standard_errors()
    assert errors["means"] == pytest.approx(normal["means"], rel=1e-6)
    assert errors["covariances"] == pytest.approx(normal["covariances"], rel=1e-6)


def test_imputations_are_conditional_expectations_or_draws(rng):
    x, _ = heavy_rows(rng, 100)
    x[rng.random(x.shape) < 0.2] = np.nan
    fit = StudentMixture(2, dofs=4.0, random_state=0).fit(x)
    seen = ~np.isnan(x)
    assert fit.impute(x)[seen] == pytest.approx(x[seen])
    draws = fit.impute(x, n_draws=3)
    assert draws.shape == (3, 100, 2)
    assert (draws[:, seen] == x[seen]).all()
    assert draws[0][~seen] != pytest.approx(draws[1][~seen])


@pytest.mark.parametrize(
    ("settings", "dofs", "words"),
    [
        ("each", [-1.0, 2.0], "not positive"),
        ("common", [1.0, 2.0], "not one common"),
        (3.0, [3.0, 4.0], "not those given"),
    ],
)
def test_wrong_starting_degrees_of_freedom_are_named(rng, settings, dofs, words):
    start = {"weights": [0.5, 0.5], "means": np.eye(2), "covariances": [np.eye(2)] * 2}
    model = StudentMixture(2, dofs=settings, init_params=start | {"dofs": dofs})
    with pytest.raises(ValueError, match=words):
        model.fit(rng.normal(size=(20, 2)))
