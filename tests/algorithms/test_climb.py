"""The climb: monotone, stopped by its predicted gain, honest about how it ended."""

import math

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emlib.algorithms import Budget, Stopping, climb, make_algorithm
from emlib.algorithms.stopping import Step, linear_rate, predicted_gain
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits import INITS, make_init
from emlib.models import Degenerate
from emlib.models.covariance import COVARIANCES
from emlib.models.gaussian_mixture import GaussianMixtureModel
from tests.conftest import mixture_rows

GENERAL_INITS = [
    name
    for name, init in INITS.items()
    if not init.oracle and make_init(name).needs <= GaussianMixtureModel.traits
]


def small_climb(rng, stopping=None, budget=None, n=120):
    data = Table.from_array(mixture_rows(rng, n, 2, 3, missing=0.1))
    model = GaussianMixtureModel(3).prepare(data)
    start = make_init("points")(model, data, rng).params
    return climb(model, data, start, stopping=stopping, budget=budget), model, data


@settings(max_examples=2000, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 2**32 - 1),
    covariance_type=st.sampled_from(list(COVARIANCES)),
    prior=st.sampled_from([None, "fraley_raftery"]),
    init=st.sampled_from(GENERAL_INITS),
    n=st.integers(4, 60),
    d=st.integers(1, 4),
    k=st.integers(1, 4),
    missing=st.sampled_from([0.0, 0.2, 0.6]),
    shared=st.booleans(),
    exponent=st.integers(-100, 100),
)
def test_the_declared_objective_never_falls(
    seed, covariance_type, prior, init, n, d, k, missing, shared, exponent
):
    rng = np.random.default_rng(seed)
    x = mixture_rows(rng, n, d, k, scale=10.0**exponent)
    holes = rng.random((3 if shared else n, d)) < missing
    x[holes[rng.integers(len(holes), size=n)] if shared else holes] = np.nan
    if rng.random() < 0.2:
        x[: n // 4] = np.nan
    data = Table.from_array(x)
    if not COVARIANCES[covariance_type].conjugate:
        prior = None
    try:
        model = GaussianMixtureModel(k, covariance_type, prior).prepare(data)
        start = make_init(init)(model, data, rng)
    except (InvalidData, Degenerate):
        return
    end = climb(model, data, start.params, stopping=Stopping(tol=1e-3, max_iter=150))
    assert end.status in ("converged", "max_iter", "degenerate")
    if end.params is None:
        return
    stats = model.e_step(end.params, data)
    priors = [abs(model.log_prior(params)) for params in (start.params, end.params)]
    sizes = model.e_step(start.params, data).magnitude + stats.magnitude + sum(priors)
    assert (-np.diff(end.history.objective) <= 64 * np.finfo(float).eps * sizes).all()
    assert stats.loglik == end.loglik == end.history.loglik[-1]
    assert np.isfinite(end.history.objective).all()


def test_the_last_loglik_belongs_to_the_returned_parameters(rng):
    end, model, data = small_climb(rng)
    assert end.status == "converged"
    assert model.e_step(end.params, data).loglik == end.loglik


def test_in_its_linear_phase_a_climb_stops_with_as_little_left_as_it_predicts(rng):
    near, model, data = small_climb(rng, Stopping(tol=0, max_iter=60))
    end = climb(model, data, near.params, stopping=Stopping(tol=1e-3))
    rest = climb(model, data, end.params, stopping=Stopping(tol=1e-9, max_iter=5000))
    assert end.predicted_gain < 1e-3
    assert 0 <= rest.loglik - end.loglik < 2e-3


@pytest.mark.parametrize(
    ("stopping", "budget", "status"),
    [
        (Stopping(tol=0, max_iter=7), None, "max_iter"),
        (Stopping(tol=0, max_iter=0), None, "max_iter"),
        (Stopping(tol=0), Budget(e_steps=5), "budget"),
        (Stopping(tol=0), Budget(seconds=0.0), "timeout"),
    ],
)
def test_the_status_says_which_allowance_ran_out(rng, stopping, budget, status):
    end, _, _ = small_climb(rng, stopping, budget)
    assert end.status == status
    if status == "max_iter":
        assert end.n_iter == stopping.max_iter
    if status == "budget":
        assert end.e_steps == 5
    assert len(end.history.objective) == end.n_iter + 1 == len(end.history.seconds)


def test_a_falling_objective_is_reported_as_decreased(rng):
    class Wrong(GaussianMixtureModel):
        def m_step(self, stats, params, free=None):
            better = super().m_step(stats, params, free)
            return type(better)(better.weights, better.means + 1.0, better.covariances)

    data = Table.from_array(mixture_rows(rng, 100, 2, 2))
    model = Wrong(2)
    start = make_init("kmeans")(model, data, rng).params
    end = climb(model, data, start)
    assert end.status == "decreased"
    assert "fell by" in end.message
    assert end.loglik == end.history.loglik.max()


def test_growing_increments_never_stop_a_climb():
    assert predicted_gain([0.0, 1e-9, 3e-9], 0.0) == math.inf
    assert not Stopping(tol=1.0).met(Step([0.0, 1e-9, 3e-9, 9e-9], 0.0))


def test_the_prediction_is_exact_for_a_geometric_climb():
    objective = [5.0 - 0.9**t for t in range(10)]
    assert predicted_gain(objective, 0.0) == pytest.approx(0.9**9, rel=1e-9)
    assert linear_rate(objective, 0.0) == pytest.approx(0.9, rel=1e-9)


def test_two_predictions_in_a_row_must_be_small():
    assert not Stopping(tol=0.1).met(Step([0.0, 10.0, 11.0, 11.01], 0.0))
    assert Stopping(tol=0.2).met(Step([0.0, 10.0, 11.0, 11.01], 0.0)) == "predicted_gain"


def test_a_flat_history_is_converged_unless_all_iterations_are_wanted():
    assert Stopping(tol=1e-3).met(Step([1.0, 1.0, 1.0, 1.0], 1e-12))
    assert not Stopping(tol=0).met(Step([1.0, 1.0, 1.0, 1.0], 1e-12))


@pytest.mark.parametrize("settings", [{"tol": -1.0}, {"tol": math.nan}, {"max_iter": -1}])
def test_stopping_settings_are_checked(settings):
    with pytest.raises(ValueError, match=next(iter(settings))):
        Stopping(**settings)


def test_an_unknown_algorithm_is_named():
    with pytest.raises(ValueError, match="'newton' is not one of em"):
        make_algorithm("newton", {})
