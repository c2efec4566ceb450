"""Every algorithm on every family that it claims: what it ascends, and where it ends."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emlib.algorithms import Stopping, climb, make_algorithm
from emlib.algorithms.climb import ROUNDING
from emlib.models.differences import STEP, gradient, natural_steps
from emlib.models.posterior import EXACT
from tests.families.contract import rebuilt
from tests.families.test_contract import FAMILIES, objective

NAMES = ("annealing", "classification", "stochastic", "incremental", "online")
SHORT = {
    "annealing": {"stage_moves": 4},
    "stochastic": {"iterations": 5},
    "incremental": {"chunks": 3},
    "online": {"batches": 3, "passes": 2},
}
HARDEST = {
    "gaussian_mixture[full]", "gaussian_hmm[full, free]", "student_mixture[full, each]",
    "regression_mixture[t each]", "state_space[many sequences]",
}  # fmt: skip
ONE_EACH = {
    family.name.split("[")[0]: family
    for family in sorted(FAMILIES, key=lambda family: family.name in HARDEST)
}
PAIRS = [
    (name, family)
    for name in NAMES
    for family in ONE_EACH.values()
    if not make_algorithm(name).unable(family.draw(np.random.default_rng(0))[0])
]
every_pair = pytest.mark.parametrize(
    ("name", "family"), PAIRS, ids=lambda one: getattr(one, "name", one)
)


def climbed(name, family, seed, **stopping):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng, n=30)
    if data.unit_weights.size > 2:
        data = data.reweighted(1.0 + (np.arange(len(data.unit_weights)) % 3))
    algorithm = make_algorithm(name, SHORT.get(name))
    end = climb(model, data, params, algorithm, Stopping(**stopping), rng=rng)
    return model, data, algorithm, end


@every_pair
@settings(max_examples=2, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**31))
def test_an_algorithm_ascends_what_it_declares_and_tells_the_loglik(name, family, seed):
    model, data, algorithm, end = climbed(name, family, seed, tol=1e-6, max_iter=60)
    assert end.status in ("converged", "max_iter", "degenerate"), end.message
    if end.params is None:
        return
    assert end.loglik == model.e_step(end.params, data).loglik
    if algorithm.ascends(model) in ("loglik", "penalized"):
        rounding = ROUNDING * (np.abs(end.history.loglik).max() + data.weights.sum())
        assert (np.diff(end.history.objective) >= -rounding).all()


@every_pair
def test_a_climb_is_the_same_from_the_same_seed_and_for_shuffled_units(name, family):
    model, params, data = family.draw(np.random.default_rng(3), n=30)
    order = np.random.default_rng(4).permutation(len(data.unit_weights))
    algorithm, stopping = make_algorithm(name, SHORT.get(name)), Stopping(tol=0, max_iter=4)
    ends = [
        climb(model, view, params, algorithm, stopping, rng=np.random.default_rng(5))
        for view in (data, data, rebuilt(model, data, order))
    ]
    assert ends[0].loglik == ends[1].loglik
    assert ends[0].loglik == pytest.approx(ends[2].loglik, rel=1e-9)


STATIONARY = [(n, f) for n, f in PAIRS if n != "classification"]


@pytest.mark.parametrize(("name", "family"), STATIONARY, ids=lambda one: getattr(one, "name", one))
def test_the_end_is_stationary_after_an_em_polish(name, family):
    model, data, _, end = climbed(name, family, 8, tol=1e-3, max_iter=400)
    if end.status == "degenerate":
        pytest.skip("a climb that collapses has no end")
    polished = climb(model, data, end.params, stopping=Stopping(tol=1e-9, max_iter=20_000))
    if {"boundary", "spurious"} & set(polished.flags) or polished.status == "degenerate":
        pytest.skip("an end at the boundary has no gradient")
    assert polished.loglik - end.loglik < 0.5
    at = model.pack(polished.params, "unconstrained")
    steps = natural_steps(lambda v: objective(model, data, polished.params, v), at)
    slope = gradient(lambda v: objective(model, data, polished.params, v), at, steps)
    assert np.abs(slope * steps / STEP).max(initial=0.0) < 1e-3


TEMPERED = [f for f in FAMILIES if "tempered" in f.draw(np.random.default_rng(0))[0].posteriors]


@pytest.mark.parametrize("family", TEMPERED, ids=lambda family: family.name)
def test_the_free_energy_at_beta_1_is_the_loglik_with_holes_and_weights(family):
    model, params, data = family.draw(np.random.default_rng(6), missing=0.3)
    data = data.reweighted(np.random.default_rng(7).integers(0, 4, len(data.unit_weights)) * 1.0)
    loglik = model.e_step(params, data, EXACT).loglik
    assert model.free_energy(params, data, 1.0) == pytest.approx(loglik, rel=1e-12)


@pytest.mark.parametrize(
    "family", [one for one in ONE_EACH.values() if one.weighted], ids=lambda family: family.name
)
def test_parts_hold_all_units_and_their_stats_add_to_those_of_all(family):
    model, params, data = family.draw(np.random.default_rng(9), n=30)
    order = data.sorted_units
    assert sorted(order) == list(range(len(data.unit_weights)))
    whole = model.e_step(params, data)
    parts = [model.e_step(params, data.part(order[c::3])) for c in range(min(3, len(order)))]
    assert sum(part.loglik for part in parts) == pytest.approx(whole.loglik, rel=1e-12)
    if "mixed" not in model.sums:
        return
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    wanted, found = (model.pack(model.m_step(s, params)) for s in (whole, total))
    assert found == pytest.approx(wanted, rel=1e-8, abs=1e-10)


@pytest.mark.parametrize("family", ONE_EACH.values(), ids=lambda family: family.name)
def test_scaled_stats_are_those_of_scaled_weights(family):
    model, params, data = family.draw(np.random.default_rng(10), n=30)
    if "scaled" not in model.sums:
        pytest.skip("its sums cannot be scaled")
    scaled = model.e_step(params, data).scaled(2.5)
    weighted = model.e_step(params, data.reweighted(2.5 * data.unit_weights))
    assert scaled.loglik == pytest.approx(weighted.loglik, rel=1e-12)
    assert scaled.magnitude == pytest.approx(weighted.magnitude, rel=1e-12)
    there = model.m_step(weighted, params)
    assert model.q(scaled, there) == pytest.approx(model.q(weighted, there), rel=1e-10)


def test_families_refuse_what_they_cannot_do_and_nothing_else():
    refused = {
        (name, family)
        for name in NAMES
        for family in ONE_EACH
        if (name, ONE_EACH[family]) not in PAIRS
    }
    continuous = ("censored_normal", "factor_analysis", "multivariate_normal", "state_space")
    images = ("gaussian_image", "rotating_video")
    exact_only = (*continuous, *images, "mixture_hmm", "examples/own_model")
    no_states = (*exact_only, "zero_inflated_poisson", "grouped_multinomial")
    no_parts = ("state_space", *images, "zero_inflated_poisson", "examples/own_model")
    assert refused == {
        *(("annealing", family) for family in no_states),
        *(("classification", family) for family in no_states),
        *(("stochastic", family) for family in exact_only),
        *(("incremental", family) for family in no_parts),
        *(("online", family) for family in (*no_parts, "poisson_regression_mixture")),
    }
