"""Hidden Markov models against enumeration of all paths, direct maximization and each other."""

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from emlib.algorithms import Stopping, climb
from emlib.algorithms.climb import ROUNDING
from emlib.data import Sequences
from emlib.errors import InvalidData
from emlib.models import Degenerate, make_model
from emlib.models.hmm import (
    CategoricalHMMModel,
    CategoricalHMMParams,
    GaussianHMMModel,
    GaussianHMMParams,
    PoissonHMMModel,
    PoissonHMMParams,
)
from emlib.models.hmm.stationary import maximize_tied, stationary_distribution
from emlib.models.posterior import HARD, sampled, tempered
from tests.families.case_hmm import CASES
from tests.hmm_twins import path_logs, sequences_of

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def tiny(case, rng):
    """One draw with holes, a whole step included, short enough for all its paths."""
    model, params, data = case.draw(rng, n=20)
    values = data.values[:14].copy()
    values[2] = np.nan
    values[11] = np.nan
    return model, params, model.view(values, rng.integers(1, 4, 2), lengths=[6, 8])


def path_probabilities(model, params, x, beta=1.0):
    paths, logs = path_logs(model, params, x)
    logs = beta * logs
    return paths, np.exp(logs - np.logaddexp.reduce(logs))


def expected_counts(model, params, data, beta=1.0):
    """First states, pairs and steps' states by enumeration, weighted."""
    k = model.n_states
    first, pairs, states = np.zeros(k), np.zeros((k, k)), []
    for weight, x in zip(data.unit_weights, sequences_of(data), strict=True):
        paths, chances = path_probabilities(model, params, x, beta)
        for path, chance in zip(paths, chances, strict=True):
            first[path[0]] += weight * chance
            np.add.at(pairs, (path[:-1], path[1:]), weight * chance)
        states.append(np.stack([chances @ (paths == j) for j in range(k)], axis=1))
    return first, pairs, np.vstack(states)


@every_case
def test_smoothed_states_and_counts_are_those_of_all_paths(rng, case):
    model, params, data = tiny(case, rng)
    first, pairs, states = expected_counts(model, params, data)
    stats = model.e_step(params, data)
    assert stats.chain.initial == pytest.approx(first, rel=1e-10)
    assert stats.chain.transitions == pytest.approx(pairs, rel=1e-10)
    posterior = model.posterior(params, data)
    assert posterior.responsibilities == pytest.approx(states, rel=1e-10, abs=1e-14)
    logs = [np.logaddexp.reduce(path_logs(model, params, x)[1]) for x in sequences_of(data)]
    assert posterior.loglik == pytest.approx(np.array(logs), rel=1e-12)
    assert stats.loglik == pytest.approx(float(data.unit_weights @ logs), rel=1e-12)


@every_case
def test_the_viterbi_path_is_the_best_of_all_paths(rng, case):
    model, params, data = tiny(case, rng)
    path, best = model.decode(params, data)
    found = [path_logs(model, params, x) for x in sequences_of(data)]
    assert best == pytest.approx([logs.max() for _, logs in found], rel=1e-12)
    assert path.tolist() == np.concatenate([p[logs.argmax()] for p, logs in found]).tolist()


@pytest.mark.parametrize("case", CASES[:-2], ids=lambda case: case.name)
def test_other_posteriors_are_what_their_names_say(rng, case):
    model, params, data = tiny(case, rng)
    exact = model.e_step(params, data)
    first, pairs, _ = expected_counts(model, params, data, beta=0.4)
    stats = model.e_step(params, data, tempered(0.4))
    assert stats.chain.transitions == pytest.approx(pairs, rel=1e-10)
    assert stats.chain.initial == pytest.approx(first, rel=1e-10)
    hard = model.e_step(params, data, HARD)
    path, _ = model.decode(params, data)
    parts = [path[a:b] for a, b in itertools.pairwise(data.offsets)]
    counted = np.zeros_like(pairs)
    for weight, part in zip(data.unit_weights, parts, strict=True):
        np.add.at(counted, (part[:-1], part[1:]), weight)
    assert hard.chain.transitions == pytest.approx(counted, abs=1e-14)
    draws = [
        model.e_step(params, data, sampled(np.random.default_rng(seed))) for seed in range(400)
    ]
    mean = np.mean([d.chain.transitions for d in draws], axis=0)
    error = np.std([d.chain.transitions for d in draws], axis=0) / 20.0
    assert (np.abs(mean - exact.chain.transitions) <= 5 * error + 1e-12).all()
    for other in (stats, hard, draws[0]):
        assert other.loglik == pytest.approx(exact.loglik, rel=1e-12)


