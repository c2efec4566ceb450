"""When a climb stops: each rule, several together, and what scikit-learn's rule misses."""

import math

import numpy as np
import pytest
from sklearn.mixture import GaussianMixture as Peer

from emlib.algorithms import Budget, Stopping, climb, make_algorithm
from emlib.algorithms.stopping import Step
from emlib.data import Table
from emlib.inits import make_init
from emlib.models.base import Model
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from tests.conftest import mixture_rows

RULES = {
    "absolute_change": Step([-100.0, -99.5], 0.0),
    "relative_change": Step([-100.0, -99.5], 0.0),
    "parameter_change": Step([0.0, 1.0], 0.0, moved=lambda: 0.5),
    "gradient": Step([0.0, 1.0], 0.0, slope=lambda: 0.5),
}
SIZES = {"relative_change": 0.5 / 99.5}


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_holds_just_below_its_bound(rule):
    size = SIZES.get(rule, 0.5)
    assert Stopping(tol=0, **{rule: 1.01 * size}).met(RULES[rule]) == rule
    assert not Stopping(tol=0, **{rule: 0.99 * size}).met(RULES[rule])


def test_one_rule_is_enough_unless_all_are_asked_for():
    step = Step([-100.0, -99.5], 0.0, moved=lambda: 2.0)
    rules = {"tol": 0, "absolute_change": 1.0, "parameter_change": 1.0}
    assert Stopping(**rules).met(step) == "absolute_change"
    assert not Stopping(**rules, combine="all").met(step)
    near = Step([-100.0, -99.5], 0.0, moved=lambda: 0.1)
    assert Stopping(**rules, combine="all").met(near) == "absolute_change, parameter_change"


def test_what_no_rule_asks_for_is_not_computed():
    def never():
        raise AssertionError("computed")

    assert not Stopping(tol=1e-3).met(Step([0.0, 1.0, 2.0, 3.0], 0.0, never, never))


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"gradient": 0.0}, "gradient: 0.0 is not a finite number > 0"),
        ({"relative_change": math.inf}, "relative_change: inf is not a finite number > 0"),
        ({"combine": "most"}, "combine: 'most' is not one of any, all"),
    ],
)
def test_settings_are_checked(settings, text):
    with pytest.raises(ValueError, match=text):
        Stopping(**settings)


@pytest.fixture
def problem(rng):
    data = Table.from_array(mixture_rows(rng, 200, 2, 3, missing=0.1))
    model = GaussianMixtureModel(3).prepare(data)
    return model, data, make_init("points")(model, data, rng).params


@pytest.mark.parametrize("algorithm", ["em", "squarem", "anderson"])
@pytest.mark.parametrize(
    ("rule", "bound"),
    [("absolute_change", 1e-4), ("relative_change", 1e-8), ("parameter_change", 1e-4),
     ("gradient", 0.05)],
)  # fmt: skip
def test_a_climb_ends_where_its_rule_holds_for_an_em_step(problem, algorithm, rule, bound):
    model, data, start = problem
    stopping = Stopping(tol=0, **{rule: bound})
    end = climb(model, data, start, make_algorithm(algorithm), stopping)
    assert (end.status, end.rule) == ("converged", rule)
    gain = end.history.objective[-1] - end.history.objective[-2]
    before = climb(model, data, start, make_algorithm(algorithm), Stopping(0, end.n_iter - 1))
    if rule == "absolute_change":
        assert gain < bound
    if rule == "relative_change":
        assert gain < bound * abs(end.objective)
    if rule == "parameter_change" and algorithm == "em":
        moved = model.pack(end.params) - model.pack(before.params)
        assert np.linalg.norm(moved) < bound


def test_the_gradient_rule_is_in_standard_errors_whatever_the_units(problem, rng):
    model, data, start = problem
    stopping = Stopping(tol=0, gradient=0.1)
    scaled = Table.from_array(data.values * 1e6)
    moved = GaussianMixtureParams(start.weights, start.means * 1e6, start.covariances * 1e12)
    ends = [climb(model, data, start, stopping=stopping)]
    ends.append(climb(model.prepare(scaled), scaled, moved, stopping=stopping))
    assert ends[0].rule == "gradient"
    assert ends[0].n_iter == ends[1].n_iter


@pytest.mark.parametrize("algorithm", ["squarem", "anderson"])
def test_an_accelerated_climb_ends_on_em_steps_that_predict_as_little_as_those_of_em(
    problem, algorithm
):
    model, data, start = problem
    plain = climb(model, data, start, stopping=Stopping(1e-6, 5000))
    end = climb(model, data, start, make_algorithm(algorithm), Stopping(1e-6, 5000))
    rest = climb(model, data, end.params, stopping=Stopping(1e-10, 20_000))
    assert end.rule == plain.rule == "predicted_gain"
    assert end.predicted_gain < 1e-6
    assert rest.loglik - end.loglik < 1e-5
    assert (np.diff(end.history.objective) > -1e-9).all()


@pytest.mark.parametrize("algorithm", ["squarem", "anderson"])
def test_every_e_step_of_an_accelerated_climb_counts(problem, algorithm, monkeypatch):
    model, data, start = problem
    made = []
    plain_e_step = GaussianMixtureModel.e_step

    def counted(self, *given):
        made.append(1)
        return plain_e_step(self, *given)

    monkeypatch.setattr(GaussianMixtureModel, "e_step", counted)
    monkeypatch.setattr(GaussianMixtureModel, "em_chunk", Model.em_chunk)  # one by one
    end = climb(model, data, start, make_algorithm(algorithm), Stopping(1e-6, 500))
    assert len(made) <= end.e_steps <= len(made) + 2  # a jump out of the space counts as well
    short = climb(model, data, start, make_algorithm(algorithm), budget=Budget(e_steps=10))
    assert short.status == "budget"
    assert 10 <= short.e_steps <= 13


def test_the_default_does_not_stop_on_a_slope_where_the_peer_does():
    """Three overlapping components, 50,000 rows: a gain of 1e-3 nats a row is 50 nats in all."""
    rng = np.random.default_rng(3)
    centres = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]])
    x = centres[rng.choice(3, 50_000, p=[0.5, 0.3, 0.2])] + rng.normal(size=(50_000, 2))
    weights, means = np.full(3, 1 / 3), x[:3].copy()
    covariances = np.stack([np.cov(x.T)] * 3)
    peer = Peer(
        3, weights_init=weights, means_init=means, precisions_init=np.linalg.inv(covariances),
        max_iter=1000,
    ).fit(x)  # fmt: skip
    data = Table.from_array(x)
    model = GaussianMixtureModel(3).prepare(data)
    start = GaussianMixtureParams(weights, means, covariances)
    end = climb(model, data, start, make_algorithm("squarem"), Stopping(1e-3, 5000))
    best = climb(model, data, end.params, stopping=Stopping(1e-6, 500))
    assert peer.converged_
    assert best.loglik - peer.score(x) * len(x) > 30.0
    assert best.loglik - end.loglik < 0.1
