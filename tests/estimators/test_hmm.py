"""Hidden Markov models as users meet them, and beside hmmlearn."""

import pickle
import warnings

import numpy as np
import pytest
from sklearn.base import clone

import emlib
from emlib import CategoricalHMM, GaussianHMM, MixtureHMM, PoissonHMM
from emlib.errors import InvalidData
from emlib.models.hmm import GaussianHMMModel, GaussianHMMParams

ITERATIONS = 12
MOVES = np.array([[0.85, 0.1, 0.05], [0.1, 0.8, 0.1], [0.05, 0.15, 0.8]])
FIRST = np.array([0.5, 0.3, 0.2])
LENGTHS = [120, 60, 20]


def states(rng, lengths=LENGTHS):
    path = []
    for length in lengths:
        state = rng.choice(3, p=FIRST)
        for _ in range(length):
            path.append(state)
            state = rng.choice(3, p=MOVES[state])
    return np.array(path)


def gaussian(rng):
    centres = np.array([[0.0, 0.0], [2.5, 1.0], [0.5, 3.0]])
    path = states(rng)
    return centres[path] + rng.normal(size=(len(path), 2)) * [1.0, 0.7], path


def ours(estimator, X, lengths=LENGTHS):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return estimator.set_params(tol=0, max_iter=ITERATIONS).fit(X, lengths)


def theirs(name, X, start, **settings):
    """hmmlearn from the same start, with the priors that its defaults hold switched off."""
    peer = getattr(pytest.importorskip("hmmlearn.hmm"), name)
    model = peer(3, init_params="", n_iter=ITERATIONS, tol=-np.inf, **settings)
    for attribute, value in start.items():
        setattr(model, f"{attribute}_", np.array(value))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(X, LENGTHS)
    return model


def close(found, wanted):
    assert found == pytest.approx(np.asarray(wanted), rel=1e-6, abs=1e-9)


CHAIN = {"startprob": FIRST[::-1], "transmat": 0.6 * MOVES + 0.4 / 3}


@pytest.mark.parametrize("implementation", ["scaling", "log"])
@pytest.mark.parametrize("covariance_type", ["diag", "spherical", "full", "tied"])
def test_gaussian_chains_take_the_steps_of_hmmlearn(rng, covariance_type, implementation):
    """All four types agree once its covars_prior and min_covar, no maximum likelihood, are 0."""
    X, _ = gaussian(rng)
    means = np.array([[0.5, 0.5], [2.0, 0.5], [0.0, 2.0]])
    covars = {
        "diag": np.tile([1.5, 1.0], (3, 1)), "spherical": np.full(3, 1.2),
        "full": np.tile(np.array([[1.5, 0.2], [0.2, 1.0]]), (3, 1, 1)),
        "tied": np.array([[1.5, 0.2], [0.2, 1.0]]),
    }[covariance_type]  # fmt: skip
    start = {**CHAIN, "means": means, "covars": covars}
    fit = ours(GaussianHMM(3, covariance_type=covariance_type, init_params=start), X)
    peer = theirs(
        "GaussianHMM", X, start, covariance_type=covariance_type, min_covar=0, covars_prior=0,
        covars_weight=0, implementation=implementation,
    )  # fmt: skip
    for name in ("startprob_", "transmat_", "means_"):
        close(getattr(fit, name), getattr(peer, name))
    full = fit.model_.emission.full_covariances(fit.params_)
    if covariance_type == "spherical":  # its property repeats each of them n_features times
        close(fit.covars_, peer._covars_[:, 0])
    else:
        close(full, np.broadcast_to(peer.covars_, full.shape))
    assert fit.score(X, LENGTHS) == pytest.approx(peer.score(X, LENGTHS), rel=1e-9)
    assert fit.loglik_ == pytest.approx(peer.score(X, LENGTHS), rel=1e-9)
    logprob, path = fit.decode(X, LENGTHS)
    wanted_logprob, wanted_path = peer.decode(X, LENGTHS)
    assert logprob == pytest.approx(wanted_logprob, rel=1e-9)
    assert (path == wanted_path).all()
    assert (fit.predict(X, LENGTHS) == path).all()
    close(fit.predict_proba(X, LENGTHS), peer.predict_proba(X, LENGTHS))
    peer_history = list(peer.monitor_.history)
    close(fit.history_.loglik[-1 - len(peer_history) : -1], peer_history)


