"""Discrete mixtures against brute force: one iteration, posteriors, distinct rows, extremes."""

import math

import numpy as np
import pytest
from scipy.special import logsumexp

from emlib.algorithms import Stopping, climb
from emlib.algorithms.climb import ROUNDING
from emlib.data import Discrete
from emlib.data.discrete import _keys
from emlib.models import Degenerate, make_model
from emlib.models.latent_class import LatentClassModel, LatentClassParams
from emlib.models.poisson_mixture import PoissonMixtureModel, PoissonMixtureParams
from emlib.models.posterior import HARD, sampled, tempered
from tests.families.case_discrete import CASES

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


def log_joint(case, params, data):
    """log(weight_k * probability of the observed cells), shape (n, K)."""
    laws = [[case.row_law(params, row, k) for k in range(2)] for row in data.values]
    return np.log(params.weights) + np.array(laws)


def responsibilities(case, params, data):
    joint = log_joint(case, params, data)
    r = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    return r * (data.weights * data.observed.any(axis=1))[:, None]


def one_iteration(case, params, data):
    """All numbers of the parameters after one EM iteration, straight from the formulas."""
    r = responsibilities(case, params, data)
    columns = []
    for j in range(data.d):
        seen = data.observed[:, j]
        x, weight = data.values[seen, j], r[seen]
        if case.name == "latent_class":
            sums = [weight[x == level].sum(axis=0) for level in range(int(x.max()) + 1)]
            columns.append((np.array(sums) / weight.sum(axis=0)).T)
        else:
            columns.append(x @ weight / weight.sum(axis=0))
    return r.sum(axis=0) / r.sum(), columns


@every_case
@pytest.mark.parametrize("missing", [0.0, 0.4])
def test_one_iteration_is_that_of_the_slow_twin(rng, case, missing):
    model, params, data = case.draw(rng, missing=missing)
    data = data.reweighted(rng.integers(0, 3, data.n) + 0.5)
    found = model.m_step(model.e_step(params, data), params)
    weights, columns = one_iteration(case, params, data)
    assert found.weights == pytest.approx(weights, rel=1e-12)
    for j, column in enumerate(columns):
        ours = getattr(found, model.columns)
        ours = ours[j] if case.name == "latent_class" else ours[:, j]
        assert ours == pytest.approx(column, rel=1e-11)


@every_case
def test_other_posteriors_are_what_their_names_say(rng, case):
    model, params, data = case.draw(rng)
    joint, exact = log_joint(case, params, data), responsibilities(case, params, data)
    live = data.observed.any(axis=1)[:, None]
    hard = np.eye(2)[joint.argmax(axis=1)] * live
    assert model.e_step(params, data, HARD).counts == pytest.approx(hard.sum(axis=0))
    warm = np.exp(0.3 * joint - logsumexp(0.3 * joint, axis=1, keepdims=True)) * live
    assert model.e_step(params, data, tempered(0.3)).counts == pytest.approx(warm.sum(axis=0))
    draws = [
        model.e_step(params, data, sampled(np.random.default_rng(s))).counts for s in range(300)
    ]
    error = np.sqrt((exact * (1 - exact)).sum(axis=0) / 300)
    assert (np.abs(np.mean(draws, axis=0) - exact.sum(axis=0)) <= 5 * error + 1e-12).all()
    assert all(counts == pytest.approx(np.round(counts)) for counts in draws)


@every_case
@pytest.mark.parametrize("free", ["weights", "columns"])
def test_an_m_step_moves_only_what_is_free_and_still_climbs(rng, case, free):
    model, params, data = case.draw(rng)
    stats = model.e_step(params, data)
    free = model.columns if free == "columns" else free
    new = model.m_step(stats, params, frozenset({free}))
    assert (new.weights is params.weights) == (free != "weights")
    kept = getattr(new, model.columns) is getattr(params, model.columns)
    assert kept == (free == "weights")
    assert model.e_step(new, data).loglik > stats.loglik


@every_case
def test_statistics_of_parts_add_up_to_those_of_the_whole(rng, case):
    model, params, data = case.draw(rng)
    parts = [
        model.e_step(params, Discrete.from_array(data.values[s]))
        for s in (slice(0, 10), slice(10, 25), slice(25, None))
    ]
    total, whole = parts[0] + parts[1] + parts[2], model.e_step(params, data)
    for name in ("counts", "cells", "loglik", "magnitude"):
        assert getattr(total, name) == pytest.approx(getattr(whole, name), rel=1e-11)


@every_case
def test_joint_levels_and_repeated_rows_change_nothing(rng, case):
    model, params, data = case.draw(rng, n=40)
    many = np.repeat(data.values, 30, axis=0)  # enough rows for columns to go together
    repeated = Discrete.from_array(many[rng.permutation(len(many))])
    once, often = model.e_step(params, data), model.e_step(params, repeated)
    assert often.loglik == pytest.approx(30 * once.loglik, rel=1e-11)
    assert often.cells == pytest.approx(30 * once.cells, rel=1e-11)
    assert len(repeated.distinct.weights) <= data.n
    assert repeated.distinct.weights.sum() == repeated.informative.sum()


