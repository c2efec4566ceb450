"""The Gaussian mixture against brute force: likelihood, moments, gradients, invariance."""

import math

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import logsumexp

from emlib.algorithms import Stopping, climb
from emlib.algorithms.climb import ROUNDING
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inits import make_init
from emlib.models import Degenerate, make_model
from emlib.models.covariance import COVARIANCES, ONE_COLUMN
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from emlib.models.posterior import HARD, sampled, tempered
from tests.conftest import mixture_rows, random_params
from tests.twins import em_iteration, observed_loglik, row_log_joint

ALIASES = ("VVV", "EEE", "VVI", "VII")
TYPES = [name for name in COVARIANCES if name not in (*ONE_COLUMN, *ALIASES)]
CONJUGATE = [name for name in TYPES if COVARIANCES[name].conjugate]


def case(rng, covariance_type, n=60, d=3, k=2, missing=0.3, weights=None):
    model = GaussianMixtureModel(k, covariance_type)
    w, means, full = random_params(rng, d, k)
    params = GaussianMixtureParams(w, means, model.structure.from_full(w, full))
    x = mixture_rows(rng, n, d, k, missing)
    return model, params, Table.from_array(x, weights)


@pytest.mark.parametrize("covariance_type", TYPES)
@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
def test_the_loglik_is_the_brute_force_marginal_likelihood(rng, covariance_type, missing):
    model, params, data = case(rng, covariance_type, missing=missing, weights=rng.random(60))
    direct = observed_loglik(
        data.values, params.weights, params.means, model.full_covariances(params), data.weights
    )
    assert model.e_step(params, data).loglik == pytest.approx(direct, rel=1e-12)
    rows = model.posterior(params, data)[0]
    assert rows @ data.weights == pytest.approx(direct, rel=1e-12)


@pytest.mark.parametrize("missing", [0.0, 0.3, 0.8])
def test_one_iteration_is_that_of_the_slow_twin(rng, missing):
    model, params, data = case(rng, "full", missing=missing, weights=rng.random(60))
    got = model.m_step(model.e_step(params, data), params)
    weights, means, covariances = em_iteration(
        data.values, params.weights, params.means, params.covariances, data.weights
    )
    assert got.weights == pytest.approx(weights, rel=1e-12)
    assert got.means == pytest.approx(means, rel=1e-10, abs=1e-12)
    assert got.covariances == pytest.approx(covariances, rel=1e-10, abs=1e-12)


@pytest.mark.parametrize(
    ("covariance_type", "prior"),
    [(name, None) for name in TYPES] + [(name, "fraley_raftery") for name in CONJUGATE],
)
def test_the_m_step_maximizes_q_plus_log_prior(rng, covariance_type, prior):
    model, params, data = case(rng, covariance_type, d=2)
    model = GaussianMixtureModel(2, covariance_type, prior).prepare(data)
    stats = model.e_step(params, data)

    def q(vector):
        p = model.unpack(vector, found, "unconstrained")
        moved, total = stats.about(p.means), 0.0
        for k, cov in enumerate(model.full_covariances(p)):
            inverse, count = np.linalg.inv(cov), stats.counts[k]
            scatter = moved.second[k] if moved.second.ndim == 3 else np.diag(moved.second[k])
            total += count * (np.log(p.weights[k]) - 0.5 * np.linalg.slogdet(2 * np.pi * cov)[1])
            total -= 0.5 * np.sum(inverse * scatter)
        return total + model.log_prior(p)

    found = model.m_step(stats, params)
    best = model.pack(found, "unconstrained")
    gradient = [(q(best + 1e-5 * e) - q(best - 1e-5 * e)) / 2e-5 for e in np.eye(len(best))]
    assert np.abs(gradient).max() < 1e-6
    assert model.q(stats, found) > model.q(stats, params)


