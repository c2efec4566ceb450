"""The estimator: scikit-learn's contract, parity on complete data, holes, weights, starts."""

import subprocess
import sys
import warnings

import numpy as np
import pytest
from sklearn.datasets import load_iris
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as Peer
from sklearn.utils.estimator_checks import estimator_checks_generator

from emlib import GaussianMixture
from emlib.errors import InvalidData
from emlib.inits import ShortEM
from tests.conftest import mixture_rows

TYPES = ["full", "tied", "diag", "spherical"]
CHECKS = list(estimator_checks_generator(GaussianMixture(2, random_state=0)))


@pytest.mark.parametrize(
    ("estimator", "check"), CHECKS, ids=[getattr(c, "func", c).__name__ for _, c in CHECKS]
)
def test_it_keeps_the_contract_of_scikit_learn(estimator, check):
    check(estimator)  # check_array_api_input skips itself: it needs SCIPY_ARRAY_API


def start_values(rng, x, k, covariance_type):
    means = x[rng.choice(len(x), k, replace=False)]
    cov = np.cov(x.T)
    shapes = {
        "full": np.repeat(cov[None], k, axis=0),
        "tied": cov,
        "diag": np.repeat(np.diag(cov)[None], k, axis=0),
        "spherical": np.full(k, np.trace(cov) / len(cov)),
    }
    return {"weights": np.full(k, 1 / k), "means": means, "covariances": shapes[covariance_type]}


@pytest.mark.parametrize("covariance_type", TYPES)
def test_same_start_same_iterations_same_numbers_as_scikit_learn(rng, covariance_type):
    x = load_iris().data
    start = start_values(rng, x, 3, covariance_type)
    covariances = start["covariances"]
    precisions = (
        np.linalg.inv(covariances) if covariance_type in ("full", "tied") else 1 / covariances
    )
    peer = Peer(
        3, covariance_type=covariance_type, tol=0, max_iter=25, reg_covar=0,
        weights_init=start["weights"], means_init=start["means"], precisions_init=precisions,
    )  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        peer.fit(x)
    ours = GaussianMixture(
        3, covariance_type=covariance_type, tol=0, max_iter=25, init_params=start
    ).fit(x)
    assert ours.status_ == "max_iter"
    assert ours.n_iter_ == 25
    assert ours.loglik_ == pytest.approx(peer.score(x) * len(x), abs=1e-8)
    assert ours.means_ == pytest.approx(peer.means_, rel=1e-8)
    assert ours.weights_ == pytest.approx(peer.weights_, rel=1e-8)
    assert ours.covariances_ == pytest.approx(peer.covariances_, rel=1e-8)
    assert ours.n_parameters_ == peer._n_parameters()
    assert ours.bic() == pytest.approx(peer.bic(x), rel=1e-10)
    assert ours.aic() == pytest.approx(peer.aic(x), rel=1e-10)


def test_kmeans_reaches_the_best_sound_optimum_of_iris_in_nine_of_ten_seeds():
    x = load_iris().data
    ends = [GaussianMixture(3, random_state=seed, tol=1e-8).fit(x).loglik_ for seed in range(10)]
    assert sum(abs(end - -180.18548) < 1e-4 for end in ends) >= 9


def test_more_starts_never_end_lower_and_keep_the_earlier_ones(rng):
    x = mixture_rows(rng, 150, 2, 4)
    few = GaussianMixture(4, init_params="points", n_init=2, random_state=3).fit(x)
    many = GaussianMixture(4, init_params="points", n_init=6, random_state=3).fit(x)
    assert many.starts_[:2] == few.starts_
    assert len(many.starts_) == 6
    sound = [s.objective for s in many.starts_ if s.status == "converged" and not s.flags]
    if sound:
        assert many.objective_ == max(sound)


def test_one_collapsing_start_does_not_end_the_fit(rng):
    x = np.vstack([rng.normal(size=(40, 1)), rng.normal(9.0, size=(40, 1)), [[30.0], [30.0]]])
    model = GaussianMixture(2, init_params="points", n_init=60, random_state=0).fit(x)
    assert "degenerate" in {start.status for start in model.starts_}
    assert model.status_ == "converged"


def test_holes_are_integrated_out_and_imputed(rng):
    x = mixture_rows(rng, 300, 3, 2, missing=0.2)
    model = GaussianMixture(2, random_state=0).fit(x)
    filled = model.impute(x)
    seen = ~np.isnan(x)
    assert np.array_equal(filled[seen], x[seen])
    assert np.isfinite(filled).all()
    assert model.score_samples(x).sum() == pytest.approx(model.loglik_, rel=1e-12)
    assert model.predict_proba(x).sum(axis=1) == pytest.approx(np.ones(300))
    empty = model.predict_proba(np.full((1, 3), np.nan))
    assert empty[0] == pytest.approx(model.weights_)


