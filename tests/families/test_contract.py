"""Every family keeps the same promises; each is proven on random problems with holes."""

import importlib
import math
import pkgutil

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import tests.families
from emlib.algorithms import Stopping, climb, make_algorithm
from emlib.algorithms.climb import ROUNDING
from emlib.errors import InvalidData
from emlib.inference import observed_information
from emlib.models.differences import STEP, gradient, hessian, natural_steps
from emlib.models.posterior import HARD, sampled, tempered
from emlib.models.records import Degenerate
from tests.families.contract import cells, n_movable, rebuilt, with_values

MODULES = [m.name for m in pkgutil.iter_modules(tests.families.__path__) if "case_" in m.name]
FAMILIES = [
    case
    for name in sorted(MODULES)
    for case in importlib.import_module(f"tests.families.{name}").CASES
]
SEEDS = st.integers(0, 2**31)

every_family = pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
few = settings(max_examples=6, deadline=None)
fewer = settings(max_examples=3, deadline=None)


def iterate(model, data, params, iterations=3):
    """The loglik after some iterations; None where they end in a collapse."""
    end = climb(model, data, params, stopping=Stopping(tol=0, max_iter=iterations))
    return None if end.status == "degenerate" else end.loglik


def three_steps(model, data, params):
    """Parameters after three iterations."""
    return climb(model, data, params, stopping=Stopping(tol=0, max_iter=3)).params


def converge(model, data, params):
    fast = climb(
        model, data, params, make_algorithm("squarem"), stopping=Stopping(tol=1e-9, max_iter=5_000)
    )
    assume(fast.status == "converged")
    end = climb(model, data, fast.params, stopping=Stopping(tol=1e-9, max_iter=20_000))
    assume(end.status == "converged" and not {"boundary", "spurious"} & set(end.flags))
    return end.params


def close(a, b, data, digits=1e-9):
    return a == pytest.approx(b, rel=digits, abs=digits * max(1.0, data.n))


@every_family
@few
@given(SEEDS, st.sampled_from([0.0, 0.2, 0.5]))
def test_the_objective_never_falls(family, seed, missing):
    rng = np.random.default_rng(seed)
    model, _, data = family.draw(rng, missing=missing)
    _, other, _ = family.draw(rng, missing=missing)
    end = climb(model, data, other, stopping=Stopping(tol=0, max_iter=30))
    assert end.status in ("max_iter", "degenerate"), end.message
    magnitude = family.magnitude(model, end, data)
    assert (np.diff(end.history.objective) >= -ROUNDING * magnitude).all()


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.ends_inside], ids=lambda family: family.name
)
@fewer
@given(SEEDS)
def test_the_gradient_is_zero_where_a_climb_converges(family, seed):
    model, params, data = family.draw(np.random.default_rng(seed), n=60)
    end = converge(model, data, params)
    at = model.pack(end, "unconstrained")
    steps = natural_steps(lambda v: objective(model, data, end, v), at)
    slope = gradient(lambda v: objective(model, data, end, v), at, steps)
    assert np.abs(slope * steps / STEP).max(initial=0.0) < 1e-3  # in standard errors


def objective(model, data, around, vector):
    there = model.unpack(vector, around, "unconstrained")
    return model.e_step(there, data).loglik + model.log_prior(there)


@every_family
@few
@given(SEEDS)
def test_the_gradient_of_q_is_that_of_the_loglik(family, seed):
    model, params, data = family.draw(np.random.default_rng(seed))
    at = model.pack(params, "unconstrained")
    # Short steps: far from an optimum a coordinate may have little curvature, but not higher terms.
    steps = 0.1 * natural_steps(lambda v: objective(model, data, params, v), at)
    expected = gradient(lambda v: objective(model, data, params, v), at, steps)
    found = gradient(model.q_in_chart(model.e_step(params, data), params), at, steps)
    assert found * steps == pytest.approx(expected * steps, abs=1e-6)


@every_family
@few
@given(SEEDS, st.sampled_from([0.0, 0.3]))
def test_the_loglik_is_that_of_the_slow_twin(family, seed, missing):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng, n=20, missing=missing)
    if family.weighted:
        data = data.reweighted(rng.integers(0, 3, len(data.unit_weights)) + 0.5)
    expected = family.brute_loglik(model, params, data)
    assert model.e_step(params, data).loglik == pytest.approx(expected, rel=1e-9, abs=1e-9)