def test_a_mixture_of_states_and_components_says_that_it_has_the_exact_posterior_only(rng):
    model, params, data = tiny(CASES[-1], rng)
    with pytest.raises(NotImplementedError, match="exact posterior only"):
        model.e_step(params, data, HARD)


@every_case
def test_statistics_of_sequences_add_up_to_those_of_all(rng, case):
    model, params, data = case.draw(rng)
    cut = int(data.offsets[3])
    parts = [
        model.view(data.values[:cut], lengths=data.lengths[:3]),
        model.view(data.values[cut:], lengths=data.lengths[3:]),
    ]
    a, b = (model.e_step(params, part) for part in parts)
    whole = model.e_step(params, data)
    assert (a + b).loglik == pytest.approx(whole.loglik, rel=1e-12)
    moved, expected = model.m_step(a + b, params), model.m_step(whole, params)
    # Rounds of the tied M-step end where Q is flat to rounding, half as many digits.
    digits = 1e-6 if model.startprob == "stationary" else 1e-9
    for name in params.__dataclass_fields__:
        found = getattr(moved, name)
        assert found == pytest.approx(getattr(expected, name), rel=digits, abs=1e-12)


@every_case
def test_an_m_step_moves_only_what_is_free_and_still_climbs(rng, case):
    model, params, data = case.draw(rng)
    stats = model.e_step(params, data)
    for name in model.cycle[0].free:
        moved = model.m_step(stats, params, frozenset({name}))
        for other in params.__dataclass_fields__:
            tied = other == "startprob" and model.startprob == "stationary" and name == "transmat"
            same = np.array_equal(getattr(moved, other), getattr(params, other))
            assert same == (other != name and not tied)
        assert model.e_step(moved, data).loglik > stats.loglik


def separated(rng, far, n=400):
    model = GaussianHMMModel(3, "diag")
    transmat = np.array([[0.9, 0.1, 0.0], [0.0, 0.9, 0.1], [0.1, 0.0, 0.9]])
    params = GaussianHMMParams(
        np.array([1.0, 0.0, 0.0]), transmat, far * np.arange(3.0)[:, None], np.ones((3, 1))
    )
    x, states = model.sample(params, n, rng)
    return model, params, model.view(x), states


@pytest.mark.parametrize("far", [3.0, 30.0, 300.0, 3000.0])
def test_scaled_numbers_and_logs_give_the_same_however_far_states_are(rng, far):
    model, params, data, _ = separated(rng, far)
    fast, logs = model.e_step(params, data), in_logs(model, params, data)
    assert fast.loglik == pytest.approx(logs.loglik, rel=1e-13)
    assert fast.chain.transitions == pytest.approx(logs.chain.transitions, rel=1e-10, abs=1e-12)
    assert fast.emission.counts == pytest.approx(logs.emission.counts, rel=1e-10, abs=1e-12)


def in_logs(model, params, data):
    """The E-step with the scaled pass out of the way."""
    import emlib.kernels.chain as kernels

    def nothing(densities, rows, offsets, weights, startprob, transmat, n_states, *room):
        width = len(startprob)
        room[-1][:] = 1.0
        left = np.ones(len(offsets) - 1, dtype=bool)
        return np.zeros(densities.shape), np.zeros(width), np.zeros((width, width)), left

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(kernels, "smooth", nothing)
        return model.e_step(params, data)


@every_case
def test_logs_give_what_scaled_numbers_give(rng, case):
    model, params, data = case.draw(rng)
    fast, slow = model.e_step(params, data), in_logs(model, params, data)
    assert fast.loglik == pytest.approx(slow.loglik, rel=1e-13)
    assert fast.magnitude == pytest.approx(slow.magnitude, rel=1e-12)
    assert fast.chain.initial == pytest.approx(slow.chain.initial, rel=1e-10)
    assert fast.chain.transitions == pytest.approx(slow.chain.transitions, rel=1e-10)


