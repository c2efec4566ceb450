"""Mixtures of t distributions against quadrature, scipy and their normal limit."""

import math

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import gamma, multivariate_normal

from emlib.algorithms import Stopping, climb
from emlib.data import Table
from emlib.models import Degenerate, make_model
from emlib.models.differences import gradient
from emlib.models.dofs import (
    excess_slopes,
    gamma_dofs,
    gamma_size,
    log_excess,
    log_precision,
    q_of_dofs,
)
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams
from emlib.models.posterior import HARD, sampled, tempered
from emlib.models.student_mixture import StudentMixtureModel, StudentMixtureParams
from tests.conftest import mixture_rows, random_params
from tests.twins import row_log_joint, student_log_joint, student_loglik


def case(rng, dofs="each", n=60, d=3, k=2, missing=0.3, weights=None, covariance_type="full"):
    model = StudentMixtureModel(k, covariance_type, dofs)
    w, means, full = random_params(rng, d, k)
    given = rng.uniform(1.0, 8.0, k) if isinstance(dofs, str) else np.broadcast_to(dofs, k)
    given = np.full(k, given[0]) if dofs == "common" else given
    params = StudentMixtureParams(w, means, model.structure.from_full(w, full), given)
    return model, params, Table.from_array(mixture_rows(rng, n, d, k, missing), weights)


def expectations_of_u(row, mean, scatter, dof):
    """E[u] and E[log u] given the observed cells, by integrating over u."""
    o = ~np.isnan(row)

    def joint(u):
        law = multivariate_normal(mean[o], scatter[np.ix_(o, o)] / u)
        return law.pdf(row[o]) * gamma.pdf(u, dof / 2, scale=2 / dof)

    def integral(f):
        return sum(quad(f, *ends, epsabs=0, limit=200)[0] for ends in ((0, 1), (1, np.inf)))

    total = integral(joint)
    return (
        integral(lambda u: u * joint(u)) / total,
        integral(lambda u: math.log(u) * joint(u)) / total,
    )


def test_sums_are_those_of_integrating_over_the_precisions(rng):
    weights = rng.random(8)
    model, params, data = case(rng, n=8, d=2, weights=weights)
    stats = model.e_step(params, data)
    counts, precisions, logs = np.zeros(2), np.zeros(2), np.zeros(2)
    second = np.zeros((2, 2, 2))
    laws = (params.weights, params.means, params.covariances)
    for row, weight in zip(data.values, weights, strict=True):
        if np.isnan(row).all():
            continue
        joint = student_log_joint(row, *laws, params.dofs)
        r = weight * np.exp(joint - logsumexp(joint))
        _, completed, conditional = row_log_joint(row, *laws)
        for k in range(2):
            u, log_u = expectations_of_u(row, laws[1][k], laws[2][k], params.dofs[k])
            counts[k] += r[k]
            precisions[k] += r[k] * u
            logs[k] += r[k] * log_u
            deviation = completed[k] - params.means[k]
            second[k] += r[k] * (u * np.outer(deviation, deviation) + conditional[k])
    assert stats.counts == pytest.approx(counts, rel=1e-9)
    assert stats.weighted.counts == pytest.approx(precisions, rel=1e-7)
    assert stats.log_precisions == pytest.approx(logs, rel=1e-6, abs=1e-7)
    assert stats.weighted.second == pytest.approx(second, rel=1e-7)


