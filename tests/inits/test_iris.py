"""Iris, three components: how often each init leads to the best optimum, beside scikit-learn."""

import warnings

import numpy as np
import pytest
import sklearn
from sklearn.datasets import load_iris
from sklearn.mixture import GaussianMixture

from emlib.algorithms import Stopping, climb
from emlib.data import Table
from emlib.inits import make_init
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.report.statistics import wilson

BEST = -180.18548
SEEDS = 40
OURS = {
    ("kmeans", False): 35, ("kmeans", True): 39, ("kmeans++", False): 28, ("kmeans++", True): 34,
    ("points", False): 19, ("random", False): 0,
}  # fmt: skip
THEIRS = {"kmeans": 40, "k-means++": 37, "random_from_data": 20, "random": 0}


def hits(name, **settings):
    data = Table.from_array(load_iris().data)
    model = GaussianMixtureModel(3).prepare(data)
    found = 0
    for seed in range(SEEDS):
        start = make_init(name, settings)(model, data, np.random.default_rng(seed))
        end = climb(model, data, start.params, stopping=Stopping(tol=1e-8, max_iter=600))
        found += abs(end.loglik - BEST) < 1e-3
    return found


@pytest.mark.parametrize(("name", "greedy"), OURS)
def test_the_hits_of_docs_inits_md(name, greedy):
    settings = {"greedy": True} if greedy else {}
    assert hits(name, **settings) == OURS[name, greedy]


@pytest.mark.skipif(sklearn.__version__ != "1.9.1", reason="counts of scikit-learn 1.9.1")
@pytest.mark.parametrize("init", ["kmeans", "k-means++", "random_from_data"])
def test_the_hits_of_scikit_learn(init):
    x, found = load_iris().data, 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for seed in range(SEEDS):
            fit = GaussianMixture(3, init_params=init, tol=1e-8, max_iter=600, random_state=seed)
            found += abs(fit.fit(x).lower_bound_ * len(x) - BEST) < 1e-3
    assert found == THEIRS[init]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [(("kmeans", True), "kmeans"), (("kmeans++", True), "k-means++"),
     (("points", False), "random_from_data"), (("random", False), "random")],
)  # fmt: skip
def test_the_same_strategy_hits_as_often_here_as_there(ours, theirs):
    low, high = wilson(OURS[ours], SEEDS)
    other_low, other_high = wilson(THEIRS[theirs], SEEDS)
    assert low <= other_high
    assert other_low <= high