def test_a_state_that_scaled_numbers_lose_is_found_again_by_what_comes_later(rng):
    """The left state fits the second step by e^-2000 worse, but alone can reach the third."""
    model = GaussianHMMModel(3, "diag")
    params = GaussianHMMParams(
        np.array([0.5, 0.5, 0.0]),
        np.array([[0.9, 0.0, 0.1], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]),
        np.array([[0.0], [80.0], [1000.0]]),
        np.ones((3, 1)),
    )
    data = Sequences.from_arrays(np.array([[40.0], [80.0], [1000.0]]))
    _, logs = path_logs(model, params, data.values)
    expected = np.logaddexp.reduce(logs)
    assert np.isfinite(expected)
    assert model.e_step(params, data).loglik == pytest.approx(expected, rel=1e-14)
    assert model.posterior(params, data).responsibilities.argmax(axis=1).tolist() == [0, 0, 2]
    assert model.decode(params, data)[0].tolist() == [0, 0, 2]


def test_an_impossible_sequence_is_said_to_be_so_and_is_never_nan():
    model = CategoricalHMMModel(2, 2)
    params = CategoricalHMMParams(
        np.array([1.0, 0.0]), np.array([[1.0, 0.0], [0.5, 0.5]]), np.eye(2)
    )
    data = Sequences.from_arrays(np.array([[0.0], [0.0], [0.0], [0.0], [1.0]]), [2, 3])
    posterior = model.posterior(params, data)
    assert posterior.loglik.tolist() == [0.0, -np.inf]
    assert (posterior.responsibilities[2:] == 0).all()
    assert not np.isnan(posterior.completed).any()
    words = "sequence 1 has probability zero .* its step 2"
    with pytest.raises(FloatingPointError, match=words):
        model.e_step(params, data)
    with pytest.raises(InvalidData, match=words):
        model.decode(params, data)
    with pytest.raises(InvalidData, match=words):
        model.complete(params, data, np.random.default_rng(0))


def test_a_hundred_thousand_steps_are_summed_within_what_a_climb_takes_for_rounding(rng):
    model, params, data, _ = separated(rng, 2.0, n=100_000)
    stats, slow = model.e_step(params, data), in_logs(model, params, data)
    assert abs(stats.loglik - slow.loglik) < ROUNDING / 2 * stats.magnitude
    assert stats.chain.transitions == pytest.approx(slow.chain.transitions, rel=1e-9, abs=1e-9)
    assert stats.chain.transitions.sum() == pytest.approx(99_999, rel=1e-12)


@pytest.mark.parametrize("k", [1, 2, 3, 7, 8, 9, 17])
def test_any_number_of_states_goes_through_the_padded_loops(rng, k):
    transmat = rng.dirichlet(np.ones(k), k)
    params = PoissonHMMParams(rng.dirichlet(np.ones(k)), transmat, rng.gamma(5.0, size=(k, 1)))
    model = PoissonHMMModel(k)
    data = model.view(model.sample(params, 60, rng)[0], lengths=[25, 35])
    fast, slow = model.e_step(params, data), in_logs(model, params, data)
    assert fast.loglik == pytest.approx(slow.loglik, rel=1e-13)
    assert fast.chain.transitions == pytest.approx(slow.chain.transitions, rel=1e-10, abs=1e-13)
    assert fast.emission.totals == pytest.approx(slow.emission.totals, rel=1e-10)


def test_zeros_of_a_chain_and_its_emissions_stay_zero_and_are_flagged(rng):
    model = CategoricalHMMModel(2, 3)
    params = CategoricalHMMParams(
        np.array([1.0, 0.0]), np.array([[0.9, 0.1], [0.0, 1.0]]),
        np.array([[0.5, 0.5, 0.0], [0.2, 0.3, 0.5]]),
    )  # fmt: skip
    data = model.view(np.vstack([model.sample(params, 10, rng)[0] for _ in range(20)]),
                      lengths=[10] * 20)  # fmt: skip
    end = climb(model, data, params)
    assert end.status == "converged"
    assert "boundary" in end.flags
    for name in params.__dataclass_fields__:
        assert (getattr(end.params, name)[getattr(params, name) == 0] == 0).all()
    vector = model.pack(end.params, "unconstrained")
    assert np.isneginf(vector).sum() == 3
    back = model.unpack(vector, end.params, "unconstrained")
    assert model.e_step(back, data).loglik == pytest.approx(end.loglik, rel=1e-12)


