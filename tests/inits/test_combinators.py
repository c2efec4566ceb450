"""Combinators: what they inherit from their base, what they cost, that each is what it says."""

import numpy as np
import pytest

from emlib.algorithms import Stopping, climb
from emlib.data import Sequences, Table
from emlib.inits import CEM, INITS, SEM, Combinator, Perturb, ShortEM, SuccessiveHalving, make_init
from emlib.models import FAMILIES, Degenerate
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.models.hmm import GaussianHMMModel
from tests.conftest import mixture_rows

COMBINATORS = [name for name, kind in INITS.items() if issubclass(kind, Combinator)]


@pytest.fixture
def problem(rng):
    data = Table.from_array(mixture_rows(rng, 100, 2, 3, missing=0.1))
    return GaussianMixtureModel(3).prepare(data), data


@pytest.mark.parametrize("name", COMBINATORS)
def test_a_combinator_inherits_what_its_base_needs_and_declares(name):
    one = make_init(name, {"base": "segments"})
    assert one.needs >= make_init("segments").needs
    assert one.holes == "native"
    assert one.draws_by_row(None)
    assert make_init(name, {"base": {"init": "cem", "base": "quantile"}}).columns == 1
    drawing = name in ("sem", "perturb")
    assert make_init(name, {"base": "hierarchical"}).deterministic is not drawing


def test_without_a_base_a_combinator_takes_what_the_family_can_start_from():
    names = {
        family: ShortEM().base_of(kind).name
        for family, kind in FAMILIES.items()
        if family in ("gaussian_mixture", "latent_class", "factor_analysis", "categorical_hmm")
    }
    assert names == {
        "gaussian_mixture": "points",
        "latent_class": "random_posterior",
        "factor_analysis": "random",
        "categorical_hmm": "random_posterior",
    }


def test_short_em_takes_the_best_of_its_tries_and_counts_them_all(problem):
    model, data = problem
    start = ShortEM(tries=4, iterations=3)(model, data, np.random.default_rng(0))
    assert start.e_steps == 4 * (2 + 1 + 3)
    rng = np.random.default_rng(0)
    ends = [
        climb(model, data, make_init("points")(model, data, rng).params,
              stopping=Stopping(tol=0, max_iter=3))
        for _ in range(4)
    ]  # fmt: skip
    assert model.e_step(start.params, data).loglik == max(end.loglik for end in ends)


def test_halving_drops_the_worse_half_and_goes_on_from_where_the_others_were(problem):
    model, data = problem
    init = SuccessiveHalving(tries=5, iterations=2)
    start = init(model, data, np.random.default_rng(0))
    rng = np.random.default_rng(0)
    here = [make_init("points")(model, data, rng).params for _ in range(5)]
    for iterations in (2, 4, 8):
        ends = [
            climb(model, data, params, stopping=Stopping(tol=0, max_iter=iterations))
            for params in here
        ]
        ends.sort(key=lambda end: -end.loglik)
        here = [end.params for end in ends[: -(-len(ends) // 2)]]
    assert len(here) == 1
    assert model.e_step(start.params, data).loglik == model.e_step(here[0], data).loglik
    assert start.e_steps == 5 * (2 + 1) + 5 * 2 + 3 * 4 + 2 * 8


def test_a_base_that_draws_nothing_is_tried_once(problem):
    model, data = problem
    base = make_init("hierarchical")
    alone = base(model, data, None)
    best = make_init("best_of", {"tries": 9, "base": "hierarchical"})(model, data, None)
    assert (best.params.means == alone.params.means).all()
    assert best.e_steps == alone.e_steps + 1


def test_cem_ends_where_its_assignments_repeat(problem):
    model, data = problem
    start = CEM(iterations=200)(model, data, np.random.default_rng(2))
    r = model.posterior(start.params, data).responsibilities
    hard = np.eye(3)[r.argmax(axis=1)][data.informative]
    assert start.params.weights == pytest.approx(hard.mean(axis=0))
    assert start.e_steps < 100


def test_sem_returns_the_best_place_that_it_visited(problem):
    model, data = problem
    base = make_init("points")
    few, many = (SEM(iterations=n)(model, data, np.random.default_rng(3)) for n in (1, 30))
    origin = model.e_step(base(model, data, np.random.default_rng(3)).params, data).loglik
    logliks = [model.e_step(start.params, data).loglik for start in (few, many)]
    assert origin <= logliks[0] <= logliks[1]
    assert many.e_steps == 2 + 31


def test_a_base_that_collapsed_is_told_with_its_cost(rng):
    data = Table.from_array(rng.normal(size=(6, 3)))
    model = GaussianMixtureModel(6).prepare(data)
    nest = make_init("best_of", {"tries": 2, "base": {"init": "short_em", "tries": 3}})
    with pytest.raises(Degenerate, match="best_of: all of 2 tries collapsed") as caught:
        nest(model, data, rng)
    assert caught.value.e_steps >= 2 * 3 * (2 + 1)


def test_the_larger_its_share_the_farther_a_perturbation_leads(problem):
    model, data = problem
    base = make_init("kmeans")
    centre = base(model, data, np.random.default_rng(0)).params.means
    moves = []
    for share in (0.01, 0.1, 1.0):
        starts = [Perturb(share, base=base)(model, data, np.random.default_rng(0))]
        moves.append(np.mean([np.abs(s.params.means - centre).mean() for s in starts]))
    assert moves[0] < moves[1] < moves[2]


def test_a_uniform_chain_keeps_the_emissions_of_its_base(rng):
    data = Sequences.from_arrays(mixture_rows(rng, 60, 2, 3))
    model = GaussianHMMModel(3).prepare(data)
    base = make_init("kmeans")(model, data, np.random.default_rng(0)).params
    uniform = make_init("uniform", {"base": "kmeans"})(model, data, np.random.default_rng(0)).params
    assert (uniform.transmat == 1 / 3).all()
    assert (uniform.startprob == 1 / 3).all()
    assert (uniform.means == base.means).all()
