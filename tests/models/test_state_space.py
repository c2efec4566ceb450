"""State-space models against one big normal distribution over all time steps."""

import math
from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import minimize

from emlib.algorithms import Stopping, climb
from emlib.data import Sequences
from emlib.errors import InvalidData
from emlib.models import make_model
from emlib.models.differences import gradient, natural_steps
from emlib.models.posterior import HARD
from emlib.models.records import Degenerate
from emlib.models.state_space import StateSpaceModel, StateSpaceParams
from emlib.models.state_space.chart import gauge_moves
from emlib.models.state_space.params import NAMES
from emlib.models.state_space.smoother import filtered
from tests.families.case_state_space import (
    random_state_space,
    stacked,
    stacked_observations,
)

LENGTHS = np.array([7, 4])
SETTINGS = [
    {"initial_time": 0, "initial_covariance_type": "full", "offsets": "both"},
    {"initial_time": 1, "initial_covariance_type": "full"},
    {"initial_time": 0, "initial_covariance_type": "zero", "observation_covariance_type": "diag"},
    {"initial_time": 1, "initial_covariance_type": "zero", "offsets": "transition"},
]


def case(rng, k=2, d=3, missing=0.4, lengths=LENGTHS, **settings):
    model = StateSpaceModel(k, **settings)
    params = random_state_space(rng, model, d)
    values, _ = model.simulate(params, lengths, rng)
    values[rng.random(values.shape) < missing] = np.nan
    if missing:
        values[3] = np.nan
    return model, params, model.view(values, lengths=lengths)


def conditional(params, y, initial_time):
    """Mean and covariance of (all states, all noise, all cells) given the observed cells."""
    means, states, maps = stacked(params, len(y), initial_time)
    _, covariance = stacked_observations(params, len(y), initial_time)
    mean = maps @ means + np.tile(params.observation_offset, len(y))
    seen = ~np.isnan(y.ravel())
    joint = np.block([[states, states @ maps.T], [maps @ states, covariance]])
    columns = joint[:, len(means) :][:, seen]
    gain = columns @ np.linalg.inv(covariance[np.ix_(seen, seen)])
    centre = np.concatenate([means, mean]) + gain @ (y.ravel()[seen] - mean[seen])
    return centre, joint - gain @ columns.T


def parts(data):
    return [data.values[a:b] for a, b in zip(data.offsets, data.offsets[1:], strict=False)]


@pytest.mark.parametrize("settings", SETTINGS)
def test_smoothed_moments_are_those_of_one_big_normal(rng, settings):
    model, params, data = case(rng, **settings)
    layout, run = model.smoothed(params, data, keep=True)
    k, lead = model.n_states, 1 - model.initial_time
    for s, y in enumerate(parts(data)):
        mean, covariance = conditional(params, y, model.initial_time)
        n = len(y) + lead
        first = layout.starts[s]
        assert run.means[first : first + n].ravel() == pytest.approx(mean[: n * k], abs=1e-12)
        for t in range(n):
            block = covariance[t * k : (t + 1) * k, t * k : (t + 1) * k]
            assert run.covariances[first + t] == pytest.approx(block, abs=1e-12)
        rows = slice(data.offsets[s], data.offsets[s + 1])
        assert run.completed[rows].ravel() == pytest.approx(mean[n * k :], abs=1e-12)