@pytest.mark.parametrize("free", [{"means"}, {"weights"}, {"covariances"}, {"means", "weights"}])
def test_an_m_step_moves_only_what_is_free_and_still_climbs(rng, free):
    model, params, data = case(rng, "full")
    stats = model.e_step(params, data)
    new = model.m_step(stats, params, frozenset(free))
    for name in ("weights", "means", "covariances"):
        same = np.array_equal(getattr(new, name), getattr(params, name))
        assert same == (name not in free)
    assert model.e_step(new, data).loglik > stats.loglik


@pytest.mark.parametrize("covariance_type", TYPES)
def test_statistics_of_parts_add_up_to_those_of_the_whole(rng, covariance_type):
    model, params, data = case(rng, covariance_type)
    parts = [model.e_step(params, Table.from_array(data.values[s])) for s in
             (slice(0, 10), slice(10, 35), slice(35, None))]  # fmt: skip
    far = parts[1].about(parts[1].reference + 5.0)
    total, whole = parts[0] + far + parts[2], model.e_step(params, data)
    for name in ("counts", "first", "second", "loglik", "magnitude"):
        assert getattr(total, name) == pytest.approx(getattr(whole, name), rel=1e-10, abs=1e-9)


@pytest.mark.parametrize("coordinates", ["natural", "unconstrained"])
@pytest.mark.parametrize("covariance_type", TYPES)
def test_packing_goes_there_and_back_in_n_parameters_numbers(rng, covariance_type, coordinates):
    model, params, data = case(rng, covariance_type)
    vector = model.pack(params, coordinates)
    assert len(vector) == model.n_parameters(data)
    back = model.unpack(vector, params, coordinates)
    for name in ("weights", "means", "covariances"):
        assert getattr(back, name) == pytest.approx(getattr(params, name), rel=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_the_gradient_vanishes_at_a_tight_fit_with_holes(rng, covariance_type):
    x = mixture_rows(rng, 150, 3, 2, missing=0.25)
    data = Table.from_array(x)
    model = GaussianMixtureModel(2, covariance_type).prepare(data)
    start = make_init("kmeans")(model, data, rng).params
    end = climb(model, data, start, stopping=Stopping(tol=1e-10, max_iter=20_000))
    assert end.status == "converged"
    sizes = np.nanstd(x, axis=0)

    def loglik(params):
        return observed_loglik(x, params.weights, params.means, model.full_covariances(params))

    def shifted(k, j, step):
        means = end.params.means.copy()
        means[k, j] += step
        return GaussianMixtureParams(end.params.weights, means, end.params.covariances)

    for k in range(2):
        for j in range(3):
            step = 1e-4 * sizes[j]
            slope = (loglik(shifted(k, j, step)) - loglik(shifted(k, j, -step))) / 2e-4
            assert abs(slope) < 1e-3  # nats per standard deviation
    vector = model.pack(end.params, "unconstrained")
    for e in np.eye(len(vector)):  # log odds, and log-Cholesky or log variance coordinates
        there = loglik(model.unpack(vector + 1e-4 * e, end.params, "unconstrained"))
        back = loglik(model.unpack(vector - 1e-4 * e, end.params, "unconstrained"))
        assert abs(there - back) / 2e-4 < 1e-3


@pytest.mark.parametrize("covariance_type", ["full", "diag"])
def test_the_loglik_of_many_rows_is_summed_well_within_what_a_climb_takes_for_rounding(
    rng, covariance_type
):
    data = Table.from_array(rng.normal(size=(500_000, 1)) + 100.0)
    model = GaussianMixtureModel(1, covariance_type).prepare(data)
    start = model.start(data, np.ones((data.n, 1)))
    for step in range(4):
        params = GaussianMixtureParams(start.weights, start.means + 1e-6 * step, start.covariances)
        stats = model.e_step(params, data)
        exact = math.fsum(model.posterior(params, data)[0])
        assert abs(stats.loglik - exact) < ROUNDING / 2 * stats.magnitude


def test_rows_without_observed_cells_count_for_nothing(rng):
    model, params, data = case(rng, "full")
    padded = Table.from_array(np.vstack([data.values, np.full((7, 3), np.nan)]))
    a, b = model.e_step(params, data), model.e_step(params, padded)
    assert a.loglik == pytest.approx(b.loglik, rel=1e-14)
    assert a.counts == pytest.approx(b.counts, rel=1e-14)
    assert model.m_step(b, params).weights.sum() == pytest.approx(1.0, rel=1e-14)
    assert padded.total_weight == data.informative.sum()


@pytest.mark.parametrize("covariance_type", TYPES)
def test_integer_weights_equal_copies_from_the_same_start(rng, covariance_type):
    model, params, data = case(rng, covariance_type)
    w = rng.integers(0, 4, size=data.n)
    weighted = climb(model, Table.from_array(data.values, w), params, stopping=Stopping(0, 20))
    copies = climb(
        model, Table.from_array(np.repeat(data.values, w, axis=0)), params, stopping=Stopping(0, 20)
    )
    assert weighted.loglik == pytest.approx(copies.loglik, rel=1e-11)
    assert weighted.params.means == pytest.approx(copies.params.means, rel=1e-8)


def test_the_climb_is_equivariant_under_affine_maps_of_columns_up_to_a_million_deviations(rng):
    model, params, data = case(rng, "full", n=200)
    scale, shift = np.array([1e-6, 1.0, 1e4]), np.array([1.0, -1e6, 1e10])
    moved = GaussianMixtureParams(
        params.weights, params.means * scale + shift, params.covariances * np.outer(scale, scale)
    )
    a = climb(model, data, params, stopping=Stopping(0, 30))
    b = climb(model, Table.from_array(data.values * scale + shift), moved, stopping=Stopping(0, 30))
    jacobian = (data.observed * np.log(scale)).sum()
    assert b.loglik + jacobian == pytest.approx(a.loglik, rel=1e-8)
    assert (b.params.means - shift) / scale == pytest.approx(a.params.means, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("covariance_type", ["tied", "diag", "spherical"])
def test_no_precision_is_lost_far_from_zero(rng, covariance_type):
    x = np.round(mixture_rows(rng, 300, 2, 2), 3)
    ends = []
    for shift in (0.0, 1e6):
        data = Table.from_array(x + shift)
        model = GaussianMixtureModel(2, covariance_type)
        start = model.start(data, np.eye(2)[(x[:, 0] > np.median(x[:, 0])).astype(int)])
        ends.append(climb(model, data, start, stopping=Stopping(0, 50)).loglik)
    assert ends[0] == pytest.approx(ends[1], abs=1e-4)


def test_a_collapsing_component_ends_the_climb_with_the_last_sound_parameters(rng):
    x = rng.normal(size=(30, 1))
    x[:2] = 5.0
    data = Table.from_array(x)
    model = GaussianMixtureModel(2)
    responsibilities = np.eye(2)[np.r_[0, 0, np.ones(28, int)]]
    end = climb(model, data, model.start(data, responsibilities))
    assert end.status == "degenerate"
    assert "component 0" in end.message
    assert model.e_step(end.params, data).loglik == end.loglik
    assert "spurious" in end.flags


def test_a_collinear_table_is_degenerate_for_matrices_and_fine_for_columns(rng):
    x = rng.normal(size=(50, 1)) @ np.array([[1.0, 2.0]])
    data = Table.from_array(x)
    model = GaussianMixtureModel(1, "full")
    params = GaussianMixtureParams(np.ones(1), np.zeros((1, 2)), np.eye(2)[None])
    with pytest.raises(Degenerate, match=r"singular|collapsed"):
        model.e_step(model.m_step(model.e_step(params, data), params), data)
    diagonal = GaussianMixtureModel(1, "diag")
    end = climb(diagonal, data, diagonal.start(data, np.ones((50, 1))))
    assert end.status == "converged"


def test_a_prior_keeps_a_lone_point_from_collapsing(rng):
    x = np.vstack([rng.normal(size=(30, 2)), [[9.0, 9.0]]])
    data = Table.from_array(x)
    model = GaussianMixtureModel(2, "full", "fraley_raftery").prepare(data)
    start = model.start(data, np.eye(2)[np.r_[np.zeros(30, int), 1]])
    end = climb(model, data, start)
    assert end.status == "converged"
    assert end.objective == pytest.approx(end.loglik + model.log_prior(end.params))
    assert (np.diff(end.history.objective) >= -1e-9).all()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([[1.0, 2.0]], "fewer than the 2 components"),
        ([[1.0, np.nan], [2.0, np.nan], [3.0, np.nan]], "column 1 has no observed cell"),
        ([[1.0, 5.0], [2.0, 5.0], [3.0, np.nan]], "column 1 is constant"),
    ],
)
def test_data_that_the_model_cannot_take_are_refused(values, words):
    with pytest.raises(InvalidData, match=words):
        GaussianMixtureModel(2).prepare(Table.from_array(values))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_components": 0}, "n_components: 0"),
        ({"n_components": 2, "covariance_type": "round"}, "covariance_type: 'round'"),
        ({"n_components": 2, "prior": "vague"}, "prior: 'vague'"),
        (
            {"n_components": 2, "prior": "fraley_raftery", "covariance_type": "VEV"},
            "prior: covariance_type VEV has no conjugate prior; with a prior it is one of full",
        ),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ValueError, match=words):
        make_model("gaussian_mixture", settings)