def test_columns_with_few_levels_are_looked_up_together(rng):
    values = rng.integers(0, [2, 3, 4, 70, 2], size=(5000, 5)).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    data = Discrete.from_array(values)
    codes, members = data.rows.bundles
    assert codes.shape == (5000, 3)  # (2+1)(3+1)(4+1) = 60, 71 and 3 levels with the missing one
    assert len(members) == 60 + 71 + 3
    lines = [set(members[codes[i]].ravel()) - {81} for i in range(200)]
    assert lines == [set(data.rows.codes[i]) - {81} for i in range(200)]


def test_rows_are_told_apart_however_many_columns_there_are(rng):
    values = rng.integers(0, 5, size=(300, 80)).astype(float)
    values[rng.random(values.shape) < 0.1] = np.nan
    values[150:] = values[:150]
    data = Discrete.from_array(values)
    assert len(np.unique(_keys(data.rows.codes, (5,) * 80))) == 150
    assert (data.distinct.weights == 2).all()


@pytest.mark.parametrize("size", [1.0, 1e3, 1e6, 1e9])
def test_rounding_of_large_counts_stays_within_what_a_climb_takes_for_rounding(rng, size):
    values = rng.poisson(size * rng.choice([1.0, 1.01], size=(2000, 1))).astype(float)
    data, model = Discrete.from_array(values), PoissonMixtureModel(2)
    params = PoissonMixtureParams(np.array([0.5, 0.5]), size * np.array([[1.0], [1.01]]))
    stats = model.e_step(params, data)
    exact = math.fsum(model.posterior(params, data).loglik)
    assert abs(stats.loglik - exact) < ROUNDING / 2 * stats.magnitude
    end = climb(model, data, params, stopping=Stopping(tol=0, max_iter=30))
    assert end.status == "max_iter"


def test_rows_of_probability_zero_end_a_climb_and_are_assigned_by_the_weights():
    model, data = make_model("bernoulli_mixture", {"n_components": 2}), [[1.0, 1.0], [0.0, 1.0]]
    view = model.view(data)
    truth = {"weights": [0.25, 0.75], "probabilities": np.array([[0.0, 0.5], [0.0, 0.5]])}
    params = model.from_truth(truth)
    with pytest.raises(Degenerate, match="probability zero"):
        model.e_step(params, view)
    posterior = model.posterior(params, view)
    assert posterior.loglik.tolist() == [-np.inf, pytest.approx(np.log(0.5))]
    assert posterior.responsibilities[0].tolist() == [0.25, 0.75]


def test_a_component_without_rows_is_degenerate(rng):
    model, data = PoissonMixtureModel(2), Discrete.from_array([[1.0], [2.0], [3.0]])
    params = PoissonMixtureParams(np.array([1.0, 0.0]), np.array([[2.0], [2.0]]))
    with pytest.raises(Degenerate, match="component 1 has no rows"):
        model.m_step(model.e_step(params, data), params)


def test_a_class_that_nobody_answered_an_item_in_keeps_its_probabilities():
    values = [[0.0, 0.0], [0.0, 1.0], [1.0, np.nan], [1.0, np.nan]]
    data = Discrete.from_array(values)
    model = LatentClassModel(2).prepare(data)
    items = (np.eye(2), np.array([[0.5, 0.5], [0.3, 0.7]]))
    params = LatentClassParams(np.array([0.5, 0.5]), items)
    found = model.m_step(model.e_step(params, data), params)
    assert found.probabilities[1] == pytest.approx(np.array([[0.5, 0.5], [0.3, 0.7]]))


def test_zero_probabilities_are_minus_infinity_in_free_coordinates_and_come_back():
    items = (np.array([[0.0, 0.4, 0.6], [0.2, 0.8, 0.0]]), np.array([[1.0, 0.0], [0.5, 0.5]]))
    params = LatentClassParams(np.array([0.5, 0.5]), items)
    model = LatentClassModel(2, [3, 2])
    vector = model.pack(params, "unconstrained")
    assert np.isneginf(vector).sum() == 3
    back = model.unpack(vector, params, "unconstrained")
    for there, here in zip(back.probabilities, items, strict=True):
        assert there == pytest.approx(here, abs=1e-15)


def test_a_truth_serves_data_in_which_some_levels_never_occur(rng):
    truth = {"weights": np.array([0.4, 0.6]), "probabilities": [rng.dirichlet(np.ones(4), 2)] * 3}
    data = Discrete.from_array(rng.integers(0, 3, size=(50, 3)))
    model = LatentClassModel(2)
    assert model.accepts_truth(truth)
    model = model.prepare(data)
    params = model.from_truth(truth)
    assert [item.shape for item in params.probabilities] == [(2, 3)] * 3
    assert np.isfinite(model.e_step(params, data).loglik)
    assert model.parameter_error(params, truth) == pytest.approx(0.0, abs=1e-12)
    other = LatentClassParams(params.weights[::-1], tuple(p[::-1] for p in params.probabilities))
    assert model.parameter_error(other, truth) == pytest.approx(0.0, abs=1e-12)
    assert not LatentClassModel(2, 5).accepts_truth(truth)
    assert not LatentClassModel(3).accepts_truth(truth)
