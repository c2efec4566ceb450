"""Every init: sound parameters, reproducible, indifferent to order, with a counted cost."""

import numpy as np
import pytest

from emlib import GaussianMixture
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits import INITS, ShortEM, make_init
from emlib.inits.centres import seed_centres
from emlib.kernels.distances import lloyd, squared_distances
from emlib.models import Degenerate
from emlib.models.covariance import COVARIANCES
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows

TRAITS = GaussianMixtureModel.traits
DRAWN = [name for name in INITS if name != "truth" and make_init(name).needs <= TRAITS]
ORDERLESS = [name for name in DRAWN if name != "random"]


@pytest.mark.parametrize("missing", [0.0, 0.4])
@pytest.mark.parametrize("covariance_type", list(COVARIANCES))
@pytest.mark.parametrize("name", DRAWN)
def test_a_start_is_sound_and_reproducible(rng, name, covariance_type, missing):
    d = 1 if covariance_type in ("E", "V") else 3
    data = Table.from_array(mixture_rows(rng, 80, d, 3, missing))
    model = GaussianMixtureModel(3, covariance_type).prepare(data)
    init = make_init(name)
    one, two = (init(model, data, np.random.default_rng(5)) for _ in range(2))
    assert one.params.weights.sum() == pytest.approx(1.0)
    assert (one.params.weights > 0).all()
    assert np.linalg.eigvalsh(model.full_covariances(one.params)).min() > 0
    assert np.isfinite(model.e_step(one.params, data).loglik)
    assert one.e_steps == two.e_steps > 0
    assert np.array_equal(one.params.means, two.params.means)


@pytest.mark.parametrize("name", ORDERLESS)
def test_a_start_does_not_depend_on_the_order_of_rows(rng, name):
    x = mixture_rows(rng, 60, 2, 3, missing=0.2)
    starts = []
    for rows in (x, x[rng.permutation(60)]):
        data = Table.from_array(rows)
        model = GaussianMixtureModel(3)
        starts.append(make_init(name)(model, data, np.random.default_rng(1)).params.means)
    assert starts[0] == pytest.approx(starts[1], rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("name", ORDERLESS)
def test_a_start_from_integer_weights_is_that_from_copies(rng, name):
    x, w = mixture_rows(rng, 50, 2, 2), rng.integers(0, 4, size=50)
    starts = []
    for data in (Table.from_array(x, w), Table.from_array(np.repeat(x, w, axis=0))):
        model = GaussianMixtureModel(2)
        starts.append(make_init(name)(model, data, np.random.default_rng(2)).params)
    assert starts[0].means == pytest.approx(starts[1].means, rel=1e-9)
    assert starts[0].weights == pytest.approx(starts[1].weights, rel=1e-9)


def test_points_are_distinct_even_among_duplicates(rng):
    x = np.repeat(np.array([[0.0, 0.0], [1.0, 0.0], [9.0, 9.0]]), [50, 50, 1], axis=0)
    model = GaussianMixtureModel(3, "spherical")
    for seed in range(20):
        start = make_init("points")(model, Table.from_array(x), np.random.default_rng(seed))
        assert start.params.weights == pytest.approx([50, 50, 1] / np.float64(101), abs=0.01) or (
            sorted(start.params.weights)
            == pytest.approx(sorted([50 / 101, 50 / 101, 1 / 101]), abs=0.01)
        )
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


def test_short_em_takes_the_best_of_its_tries_and_counts_them_all(rng):
    data = Table.from_array(mixture_rows(rng, 100, 2, 3))
    model = GaussianMixtureModel(3)
    start = ShortEM(tries=4, iterations=3)(model, data, np.random.default_rng(0))
    assert start.e_steps == 4 * (2 + 1 + 3)
    single = ShortEM(tries=1, iterations=3)(model, data, np.random.default_rng(0))
    assert model.e_step(start.params, data).loglik >= model.e_step(single.params, data).loglik


def test_short_em_whose_tries_all_collapse_is_degenerate_not_invalid(rng):
    data = Table.from_array(rng.normal(size=(6, 3)))
    model = GaussianMixtureModel(6).prepare(data)
    with pytest.raises(Degenerate, match="all of 10 short climbs collapsed"):
        ShortEM()(model, data, rng)
    with pytest.raises(InvalidData, match="every start is degenerate: short_em"):
        GaussianMixture(6, init_params="short_em", n_init=2, random_state=0).fit(data.values)


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
        ("short_em", {"trys": 3}, "unknown setting 'trys'; allowed: tries, iterations, base"),
        ("short_em", {"tries": 0}, "tries: 0"),
    ],
)
def test_names_and_settings_are_checked(name, settings, words):
    with pytest.raises(ValueError, match=words):
        make_init(name, settings)