def test_infinite_degrees_of_freedom_are_the_normal_mixture(rng):
    for covariance_type in ("full", "tied", "diag", "VEE"):
        model, params, data = case(rng, math.inf, covariance_type=covariance_type)
        normal = GaussianMixtureModel(2, covariance_type)
        same = GaussianMixtureParams(params.weights, params.means, params.covariances)
        a, b = model.e_step(params, data), normal.e_step(same, data)
        assert a.loglik == pytest.approx(b.loglik, rel=1e-13)
        assert a.weighted.second == pytest.approx(b.second, rel=1e-10)
        assert a.weighted.counts == pytest.approx(a.counts, rel=1e-13)
        assert model.q(a, params) == pytest.approx(normal.q(b, same), rel=1e-12)
        ours, theirs = model.posterior(params, data), normal.posterior(same, data)
        assert ours.completed == pytest.approx(theirs.completed, rel=1e-12)


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "EVE"])
@pytest.mark.parametrize("dofs", ["each", "common", (1.0, 9.0)])
def test_the_m_step_maximizes_q(rng, covariance_type, dofs):
    model, params, data = case(rng, dofs, d=2, covariance_type=covariance_type)
    stats = model.e_step(params, data)
    found = model.m_step(stats, params)
    best = model.pack(found, "unconstrained")
    assert len(best) == model.n_parameters(data)
    slopes = gradient(model.q_in_chart(stats, found), best, np.full(len(best), 1e-4))
    assert np.abs(slopes[np.isfinite(best)]).max() < 1e-6
    assert model.q(stats, found) > model.q(stats, params)


