"""Split and merge EM: it gets out of poor optima, and never gives up a better place."""

import numpy as np
import pytest
from sklearn.datasets import load_iris

from emlib.algorithms import EM, Budget, SplitMerge, Stopping, climb
from emlib.algorithms.split_merge import ranked, split_and_merged
from emlib.data import Sequences, Table
from emlib.inits import make_init
from emlib.models.base import Model
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from emlib.models.hmm import GaussianHMMModel
from emlib.models.latent_class import LatentClassModel
from emlib.models.poisson_mixture import PoissonMixtureModel

RNG = np.random.default_rng


def trapped(missing=0.0, n=300):
    """Three clusters on a line, one component across two of them and two sharing the third."""
    rng = RNG(0)
    values = np.array([0.0, 6.0, 20.0])[np.arange(n) % 3][:, None] + rng.normal(size=(n, 2))
    values[rng.random(values.shape) < missing] = np.nan
    data, model = Table.from_array(values), GaussianMixtureModel(3)
    start = GaussianMixtureParams(
        np.array([0.6, 0.2, 0.2]), np.array([[3.0, 3.0], [19.5, 19.5], [20.5, 20.5]]),
        np.stack([10.0 * np.eye(2), np.eye(2), np.eye(2)]),
    )  # fmt: skip
    return model.prepare(data), data, start


@pytest.mark.parametrize("missing", [0.0, 0.3])
def test_it_leaves_the_optimum_that_holds_em(missing):
    model, data, start = trapped(missing)
    held, free = climb(model, data, start, EM()), climb(model, data, start, SplitMerge())
    centres = np.repeat([[0.0], [6.0], [20.0]], 2, axis=1)
    truth = GaussianMixtureParams(np.full(3, 1 / 3), centres, np.stack([np.eye(2)] * 3))
    best = climb(model, data, truth)
    assert free.status == "converged"
    assert free.loglik > held.loglik + 10.0
    assert free.loglik == pytest.approx(best.loglik, abs=0.01)


def test_the_components_that_share_rows_are_merged_and_the_one_that_is_two_is_split():
    model, data, start = trapped()
    held = climb(model, data, start, EM()).params
    i, j, k = ranked(model, data, held)[0]
    assert {i, j} == {1, 2}
    assert k == 0
    shares = split_and_merged(model, data, held, (i, j, k))
    assert shares.sum(axis=1) == pytest.approx(1.0)
    low, high = data.values[:, 0] < 3.0, np.abs(data.values[:, 0] - 6.0) < 3.0
    assert {int(shares[rows].sum(axis=0).argmax()) for rows in (low, high)} == {j, k}


def test_ranks_do_not_depend_on_the_units_of_the_columns():
    model, data, start = trapped(0.2)
    held = climb(model, data, start, EM()).params
    scale, shift = np.array([1e-3, 1e4]), np.array([5.0, -1e6])
    moved = GaussianMixtureParams(
        held.weights, held.means * scale + shift, held.covariances * np.outer(scale, scale)
    )
    other = Table.from_array(data.values * scale + shift)
    assert ranked(model, other, moved) == ranked(model, data, held)


def test_the_objective_never_falls_and_a_failed_trial_leaves_the_place():
    data = Table.from_array(load_iris().data)
    model = GaussianMixtureModel(3).prepare(data)
    algorithm, rng = SplitMerge(), RNG(1)
    here = algorithm.begin(model, data, make_init("random")(model, data, rng).params, rng)
    failed, steps = 0, 0
    while not here.settling and steps < 2000:
        there = algorithm.move(model, data, here, rng)
        assert there.objective >= here.objective - 1e-9
        if here.triples and there.triples is not None:
            failed += 1
            assert there.params is here.params
            assert there.e_steps > 2.0
        here, steps = there, steps + 1
    assert here.settling
    assert failed >= 1


def test_more_random_starts_reach_the_best_of_iris_and_all_work_is_counted(monkeypatch):
    data = Table.from_array(load_iris().data)
    model = GaussianMixtureModel(3).prepare(data)
    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", Model.em_chunk)  # one by one
    count = {"passes": 0}
    for name in ("e_step", "posterior"):
        original = getattr(GaussianMixtureModel, name)

        def counted(self, *args, original=original, **kwargs):
            count["passes"] += 1
            return original(self, *args, **kwargs)

        monkeypatch.setattr(GaussianMixtureModel, name, counted)
    hits = {"em": 0, "split_merge": 0}
    for seed in range(10):
        start = make_init("random")(model, data, RNG(seed)).params
        for algorithm in (EM(), SplitMerge()):
            count["passes"] = 0
            end = climb(model, data, start, algorithm)
            assert end.e_steps == count["passes"]
            hits[algorithm.name] += abs(end.loglik - -180.18548) < 0.01
    assert hits["split_merge"] >= hits["em"] + 3


def problems():
    rng = RNG(3)
    counts = rng.poisson(np.array([1.0, 6.0, 15.0])[np.arange(90) % 3][:, None], (90, 2)) * 1.0
    items = (rng.random((120, 5)) < np.array([0.1, 0.5, 0.9])[np.arange(120) % 3][:, None]) * 1.0
    steps = np.repeat([0.0, 4.0, 9.0, 0.0], 20)[:, None] + rng.normal(size=(80, 1))
    for values in (counts, items, steps):
        values[rng.random(values.shape) < 0.1] = np.nan
    yield "counts", PoissonMixtureModel(3), PoissonMixtureModel.view(counts)
    yield "levels", LatentClassModel(3), LatentClassModel.view(items)
    yield "sequences", GaussianHMMModel(3, "diag"), Sequences.from_arrays(steps, [40, 40])


@pytest.mark.parametrize(
    ("model", "data"), [p[1:] for p in problems()], ids=[p[0] for p in problems()]
)
def test_other_families_end_at_least_as_high_as_em(model, data):
    model = model.prepare(data)
    start = make_init("random")(model, data, RNG(4)).params
    held = climb(model, data, start, EM(), Stopping(tol=1e-4))
    free = climb(model, data, start, SplitMerge(candidates=2), Stopping(tol=1e-4))
    assert free.status == "converged"
    assert free.loglik >= held.loglik - 1e-3


def test_a_budget_that_ends_in_the_search_keeps_the_best_place():
    model, data, start = trapped()
    end = climb(model, data, start, SplitMerge(), budget=Budget(10.0))
    assert end.status == "budget"
    assert end.loglik == model.e_step(end.params, data).loglik


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (GaussianMixtureModel(2), "a third split, and it has 2"),
        (PoissonMixtureModel(1), "and it has 1"),
    ],
)
def test_fewer_than_three_classes_are_refused(model, why):
    with pytest.raises(ValueError, match=why):
        climb(model, None, None, SplitMerge())
