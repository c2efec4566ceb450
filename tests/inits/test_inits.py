"""What is particular to the plain inits; the contract of all is in test_contract.py."""

import numpy as np
import pytest

from emlib import GaussianMixture
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits import INITS, ShortEM, make_init
from emlib.inits.centres import candidates, seed_centres
from emlib.kernels.distances import lloyd, squared_distances
from emlib.models import Degenerate
from emlib.models.covariance import COVARIANCES
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows

STARTS = [
    name
    for name in INITS
    if name != "truth"
    and INITS[name].columns is None
    and not make_init(name).lacks(GaussianMixtureModel)
]
ORDERLESS = [name for name in STARTS if not make_init(name).draws_by_row(GaussianMixtureModel(2))]


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("covariance_type", list(COVARIANCES))
@pytest.mark.parametrize("name", ["random", "points", "hierarchical", "cem"])
def test_a_start_is_sound_for_every_covariance(rng, name, covariance_type, missing):
    d = 1 if covariance_type in ("E", "V") else 3
    data = Table.from_array(mixture_rows(rng, 80, d, 3, missing))
    model = GaussianMixtureModel(3, covariance_type).prepare(data)
    start = make_init(name)(model, data, np.random.default_rng(5))
    assert start.params.weights.sum() == pytest.approx(1.0)
    assert np.linalg.eigvalsh(model.full_covariances(start.params)).min() > 0
    assert np.isfinite(model.e_step(start.params, data).loglik)


@pytest.mark.parametrize("name", ORDERLESS)
def test_neither_the_order_of_rows_nor_copies_change_the_components(rng, name):
    x, w = mixture_rows(rng, 60, 2, 3, missing=0.1), rng.integers(0, 4, size=60)
    views = [
        Table.from_array(x, w),
        Table.from_array(x[::-1], w[::-1]),
        Table.from_array(np.repeat(x, w, axis=0)),
    ]
    model = GaussianMixtureModel(3)
    one, *others = (make_init(name)(model, v, np.random.default_rng(1)).params for v in views)
    for other in others:
        assert other.means == pytest.approx(one.means, rel=1e-7, abs=1e-9)
        assert other.weights == pytest.approx(one.weights, rel=1e-7)


@pytest.mark.parametrize(
    "name",
    ["whitened_kmeans++", "gonzalez", "gmm_seeding", "hierarchical", "staged", "split", "spectral"],
)
def test_the_units_of_a_column_do_not_change_the_components(rng, name):
    x, units = mixture_rows(rng, 60, 3, 3, missing=0.1), np.array([2.0**20, 1.0, 2.0**-30])
    model = GaussianMixtureModel(3)
    one, other = (
        make_init(name)(model, Table.from_array(v), np.random.default_rng(1)).params
        for v in (x, x * units)
    )
    assert other.means / units == pytest.approx(one.means, rel=1e-6)


def test_points_are_distinct_even_among_duplicates(rng):
    x = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]]), [50, 50, 1], axis=0)
    model = GaussianMixtureModel(3, "spherical")
    for seed in range(20):
        start = make_init("points")(model, Table.from_array(x), np.random.default_rng(seed))
        wanted = sorted([50 / 101, 50 / 101, 1 / 101])
        assert sorted(start.params.weights) == pytest.approx(wanted, abs=0.01)
    with pytest.raises(InvalidData, match="3 distinct rows"):
        make_init("points")(GaussianMixtureModel(4), Table.from_array(x), rng)


def test_partial_distances_are_euclidean_without_holes_and_scaled_with_them(rng):
    x, centres = rng.normal(size=(20, 3)), rng.normal(size=(4, 3))
    direct = ((x[:, None] - centres) ** 2).sum(axis=2)
    variances = np.array([1.0, 2.0, 3.0])
    assert squared_distances(x, centres, variances) == pytest.approx(direct)
    x[0, 2] = np.nan
    partial = ((x[0, :2] - centres[:, :2]) ** 2).sum(axis=1) * 6.0 / 3.0
    assert squared_distances(x, centres, variances)[0] == pytest.approx(partial)


def test_lloyd_ends_where_every_row_is_nearest_to_its_own_cluster_mean(rng):
    x = mixture_rows(rng, 200, 2, 4)
    data = Table.from_array(x)
    labels, centres, _ = lloyd(x, data.weights, seed_centres(data, 4, rng), np.ones(2), 100)
    for k in range(4):
        assert centres[k] == pytest.approx(x[labels == k].mean(axis=0))
    assert (squared_distances(x, centres, np.ones(2)).argmin(axis=1) == labels).all()


