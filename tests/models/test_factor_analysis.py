"""Factor analysis and mixtures of it: each promise is the name of a test."""

from dataclasses import fields
from fractions import Fraction

import numpy as np
import pytest
from sklearn.datasets import load_iris

from emlib.algorithms import Stopping, climb
from emlib.data import Table
from emlib.errors import InvalidData
from emlib.inference import bootstrap_errors, information_errors, observed_information
from emlib.models.differences import STEP, gradient, hessian, natural_steps
from emlib.models.factor_analysis import FactorAnalysisModel, FactorAnalysisParams
from emlib.models.factor_mixture import (
    MixtureOfFactorAnalyzersModel,
    MixtureOfFactorAnalyzersParams,
)
from emlib.models.posterior import HARD, tempered
from emlib.models.records import Degenerate
from tests.families.case_factors import MASK, FactorAnalysisCase, FactorMixtureCase
from tests.twins import row_log_joint


def converge(model, data, start, tol=1e-10):
    return climb(model, data, start, stopping=Stopping(tol, 50_000))


def starts(model, data):
    yield model.start(data, np.ones((data.n, 1)))
    yield model.random_start(data, np.random.default_rng(0))


def slow_sums(model, params, data):
    """The sums of ``FactorSums``, row by row from dense normal formulas."""
    k, d, q = params.loadings.shape
    full, noise = model.covariances(params), model.noise_by_column(params)
    gram, cross = np.zeros((k, d, q + 1, q + 1)), np.zeros((k, d, q + 1))
    squares, shares = np.zeros((k, d)), np.zeros(k)
    for row, weight in zip(data.values, data.weights, strict=True):
        o = ~np.isnan(row)
        if not o.any():
            continue
        log_joint, _, _ = row_log_joint(row, params.weights, params.means, full)
        responsibilities = np.exp(log_joint - np.logaddexp.reduce(log_joint))
        for c in range(k):
            share, loadings = weight * responsibilities[c], params.loadings[c]
            gain = loadings[o].T @ np.linalg.inv(full[c][np.ix_(o, o)])
            mean = gain @ (row[o] - params.means[c][o])
            spread = np.eye(q) - gain @ loadings[o]
            shares[c] += share
            for j in np.flatnonzero(o):
                first = np.concatenate([[1.0], mean])
                second = np.outer(first, first)
                second[1:, 1:] += spread
                residual = row[j] - params.means[c, j] - loadings[j] @ mean
                product = residual * first
                product[1:] -= spread @ loadings[j]
                gram[c, j] += share * second
                cross[c, j] += share * product
                squares[c, j] += share * (residual**2 + loadings[j] @ spread @ loadings[j])
    assert noise.shape == (k, d)
    return shares, gram, cross, squares


@pytest.mark.parametrize("noise", ["diagonal", "isotropic"])
@pytest.mark.parametrize("k", [1, 3])
def test_the_compiled_e_step_is_its_slow_twin(rng, noise, k):
    model, params, data = FactorMixtureCase(noise).draw(rng, n=10, k=k, q=2, missing=0.4)
    data = data.reweighted(rng.integers(0, 3, data.n).astype(float))
    stats = model.e_step(params, data)
    found = (stats.shares, stats.gram, stats.cross, stats.squares)
    for array, expected in zip(found, slow_sums(model, params, data), strict=True):
        assert array == pytest.approx(expected, rel=1e-9, abs=1e-9)


def test_rows_of_a_pattern_are_summarized_by_mean_and_scatter(rng):
    values = rng.normal(size=(500, 3)) @ rng.normal(size=(3, 3)) + 1e6
    values[:200, 1] = np.nan
    values[0] = [np.nan, 1e6, np.nan]
    values[1] = np.nan
    weights = rng.integers(0, 3, 500).astype(float)
    data = Table.from_array(values, weights)
    summary = data.summary
    assert len(summary.values) == 4 + 3 + 1
    rows = ~np.isnan(values).any(axis=1)
    pattern = np.flatnonzero(~np.isnan(summary.values).any(axis=1))
    head, scatter = pattern[0], summary.values[pattern[1:]]
    assert summary.presence[pattern].tolist() == [1.0, 0.0, 0.0, 0.0]
    assert summary.weights[head] == weights[rows].sum()
    mean = np.average(values[rows], axis=0, weights=weights[rows])
    assert summary.values[head] == pytest.approx(mean, rel=1e-14)
    expected = np.cov(values[rows], rowvar=False, fweights=weights[rows].astype(int), ddof=0)
    assert scatter.T @ scatter / weights[rows].sum() == pytest.approx(expected, rel=1e-7)