# --- chains whose first state is drawn from where they settle ---


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_stationary_distribution_is_kept_by_the_chain(rng, k):
    transmat = rng.dirichlet(np.full(k, 0.3), k)
    share = stationary_distribution(transmat)
    assert share.sum() == pytest.approx(1.0, abs=1e-15)
    assert share @ transmat == pytest.approx(share, abs=1e-14)


def test_transient_states_have_no_share_and_a_chain_that_falls_apart_is_degenerate():
    absorbing = np.array([[0.5, 0.5, 0.0], [0.0, 0.5, 0.5], [0.0, 0.4, 0.6]])
    assert stationary_distribution(absorbing) == pytest.approx([0.0, 4 / 9, 5 / 9], abs=1e-12)
    last = absorbing[::-1, ::-1]
    assert stationary_distribution(last) == pytest.approx([5 / 9, 4 / 9, 0.0], abs=1e-12)
    with pytest.raises(Degenerate, match="falls apart"):
        stationary_distribution(np.eye(2))


@pytest.mark.parametrize("share_of_firsts", [0.1, 1.0, 30.0])
def test_the_tied_m_step_is_the_direct_maximum(rng, share_of_firsts):
    k = 3
    transitions = 10.0 * rng.random((k, k))
    initial = share_of_firsts * transitions.sum() * rng.dirichlet(np.ones(k))

    def loss(vector):
        odds = np.zeros((k, k))
        odds[:, 1:] = vector.reshape(k, k - 1)
        transmat = np.exp(odds) / np.exp(odds).sum(axis=1, keepdims=True)
        return -(
            initial @ np.log(stationary_distribution(transmat))
            + (transitions * np.log(transmat)).sum()
        )

    found = maximize_tied(initial, transitions, rng.dirichlet(np.ones(k), k))
    for _ in range(20):
        found = maximize_tied(initial, transitions, found)
    direct = min((minimize(loss, rng.normal(size=k * (k - 1))) for _ in range(5)),
                 key=lambda end: end.fun)  # fmt: skip
    at = np.log(found[:, 1:] / found[:, :1]).ravel()
    assert loss(at) == pytest.approx(direct.fun, rel=1e-9)


def test_each_round_of_the_tied_m_step_raises_q_and_keeps_zeros(rng):
    for _ in range(50):
        k = int(rng.integers(2, 5))
        transitions, initial = rng.gamma(0.3, size=(k, k)), rng.gamma(0.3, size=k) * 5
        transmat = rng.dirichlet(np.full(k, 0.5), k)
        transmat[0, -1] = 0.0
        transmat /= transmat.sum(axis=1, keepdims=True)
        transitions[0, -1] = 0.0

        def q(matrix, initial=initial, transitions=transitions):
            from scipy.special import xlogy

            share = stationary_distribution(matrix)
            return xlogy(initial, share).sum() + xlogy(transitions, matrix).sum()

        moved = maximize_tied(initial, transitions, transmat)
        assert q(moved) >= q(transmat) - 1e-12 * abs(q(transmat))
        assert moved[0, -1] == 0.0
        assert moved.sum(axis=1) == pytest.approx(np.ones(k))


def test_a_tied_chain_reaches_the_maximum_that_a_general_optimizer_finds(rng):
    model = PoissonHMMModel(2, startprob="stationary")
    transmat = np.array([[0.8, 0.2], [0.3, 0.7]])
    truth = {"startprob": [0.5, 0.5], "transmat": transmat, "rates": [[2.0], [7.0]]}
    params = model.from_truth(truth)
    sizes = [4] * 30
    data = model.view(np.vstack([model.sample(params, 4, rng)[0] for _ in sizes]), lengths=sizes)
    end = climb(model, data, params, stopping=Stopping(1e-11, 20_000))

    def loss(vector):
        there = model.unpack(vector, params, "unconstrained")
        return -model.posterior(there, data).loglik.sum()

    found = minimize(loss, model.pack(params, "unconstrained"), method="BFGS")
    assert end.loglik == pytest.approx(-found.fun, abs=1e-7)


# --- everything else ---


def test_draws_of_missing_steps_follow_the_smoothed_states(rng):
    model = CategoricalHMMModel(2, 2)
    params = CategoricalHMMParams(
        np.array([0.5, 0.5]), np.array([[0.9, 0.1], [0.2, 0.8]]), np.eye(2)
    )
    data = Sequences.from_arrays(np.array([[0.0], [np.nan], [np.nan], [1.0]]))
    draws = np.array([model.complete(params, data, rng)[:, 0] for _ in range(20_000)])
    paths, chances = path_probabilities(model, params, data.values)
    for path, chance in zip(paths, chances, strict=True):
        share = (draws == path).all(axis=1).mean()
        assert share == pytest.approx(chance, abs=5 * np.sqrt(0.25 / 20_000))