@every_family
@few
@given(SEEDS)
def test_the_order_of_units_does_not_matter(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng)
    shuffled = rebuilt(model, data, rng.permutation(n_movable(data)))
    expected = iterate(model, data, params)
    assume(expected is not None)
    assert close(iterate(model, shuffled, params), expected, data)
    ends = [three_steps(model, view, params) for view in (data, shuffled)]
    assert model.pack(ends[1], around=ends[0]) == pytest.approx(
        model.pack(ends[0]), rel=1e-6, abs=1e-8
    )


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.classes], ids=lambda family: family.name
)
@few
@given(SEEDS)
def test_labels_do_not_matter(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng)
    order = np.arange(model.n_components)[::-1]
    expected = iterate(model, data, params)
    assume(expected is not None)
    assert close(iterate(model, data, family.relabel(params, order)), expected, data)


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.weighted], ids=lambda family: family.name
)
@few
@given(SEEDS)
def test_an_integer_weight_is_that_many_copies(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng)
    weights = rng.integers(0, 4, len(data.unit_weights))
    assume(weights.sum() > 0)
    copies = rebuilt(model, data, np.repeat(np.arange(len(weights)), weights))
    expected = iterate(model, copies, params)
    assume(expected is not None)
    weighted = data.reweighted(weights)
    assert close(iterate(model, weighted, params), expected, data)
    ends = [three_steps(model, view, params) for view in (copies, weighted)]
    assert model.pack(ends[1], around=ends[0]) == pytest.approx(
        model.pack(ends[0]), rel=1e-6, abs=1e-8
    )


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES if type(f).moved is not tests.families.contract.Family.moved],
    ids=lambda family: family.name,
)
@few
@given(SEEDS)
def test_units_of_measurement_do_not_matter(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng)
    expected = iterate(model, data, params, 5)
    assume(expected is not None)
    for moved in family.moved(rng, model, params, data):
        found = iterate(model, moved.data, moved.params, 5)
        assert close(found, expected + moved.shift, data, 1e-8), moved.name


@pytest.mark.parametrize(
    "family",
    [f for f in FAMILIES if type(f).independent is not tests.families.contract.Family.independent],
    ids=lambda family: family.name,
)
@few
@given(SEEDS)
def test_hiding_a_cell_of_an_independent_column_moves_no_other(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data, column = family.independent(rng)
    values = data.values.copy()
    values[rng.random(data.n) < 0.4, column] = np.nan
    holed = with_values(model, data, values)
    after = [
        family.without_column(model.m_step(model.e_step(params, view), params), column)
        for view in (data, holed)
    ]
    assert after[1] == pytest.approx(after[0], rel=1e-9, abs=1e-9)


@every_family
@few
@given(SEEDS)
def test_rows_without_any_cell_change_nothing(family, seed):
    model, params, data = family.draw(np.random.default_rng(seed))
    if hasattr(data, "offsets"):  # a whole sequence of holes
        values = np.vstack([data.values, np.full((3, data.d), np.nan)])
        wider = model.view(values, None, lengths=[*data.lengths, 3])
    else:
        rows = np.concatenate([np.arange(data.n), [0, 0]])
        wider = rebuilt(model, data, rows)
        values = wider.values.copy()
        values[-2:] = np.nan
        if getattr(wider, "upper", None) is not None:
            wider.upper[-2:] = np.nan
        wider = with_values(model, wider, values)
    expected = iterate(model, data, params)
    assume(expected is not None)
    assert close(iterate(model, wider, params), expected, data)
    assert wider.total_weight == data.total_weight


@every_family
@few
@given(SEEDS)
def test_the_smallest_data_sets_end_in_a_status_or_a_clear_refusal(family, seed):
    rng, reasons = np.random.default_rng(seed), []
    for model, data in family.small(rng):
        try:
            prepared = model.prepare(data)
            responsibilities = rng.dirichlet(np.ones(model.n_components), data.n)
            start = prepared.start(data, responsibilities)
            end = climb(prepared, data, start, stopping=Stopping(max_iter=200))
        except (InvalidData, Degenerate) as error:
            reasons.append(str(error))
            continue
        assert end.status in ("converged", "max_iter", "degenerate")
        assert end.status == "degenerate" or math.isfinite(end.loglik)
    assert all(reasons)


@every_family
def test_statistics_at_two_parameters_add_up_in_q(family):
    """What incremental EM sums: parts of the data whose E-steps were made at different places."""
    rng = np.random.default_rng(21)
    model, one, data = family.draw(rng)
    _, other, _ = family.draw(rng)
    units = np.arange(n_movable(data))
    parts = [units[::2], units[1::2]] if len(units) > 1 else [units, units]
    views = [rebuilt(model, data, part) for part in parts]
    first, second = model.e_step(one, views[0]), model.e_step(other, views[1])
    if not hasattr(first, "__add__"):
        pytest.skip("an example may leave sums out")
    whole = first + second
    gains = [model.q(s, one) - model.q(s, other) for s in (first, second, whole)]
    assert gains[2] == pytest.approx(gains[0] + gains[1], rel=1e-9, abs=1e-9)


@every_family
@pytest.mark.parametrize("coordinates", ["natural", "unconstrained"])
def test_packed_parameters_come_back(family, coordinates):
    rng = np.random.default_rng(7)
    model, params, data = family.draw(rng)
    vector = model.pack(params, coordinates)
    assert vector.shape == (model.n_parameters(data),)
    back = model.unpack(vector, params, coordinates)
    assert model.e_step(back, data).loglik == pytest.approx(model.e_step(params, data).loglik)
    assert model.pack(back, coordinates, params) == pytest.approx(vector, rel=1e-9, abs=1e-9)
    moved = vector + 1e-3 * rng.normal(size=len(vector))
    there = model.unpack(moved, params, coordinates)
    assert model.pack(there, coordinates, params) == pytest.approx(moved, rel=1e-9, abs=1e-9)


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.complete_information], ids=lambda family: family.name
)
@fewer
@given(SEEDS)
def test_the_observed_information_is_that_of_the_loglik(family, seed):
    model, params, data = family.draw(np.random.default_rng(seed), n=150)
    end = converge(model, data, params)
    information = observed_information(model, data, end)
    at = information.at
    steps = natural_steps(lambda v: objective(model, data, end, v), at)
    expected = -hessian(lambda v: objective(model, data, end, v), at, steps)
    scale = np.outer(steps, steps) / STEP**2  # in standard errors
    assert information.observed * scale == pytest.approx(expected * scale, abs=1e-3)