@pytest.mark.parametrize("dofs", ["each", "common"])
def test_the_step_on_the_degrees_of_freedom_maximizes_the_observed_loglik(rng, dofs):
    model, params, _ = case(rng, dofs)
    x, _ = model.sample(params, 400, rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    data = Table.from_array(x)
    far = StudentMixtureParams(params.weights, params.means, params.covariances, np.full(2, 40.0))
    found, _ = model.observed_step(far, data, frozenset({"dofs"}))
    laws = (params.weights, params.means, params.covariances)

    def loss(log_dofs):
        there = StudentMixtureParams(*laws, np.exp(np.broadcast_to(log_dofs, 2)))
        return -model.e_step(there, data).loglik

    best = minimize(loss, np.log(found.dofs[: model.n_dofs]), method="Nelder-Mead",
                    options={"xatol": 1e-7, "fatol": 1e-10})  # fmt: skip
    assert found.dofs == pytest.approx(np.exp(np.broadcast_to(best.x, 2)), rel=1e-5)
    assert model.e_step(found, data).loglik >= -best.fun - 1e-9


@pytest.mark.parametrize("tails", [(0.9, 0.2), (1e-3, 1e-5), (1e-9, 0.3)])
def test_slopes_in_the_tails_are_those_of_the_loglik_down_to_the_normal(rng, tails):
    from emlib.kernels.student import tail_pass
    from emlib.models.student_mixture import _view

    model, params, data = case(rng)
    whiten, _, log_norm = model._factor(params, data)
    m = data.observed_counts[:, None]

    def evaluate(at):
        return tail_pass(
            *_view(data, data.groups), np.log(params.weights), params.means, at, whiten,
            log_norm + log_excess(at, m), *excess_slopes(at, m),
        )  # fmt: skip

    at = np.array(tails)
    loglik, _, slopes, bends = evaluate(at)
    laws = (params.weights, params.means, params.covariances)
    dofs = np.where(at < 1e-6, np.inf, 1 / at)  # scipy loses digits far out
    assert loglik == pytest.approx(student_loglik(data.values, *laws, dofs), rel=1e-8)
    for k in range(2):
        # The loglik is smooth through 0 in exact arithmetic, but not defined below it.
        h = 1e-3 * max(at[k], 1e-2)
        moved = [evaluate(at + h * j * np.eye(2)[k]) for j in range(5)]
        forward = np.array([-25, 48, -36, 16, -3]) / (12 * h)
        assert slopes[k] == pytest.approx(forward @ [f[0] for f in moved], rel=1e-4, abs=1e-4)
        assert bends[k] == pytest.approx(forward @ [f[2] for f in moved], rel=1e-4, abs=1e-3)


def test_norms_keep_all_digits_however_large_the_degrees_of_freedom():
    for dof in (0.01, 1.0, 39.0, 41.0, 1e3, 1e6, 1e12):
        for m in (2, 4, 10, 100):
            x = dof / 2
            exact = math.fsum(math.log1p(j / x) for j in range(m // 2))
            tail, count = np.array([1 / dof]), np.array([m])
            assert log_excess(tail, count) == pytest.approx(exact, rel=1e-11, abs=1e-14)
            first = -2 * x**2 * math.fsum(-j / x / (x + j) for j in range(m // 2))
            second = math.fsum(-4 * j**2 / (1 + 2 * j / dof) ** 2 for j in range(m // 2))
            slope, bend = excess_slopes(tail, count)
            assert slope == pytest.approx(first, rel=1e-5, abs=1e-5)
            assert bend == pytest.approx(second, rel=1e-3, abs=1e-3 * m**2)
    assert log_excess(np.zeros(1), np.array([7])) == 0.0
    assert log_precision(np.zeros(1), np.array([7])) == pytest.approx(0.0, abs=1e-15)


def test_the_degrees_of_freedom_that_maximize_q_are_the_shape_of_a_gamma():
    from scipy.special import digamma, gammaln

    for dof in (1e-3, 0.5, 3.0, 80.0, 1e5):
        excess = math.log(dof / 2) - float(digamma(dof / 2))
        assert gamma_dofs(np.array([excess])) == pytest.approx(dof, rel=1e-6)
    assert np.isinf(gamma_dofs(np.array([0.0])))
    x = np.array([0.1, 3.0, 19.9, 20.1, 50.0])
    assert gamma_size(x) == pytest.approx(x * np.log(x) - x - gammaln(x), rel=1e-12)
    one = np.ones(1)
    u = gamma.rvs(2.0, scale=0.5, size=50, random_state=0)
    direct = gamma.logpdf(u, 2.0, scale=0.5).sum() - gamma.logpdf(u, 3.0, scale=1 / 3).sum()
    sums = (50 * one, u.sum() * one, np.log(u).sum() * one)
    assert q_of_dofs(4 * one, *sums) - q_of_dofs(6 * one, *sums) == pytest.approx(direct)


@pytest.mark.parametrize("dofs", ["each", 3.0])
def test_the_fit_reaches_the_maximum_that_a_general_optimizer_finds(rng, dofs):
    model, params, _ = case(rng, dofs, d=2, k=1)
    params = StudentMixtureParams(params.weights, params.means, params.covariances, np.full(1, 3.0))
    x, _ = model.sample(params, 120, rng)
    x[rng.random(x.shape) < 0.2] = np.nan
    data = Table.from_array(x)
    start = model.start(data, np.ones((120, 1)))
    end = climb(model, data, start, stopping=Stopping(1e-11, 5000))

    def loss(vector):
        p = model.unpack(vector, start, "unconstrained")
        return -student_loglik(x, p.weights, p.means, p.covariances, p.dofs)

    found = minimize(loss, model.pack(start, "unconstrained"), method="BFGS")
    assert end.loglik == pytest.approx(-found.fun, abs=1e-7)
    assert model.pack(end.params, "unconstrained") == pytest.approx(found.x, abs=1e-4)


def test_light_tails_end_at_the_normal_and_are_flagged(rng):
    x = rng.uniform(-1.0, 1.0, size=(200, 2))
    x[rng.random(x.shape) < 0.1] = np.nan
    data = Table.from_array(x)
    ends = []
    for model in (StudentMixtureModel(1), GaussianMixtureModel(1)):
        start = model.start(data, np.ones((200, 1)))
        ends.append(climb(model, data, start, stopping=Stopping(1e-10, 1000)))
    assert np.isinf(ends[0].params.dofs).all()
    assert ends[0].flags == ("boundary",)
    assert ends[0].loglik == pytest.approx(ends[1].loglik, abs=1e-9)
    heavy = StudentMixtureModel(1, dofs=4.0)
    end = climb(heavy, data, heavy.start(data, np.ones((200, 1))))
    assert end.flags == ()


def test_a_normal_component_can_grow_tails_again(rng):
    x = rng.standard_t(3.0, size=(300, 1))
    data, model = Table.from_array(x), StudentMixtureModel(1)
    start = model.start(data, np.ones((300, 1)))
    normal = StudentMixtureParams(start.weights, start.means, start.covariances, np.array([np.inf]))
    assert np.isfinite(model.observed_step(normal, data, frozenset({"dofs"}))[0].dofs).all()


def test_a_scatter_that_shrinks_onto_equal_values_is_a_collapse():
    data = Table.from_array(np.array([[0.0], [0.0], [0.0], [0.0], [1.0], [2.0], [5.0]]))
    model = StudentMixtureModel(1, dofs=0.5)  # unbounded below 4 / 3: Fernandez and Steel (1999)
    start = model.start(data, np.ones((7, 1)))
    end = climb(model, data, start, stopping=Stopping(0, 20_000))
    assert end.status == "degenerate"
    assert "shrank onto equal values" in end.message


def test_an_empty_component_is_a_collapse(rng):
    model, params, data = case(rng)
    far = StudentMixtureParams(np.array([1.0, 0.0]), params.means, params.covariances, params.dofs)
    with pytest.raises(Degenerate, match="component 1 has no rows"):
        model.m_step(model.e_step(far, data), far)


def test_other_posteriors_divide_the_rows_among_components(rng):
    model, params, data = case(rng, weights=rng.integers(0, 3, 60))
    rows = data.informative
    for posterior in (HARD, sampled(np.random.default_rng(0)), tempered(0.5)):
        stats = model.e_step(params, data, posterior)
        assert stats.counts.sum() == pytest.approx(data.weights[rows].sum())
        assert stats.loglik == pytest.approx(model.e_step(params, data).loglik)
    assert model.e_step(params, data, HARD).counts == pytest.approx(
        np.bincount(
            model.posterior(params, data).responsibilities[rows].argmax(axis=1),
            weights=data.weights[rows], minlength=2,
        )
    )  # fmt: skip


def test_statistics_of_parts_add_up_to_those_of_the_whole(rng):
    model, params, data = case(rng)
    parts = [model.e_step(params, Table.from_array(data.values[s])) for s in
             (slice(0, 25), slice(25, None))]  # fmt: skip
    total, whole = parts[0] + parts[1], model.e_step(params, data)
    for name in ("counts", "log_precisions", "loglik", "magnitude"):
        assert getattr(total, name) == pytest.approx(getattr(whole, name), rel=1e-10)
    assert total.weighted.second == pytest.approx(whole.weighted.second, rel=1e-10)


def test_samples_have_the_moments_of_the_mixture(rng):
    model, params, _ = case(rng, (5.0, 9.0))
    x, labels = model.sample(params, 200_000, rng)
    assert np.bincount(labels) / len(x) == pytest.approx(params.weights, abs=0.01)
    for k, dof in enumerate(params.dofs):
        assert x[labels == k].mean(axis=0) == pytest.approx(params.means[k], abs=0.05)
        expected = params.covariances[k] * dof / (dof - 2)
        assert np.cov(x[labels == k].T) == pytest.approx(expected, rel=0.1, abs=0.1)


def test_drawn_cells_have_the_tails_of_the_conditional_t(rng):
    scatter = np.array([[1.0, 0.6], [0.6, 2.0]])
    params = StudentMixtureParams(np.ones(1), np.zeros((1, 2)), scatter[None], np.array([4.0]))
    model = StudentMixtureModel(1, dofs=4.0)
    data = Table.from_array(np.tile([3.0, np.nan], (100_000, 1)))
    drawn = model.complete(params, data, rng)[:, 1]
    # x_2 | x_1 is t with 5 degrees of freedom about 0.6 * 3, its scatter scaled by (4 + 9) / 5.
    expected = (2.0 - 0.36) * (4.0 + 9.0) / 5.0
    assert drawn.mean() == pytest.approx(1.8, abs=0.05)
    assert drawn.var() == pytest.approx(expected * 5 / 3, rel=0.1)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"dofs": "free"}, "'free' is not normal, each, common"),
        ({"dofs": 0.0}, "not positive"),
        ({"dofs": [3.0, math.nan]}, "not positive"),
        ({"dofs": [3.0]}, "neither a number nor"),
        ({"covariance_type": "fill"}, "not one of full"),
    ],
)
def test_wrong_settings_are_named(settings, words):
    with pytest.raises(ValueError, match=words):
        make_model("student_mixture", {"n_components": 2} | settings)
