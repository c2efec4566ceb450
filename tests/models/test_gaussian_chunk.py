"""EM steps that are computed together are, bit for bit, those computed one by one."""

from dataclasses import fields

import numpy as np
import pytest

import emlib.models.gaussian_mixture as module
from emlib.algorithms import Budget, Stopping, climb
from emlib.algorithms.em import EM, Ahead, em_step
from emlib.data import Table
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows


def problem(rng, covariance_type, missing=0.3, n=80, d=3, k=2):
    data = Table.from_array(mixture_rows(rng, n, d, k, missing), rng.random(n) + 0.5)
    model = GaussianMixtureModel(k, covariance_type).prepare(data)
    return model, data, model.random_start(data, rng)


def same(a, b):
    return all(
        np.array_equal(getattr(a, field.name), getattr(b, field.name)) for field in fields(a)
    )


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize(("d", "k"), [(1, 4), (3, 2), (5, 9)])
def test_steps_together_are_those_one_by_one(rng, covariance_type, missing, d, k):
    model, data, start = problem(rng, covariance_type, missing, n=300, d=d, k=k)
    here = EM().begin(model, data, start, rng)
    chunk = model.em_chunk(here.params, here.stats, data, 7)
    assert len(chunk.loglik) == 7
    for i in range(7):
        here = em_step(model, data, here)
        assert same(chunk.params(i), here.params)
        assert same(chunk.stats(i), here.stats)
        assert (chunk.loglik[i], chunk.magnitude[i]) == (here.loglik, here.magnitude)


@pytest.mark.parametrize("covariance_type", ["full", "tied"])
@pytest.mark.parametrize("max_iter", [0, 1, 2, 3, 30, 10_000])
def test_a_climb_is_the_same_with_chunks_and_without(rng, monkeypatch, covariance_type, max_iter):
    model, data, start = problem(rng, covariance_type)
    stopping = Stopping(tol=1e-6, max_iter=max_iter)
    together = climb(model, data, start, stopping=stopping)
    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", lambda *_: None)
    alone = climb(model, data, start, stopping=stopping)
    assert same(together.params, alone.params)
    for name in ("status", "rule", "n_iter", "e_steps", "predicted_gain", "flags"):
        assert getattr(together, name) == getattr(alone, name)
    assert np.array_equal(together.history.loglik, alone.history.loglik)
    assert np.array_equal(together.history.e_steps, alone.history.e_steps)


def test_a_collapse_ends_the_climb_where_it_would_have_and_is_named(rng, monkeypatch):
    x = np.concatenate([rng.normal(size=(40, 2)), np.full((3, 2), 9.0)])
    data = Table.from_array(x)
    model = GaussianMixtureModel(2).prepare(data)
    responsibilities = np.c_[np.r_[np.ones(40), np.zeros(3)], np.r_[np.zeros(40), np.ones(3)]]
    start = model.start(data, responsibilities)
    together = climb(model, data, start)
    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", lambda *_: None)
    alone = climb(model, data, start)
    assert together.status == alone.status == "degenerate"
    assert together.message == alone.message
    assert "component 1" in together.message
    assert together.n_iter == alone.n_iter
    assert same(together.params, alone.params)


def test_positions_that_come_together_are_those_that_come_one_by_one(rng):
    model, data, start = problem(rng, "full")
    here = EM().begin(model, data, start, rng)
    together = EM().moves(model, data, here, rng, 5)
    assert len(together) == 5
    for there in together:
        here = EM().move(model, data, here, rng)
        assert isinstance(there, Ahead)
        assert same(there.params, here.params)
        assert (there.objective, there.loglik, there.magnitude, there.e_steps) == (
            here.objective, here.loglik, here.magnitude, here.e_steps
        )  # fmt: skip


def asked_for(monkeypatch):
    """What climbs from now on ask for: most steps of each chunk, and whether one came."""
    asked = []
    chunk = GaussianMixtureModel.em_chunk

    def counting(self, params, stats, view, n_steps):
        found = chunk(self, params, stats, view, n_steps)
        asked.append((n_steps, found is not None))
        return found

    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", counting)
    return asked


@pytest.mark.parametrize("allowance", [Stopping(max_iter=7, tol=0), Budget(e_steps=8.0)])
def test_nothing_is_computed_beyond_what_a_climb_may_take(rng, monkeypatch, allowance):
    model, data, start = problem(rng, "full")
    asked = asked_for(monkeypatch)
    if isinstance(allowance, Budget):
        result = climb(model, data, start, stopping=Stopping(tol=0), budget=allowance)
    else:
        result = climb(model, data, start, stopping=allowance)
    assert sum(n for n, _ in asked) == result.n_iter == 7


def test_few_steps_are_computed_in_vain(rng, monkeypatch):
    model, data, start = problem(rng, "full")
    asked = asked_for(monkeypatch)
    result = climb(model, data, start, stopping=Stopping(tol=1e-8))
    assert result.status == "converged"
    assert result.n_iter > 20
    assert sum(n for n, _ in asked) <= 1.1 * result.n_iter
    assert len(asked) <= result.n_iter / 4


def test_many_rows_have_no_chunks(rng, monkeypatch):
    model, data, start = problem(rng, "full")
    asked = asked_for(monkeypatch)
    monkeypatch.setattr(module, "CHUNKED", 10)
    climb(model, data, start, stopping=Stopping(tol=0, max_iter=5))
    assert [found for _, found in asked] == [False] * 5


def test_a_prior_and_other_structures_have_no_chunks(rng):
    for covariance_type, prior in (("full", "fraley_raftery"), ("diag", None), ("VEE", None)):
        data = Table.from_array(mixture_rows(rng, 50, 2, 2))
        model = GaussianMixtureModel(2, covariance_type, prior).prepare(data)
        start = model.random_start(data, rng)
        assert model.em_chunk(start, model.e_step(start, data), data, 4) is None