def test_an_iteration_on_complete_data_is_that_of_rubin_and_thayer(rng):
    model, params, data = FactorAnalysisCase(2, "diagonal").draw(rng, missing=0.0)
    x = data.values
    params = FactorAnalysisParams(x.mean(axis=0), params.loadings, params.noise_variance)
    scatter = np.cov(x, rowvar=False, ddof=0)
    gain = np.linalg.solve(model.covariance(params), params.loadings)  # their delta
    spread = np.eye(2) - gain.T @ params.loadings
    factors = gain.T @ scatter @ gain + spread
    loadings = np.linalg.solve(factors, gain.T @ scatter).T
    noise = np.diagonal(scatter - loadings @ gain.T @ scatter)
    moved = model.m_step(model.e_step(params, data), params)
    assert moved.mean == pytest.approx(params.mean)
    assert moved.loadings == pytest.approx(loadings, rel=1e-10)
    assert moved.noise_variance == pytest.approx(noise, rel=1e-10)


def test_em_reaches_the_closed_form_of_probabilistic_pca(rng):
    x = rng.normal(size=(80, 6)) @ rng.normal(size=(6, 6))
    data = Table.from_array(x)
    model = FactorAnalysisModel(3, "isotropic").prepare(data)
    values, vectors = np.linalg.eigh(np.cov(x, rowvar=False, ddof=0))
    noise = values[:3].mean()
    top = (vectors[:, 3:] * (values[3:] - noise)) @ vectors[:, 3:].T
    for start in starts(model, data):
        end = climb(model, data, start, stopping=Stopping(0, 3000)).params
        assert end.noise_variance == pytest.approx(noise, rel=1e-8)
        assert end.loadings @ end.loadings.T == pytest.approx(top, abs=1e-6)


def test_the_principal_components_start_is_the_maximum_of_probabilistic_pca(rng):
    data = Table.from_array(rng.normal(size=(50, 5)) @ rng.normal(size=(5, 5)))
    model = FactorAnalysisModel(2, "isotropic").prepare(data)
    start = model.start(data, np.ones((data.n, 1)))
    gain = converge(model, data, start).loglik - model.e_step(start, data).loglik
    assert gain == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("case", [FactorAnalysisCase(2, "diagonal"), FactorMixtureCase("diagonal")])
def test_an_m_step_moves_what_is_free_and_makes_q_stationary_there(rng, case):
    model, params, data = case.draw(rng)
    stats = model.e_step(params, data)
    for name in [f.name for f in fields(params)]:
        moved = model.m_step(stats, params, frozenset({name}))
        for other in [f.name for f in fields(params) if f.name != name]:
            assert np.array_equal(getattr(moved, other), getattr(params, other))
        flat = getattr(moved, name).ravel()

        def expected(vector, name=name, moved=moved):
            array = vector.reshape(getattr(moved, name).shape)
            if name == "weights":
                array = array / array.sum()
            return model.q(stats, type(moved)(**{**vars(moved), name: array}))

        steps = natural_steps(expected, flat)
        slope = gradient(expected, flat, steps) * steps / STEP
        assert np.abs(slope).max() < 1e-5


def test_sums_about_different_parameters_add_exactly(rng):
    model, params, data = FactorMixtureCase("diagonal").draw(rng)
    _, other, _ = FactorMixtureCase("diagonal").draw(rng)
    here = model.e_step(params, Table.from_array(data.values[:50]))
    there = model.e_step(other, Table.from_array(data.values[50:]))
    for total in (here + there, there + here):
        expected = model.q(here, other) + model.q(there, other)
        assert model.q(total, other) == pytest.approx(expected, rel=1e-10)
        assert total.loglik == pytest.approx(here.loglik + there.loglik)


def test_a_million_standard_deviations_from_zero_nothing_changes(rng):
    model, params, data = FactorAnalysisCase(2, "diagonal").draw(rng)
    shifted = Table.from_array(data.values + 1e6)
    moved = FactorAnalysisParams(params.mean + 1e6, params.loadings, params.noise_variance)
    expected = climb(model, data, params, stopping=Stopping(0, 20)).loglik
    found = climb(model, shifted, moved, stopping=Stopping(0, 20)).loglik
    assert found == pytest.approx(expected, rel=1e-7)


