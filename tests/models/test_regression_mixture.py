"""Mixtures of regressions against plain formulas: an iteration, sums, steps, what may move."""

import numpy as np
import pytest
from scipy.special import digamma, logsumexp
from scipy.stats import norm, t

from emlib.algorithms import Stopping, climb
from emlib.data import Regression
from emlib.errors import InvalidData
from emlib.models import Degenerate, make_model
from emlib.models.dofs import TailPass, excess_slopes, log_excess
from emlib.models.posterior import HARD, sampled, tempered
from emlib.models.regression_mixture import (
    ONE,
    RegressionMixtureModel,
    RegressionMixtureParams,
    _view,
)
from emlib.models.truncated import LOG_ROOT_TWO_PI
from tests.families.case_poisson_regression_mixture import PoissonRegressionMixtureCase
from tests.families.case_regression_mixture import RegressionMixtureCase


def drawn(rng, dofs=np.inf, equal_scales=False, n=150, missing=0.2):
    case = RegressionMixtureCase("twin", dofs, equal_scales, p=2)
    model, params, data = case.draw(rng, n=n, missing=missing)
    return model, params, data.reweighted(rng.integers(0, 3, n) + 0.5)


def weighted_cells(params, data):
    """Weight times responsibility (n, K), and E[u], E[log u] of each cell (n, K, d)."""
    shares = np.zeros((data.n, len(params.weights)))
    u, log_u = np.ones((2, *shares.shape, data.d))
    for i, (row, z) in enumerate(zip(data.values, data.covariates, strict=True)):
        seen = ~np.isnan(row)
        joint = np.log(params.weights)
        for k, dof in enumerate(params.dofs):
            law = norm if np.isinf(dof) else t(dof)
            e = (row - params.intercept[k] - params.coef[k] @ z) / params.scales[k]
            joint[k] += (law.logpdf(e[seen]) - np.log(params.scales[k][seen])).sum()
            if np.isfinite(dof):
                u[i, k] = (dof + 1) / (dof + e**2)
                log_u[i, k] = digamma((dof + 1) / 2) - np.log((dof + e**2) / 2)
        if seen.any():
            shares[i] = data.weights[i] * np.exp(joint - logsumexp(joint))
    return shares, u, log_u


@pytest.mark.parametrize("dofs", [np.inf, (2.0, 5.0), (3.0, np.inf)])
@pytest.mark.parametrize("equal_scales", [False, True])
def test_one_iteration_is_weighted_least_squares(rng, dofs, equal_scales):
    model, params, data = drawn(rng, dofs, equal_scales)
    stats = model.e_step(params, data)
    shares, u, log_u = weighted_cells(params, data)
    seen, design = data.observed, np.column_stack([np.ones(data.n), data.covariates])
    assert stats.counts == pytest.approx(shares.sum(axis=0))
    finite = np.isfinite(params.dofs)
    cells = (shares[:, :, None] * seen[:, None]).sum(axis=0)
    logs = np.einsum("nk,nd,nkd->k", shares, seen, np.nan_to_num(log_u))
    assert stats.log_precisions[finite] == pytest.approx(logs[finite])
    found = model.m_step(stats, params)
    squares = np.zeros((2, data.d))
    for k in range(2):
        for j in range(data.d):
            rows = seen[:, j]
            root = np.sqrt((shares[:, k] * u[:, k, j])[rows])
            y = data.values[rows, j]
            line = np.linalg.lstsq(root[:, None] * design[rows], root * y, rcond=None)[0]
            assert found.intercept[k, j] == pytest.approx(line[0], rel=1e-9, abs=1e-9)
            assert found.coef[k, j] == pytest.approx(line[1:], rel=1e-9, abs=1e-9)
            squares[k, j] = ((root * (y - design[rows] @ line)) ** 2).sum()
    variances = squares / cells
    if equal_scales:
        variances = np.tile(squares.sum(axis=0) / cells.sum(axis=0), (2, 1))
    assert found.scales == pytest.approx(np.sqrt(variances), rel=1e-9)


@pytest.mark.parametrize("free", [{"intercept"}, {"coef"}, {"scales"}, {"weights", "coef"}])
def test_what_is_held_fixed_stays_and_the_rest_still_climbs(rng, free):
    model, params, data = drawn(rng)
    stats = model.e_step(params, data)
    found = model.m_step(stats, params, frozenset(free))
    for name in ("weights", "intercept", "coef", "scales"):
        same = np.array_equal(getattr(found, name), getattr(params, name))
        assert same == (name not in free)
    assert model.e_step(found, data).loglik > stats.loglik
    assert model.q(stats, found) > model.q(stats, params)


def test_statistics_of_parts_with_other_origins_add_up_to_those_of_the_whole(rng):
    for case in (RegressionMixtureCase("sum", "each", p=2), PoissonRegressionMixtureCase()):
        model, params, data = case.draw(rng, n=60)
        parts = [
            model.e_step(params, model.view(data.values[s], None, covariates=data.covariates[s]))
            for s in (slice(0, 20), slice(20, None))
        ]
        whole = model.e_step(params, data)
        total = parts[0] + parts[1]
        assert total.loglik == pytest.approx(whole.loglik)
        one, other = model.m_step(total, params), model.m_step(whole, params)
        for name, array in vars(one).items():
            assert array == pytest.approx(getattr(other, name), rel=1e-8, abs=1e-9)