@pytest.mark.parametrize("settings", SETTINGS[:3])
def test_recursions_that_have_come_to_rest_are_those_of_one_big_normal(rng, settings):
    """Long stretches with the same cells observed, where covariances are not computed again."""
    model, params, data = case(rng, d=2, missing=0.0, lengths=np.array([150]), **settings)
    values = data.values.copy()
    values[60:63], values[63:110, 0] = np.nan, np.nan
    data = model.view(values)
    layout, run = model.smoothed(params, data, keep=True)
    k, n = model.n_states, 150 + layout.lead
    mean, covariance = conditional(params, values, model.initial_time)
    assert run.means.ravel() == pytest.approx(mean[: n * k], abs=1e-11)
    blocks = covariance[: n * k, : n * k].reshape(n, k, n, k)
    assert run.covariances == pytest.approx(blocks[np.arange(n), :, np.arange(n)], abs=1e-11)
    assert run.completed.ravel() == pytest.approx(mean[n * k :], abs=1e-11)
    points = [
        model.unpack(model.pack(params, "unconstrained") * factor, params, "unconstrained")
        for factor in (1.0, 0.9)
    ]
    stats = model.e_step(params, data)
    found = np.diff([model.q(stats, point) for point in points])
    wanted = np.diff([expected_complete_loglik(model, params, point, data) for point in points])
    assert found == pytest.approx(wanted, rel=1e-9)


@pytest.mark.parametrize("settings", SETTINGS)
def test_filtered_moments_are_those_given_the_past_and_the_present(rng, settings):
    model, params, data = case(rng, **settings)
    means, covariances = filtered(params, model.layout(data))
    predicted = model.predicted_states(params, data)
    k, lead = model.n_states, 1 - model.initial_time
    for s, y in enumerate(parts(data)):
        for t in range(len(y)):
            here = slice((t + lead) * k, (t + lead + 1) * k)
            seen = y.copy()
            seen[t + 1 :] = np.nan
            mean, covariance = conditional(params, seen, model.initial_time)
            assert means[data.offsets[s] + t] == pytest.approx(mean[here], abs=1e-12)
            block = covariance[here, here]
            assert covariances[data.offsets[s] + t] == pytest.approx(block, abs=1e-12)
            seen[t] = np.nan
            mean, _ = conditional(params, seen, model.initial_time)
            assert predicted[data.offsets[s] + t] == pytest.approx(mean[here], abs=1e-12)


def expected_complete_loglik(model, around, params, data):
    """Q by brute force: complete data are all states and all cells of steps that are counted."""
    k, d, lead = model.n_states, data.d, 1 - model.initial_time
    total = 0.0

    def term(centre, covariance, noise):
        product = np.outer(centre, centre) + covariance
        return -0.5 * (np.linalg.slogdet(noise)[1] + np.trace(np.linalg.solve(noise, product)))

    for weight, y in zip(data.unit_weights, parts(data), strict=True):
        n = len(y) + lead
        mean, covariance = conditional(around, y, model.initial_time)
        if model.initial_covariance_type == "zero":  # x_1 is mu itself
            mean = mean.copy()
            mean[:k] += params.initial_mean - around.initial_mean
        else:
            deviation = mean[:k] - params.initial_mean
            total += weight * term(deviation, covariance[:k, :k], params.initial_covariance)

        def residual(left, matrix, right, offset, mean=mean, covariance=covariance):
            columns = np.r_[left, right]
            contrast = np.hstack([np.eye(len(left)), -matrix])
            block = covariance[np.ix_(columns, columns)]
            return contrast @ mean[columns] - offset, contrast @ block @ contrast.T

        state = np.arange(n * k).reshape(n, k)
        cell = n * k + np.arange(len(y) * d).reshape(-1, d)
        for t in range(1, n):
            moments = residual(state[t], params.transition, state[t - 1], params.transition_offset)
            total += weight * term(*moments, params.transition_covariance)
        for t in range(len(y)):
            if np.isnan(y[t]).all() and not model.integrate_missing_steps:
                continue
            moments = residual(
                cell[t], params.observation, state[t + lead], params.observation_offset
            )
            total += weight * term(*moments, params.observation_covariance)
    return total


@pytest.mark.parametrize("integrated", [False, True])
@pytest.mark.parametrize("settings", SETTINGS)
def test_q_is_the_expected_complete_data_loglik(rng, settings, integrated):
    model, params, data = case(rng, integrate_missing_steps=integrated, **settings)
    data = data.reweighted(np.array([2.0, 0.5]))
    stats = model.e_step(params, data)
    vectors = [model.pack(params, "unconstrained")]
    vectors += [vectors[0] + 0.3 * rng.normal(size=len(vectors[0])) for _ in range(3)]
    points = [model.unpack(vector, params, "unconstrained") for vector in vectors]
    found = [model.q(stats, point) for point in points]
    wanted = [expected_complete_loglik(model, params, point, data) for point in points]
    assert np.diff(found) == pytest.approx(np.diff(wanted), rel=1e-9, abs=1e-9)