def test_a_loglik_with_tiny_noise_keeps_its_digits():
    """Against exact arithmetic with fractions."""
    loadings = np.array([[1.5, 0.25], [0.5, -1.25], [1.0, 0.75]])
    noise = np.array([2.0**-30, 2.0**-30, 0.5])
    x = np.array([[0.75, -1.5, 0.125], [-0.25, 0.5, 1.0], [1.25, 0.25, -2.0]])
    exact = [[Fraction(v) for v in row] for row in loadings @ loadings.T + np.diag(noise)]
    minors = [exact[i][i] for i in range(3)]
    loglik, augmented = 0.0, [row + [Fraction(v) for v in x[:, i]] for i, row in enumerate(exact)]
    for i in range(3):  # Gauss elimination: pivots give the determinant, residuals the distance
        minors[i] = augmented[i][i]
        for j in range(3):
            distance = augmented[i][3 + j] ** 2 / minors[i]
            loglik -= 0.5 * float(distance)
        loglik -= 1.5 * (np.log(float(minors[i])) + np.log(2 * np.pi))
        for r in range(i + 1, 3):
            ratio = augmented[r][i] / minors[i]
            augmented[r] = [a - ratio * b for a, b in zip(augmented[r], augmented[i], strict=True)]
    params = FactorAnalysisParams(np.zeros(3), loadings, noise)
    found = FactorAnalysisModel(2).e_step(params, Table.from_array(x)).loglik
    assert found == pytest.approx(loglik, rel=1e-8)


def test_missing_cells_and_scores_are_conditional_expectations(rng):
    model, params, data = FactorAnalysisCase(2, "diagonal").draw(rng, n=10, missing=0.5)
    posterior = model.posterior(params, data)
    full = model.covariance(params)
    for i, row in enumerate(data.values):
        o = ~np.isnan(row)
        _, completed, _ = row_log_joint(row, np.ones(1), params.mean[None], full[None])
        assert posterior.completed[i] == pytest.approx(np.where(o, row, completed[0]))
        gain = params.loadings[o].T @ np.linalg.inv(full[np.ix_(o, o)])
        assert posterior.latent[i] == pytest.approx(gain @ (row[o] - params.mean[o]))


def test_draws_of_missing_cells_have_their_conditional_covariance(rng):
    model, params, _ = FactorAnalysisCase(2, "diagonal").draw(rng)
    row = np.array([0.3, np.nan, np.nan, 1.0, np.nan, -0.5])
    data = Table.from_array(np.repeat(row[None], 40_000, axis=0))
    draws = model.complete(params, data, rng)
    full = model.covariance(params)[None]
    _, mean, covariance = row_log_joint(row, np.ones(1), params.mean[None], full)
    size = np.sqrt(np.diagonal(full[0]))
    assert np.abs((draws.mean(axis=0) - mean[0]) / size).max() < 0.03
    error = np.cov(draws, rowvar=False) - covariance[0]
    assert np.abs(error / np.outer(size, size)).max() < 0.03


@pytest.mark.parametrize("model", [
    FactorAnalysisModel(1),
    FactorAnalysisModel(3),
    FactorAnalysisModel(3, "isotropic"),
    FactorAnalysisModel(3, loadings_mask=MASK),
])  # fmt: skip
def test_the_chart_has_as_many_coordinates_as_densities_have_dimensions(rng, model):
    """The Jacobian of mean and covariance has full column rank: no gauge is left, none too much."""
    d = len(MASK)
    data = Table.from_array(rng.normal(size=(30, d)))
    params = model.random_start(data, rng)
    at = model.pack(params)
    assert len(at) == model.n_parameters(data)

    def density(vector):
        there = model.unpack(vector, params)
        return np.concatenate([there.mean, model.covariance(there)[np.tril_indices(d)]])

    def loose(vector):
        free = model.mask(d)
        loadings = np.zeros(free.shape)
        loadings[free] = vector[d : d + free.sum()]
        noise = np.diag(vector[d + free.sum() :] * np.ones(d))
        covariance = loadings @ loadings.T + noise
        return np.concatenate([vector[:d], covariance[np.tril_indices(d)]])

    free = params.loadings[model.mask(d)]
    everything = np.concatenate([params.mean, free, np.atleast_1d(params.noise_variance)])
    ranks = []
    for function, vector in ((density, at), (loose, everything)):
        columns = [
            (function(vector + 1e-4 * e) - function(vector - 1e-4 * e)) / 2e-4
            for e in np.eye(len(vector))
        ]
        ranks.append(np.linalg.matrix_rank(np.column_stack(columns), tol=1e-6))
    assert ranks[0] == ranks[1] == len(at)