def test_other_posteriors_are_what_their_names_say(rng):
    model, params, data = case(rng, "full", missing=0.0)
    joint = np.array([
        row_log_joint(row, params.weights, params.means, params.covariances)[0]
        for row in data.values
    ])  # fmt: skip
    exact = np.exp(joint - logsumexp(joint, axis=1, keepdims=True))
    assert model.e_step(params, data).counts == pytest.approx(exact.sum(axis=0))
    hard = np.eye(2)[joint.argmax(axis=1)]
    assert model.e_step(params, data, HARD).counts == pytest.approx(hard.sum(axis=0))
    half = 0.3 * joint
    half = np.exp(half - logsumexp(half, axis=1, keepdims=True))
    assert model.e_step(params, data, tempered(0.3)).counts == pytest.approx(half.sum(axis=0))
    draws = [
        model.e_step(params, data, sampled(np.random.default_rng(s))).counts for s in range(400)
    ]
    error = np.sqrt((exact * (1 - exact)).sum(axis=0) / 400)
    assert (np.abs(np.mean(draws, axis=0) - exact.sum(axis=0)) < 5 * error).all()
    assert all(counts == pytest.approx(np.round(counts)) for counts in draws)


def test_impute_is_the_conditional_expectation(rng):
    model, params, data = case(rng, "full", missing=0.4)
    _, responsibilities, completed, _ = model.posterior(params, data)
    for i, row in enumerate(data.values):
        joint, values, _ = row_log_joint(row, params.weights, params.means, params.covariances)
        r = np.exp(joint - logsumexp(joint))
        assert responsibilities[i] == pytest.approx(r, abs=1e-12)
        expected = np.where(np.isnan(row), r @ np.array(values), row)
        assert completed[i] == pytest.approx(expected, rel=1e-10)


def test_the_fit_reaches_the_maximum_that_a_general_optimizer_finds(rng):
    x = mixture_rows(rng, 80, 2, 1, missing=0.2)
    data = Table.from_array(x)
    model = GaussianMixtureModel(1)
    start = model.start(data, np.ones((80, 1)))
    end = climb(model, data, start, stopping=Stopping(1e-10, 5000))

    def loss(vector):
        p = model.unpack(vector, start, "unconstrained")
        return -observed_loglik(x, p.weights, p.means, p.covariances)

    found = minimize(loss, model.pack(start, "unconstrained"), method="BFGS")
    assert end.loglik == pytest.approx(-found.fun, abs=1e-6)


def test_samples_have_the_moments_of_the_mixture(rng):
    model, params, _ = case(rng, "full")
    x, labels = model.sample(params, 200_000, rng)
    assert np.bincount(labels) / len(x) == pytest.approx(params.weights, abs=0.01)
    for k in range(2):
        assert x[labels == k].mean(axis=0) == pytest.approx(params.means[k], abs=0.05)
        assert np.cov(x[labels == k].T) == pytest.approx(params.covariances[k], abs=0.1)