@pytest.mark.parametrize("held", [(), ("transition",), ("observation", "transition_offset")])
@pytest.mark.parametrize("settings", SETTINGS)
def test_each_step_of_the_cycle_maximizes_q_over_what_it_moves(rng, settings, held):
    model, params, data = case(rng, lengths=np.array([12, 9, 9]), **settings)
    fixed = {name: getattr(params, name) for name in held}
    model = replace(model, fixed=fixed)
    stats, here = model.e_step(params, data), params
    for step in model.cycle:
        there = model.m_step(stats, here, step.free)
        for name in set(NAMES) - step.free | set(held):
            assert getattr(there, name) is getattr(here, name)
        assert model.q(stats, there) >= model.q(stats, here)
        rest = {name: getattr(there, name) for name in NAMES if name not in step.free}
        part = replace(model, fixed={**fixed, **rest})
        at = part.pack(there, "unconstrained")

        def q(vector, part=part, there=there):
            return model.q(stats, part.unpack(vector, there, "unconstrained"))

        steps = natural_steps(q, at)
        assert np.abs(gradient(q, at, steps) * steps).max() < 1e-7
        here = there
    assert model.e_step(here, data).loglik > stats.loglik


def test_one_em_iteration_on_complete_data_is_the_textbook_s(rng):
    model, params, data = case(
        rng, missing=0.0, lengths=np.array([30]), initial_time=1, initial_covariance_type="full",
        offsets="none",
    )  # fmt: skip
    k, n = model.n_states, data.n
    mean, covariance = conditional(params, data.values, 1)
    x = mean[: n * k].reshape(n, k)
    v = covariance[: n * k, : n * k].reshape(n, k, n, k)
    s11 = sum(np.outer(x[t], x[t]) + v[t, :, t] for t in range(1, n))
    s10 = sum(np.outer(x[t], x[t - 1]) + v[t, :, t - 1] for t in range(1, n))
    s00 = sum(np.outer(x[t], x[t]) + v[t, :, t] for t in range(n - 1))
    new = model.m_step(model.e_step(params, data), params)
    transition = s10 @ np.linalg.inv(s00)
    assert new.transition == pytest.approx(transition)
    assert new.transition_covariance == pytest.approx((s11 - transition @ s10.T) / (n - 1))
    whole = s00 + np.outer(x[-1], x[-1]) + v[-1, :, -1]
    cross = data.values.T @ x
    observation = cross @ np.linalg.inv(whole)
    assert new.observation == pytest.approx(observation)
    noise = (data.values.T @ data.values - observation @ cross.T) / n
    assert new.observation_covariance == pytest.approx(noise)
    assert new.initial_mean == pytest.approx(x[0])
    assert new.initial_covariance == pytest.approx(v[0, :, 0])


def test_statistics_of_sequences_add_up(rng):
    model, params, data = case(rng, **SETTINGS[0])
    y = parts(data)
    total = sum(
        (model.e_step(params, model.view(part)) for part in y[1:]),
        start=model.e_step(params, model.view(y[0])),
    )
    whole = model.e_step(params, data)
    assert total.loglik == pytest.approx(whole.loglik)
    for name in NAMES:
        ours, theirs = (getattr(model.m_step(stats, params), name) for stats in (total, whole))
        assert ours == pytest.approx(theirs, rel=1e-9, abs=1e-12)


