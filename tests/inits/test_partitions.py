"""Starts from a partition of the rows: seedings, quantiles, stages, splits, spectral cuts."""

import numpy as np
import pytest
from sklearn.datasets import make_moons
from sklearn.metrics import adjusted_rand_score

from emlib.algorithms.base import em_position
from emlib.algorithms.em import EM
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits import make_init
from emlib.inits.quantile import cut
from emlib.inits.rows import Rows
from emlib.inits.spectral import affinity, cuts
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows


class Recorder:
    """A model that keeps the responsibilities that its start is given."""

    def __init__(self, n_components):
        self.n_components = n_components

    def start(self, data, responsibilities):
        return responsibilities


def labels_of(name, x, k, rng=None, **settings):
    start = make_init(name, settings)(Recorder(k), Table.from_array(x), rng)
    return start.params.argmax(axis=1)


def test_farthest_first_takes_the_farthest_row_each_time(rng):
    x = rng.normal(size=(60, 2))
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    found = labels_of("gonzalez", x, 4, np.random.default_rng(1))
    order = np.lexsort(x.T[::-1])
    first = order[int(np.random.default_rng(1).random() * 60)]
    centres = [first]
    while len(centres) < 4:
        distances = ((z[:, None] - z[centres]) ** 2).sum(axis=2).min(axis=1)
        centres.append(int(distances.argmax()))
    wanted = ((z[:, None] - z[centres]) ** 2).sum(axis=2).argmin(axis=1)
    assert found.tolist() == wanted.tolist()


@pytest.mark.parametrize(
    ("name", "settings"), [("whitened_kmeans++", {}), ("gonzalez", {"metric": "mahalanobis"})]
)
def test_whitened_seedings_do_not_change_under_affine_maps_that_keep_the_order(name, settings):
    rng = np.random.default_rng(3)
    x = mixture_rows(rng, 80, 3, 3)
    moved = x @ np.array([[3.0, 5.0, -2.0], [0.0, 0.1, 4.0], [0.0, 0.0, 20.0]]) + 7.0
    one, other = (labels_of(name, v, 3, np.random.default_rng(2), **settings) for v in (x, moved))
    assert one.tolist() == other.tolist()


def test_adaptive_seeding_prefers_what_is_far_for_the_shape_of_its_cluster():
    rng = np.random.default_rng(0)
    long = rng.normal(size=(200, 2)) * [10.0, 0.1]
    x = np.concatenate([long, rng.normal(size=(20, 2)) * 0.1 + [0.0, 3.0]])
    hits = {
        share: np.mean([
            len(set(labels_of("gmm_seeding", x, 2, np.random.default_rng(s), share=share)[200:])
                - set(labels_of("gmm_seeding", x, 2, np.random.default_rng(s), share=share)[:200]))
            for s in range(40)
        ])
        for share in (0.0, 1.0)
    }  # fmt: skip
    assert hits[1.0] > hits[0.0] + 0.1


def test_quantiles_cut_by_weight_and_leave_no_class_empty():
    assert cut(np.ones(9), 3).tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert cut(np.array([7.0, 1.0, 1.0]), 3).tolist() == [0, 1, 2]
    assert cut(np.array([1.0, 1.0, 7.0]), 3).tolist() == [0, 1, 2]
    x = np.array([[5.0], [1.0], [np.nan], [3.0], [1.0], [9.0]])
    # Of five rows the third one, in the middle, goes to the upper half.
    assert labels_of("quantile", x, 2)[[0, 1, 3, 4, 5]].tolist() == [1, 0, 1, 0, 1]
    with pytest.raises(InvalidData, match="for one column, not for 2"):
        labels_of("quantile", np.eye(2), 2)


@pytest.mark.parametrize("name", ["staged", "spectral", "hierarchical"])
def test_clusters_far_apart_are_found_without_a_draw(rng, name):
    centres = np.array([[0, 0, 0], [9, 0, 0], [0, 9, 0], [0, 0, 9]])
    truth = np.repeat(np.arange(4), [40, 20, 30, 10])
    x = centres[truth] + 0.5 * rng.normal(size=(100, 3))
    x[rng.random(x.shape) < 0.05] = np.nan
    assert adjusted_rand_score(truth, labels_of(name, x, 4)) > 0.85


def test_splitting_finds_clusters_far_apart(rng):
    truth = np.repeat(np.arange(3), [40, 20, 30])
    x = np.array([[0, 0], [9, 0], [0, 9]])[truth] + 0.5 * rng.normal(size=(90, 2))
    data, model = Table.from_array(x), GaussianMixtureModel(3)
    start = make_init("split")(model, data, None)
    assert adjusted_rand_score(
        truth, model.posterior(start.params, data).responsibilities.argmax(axis=1)
    ) == 1.0  # fmt: skip
    assert start.e_steps == 2 + (1 + 2) * (1 + 1 + 5) + 2


def test_the_first_split_is_across_the_principal_axis(rng):
    x = rng.normal(size=(80, 2)) @ np.array([[3.0, 2.0], [0.0, 0.5]])
    data, model = Table.from_array(x), GaussianMixtureModel(2)
    start = make_init("split", {"iterations": 1})(model, data, None)
    z = (x - x.mean(axis=0)) / x.std(axis=0)
    axis = np.linalg.eigh(z.T @ z)[1][:, -1]
    above = (z @ axis > 0).astype(int)
    here = em_position(model, data, model.start(data, np.eye(2)[above]))
    wanted = EM().move(model, data, here, rng).params.means
    found = start.params.means
    assert found[found[:, 0].argsort()] == pytest.approx(wanted[wanted[:, 0].argsort()])


def test_spectral_cuts_follow_clusters_that_are_no_spheres():
    x, truth = make_moons(200, noise=0.05, random_state=0)
    assert adjusted_rand_score(truth, labels_of("spectral", x, 2)) == 1.0
    assert adjusted_rand_score(truth, labels_of("hierarchical", x, 2)) < 0.9


def test_edges_are_weighted_by_the_rows_own_scales_and_copies():
    values, weights = np.array([[0.0], [1.0], [3.0]]), np.array([1.0, 2.0, 1.0])
    edges = affinity(values, weights)
    scale = [3.0, 2.0, 3.0]  # the farthest of so few
    assert edges[0, 1] == pytest.approx(2.0 * np.exp(-1.0 / (scale[0] * scale[1])))
    assert edges[0, 2] == pytest.approx(np.exp(-9.0 / (scale[0] * scale[2])))
    assert sorted(cuts(edges, 3)) == [0, 1, 2]
    assert cuts(edges, 1).tolist() == [0, 0, 0]


def test_rows_that_count_for_nothing_are_spread_evenly():
    rows = Rows.of(Table.from_array([[1.0], [np.nan], [2.0]]))
    assert rows.spread(np.array([0, 1]), 2).tolist() == [[1, 0], [0.5, 0.5], [0, 1]]