@pytest.mark.parametrize("mask", [None, MASK])
def test_the_reported_rotation_is_canonical_and_changes_no_density(rng, mask):
    model, params, _ = FactorAnalysisCase(3, "diagonal", mask).draw(rng)
    turned = model.canonical(params)
    assert model.covariance(turned) == pytest.approx(model.covariance(params))
    information = turned.loadings.T @ (turned.loadings / turned.noise_variance[:, None])
    factors = slice(0, 3 if mask is None else 2)
    inside = information[factors, factors]
    assert inside == pytest.approx(np.diag(np.diagonal(inside)), abs=1e-9)
    assert (np.diff(np.diagonal(inside)) <= 0).all()
    largest = np.abs(turned.loadings).argmax(axis=0)
    assert (turned.loadings[largest, np.arange(3)] > 0).all()
    assert (turned.loadings[~model.mask(9)] == 0).all()
    again = model.canonical(turned)
    assert again.loadings == pytest.approx(turned.loadings)


@pytest.mark.parametrize(("n_factors", "mask", "bound"), [(1, None, []), (3, MASK, [0, 1])])
def test_loadings_have_standard_errors_where_no_rotation_moves_them(n_factors, mask, bound):
    rng = np.random.default_rng(1)
    model, params, _ = FactorAnalysisCase(n_factors, "diagonal", mask).draw(rng)
    data = Table.from_array(model.sample(params, 300, rng)[0])
    end = model.canonical(converge(model, data, params, 1e-8).params)
    errors = information_errors(model, data, end)
    assert errors.null_dimension == 0
    free = model.mask(data.d)
    for a in range(n_factors):
        expected = "not_identified" if a in bound else ""
        assert (errors.reasons["loadings"][free[:, a], a] == expected).all()
        assert np.isnan(errors["loadings"][free[:, a], a]).all() == (a in bound)
    for name in ("mean", "noise_variance", "communalities", "uniquenesses"):
        assert (errors[name] > 0).all()
    refits = bootstrap_errors(model, data, end, rng, 3, Stopping(1e-2, 50))
    assert (refits.reasons["loadings"] == errors.reasons["loadings"]).all()


def test_standard_errors_of_one_factor_are_those_of_simulation():
    """Of the estimates over 100 data sets, holes included, within their own sampling error."""
    rng = np.random.default_rng(3)
    model, true, _ = FactorAnalysisCase(1, "diagonal").draw(rng)
    estimates, errors = [], []
    for number in range(100):
        x = model.sample(true, 300, rng)[0]
        x[rng.random(x.shape) < 0.2] = np.nan
        data = Table.from_array(x)
        end = converge(model, data, true, 1e-6).params
        estimates.append(np.concatenate([end.loadings[:, 0], end.noise_variance]))
        if number < 3:
            found = information_errors(model, data, end)
            errors.append(np.concatenate([found["loadings"][:, 0], found["noise_variance"]]))
    ratio = np.mean(errors, axis=0) / np.std(estimates, axis=0)
    assert (np.abs(ratio - 1.0) < 0.3).all()


def test_a_heywood_case_is_a_boundary_and_freezes_its_own_coordinate_only():
    data = Table.from_array(load_iris().data)
    model = FactorAnalysisModel(1).prepare(data)
    end = climb(model, data, model.start(data, np.ones((150, 1))), stopping=Stopping(0, 5000))
    assert "boundary" in end.flags
    assert np.isneginf(model.pack(end.params, "unconstrained")).sum() == 1
    errors = information_errors(model, data, end.params)
    for name in ("noise_variance", "communalities", "uniquenesses"):
        assert errors.reasons[name].tolist() == ["", "", "boundary", ""]
    assert np.isfinite(errors["loadings"]).all()
    assert np.isfinite(errors["mean"]).all()


def test_two_equal_columns_make_the_likelihood_unbounded(rng):
    x = rng.normal(size=(50, 4))
    x[:, 3] = 2.0 * x[:, 1] - 5.0
    for noise in ("diagonal", "isotropic"):
        data = Table.from_array(x if noise == "diagonal" else x[:, [1, 3]])
        model = FactorAnalysisModel(1, noise).prepare(data)
        for start in starts(model, data):
            end = climb(model, data, start, stopping=Stopping(0, 20_000))
            assert end.status == "degenerate"
            assert "collapsed" in end.message


def test_more_columns_than_rows_are_no_obstacle(rng):
    """Robertson and Symons (2007): bounded although the sample covariance is singular."""
    data = Table.from_array(rng.normal(size=(8, 1)) + 0.7 * rng.normal(size=(8, 12)))
    model = FactorAnalysisModel(1).prepare(data)
    ends = [converge(model, data, start, 1e-6) for start in starts(model, data)]
    assert all(end.status == "converged" for end in ends)
    assert ends[0].loglik == pytest.approx(ends[1].loglik, abs=1e-3)