def test_the_fit_reaches_the_maximum_that_a_general_optimizer_finds(rng):
    model, params, data = case(
        rng, k=1, d=2, lengths=np.array([40]), missing=0.1, initial_covariance_type="zero",
        offsets="transition",
    )  # fmt: skip
    end = climb(model, data, params, stopping=Stopping(1e-5, 20_000))

    def loss(vector):
        try:
            return -model.e_step(model.unpack(vector, params, "unconstrained"), data).loglik
        except Degenerate:
            return 1e6

    found = minimize(loss, model.pack(params, "unconstrained"), method="BFGS")
    assert end.loglik == pytest.approx(-found.fun, abs=1e-4)


def test_singular_noise_is_no_trouble_where_it_is_held(rng):
    """An AR(2) with a hole in companion form: R is 0, and Q and the state have rank one."""
    a, b, variance, n = 0.6, 0.3, 0.7, 30
    fixed = {
        "transition": [[a, b], [1.0, 0.0]],
        "transition_covariance": [[variance, 0.0], [0.0, 0.0]],
        "observation": [[1.0, 0.0]],
        "observation_covariance": [[0.0]],
        "initial_covariance": 3.0 * np.eye(2),
    }
    model = StateSpaceModel(2, offsets="none", initial_time=1, fixed=fixed)
    y = rng.normal(size=(n, 1))
    y[7:9] = np.nan
    data = model.view(y)
    model = model.prepare(data)
    params = model.start(data, np.ones((n, 1)))
    mean, covariance = stacked_observations(params, n, 1)
    seen = ~np.isnan(y.ravel())
    from scipy.stats import multivariate_normal

    law = multivariate_normal(mean[seen], covariance[np.ix_(seen, seen)])
    assert model.e_step(params, data).loglik == pytest.approx(law.logpdf(y.ravel()[seen]))
    with pytest.raises(InvalidData, match="held singular: EM cannot move transition"):
        replace(model, fixed={k: v for k, v in fixed.items() if k != "transition"}).prepare(data)


def test_nothing_is_lost_far_from_zero(rng):
    model, params, data = case(rng, lengths=np.array([200]), initial_covariance_type="zero")
    far = replace(params, observation_offset=params.observation_offset + 1e7)
    moved = model.view(data.values + 1e7)
    ends = [
        climb(model, view, start, stopping=Stopping(0, 20))
        for view, start in ((data, params), (moved, far))
    ]
    assert ends[1].loglik == pytest.approx(ends[0].loglik, abs=1e-5)


def test_noise_that_is_small_next_to_the_states_keeps_its_digits(rng):
    model = case(
        rng, k=1, d=1, lengths=np.array([300]), offsets="none",
        fixed={"transition": [[1.0]], "observation": [[1.0]]},
    )[0]  # fmt: skip
    values = np.cumsum(1e-4 * rng.normal(size=(300, 1)), axis=0) + 1e-4 * rng.normal(size=(300, 1))
    values = values + np.linspace(0, 300, 300)[:, None] ** 2
    data = model.view(values)
    model = model.prepare(data)
    end = climb(model, data, model.start(data, np.ones((300, 1))), stopping=Stopping(0, 100))
    assert end.status == "max_iter"
    assert (np.diff(end.history.loglik) > -1e-8).all()


def test_a_wide_start_of_a_level_loses_no_digits(rng):
    model, params, data = case(
        rng, k=1, d=2, missing=0.0, lengths=np.array([1]), initial_time=1,
        initial_covariance_type="full",
    )  # fmt: skip
    params = replace(params, initial_covariance=np.array([[1e12]]))
    _, run = model.smoothed(params, data, keep=True)
    precision = params.observation.T @ np.linalg.solve(
        params.observation_covariance, params.observation
    )
    assert run.covariances[0] == pytest.approx(1 / (precision + 1e-12), rel=1e-12)