@pytest.mark.parametrize("tails", [(0.8, 0.3), (1e-3, 0.5)])
def test_slopes_in_the_tails_are_those_of_the_loglik(rng, tails):
    from emlib.kernels.regression import regression_tails

    model, params, data = drawn(rng, (2.0, 3.0))
    heights, coef = model._lines(params, data)

    def evaluate(at):
        return TailPass(*regression_tails(
            *_view(data, data.groups), np.log(params.weights), heights, coef, params.scales, at,
            log_excess(at, ONE) - LOG_ROOT_TWO_PI, *excess_slopes(at, ONE),
        ))  # fmt: skip

    at = np.array(tails)
    here = evaluate(at)
    moved = RegressionMixtureParams(**(vars(params) | {"dofs": 1 / at}))
    assert here.loglik == pytest.approx(model.e_step(moved, data).loglik, rel=1e-12)
    for k in range(2):
        step = 1e-4 * np.eye(2)[k]
        ends = [evaluate(at - step), evaluate(at + step)]
        slope = (ends[1].loglik - ends[0].loglik) / 2e-4
        assert here.gradient[k] == pytest.approx(slope, rel=1e-4, abs=1e-4)
        bend = (ends[1].gradient - ends[0].gradient) / 2e-4
        assert here.hessian[k] == pytest.approx(bend, rel=1e-3, abs=1e-2)


def test_other_posteriors_divide_the_rows_among_components(rng):
    for case in (RegressionMixtureCase("posterior"), PoissonRegressionMixtureCase()):
        model, params, data = case.draw(rng)
        exact = model.e_step(params, data)
        labels = model.posterior(params, data).responsibilities.argmax(axis=1)
        for posterior in (HARD, sampled(np.random.default_rng(0)), tempered(0.5)):
            stats = model.e_step(params, data, posterior)
            counts = stats.counts if hasattr(stats, "counts") else stats.shares.sum(axis=0)
            assert counts.sum() == pytest.approx(data.informative.sum())
            assert stats.loglik == pytest.approx(exact.loglik)
            if posterior is HARD:
                assert counts == pytest.approx(np.bincount(labels[data.informative], minlength=2))


def test_far_covariates_and_responses_keep_their_digits(rng):
    model, params, data = drawn(rng)
    far = Regression.from_arrays(data.values + 1e7, data.covariates + 1e7, data.weights)
    there = RegressionMixtureParams(**(
        vars(params) | {"intercept": params.intercept + 1e7 - 1e7 * params.coef.sum(axis=2)}
    ))  # fmt: skip
    ends = [
        climb(model, view, start, stopping=Stopping(tol=0, max_iter=20))
        for view, start in ((data, params), (far, there))
    ]
    assert ends[1].loglik == pytest.approx(ends[0].loglik, rel=1e-6)
    assert ends[1].params.coef == pytest.approx(ends[0].params.coef, rel=1e-5)


def test_lines_through_all_their_responses_are_a_collapse(rng):
    z = rng.normal(size=(40, 1))
    y = np.where(np.arange(40)[:, None] % 2, 2.0 * z, 5.0 - z)
    for equal_scales in (False, True):
        model = RegressionMixtureModel(2, equal_scales)
        data = Regression.from_arrays(y, z)
        start = RegressionMixtureParams(
            np.full(2, 0.5), np.array([[0.0], [5.0]]), np.array([[[2.0]], [[-1.0]]]),
            np.full((2, 1), 0.1), np.full(2, np.inf),
        )  # fmt: skip
        end = climb(model.prepare(data), data, start)
        assert end.status == "degenerate"


def test_a_component_whose_rows_share_their_covariates_has_no_line(rng):
    z = np.array([[0.0, 0.0]] * 5 + [[9.0, 1.0], [1.0, 9.0], [7.0, 7.0], [3.0, 5.0]])
    y = np.where(z.sum(axis=1, keepdims=True) > 0, 100.0, 0.0) + rng.normal(size=(9, 1))
    data, model = Regression.from_arrays(y, z), RegressionMixtureModel(2)
    params = RegressionMixtureParams(
        np.full(2, 0.5), np.array([[0.0], [100.0]]), np.zeros((2, 1, 2)), np.ones((2, 1)),
        np.full(2, np.inf),
    )  # fmt: skip
    stats = model.e_step(params, data)
    with pytest.raises(Degenerate, match="do not determine it"):
        model.m_step(stats, params)


def test_settings_and_data_are_refused_with_reasons(rng):
    for settings, words in (
        ({"n_components": 0}, "not a positive integer"),
        ({"n_components": 2, "dofs": "free"}, "'free' is not normal, each"),
        ({"n_components": 2, "equal_scales": "yes"}, "neither true nor false"),
    ):
        with pytest.raises(ValueError, match=words):
            make_model("regression_mixture", settings)
    data = Regression.from_arrays(rng.normal(size=(3, 1)), np.zeros((3, 0)))
    with pytest.raises(InvalidData, match="fewer than the 4 components"):
        RegressionMixtureModel(4).prepare(data)
    assert RegressionMixtureModel(1).prepare(data).n_parameters(data) == 2