def test_a_greedy_seeding_leaves_less_and_is_counted(rng):
    data = Table.from_array(mixture_rows(rng, 200, 2, 5))

    def left(greedy):
        return np.mean([
            squared_distances(data.values, centres, np.ones(2)).min(axis=1).sum()
            for seed in range(50)
            for centres in [seed_centres(data, 5, np.random.default_rng(seed), greedy)]
        ])  # fmt: skip

    assert left(True) < 0.9 * left(False)
    assert candidates(5, True) == 3
    costs = [
        make_init("kmeans++", {"greedy": greedy})(GaussianMixtureModel(5), data, rng).e_steps
        for greedy in (False, True)
    ]
    assert costs == [2.0, 4.0]


@pytest.mark.parametrize("concentration", [0.01, 1.0, 100.0])
def test_random_posteriors_are_as_hard_as_asked_and_shared_by_equal_rows(concentration):
    class Recorder:
        n_components = 3

        def start(self, data, responsibilities):
            return responsibilities

    x = np.repeat(np.arange(400.0), 2)[:, None]
    x[0] = np.nan
    init = make_init("random_posterior", {"concentration": concentration})
    r = init(Recorder(), Table.from_array(x), np.random.default_rng(0)).params
    assert r.sum(axis=1) == pytest.approx(1.0)
    assert (r[2::2] == r[3::2]).all()
    assert r[0] == pytest.approx(1 / 3)
    variance = (2 / 9) / (3 * concentration + 1)  # of one share of a symmetric Dirichlet law
    assert r[2:].var() == pytest.approx(variance, rel=0.15)


def test_truth_is_an_oracle_and_needs_to_be_bound(rng):
    truth = make_init("truth")
    assert truth.oracle
    assert truth.deterministic
    with pytest.raises(ValueError, match="bound to no parameters"):
        truth(None, None, rng)
    assert truth.bound("params")(None, None, rng).params == "params"


@pytest.mark.parametrize(
    ("name", "settings", "words"),
    [
        ("kmean", {}, "'kmean' is not one of"),
        ("short_em", {"trys": 3}, "unknown setting 'trys'; allowed: base, tries, iterations"),
        ("short_em", {"tries": 0}, "tries: 0"),
        ("short_em", {"base": 3}, "base: 3 is neither the name of an init nor an init"),
        ("short_em", {"base": "truth"}, "base: 'truth' is an oracle"),
        ("short_em", {"base": {"max_iter": 3}}, "names no init"),
        ("cem", {"base": {"init": "sem", "base": {"init": "kmeens"}}}, "'kmeens' is not one of"),
        ("successive_halving", {"factor": 1}, "factor: 1 is not at least 2"),
        ("gonzalez", {"metric": "cosine"}, "metric: 'cosine' is not one of euclidean, mahalanobis"),
        ("hierarchical", {"criterion": "VII"}, "criterion: 'VII' is not one of VVV, EII"),
        ("random_posterior", {"concentration": 0.0}, "concentration: 0.0 is not a positive number"),
        ("perturb", {"share": 0.0}, r"share: 0.0 is not in \(0, 1\]"),
    ],
)
def test_names_and_settings_are_checked(name, settings, words):
    with pytest.raises(ValueError, match=words):
        make_init(name, settings)


def test_an_estimator_takes_a_name_an_object_or_a_nest_of_them(rng):
    x = mixture_rows(rng, 100, 2, 2)
    nest = make_init("best_of", {"tries": 3, "base": {"init": "cem", "base": "kmeans++"}})
    for init in ("successive_halving", ShortEM(tries=2), nest):
        assert GaussianMixture(2, init_params=init, random_state=0).fit(x).converged_


def test_short_em_whose_tries_all_collapse_is_degenerate_not_invalid(rng):
    data = Table.from_array(rng.normal(size=(6, 3)))
    model = GaussianMixtureModel(6).prepare(data)
    with pytest.raises(Degenerate, match="all of 10 tries collapsed") as caught:
        ShortEM()(model, data, rng)
    assert 10 * (2 + 1) <= caught.value.e_steps <= 10 * (2 + 1 + 5)
    with pytest.raises(InvalidData, match="every start is degenerate: short_em"):
        GaussianMixture(6, init_params="short_em", n_init=2, random_state=0).fit(data.values)