def test_integer_weights_equal_copies(rng):
    x, w = mixture_rows(rng, 100, 2, 2, missing=0.1), rng.integers(0, 3, size=100)
    a = GaussianMixture(2, random_state=1).fit(x, sample_weight=w)
    b = GaussianMixture(2, random_state=1).fit(np.repeat(x, w, axis=0))
    assert a.loglik_ == pytest.approx(b.loglik_, rel=1e-9)
    assert a.bic() == pytest.approx(b.bic(), rel=1e-9)
    assert a.icl() == pytest.approx(b.icl(), rel=1e-9)


def test_icl_is_bic_plus_twice_the_classification_entropy(rng):
    x = mixture_rows(rng, 100, 2, 2)
    model = GaussianMixture(2, random_state=0).fit(x)
    r = model.predict_proba(x)
    entropy = -(r * np.log(np.maximum(r, 1e-300))).sum()
    assert model.icl() == pytest.approx(model.bic() + 2 * entropy)
    assert model.icl(x) == pytest.approx(model.icl())
    assert model.bic(x) == pytest.approx(model.bic())


def test_an_init_object_is_taken_as_it_is(rng):
    x = mixture_rows(rng, 100, 2, 3)
    model = GaussianMixture(3, init_params=ShortEM(tries=3), random_state=0).fit(x)
    assert model.status_ == "converged"


def test_running_out_of_iterations_warns_unless_asked_for(rng):
    x = mixture_rows(rng, 200, 2, 3)
    with pytest.warns(ConvergenceWarning, match="'max_iter' after 2 iterations"):
        GaussianMixture(3, max_iter=2, random_state=0).fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        GaussianMixture(3, max_iter=2, tol=0, random_state=0).fit(x)


def test_float32_is_accumulated_in_float64(rng):
    x = mixture_rows(rng, 200, 2, 2).astype(np.float32)
    a = GaussianMixture(2, random_state=0).fit(x)
    b = GaussianMixture(2, random_state=0).fit(x.astype(np.float64))
    assert a.loglik_ == b.loglik_


def test_samples_come_from_the_fitted_mixture(rng):
    x = mixture_rows(rng, 300, 2, 2)
    model = GaussianMixture(2, random_state=0).fit(x)
    drawn, labels = model.sample(20_000)
    assert drawn.shape == (20_000, 2)
    assert np.bincount(labels) / 20_000 == pytest.approx(model.weights_, abs=0.02)
    assert model.score(drawn) == pytest.approx(model.score(x), abs=0.15)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"init_params": "kmean"}, "'kmean' is not one of"),
        ({"init_params": "truth"}, "studies of synthetic data"),
        ({"init_params": 3}, "neither|not a name"),
        ({"init_params": {"means": np.zeros((2, 2))}}, "needed are"),
        ({"algorithm": "newton"}, "'newton'"),
        ({"algorithm": 1}, "neither a name nor"),
        ({"n_init": 0}, "n_init: 0"),
        ({"tol": -1}, "tol: -1"),
        ({"random_state": "x"}, "random_state: 'x'"),
    ],
)
def test_wrong_settings_are_named(rng, settings, words):
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, **settings).fit(rng.normal(size=(20, 2)))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"weights": [0.5, 0.6]}, "sum to 1"),
        ({"means": np.zeros((3, 2))}, "shape"),
        ({"means": np.full((2, 2), np.nan)}, "not all values are finite"),
        ({"covariances": np.array([np.eye(2), [[1.0, 0.5], [0.1, 1.0]]])}, "not symmetric"),
        ({"covariances": np.array([np.eye(2), [[1.0, 2.0], [2.0, 1.0]]])}, "component 1 is not"),
    ],
)
def test_wrong_starting_values_are_named(rng, change, words):
    x = rng.normal(size=(20, 2))
    start = start_values(rng, x, 2, "full") | change
    with pytest.raises(ValueError, match=words):
        GaussianMixture(2, init_params=start).fit(x)


def test_data_that_cannot_be_fitted_raise_a_value_error_of_ours(rng):
    with pytest.raises(InvalidData, match="column 1 is constant"):
        GaussianMixture(2).fit(np.column_stack([rng.normal(size=10), np.ones(10)]))


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, emlib; heavy = {'pandas', 'mlflow', 'snakemake', 'sklearn', 'numba'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