@every_case
def test_samples_have_the_moments_of_the_model(rng, case):
    model, params, _ = case.draw(rng)
    x, states = model.sample(params, 60_000, rng)
    pairs = np.zeros((2, 2))
    np.add.at(pairs, (states[:-1], states[1:]), 1.0)
    pairs /= pairs.sum(axis=1, keepdims=True)
    assert pairs == pytest.approx(params.transmat, abs=0.02)
    hidden = model.view(np.full((1, x.shape[1]), np.nan))
    for k in range(2):
        if case.completes_by_mean:
            mean = model.emission.completed(params, hidden, np.eye(2)[[k]])[0]
            error = x[states == k].std(axis=0) / np.sqrt((states == k).sum())
            assert (np.abs(x[states == k].mean(axis=0) - mean) < 5 * error).all()
        else:
            shares = np.bincount(x[states == k, 0].astype(int)) / (states == k).sum()
            assert shares == pytest.approx(params.emissionprob[k], abs=0.02)


def test_few_sequences_are_simulated_for_a_bootstrap_and_many_are_drawn(rng):
    model = PoissonHMMModel(1)
    params = PoissonHMMParams(np.ones(1), np.ones((1, 1)), np.array([[1000.0]]))
    x = np.zeros((20, 1))
    x[3] = np.nan
    few = model.bootstrapped(params, model.view(x, [2.0, 1.0], lengths=[10, 10]), rng)
    assert few.values[few.observed].min() > 500
    assert np.flatnonzero(~few.observed[:, 0]).tolist() == [3, 13]  # weight 2: two sequences
    assert few.lengths.tolist() == [10, 10, 10]
    assert not np.array_equal(few.values[:3], few.values[10:13])
    many = model.bootstrapped(params, model.view(x, lengths=[1] * 20), rng)
    assert np.array_equal(many.values, x, equal_nan=True)
    assert many.unit_weights.sum() == 20


@pytest.mark.parametrize(
    ("family", "settings", "words"),
    [
        ("gaussian_hmm", {"n_states": 0}, "n_states: 0"),
        ("gaussian_hmm", {"n_states": 2, "covariance_type": "VVI"}, "covariance_type: 'VVI'"),
        ("poisson_hmm", {"n_states": 2, "startprob": "uniform"}, "startprob: 'uniform'"),
        ("categorical_hmm", {"n_states": 2, "n_symbols": 0}, "n_symbols: 0"),
        ("mixture_hmm", {"n_states": 2, "n_mix": 0}, "n_mix: 0"),
    ],
)
def test_settings_are_checked(family, settings, words):
    with pytest.raises(ValueError, match=words):
        make_model(family, settings)


@pytest.mark.parametrize(
    ("family", "values", "words"),
    [
        ("gaussian_hmm", [[1.0], [np.nan]], "fewer than the 2 states"),
        ("gaussian_hmm", [[1.0], [1.0], [np.nan]], "column 0 is constant"),
        ("poisson_hmm", [[1.0], [2.5]], "2.5 is no count: 0, 1, 2"),
        ("poisson_hmm", [[1.0, np.nan], [2.0, np.nan]], "column 1 has no observed cell"),
        ("categorical_hmm", [[1.0], [-1.0]], "-1 is no symbol: 0, 1, 2"),
        ("categorical_hmm", [[1.0, 1.0], [0.0, 1.0]], "2 columns"),
    ],
)
def test_data_that_the_model_cannot_take_are_refused(family, values, words):
    model = make_model(family, {"n_states": 2})
    with pytest.raises(InvalidData, match=words):
        model.prepare(model.view(np.array(values)))


def test_a_symbol_that_the_fit_never_saw_is_refused():
    model = CategoricalHMMModel(2).prepare(Sequences.from_arrays(np.array([[0.0], [1.0], [2.0]])))
    assert model.n_symbols == 3
    start = model.start(Sequences.from_arrays(np.array([[0.0], [1.0]])), np.full((2, 2), 0.5))
    with pytest.raises(InvalidData, match="symbol 7"):
        model.posterior(start, Sequences.from_arrays(np.array([[7.0]])))
