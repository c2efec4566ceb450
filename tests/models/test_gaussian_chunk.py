"""EM steps that are computed together are, bit for bit, those computed one by one."""

from dataclasses import fields
from itertools import pairwise

import numpy as np
import pytest

import emlib.models.gaussian_mixture as module
from emlib.algorithms import Stopping, climb
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


def test_a_position_moves_on_twice_to_the_same_place(rng):
    model, data, start = problem(rng, "full")
    here = EM().move(model, data, EM().begin(model, data, start, rng), rng)
    assert isinstance(here, Ahead)
    first, second = (EM().move(model, data, here, rng) for _ in range(2))
    assert same(first.params, second.params)


def test_chunks_grow_and_many_rows_have_none(rng, monkeypatch):
    model, data, start = problem(rng, "full")
    asked = []
    chunk = GaussianMixtureModel.em_chunk

    def counting(self, params, stats, view, n_steps):
        found = chunk(self, params, stats, view, n_steps)
        asked.append((n_steps, found))
        return found

    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", counting)
    climb(model, data, start, stopping=Stopping(tol=0, max_iter=60))
    steps = [n for n, _ in asked]
    assert steps[:4] == [3, 6, 12, 16]
    assert all(b in (2 * a, 16) for a, b in pairwise(steps))
    asked.clear()
    monkeypatch.setattr(module, "CHUNKED", 10)
    climb(model, data, start, stopping=Stopping(tol=0, max_iter=5))
    assert [found for _, found in asked] == [None] * 5


def test_a_prior_and_other_structures_have_no_chunks(rng):
    for covariance_type, prior in (("full", "fraley_raftery"), ("diag", None), ("VEE", None)):
        data = Table.from_array(mixture_rows(rng, 50, 2, 2))
        model = GaussianMixtureModel(2, covariance_type, prior).prepare(data)
        start = model.random_start(data, rng)
        assert model.em_chunk(start, model.e_step(start, data), data, 4) is None