def test_poisson_chains_take_the_steps_of_hmmlearn(rng):
    path = states(rng)
    X = rng.poisson(np.array([[1.0, 4.0], [5.0, 2.0], [9.0, 9.0]])[path])
    rates = np.array([[2.0, 3.0], [4.0, 3.0], [7.0, 7.0]])
    fit = ours(PoissonHMM(3, init_params={**CHAIN, "rates": rates}), X)
    peer = theirs("PoissonHMM", X, {**CHAIN, "lambdas": rates})
    close(fit.rates_, peer.lambdas_)
    close(fit.transmat_, peer.transmat_)
    close(fit.startprob_, peer.startprob_)
    assert fit.loglik_ == pytest.approx(peer.score(X, LENGTHS), rel=1e-9)


def test_categorical_chains_take_the_steps_of_hmmlearn(rng):
    emitted = np.array([[0.6, 0.2, 0.1, 0.1], [0.1, 0.6, 0.2, 0.1], [0.1, 0.1, 0.2, 0.6]])
    X = np.array([[rng.choice(4, p=emitted[state])] for state in states(rng)])
    start = {**CHAIN, "emissionprob": 0.5 * emitted + 0.5 * rng.dirichlet(np.ones(4), 3)}
    fit = ours(CategoricalHMM(3, init_params=start), X)
    peer = theirs("CategoricalHMM", X, start)
    for name in ("startprob_", "transmat_", "emissionprob_"):
        close(getattr(fit, name), getattr(peer, name))
    assert fit.loglik_ == pytest.approx(peer.score(X, LENGTHS), rel=1e-9)


@pytest.mark.parametrize("covariance_type", ["diag", "full"])
def test_mixture_chains_take_one_step_of_hmmlearn_but_centre_scatter_at_the_new_means(
    rng, covariance_type
):
    """hmmlearn's scatter is about the old means, which is no M-step: it exceeds the maximizer by
    the square of the means' move, a part of it for each component."""
    X, _ = gaussian(rng)
    means = np.array([[0.0, 0.0], [2.5, 1.0], [0.5, 3.0]])[:, None] + rng.normal(size=(3, 2, 2))
    covars = np.ones((3, 2, 2))
    if covariance_type == "full":
        covars = np.tile(np.eye(2), (3, 2, 1, 1))
    start = {**CHAIN, "weights": np.full((3, 2), 0.5), "means": means, "covars": covars}
    # Values at which the modes of hmmlearn's priors vanish from its formulas.
    alphas = {"diag": np.full((3, 2, 2), -1.5), "full": np.zeros((3, 2, 2, 2))}
    betas = {"diag": np.zeros((3, 2, 2)), "full": np.full((3, 2), -1.0 - 2.0 - 1.0)}
    peer = pytest.importorskip("hmmlearn.hmm").GMMHMM(
        3, 2, covariance_type=covariance_type, init_params="", n_iter=1, tol=-np.inf, min_covar=0,
        means_weight=np.zeros((3, 2)), covars_prior=alphas[covariance_type],
        covars_weight=betas[covariance_type],
    )  # fmt: skip
    for attribute, value in start.items():
        setattr(peer, f"{attribute}_", np.array(value))
    peer.fit(X, LENGTHS)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fit = MixtureHMM(
            3, n_mix=2, covariance_type=covariance_type, init_params=start, tol=0, max_iter=1
        ).fit(X, LENGTHS)
    for name in ("startprob_", "transmat_", "weights_", "means_"):
        close(getattr(fit, name), getattr(peer, name))
    move = fit.means_ - means
    square = move**2 if covariance_type == "diag" else move[..., :, None] * move[..., None, :]
    assert peer.covars_ - fit.covars_ == pytest.approx(square, rel=1e-3, abs=1e-9)


