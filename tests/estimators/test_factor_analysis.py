"""FactorAnalysis and MixtureOfFactorAnalyzers as practitioners use them."""

import numpy as np
import pytest
from sklearn.datasets import load_iris, load_wine
from sklearn.decomposition import PCA
from sklearn.decomposition import FactorAnalysis as Peer
from sklearn.utils.estimator_checks import parametrize_with_checks

from emlib import FactorAnalysis, GaussianMixture, MixtureOfFactorAnalyzers
from tests.families.case_factors import MASK


@parametrize_with_checks([FactorAnalysis(), MixtureOfFactorAnalyzers(random_state=0)])
def test_they_keep_the_contract_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.fixture
def x(rng):
    loadings = rng.normal(size=(8, 2)) * 2
    return rng.normal(size=(300, 2)) @ loadings.T + rng.normal(size=(300, 8)) + 5.0


@pytest.mark.parametrize("n_factors", [1, 2])
def test_the_optimum_is_that_of_scikit_learn(x, n_factors):
    """Its iterations are others (singular values for given noise), so that the ends compare."""
    fit = FactorAnalysis(n_factors, tol=1e-10, max_iter=50_000).fit(x)
    peer = Peer(n_factors, tol=1e-12, max_iter=50_000, svd_method="lapack").fit(x)
    assert fit.loglik_ == pytest.approx(len(x) * peer.score(x), abs=1e-6)
    assert fit.noise_variance_ == pytest.approx(peer.noise_variance_, rel=1e-4)
    expected = np.abs(peer.transform(x))
    assert np.abs(fit.transform(x)) == pytest.approx(expected, abs=1e-3)


def test_probabilistic_pca_spans_the_principal_components(x):
    fit = FactorAnalysis(2, noise="isotropic", tol=1e-12).fit(x)
    peer = PCA(2).fit(x)
    inside = peer.components_ @ fit.loadings_
    assert inside.T @ inside == pytest.approx(fit.loadings_.T @ fit.loadings_, rel=1e-9)
    assert fit.noise_variance_ == pytest.approx(peer.noise_variance_ * 299 / 300, rel=1e-9)
    assert fit.n_parameters_ == 8 + 8 * 2 - 1 + 1


def test_holes_are_filled_by_what_the_other_columns_say(x, rng):
    holed = x.copy()
    holed[rng.random(x.shape) < 0.2] = np.nan
    fit = FactorAnalysis(2, random_state=0).fit(holed)
    filled = fit.impute(holed)
    missing = np.isnan(holed)
    assert (filled[~missing] == x[~missing]).all()
    column_means = np.broadcast_to(np.nanmean(holed, axis=0), x.shape)
    error = ((filled - x)[missing] ** 2).mean()
    assert error < 0.4 * ((column_means - x)[missing] ** 2).mean()
    draws = fit.impute(holed, n_draws=2, proper=True)
    assert draws.shape == (2, 300, 8)
    assert fit.transform(holed).shape == (300, 2)
    rows, labels = fit.sample(5)
    assert rows.shape == (5, 8)
    assert labels is None


def test_random_starts_differ_and_end_at_one_optimum(x):
    fit = FactorAnalysis(2, init_params="random", n_init=3, random_state=0, tol=1e-8).fit(x)
    ends = [start.loglik for start in fit.starts_]
    assert len({start.n_iter for start in fit.starts_}) > 1
    assert ends == pytest.approx([fit.loglik_] * 3, abs=1e-6)


def test_scores_belong_to_the_reported_loadings(x):
    fit = FactorAnalysis(2, tol=1e-8).fit(x)
    precision = np.linalg.inv(fit.loadings_ @ fit.loadings_.T + np.diag(fit.noise_variance_))
    expected = (x - fit.mean_) @ precision @ fit.loadings_
    assert fit.transform(x) == pytest.approx(expected, abs=1e-9)


def test_masked_loadings_stay_at_zero(rng):
    x = rng.normal(size=(200, 3)) @ np.where(MASK, 1.0, 0.0).T + rng.normal(size=(200, 9))
    fit = FactorAnalysis(3, loadings_mask=MASK, max_iter=50).fit(x)
    assert (fit.loadings_[~MASK] == 0).all()
    assert (fit.loadings_[MASK] != 0).all()


@pytest.mark.parametrize(
    ("start", "words"),
    [
        ({"noise_variance": -np.ones(9)}, "not all are positive"),
        ({"loadings": np.ones((9, 3))}, "not zero where loadings_mask is False"),
    ],
)
def test_starts_that_no_climb_can_take_are_refused(rng, start, words):
    good = {"mean": np.zeros(9), "loadings": 1.0 * MASK, "noise_variance": np.ones(9)}
    model = FactorAnalysis(3, loadings_mask=MASK, init_params={**good, **start})
    with pytest.raises(ValueError, match=words):
        model.fit(rng.normal(size=(30, 9)))


def test_a_mixture_with_enough_factors_is_a_gaussian_mixture():
    """Two factors and noise make any covariance of three columns, so that the optima agree."""
    x = load_iris().data[:, :3]
    settings = {"n_init": 5, "tol": 1e-7, "max_iter": 20_000, "random_state": 0}
    fit = MixtureOfFactorAnalyzers(2, 2, **settings).fit(x)
    full = GaussianMixture(2, **settings).fit(x)
    assert fit.loglik_ == pytest.approx(full.loglik_, abs=1e-2)


def test_a_mixture_finds_the_cultivars_of_wine():
    x, y = load_wine(return_X_y=True)
    x = (x - x.mean(axis=0)) / x.std(axis=0)
    fit = MixtureOfFactorAnalyzers(3, 2, n_init=5, random_state=0).fit(x)
    labels = fit.predict(x)
    agreement = sum(np.bincount(y[labels == k]).max() for k in range(3) if (labels == k).any())
    assert agreement >= 0.95 * len(y)
    assert fit.predict_proba(x).sum(axis=1) == pytest.approx(np.ones(len(x)))
    assert fit.transform(x).shape == (178, 2)
    assert fit.n_parameters_ == 2 + 3 * (13 + 2 * 13 - 1 + 13)
    assert fit.icl() >= fit.bic()