@pytest.mark.parametrize(
    ("model", "values", "words"),
    [
        (FactorAnalysisModel(5), np.eye(4), "5 factors of n_features=4"),
        (FactorAnalysisModel(2), np.arange(12.0).reshape(3, 4) ** 2, "n_samples=3 .* unbounded"),
        (FactorAnalysisModel(1), [[1, 2], [1, 3], [1, 4], [1, 0]], "column 0 is constant"),
        (FactorAnalysisModel(1, "isotropic"), np.ones((5, 2)), "all columns are constant"),
        (FactorAnalysisModel(1), [[np.nan, 2], [np.nan, 3], [np.nan, 1]], "column 0 has no"),
        (FactorAnalysisModel(1, loadings_mask=[[1], [0]]), np.eye(4), "2 rows for n_features=4"),
        (MixtureOfFactorAnalyzersModel(5), np.eye(4) + 1, "fewer than the 5 components"),
    ],
)
def test_data_that_no_fit_can_take_are_refused(model, values, words):
    with pytest.raises(InvalidData, match=words):
        model.prepare(Table.from_array(values))


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"n_factors": 0}, "n_factors: 0"),
        ({"noise": "spherical"}, "noise: 'spherical' is not one of diagonal, isotropic"),
        ({"loadings_mask": [[1, 0], [1, 1]]}, "loadings_mask: of shape"),
        ({"n_factors": 2, "loadings_mask": [[1, 1], [0, 0]]}, "2 factors on the same 1 columns"),
        ({"n_factors": 1, "loadings_mask": [[2], [1]]}, "true and false"),
    ],
)
def test_settings_are_checked(settings, words):
    with pytest.raises(ValueError, match=words):
        FactorAnalysisModel(**settings)


def test_factors_have_no_classes_to_temper():
    data = Table.from_array(np.random.default_rng(0).normal(size=(9, 3)))
    model = FactorAnalysisModel(1)
    start = model.start(data, np.ones((9, 1)))
    with pytest.raises(NotImplementedError, match="no latent classes"):
        model.e_step(start, data, HARD)
    mixture = MixtureOfFactorAnalyzersModel(2)
    params = mixture.start(data, np.random.default_rng(0).dirichlet(np.ones(2), 9))
    assert mixture.e_step(params, data, tempered(1e-9)).shares == pytest.approx([4.5, 4.5])
    hard = mixture.e_step(params, data, HARD).shares
    assert hard == pytest.approx(hard.round())


def test_a_noise_variance_of_zero_is_no_density():
    params = FactorAnalysisParams(np.zeros(2), np.ones((2, 1)), np.array([0.0, 1.0]))
    with pytest.raises(Degenerate, match="column 0: the noise variance is"):
        FactorAnalysisModel(1).e_step(params, Table.from_array(np.eye(2)))


def test_a_mixture_of_one_is_a_factor_analysis(rng):
    single, params, data = FactorAnalysisCase(2, "diagonal").draw(rng)
    mixture = MixtureOfFactorAnalyzersModel(1, 2)
    start = MixtureOfFactorAnalyzersParams(
        np.ones(1), params.mean[None], params.loadings[None], params.noise_variance[None]
    )
    ends = [
        climb(m, data, s, stopping=Stopping(0, 9)) for m, s in ((single, params), (mixture, start))
    ]
    assert ends[0].loglik == ends[1].loglik


def test_the_information_of_a_mixture_is_that_of_the_loglik(rng):
    model, params, data = FactorMixtureCase("isotropic").draw(rng, d=2, n=30)
    end = converge(model, data, params).params

    def objective(vector):
        return model.e_step(model.unpack(vector, end, "unconstrained"), data).loglik

    information = observed_information(model, data, end)
    steps = natural_steps(objective, information.at)
    scale = np.outer(steps, steps) / STEP**2
    expected = -hessian(objective, information.at, steps)
    assert information.observed * scale == pytest.approx(expected * scale, abs=1e-3)


def test_errors_against_a_truth_know_no_rotation(rng):
    model, params, _ = FactorAnalysisCase(2, "diagonal").draw(rng)
    truth = vars(params)
    turn = np.array([[0.6, -0.8], [0.8, 0.6]])
    turned = FactorAnalysisParams(params.mean, params.loadings @ turn, params.noise_variance)
    assert model.accepts_truth(truth)
    assert model.parameter_error(turned, truth) == pytest.approx(0.0, abs=1e-12)
    doubled = FactorAnalysisParams(params.mean, 2 * params.loadings, params.noise_variance)
    assert model.parameter_error(doubled, truth) > 0.1
    assert not FactorAnalysisModel(3).accepts_truth(truth)