def test_whole_steps_and_single_cells_may_be_missing(rng):
    X, path = gaussian(rng)
    X[rng.random(X.shape) < 0.2] = np.nan
    X[40:50] = np.nan
    fit = GaussianHMM(3, n_init=5, random_state=0).fit(X, LENGTHS)
    assert fit.converged_
    completed = fit.impute(X, LENGTHS)
    assert np.isfinite(completed).all()
    observed = ~np.isnan(X)
    assert (completed[observed] == X[observed]).all()
    draws = fit.impute(X, LENGTHS, n_draws=3)
    assert draws.shape == (3, *X.shape)
    assert (draws[:, observed] == X[observed]).all()
    assert fit.impute(X, LENGTHS, n_draws=2, proper=True).shape == (2, *X.shape)
    table = np.zeros((3, 3))
    np.add.at(table, (path, fit.predict(X, LENGTHS)), 1)
    assert table.max(axis=1).sum() / len(path) > 0.75
    n = int((~np.isnan(X).all(axis=1)).sum())
    assert fit.bic() == pytest.approx(-2 * fit.loglik_ + fit.n_parameters_ * np.log(n))


def test_weights_count_whole_sequences(rng):
    X, _ = gaussian(rng)
    weighted = GaussianHMM(2, init_params="random", tol=0, max_iter=5, random_state=0)
    rows = np.r_[0:120, 0:120, 180:200]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        start = GaussianHMM(2, max_iter=0, random_state=0).fit(X, LENGTHS).params_
        start = {name: getattr(start, name) for name in start.__dataclass_fields__}
        weighted.set_params(init_params=start).fit(X, LENGTHS, sample_weight=[2, 0, 1])
        copies = clone(weighted).fit(X[rows], [120, 120, 20])
    assert weighted.loglik_ == pytest.approx(copies.loglik_, rel=1e-11)
    close(weighted.transmat_, copies.transmat_)


def test_standard_errors_of_a_tied_chain_are_those_of_its_loglik(rng):
    from emlib.models.differences import hessian

    path = states(rng, [400])
    X = rng.poisson(np.array([1.0, 6.0, 15.0])[path])[:, None]
    fit = PoissonHMM(3, startprob="stationary", tol=1e-10, n_init=3, random_state=0).fit(X)
    errors = fit.standard_errors()
    model, data = fit.model_, fit.model_.view(X)
    at = model.pack(fit.params_, "unconstrained")

    def loglik(vector):
        there = model.unpack(vector, fit.params_, "unconstrained")
        return model.posterior(there, data).loglik.sum()

    covariance = np.linalg.inv(-hessian(loglik, at, np.full(len(at), 1e-3)))
    wanted = fit.rates_[:, 0] * np.sqrt(np.diag(covariance)[-3:])
    assert errors["rates"][:, 0] == pytest.approx(wanted, rel=1e-3)
    assert np.isfinite(errors["startprob"]).all()
    assert np.isfinite(errors["transmat"]).all()


def test_standard_errors_of_one_sequence_know_that_its_first_state_is_certain(rng):
    path = states(rng, [400])
    X = rng.normal(4.0 * path)[:, None]
    fit = GaussianHMM(3, tol=1e-10, n_init=3, random_state=0).fit(X)
    assert "boundary" in fit.flags_
    errors = fit.standard_errors()
    assert np.isnan(errors["startprob"]).all()
    assert np.isfinite(errors["means"]).all()
    assert np.isfinite(errors["covars"]).all()