def test_a_change_of_the_state_s_basis_changes_no_likelihood(rng):
    model, params, data = case(rng, **SETTINGS[0])
    t, s = rng.normal(size=(2, 2)) + 2 * np.eye(2), rng.normal(size=2)
    back = np.linalg.inv(t)
    transition = t @ params.transition @ back
    moved = StateSpaceParams(
        transition,
        t @ params.transition_offset + s - transition @ s,
        t @ params.transition_covariance @ t.T,
        params.observation @ back,
        params.observation_offset - params.observation @ back @ s,
        params.observation_covariance,
        t @ params.initial_mean + s,
        t @ params.initial_covariance @ t.T,
    )
    assert model.e_step(moved, data).loglik == pytest.approx(model.e_step(params, data).loglik)
    truth = {name: getattr(params, name) for name in NAMES}
    assert model.parameter_error(moved, truth) == pytest.approx(0.0, abs=1e-10)


@pytest.mark.parametrize(
    ("k", "d", "settings", "count"),
    [
        # A, b, Q, C, d, R, mu, P less the changes of basis and origin that are left
        (2, 3, {"offsets": "both", "initial_covariance_type": "full"}, 29 - 6),
        (2, 3, {"offsets": "observation", "initial_covariance_type": "full"}, 27 - 4),
        (2, 3, {"offsets": "observation", "initial_covariance_type": "zero"}, 24 - 4),
        (2, 3, {"offsets": "none", "transition_covariance_type": "diag"}, 23 - 3),
        (1, 1, {"fixed": {"transition": [[1.0]], "observation": [[1.0]]}}, 1 + 1 + 1 + 2 - 1),
        (1, 1, {"offsets": "none", "fixed": {"observation": [[1.0]]}}, 1 + 1 + 1 + 2),
        (2, 2, {"offsets": "none", "fixed": {"observation": np.eye(2)}}, 4 + 3 + 3 + 5),
    ],
)  # fmt: skip
def test_parameters_are_counted_without_the_gauge(rng, k, d, settings, count):
    model = StateSpaceModel(k, **({"initial_covariance_type": "full"} | settings))
    data = model.view(rng.normal(size=(20, d)))
    assert model.n_parameters(data) == count


@pytest.mark.parametrize("coordinates", ["natural", "unconstrained"])
def test_the_chart_is_orthogonal_to_the_orbit_and_parameters_come_back(rng, coordinates):
    model, params, _ = case(rng, **SETTINGS[0])
    vector = model.pack(params, coordinates)
    back = model.unpack(vector, params, coordinates)
    for name in NAMES:
        assert getattr(back, name) == pytest.approx(getattr(params, name), rel=1e-9, abs=1e-9)
    types = dict.fromkeys(NAMES, "")
    move = gauge_moves(params, types)[1]
    for h in (1e-6, -1e-6):
        along = replace(params, **{name: getattr(params, name) + h * move[name] for name in NAMES})
        moved = model.pack(along, coordinates, params) - vector
        assert np.abs(moved).max() < 1e-10


def test_missing_cells_are_drawn_with_their_conditional_covariance(rng):
    model, params, data = case(rng, lengths=np.array([6]), **SETTINGS[0])
    draws = np.stack([model.complete(params, data, rng).ravel() for _ in range(4000)])
    mean, covariance = conditional(params, data.values, model.initial_time)
    cells = slice(-data.values.size, None)
    found = np.cov(draws.T)
    error = 5 * np.sqrt(2 / 4000) * np.abs(covariance[cells, cells]).max()
    assert found == pytest.approx(covariance[cells, cells], abs=error)
    assert draws.mean(axis=0) == pytest.approx(mean[cells], abs=error)


def test_samples_have_the_moments_of_one_big_normal(rng):
    for settings in SETTINGS[:2]:
        model, params, _ = case(rng, **settings)
        draws = model.simulate(params, np.full(20_000, 3), rng)[0].reshape(20_000, -1)
        mean, covariance = stacked_observations(params, 3, model.initial_time)
        size = np.sqrt(np.diagonal(covariance))
        assert (draws.mean(axis=0) - mean) / size == pytest.approx(0 * mean, abs=0.04)
        scaled = (np.cov(draws.T) - covariance) / np.outer(size, size)
        assert np.abs(scaled).max() < 0.06


