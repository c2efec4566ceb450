"""Model-based agglomeration against a slow twin, Ward's linkage, and mclust's start of iris."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from sklearn.datasets import load_iris
from sklearn.metrics import adjusted_rand_score

from emlib.algorithms import climb
from emlib.data import Table
from emlib.inits import make_init
from emlib.inits.hierarchical import half_whitened, merged
from emlib.inits.rows import normal_classes
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows


def slow(points, weights, n_clusters, criterion):
    """Every merger's criterion from its definition, the best one made."""
    d = points.shape[1]
    mean = np.average(points, axis=0, weights=weights)
    alpha = (weights[:, None] * (points - mean) ** 2).sum() / (weights.sum() * d)

    def term(rows):
        w = weights[rows]
        centred = points[rows] - np.average(points[rows], axis=0, weights=w)
        scatter = (w[:, None] * centred).T @ centred
        if criterion == "EII":
            return np.trace(scatter)
        spread = np.linalg.det(scatter / w.sum()) if len(rows) > d else 0.0
        return w.sum() * np.log(spread + (np.trace(scatter) + alpha) / w.sum())

    clusters = [[i] for i in range(len(points))]
    while len(clusters) > n_clusters:
        pairs = [(a, b) for a in range(len(clusters)) for b in range(a + 1, len(clusters))]
        costs = [
            term(clusters[a] + clusters[b]) - term(clusters[a]) - term(clusters[b])
            for a, b in pairs
        ]
        a, b = pairs[int(np.argmin(costs))]
        clusters[a] += clusters.pop(b)
    labels = np.empty(len(points), dtype=int)
    for number, rows in enumerate(sorted(map(sorted, clusters))):
        labels[rows] = number
    return labels


@pytest.mark.parametrize("criterion", ["VVV", "EII"])
@pytest.mark.parametrize("seed", range(4))
def test_the_kernel_makes_the_mergers_of_the_slow_twin(criterion, seed):
    rng = np.random.default_rng(seed)
    points, weights = mixture_rows(rng, 25, 2, 3), rng.integers(1, 4, 25).astype(float)
    labels, pairs = merged(points, weights, 3, criterion)
    assert labels.tolist() == slow(points, weights, 3, criterion).tolist()
    assert pairs == 25 * 24 // 2 + sum(m - 2 for m in range(4, 26))


def test_equal_spheres_are_merged_as_by_wards_linkage(rng):
    points = rng.normal(size=(80, 3))
    labels, _ = merged(points, np.ones(80), 5, "EII")
    assert adjusted_rand_score(labels, fcluster(linkage(points, "ward"), 5, "maxclust")) == 1.0


def test_of_equal_mergers_the_first_in_the_order_of_the_values_is_made():
    grid = np.array([[0.0], [1.0], [2.0], [3.0]])
    assert merged(grid, np.ones(4), 3, "EII")[0].tolist() == [0, 0, 1, 2]
    shares = [
        make_init("hierarchical")(
            GaussianMixtureModel(3), Table.from_array(grid[order]), None
        ).params.weights
        for order in ([0, 1, 2, 3], [3, 1, 0, 2])
    ]
    assert shares[0].tolist() == shares[1].tolist()


def test_the_transform_is_half_way_to_whitening(rng):
    x = mixture_rows(rng, 60, 3, 2)
    z = (x - x.mean(axis=0)) / x.std(axis=0, ddof=1)
    _, s, vt = np.linalg.svd(z, full_matrices=False)
    wanted = np.abs(z @ vt.T / np.sqrt(s))
    found = np.abs(half_whitened(x, np.ones(60)))
    assert found[:, ::-1] == pytest.approx(wanted, abs=1e-9)
    twice = np.abs(half_whitened(np.repeat(x, 2, axis=0), np.ones(120)))
    assert np.abs(half_whitened(x, np.full(60, 2.0))) == pytest.approx(twice[::2], abs=1e-9)


def test_rows_beyond_the_subset_follow_the_normals_of_its_clusters(rng):
    x = np.concatenate([rng.normal(size=(300, 2)), [8.0, 0.0] + rng.normal(size=(300, 2))])
    data = Table.from_array(x)
    init = make_init("hierarchical", {"subset": 60, "criterion": "EII"})
    start = init(GaussianMixtureModel(2).prepare(data), data, None)
    assert sorted(start.params.means[:, 0]) == pytest.approx([0.0, 8.0], abs=0.3)
    assert start.params.weights == pytest.approx(0.5, abs=0.02)
    labels = normal_classes(x[::50], np.ones(12), np.repeat([0, 1], 6), 2, x)
    wrong = labels != np.repeat([0, 1], 300)
    assert wrong.mean() < 0.01  # of normals learned from six rows each, eight deviations apart


def test_it_starts_iris_where_mclust_ends():
    data = Table.from_array(load_iris().data)
    model = GaussianMixtureModel(3).prepare(data)
    end = climb(model, data, make_init("hierarchical")(model, data, None).params)
    bic = 2 * end.loglik - model.n_parameters(data) * np.log(150)
    assert bic == pytest.approx(-580.8396, abs=2e-3)  # VVV,3 of mclust (Scrucca et al. 2016)