def test_a_tied_start_follows_from_the_transitions_and_may_be_left_out(rng):
    X = rng.poisson(3.0, size=(30, 1))
    start = {"transmat": [[0.9, 0.1], [0.2, 0.8]], "rates": [[2.0], [5.0]]}
    fit = PoissonHMM(2, startprob="stationary", init_params=start).fit(X)
    assert fit.startprob_ @ fit.transmat_ == pytest.approx(fit.startprob_)
    wrong = {**start, "startprob": [0.5, 0.5]}
    with pytest.raises(ValueError, match="tied to transmat"):
        PoissonHMM(2, startprob="stationary", init_params=wrong).fit(X)
    with pytest.raises(ValueError, match="needed are"):
        PoissonHMM(2, init_params=start).fit(X)


def test_an_impossible_sequence_scores_minus_infinity_and_has_no_states(rng):
    start = {
        "startprob": [1.0, 0.0], "transmat": [[0.5, 0.5], [0.0, 1.0]],
        "emissionprob": [[0.9, 0.1, 0.0], [0.0, 0.5, 0.5]],
    }  # fmt: skip
    X = np.array([0, 0, 1, 0, 1, 2, 1, 2.0])[:, None]
    fit = CategoricalHMM(2, init_params=start).fit(X)
    impossible = np.array([[2.0], [0.0]])
    assert fit.score(impossible) == -np.inf
    for ask in (fit.predict, fit.predict_proba, fit.impute):
        with pytest.raises(InvalidData, match="sequence 0 has probability zero"):
            ask(impossible)
    with pytest.raises(FloatingPointError, match="sequence 0 has probability zero"):
        CategoricalHMM(2, init_params=start).fit(impossible)


@pytest.mark.parametrize("name", ["GaussianHMM", "PoissonHMM", "CategoricalHMM", "MixtureHMM"])
@pytest.mark.parametrize("startprob", ["free", "stationary"])
def test_every_estimator_fits_samples_clones_and_pickles(rng, name, startprob):
    estimator = getattr(emlib, name)(2, startprob=startprob, random_state=0)
    X = rng.poisson(np.repeat([1.0, 6.0], 40))[:, None]
    fit = clone(estimator).fit(X, [30, 50])
    assert fit.status_ == "converged"
    assert fit.n_features_in_ == 1
    assert fit.transmat_.sum(axis=1) == pytest.approx(np.ones(2))
    x, path = fit.sample(20)
    assert x.shape == (20, 1)
    assert path.shape == (20,)
    back = pickle.loads(pickle.dumps(fit))
    assert back.score(X, [30, 50]) == pytest.approx(fit.loglik_, rel=1e-12)
    assert fit.score_sequences(X, [30, 50]).sum() == pytest.approx(fit.loglik_, rel=1e-12)
    assert (back.predict(X) == fit.predict(X)).all()
    with pytest.raises(InvalidData, match="lengths"):
        fit.score(X, [30, 40])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"covars": [[1.0], [-1.0]]}, "number 1 is not positive definite"),
        ({"transmat": [[0.9, 0.2], [0.5, 0.5]]}, "not probabilities"),
        ({"means": [[1.0, 2.0]]}, "shape"),
    ],
)
def test_starting_values_are_checked(rng, change, words):
    start = {
        "startprob": [0.5, 0.5], "transmat": [[0.9, 0.1], [0.5, 0.5]], "means": [[0.0], [1.0]],
        "covars": [[1.0], [1.0]],
    }  # fmt: skip
    with pytest.raises(ValueError, match=words):
        GaussianHMM(2, init_params={**start, **change}).fit(rng.normal(size=(20, 1)))


def test_the_model_under_the_estimator_is_public(rng):
    X, _ = gaussian(rng)
    fit = GaussianHMM(3, random_state=0).fit(X, LENGTHS)
    assert isinstance(fit.model_, GaussianHMMModel)
    assert isinstance(fit.params_, GaussianHMMParams)
    assert fit.aic() == pytest.approx(-2 * fit.loglik_ + 2 * fit.n_parameters_)