def test_a_bootstrap_sample_has_the_holes_of_the_data_and_weights_as_copies(rng):
    model, params, data = case(rng, **SETTINGS[0])
    drawn = model.bootstrapped(params, data.reweighted(np.array([2.0, 0.0])), rng)
    assert drawn.lengths.tolist() == [7, 7]
    assert (drawn.observed == np.tile(data.observed[:7], (2, 1))).all()
    assert not np.allclose(drawn.values[:7], drawn.values[7:], equal_nan=True)
    with pytest.raises(InvalidData, match="whole numbers as weights"):
        model.bootstrapped(params, data.reweighted(np.array([0.5, 1.0])), rng)


def test_a_constant_start_at_an_observation_without_error_is_degenerate(rng):
    """The spike of the likelihood: x_1 known, y_1 without error."""
    model = StateSpaceModel(1, initial_time=1, offsets="none",
                            fixed={"observation": [[1.0]], "transition": [[1.0]]})  # fmt: skip
    data = model.view(rng.normal(size=(20, 1)).cumsum(axis=0))
    model = model.prepare(data)
    start = replace(
        model.start(data, np.ones((20, 1))),
        initial_mean=data.values[0],
        observation_covariance=np.array([[1e-9]]),
    )
    end = climb(model, data, start, stopping=Stopping(0, 2000))
    assert end.status == "degenerate"
    assert "column 0 is predicted without error" in end.message
    later = replace(model, initial_time=0).prepare(data)
    end = climb(later, data, start, stopping=Stopping(0, 500))
    assert end.status == "max_iter"
    assert math.isfinite(end.loglik)


def test_a_level_that_does_not_move_is_a_boundary_and_no_collapse(rng):
    model = StateSpaceModel(1, offsets="none",
                            fixed={"observation": [[1.0]], "transition": [[1.0]]})  # fmt: skip
    data = model.view(np.tile([[1.0], [-1.0]], (30, 1)) + 0.1 * rng.normal(size=(60, 1)))
    model = model.prepare(data)
    start = model.start(data, np.ones((60, 1)))
    end = climb(model, data, start, stopping=Stopping(max_iter=3000))
    assert "boundary" in end.flags
    assert end.status != "degenerate"
    assert end.params.transition_covariance[0, 0] < 1e-4


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_states": 0}, "n_states: 0"),
        ({"n_states": 1, "transition_covariance_type": "tied"}, "transition_covariance_type"),
        ({"n_states": 1, "offsets": "all"}, "offsets: 'all' is not one of none, observation"),
        ({"n_states": 1, "initial_time": 2}, "initial_time: 2"),
        ({"n_states": 1, "fixed": {"noise": 1.0}}, "fixed: 'noise'"),
        ({"n_states": 1, "fixed": ["transition"]}, "fixed: "),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ValueError, match=words):
        make_model("state_space", settings)


@pytest.mark.parametrize(
    ("fixed", "words"),
    [
        ({"observation": [[1.0]]}, r"fixed\['observation'\]: shape \(1, 1\) is not \(2, 1\)"),
        ({"transition": [[np.inf]]}, "not all values are finite"),
        ({"transition_covariance": [[-1.0]]}, "not symmetric and positive semi-definite"),
    ],
)
def test_fixed_values_are_checked_against_the_data(rng, fixed, words):
    model = StateSpaceModel(1, fixed=fixed)
    with pytest.raises(InvalidData, match=words):
        model.prepare(model.view(rng.normal(size=(5, 2))))


def test_there_is_nothing_to_temper(rng):
    model, params, data = case(rng, **SETTINGS[0])
    with pytest.raises(NotImplementedError, match="no latent classes"):
        model.e_step(params, data, HARD)


def test_the_scale_of_a_column_knows_no_trend():
    values = np.arange(10.0)[:, None] * [1.0, 2.0] + 5.0
    values[4, 0] = np.nan
    data = Sequences.from_arrays(values, [6, 4])
    assert data.roughness == pytest.approx([1.0, 4.0])