@every_family
@fewer
@given(SEEDS)
def test_the_posterior_belongs_to_the_e_step(family, seed):
    rng = np.random.default_rng(seed)
    model, params, data = family.draw(rng)
    posterior = model.posterior(params, data)
    total = float(data.unit_weights @ posterior.loglik)
    assert total == pytest.approx(model.e_step(params, data).loglik, rel=1e-9)
    assert posterior.completed[data.observed] == pytest.approx(cells(data)[data.observed])
    assert np.isfinite(posterior.completed).all()
    if posterior.responsibilities is not None:
        assert posterior.responsibilities.sum(axis=1) == pytest.approx(np.ones(data.n))


@every_family
def test_every_posterior_has_the_same_loglik_or_is_refused_in_words(family):
    model, params, data = family.draw(np.random.default_rng(3))
    exact = model.e_step(params, data)
    assert model.e_step(params, data, tempered(1.0)).loglik == exact.loglik
    refusals = []
    for posterior in (tempered(0.5), HARD, sampled(np.random.default_rng(0))):
        try:
            stats = model.e_step(params, data, posterior)
        except NotImplementedError as refusal:
            refusals.append(str(refusal))
            continue
        assert stats.loglik == pytest.approx(exact.loglik, rel=1e-12, abs=1e-9)
    assert all(model.family in text for text in refusals)


@pytest.mark.parametrize(
    "family", [f for f in FAMILIES if f.draws_cells], ids=lambda family: family.name
)
def test_missing_cells_are_drawn_from_their_conditional_distribution(family):
    rng = np.random.default_rng(11)
    model, params, data = family.draw(rng, n=20, missing=0.3)
    draws = np.stack([model.complete(params, data, rng) for _ in range(400)])
    assert (draws[:, data.observed] == data.values[data.observed]).all()
    assert np.isfinite(draws).all()
    expected = model.posterior(params, data).completed
    if not family.completes_by_mean:
        return
    error = draws.std(axis=0) / math.sqrt(400)
    assert (np.abs(draws.mean(axis=0) - expected) <= 5 * error + 1e-9).all()
