"""Images and videos: densities against dense normal laws, ascent, gradients, and gains."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import multivariate_normal

from emlib.algorithms import Stopping, climb, make_algorithm
from emlib.data import Visibilities
from emlib.data.sky import Grid
from emlib.errors import InvalidData
from emlib.kernels.rotating_chain import posterior as chain_posterior
from emlib.models.differences import gradient, natural_steps
from emlib.models.imaging import GaussianImageModel, RotatingVideoModel
from emlib.models.imaging.base import LARGEST_CORRELATION
from emlib.models.imaging.marginal import Marginal
from emlib.models.imaging.measurement import Measurements, complex_gains
from emlib.models.imaging.motion import Motion, best_correlation, best_rotation
from emlib.models.imaging.polar import polar_basis
from emlib.models.imaging.selfcal import derivatives
from tests.imaging_twins import dense_law

SEEDS = st.integers(0, 2**31)
BASELINES = np.array([(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)])


def tiny(rng, n=9, n_frames=4):
    """Random visibilities of four stations, a fifth of them hidden."""
    frames = np.sort(rng.integers(0, n_frames, n))
    values = rng.normal(size=(n, 2))
    values[1:][rng.random(n - 1) < 0.2] = np.nan
    return Visibilities.from_arrays(
        values, sigmas=rng.uniform(0.05, 0.5, n), uv=3e9 * rng.normal(size=(n, 2)),
        baselines=BASELINES[rng.integers(0, 6, n)], frames=frames, scans=frames // 2,
    )  # fmt: skip


def with_measurement(model, params, rng):
    """Random noise, weights and gains."""
    phases = rng.uniform(-3, 3, len(model.reference))
    return replace(
        params,
        flux=np.asarray(rng.normal()),
        noise_scale=np.asarray(np.exp(rng.normal())),
        noise_weights=np.exp(rng.normal(size=params.noise_weights.shape)),
        gain_amplitudes=np.exp(0.2 * rng.normal(size=params.gain_amplitudes.shape)),
        gain_phases=np.where(model.reference, 0.0, phases),
    )


def measurement(rng):
    return {"noise": rng.choice(["gaussian", "student"]).item(), "gains": bool(rng.integers(2))}


def image_problem(rng):
    data = tiny(rng)
    model = GaussianImageModel(
        pixels=int(rng.integers(3, 6)), n_bands=int(rng.integers(1, 4)), **measurement(rng)
    ).prepare(data)
    return model, with_measurement(model, model.random_start(data, rng), rng), data


def video_problem(rng, n_frames=None):
    data = tiny(rng, n_frames=n_frames or int(rng.integers(1, 5)))
    model = RotatingVideoModel(
        pixels=int(rng.integers(3, 6)), n_states=int(rng.integers(1, 8)), **measurement(rng)
    ).prepare(data)
    params = replace(
        with_measurement(model, model.motion_start(data, rng.uniform(-180, 180)), rng),
        static_variance=np.asarray(np.exp(2 * rng.normal())),
        moving_variance=np.asarray(np.exp(2 * rng.normal())),
        correlation=np.asarray(rng.uniform(0, 1)),
    )
    return model, params, data


GAINS = ("gain_amplitudes", "gain_phases")
PROBLEMS = pytest.mark.parametrize("problem", [image_problem, video_problem])


@PROBLEMS
@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_the_loglik_is_the_density_of_a_dense_normal_law(problem, seed):
    model, params, data = problem(np.random.default_rng(seed))
    observed = data.values[data.observed]
    law = multivariate_normal(*dense_law(model, params, data))
    expected = law.logpdf(np.concatenate([observed.real, observed.imag]))
    assert model.e_step(params, data).loglik == pytest.approx(expected, rel=1e-8, abs=1e-8)
    assert model.posterior(params, data).loglik.sum() == pytest.approx(expected, rel=1e-8, abs=1e-8)


@PROBLEMS
def test_what_a_climb_ascends_never_falls_in_a_thousand_tiny_problems(problem):
    for seed in range(1_000):
        model, params, data = problem(np.random.default_rng(seed))
        end = climb(model, data, params, stopping=Stopping(tol=0, max_iter=6))
        assert end.status == "max_iter", (seed, end.message)


@PROBLEMS
@settings(max_examples=8, deadline=None)
@given(SEEDS)
def test_the_gradient_of_q_is_that_of_the_objective(problem, seed):
    model, params, data = problem(np.random.default_rng(seed))

    def objective(vector):
        there = model.unpack(vector, params, "unconstrained")
        return model.e_step(there, data).loglik + model.log_prior(there)

    at = model.pack(params, "unconstrained")
    completed = model.q_in_chart(model.e_step(params, data), params)
    steps = 0.05 * np.minimum(natural_steps(completed, at), natural_steps(objective, at))
    expected, found = gradient(objective, at, steps), gradient(completed, at, steps)
    assert found * steps == pytest.approx(expected * steps, abs=1e-6)


@PROBLEMS
@settings(max_examples=10, deadline=None)
@given(SEEDS)
def test_an_m_step_leaves_a_maximum_of_q_in_each_parameter(problem, seed):
    model, params, data = problem(np.random.default_rng(seed))
    stats = model.e_step(params, data)
    for _ in range(3_000):  # conditional maxima in turn come to one that is common
        before, params = params, model.m_step(stats, params)
        moved = model.pack(params) - model.pack(before)
        if np.abs(moved).max() < 1e-12:
            break
    best = model.q(stats, params) + model.log_prior(params)
    vector = model.pack(params)
    for i in range(len(vector)):
        for factor in (0.99, 1.01):
            other = vector.copy()
            other[i] *= factor
            there = model.unpack(other, params)
            if model.inside(there):
                assert model.q(stats, there) + model.log_prior(there) <= best + 1e-7


@PROBLEMS
@pytest.mark.parametrize("coordinates", ["natural", "unconstrained"])
def test_packed_parameters_come_back(problem, coordinates):
    for seed in range(8):
        model, params, data = problem(np.random.default_rng(seed))
        vector = model.pack(params, coordinates)
        assert vector.shape == (model.n_coordinates(data),)
        back = model.unpack(vector, params, coordinates)
        assert model.pack(back, coordinates) == pytest.approx(vector, rel=1e-9)
        assert model.e_step(back, data).loglik == pytest.approx(model.e_step(params, data).loglik)


@pytest.mark.parametrize("held", [(), ("noise_weights",)])
def test_student_noise_has_as_many_parameters_as_normal_noise(held):
    data = tiny(np.random.default_rng(0))
    for kind in GaussianImageModel, RotatingVideoModel:
        normal, student = kind(pixels=4), kind(pixels=4, noise="student", held=held)
        assert student.n_parameters(data) == normal.n_parameters(data)


@PROBLEMS
def test_the_flux_is_the_likeliest(problem):
    for seed in range(6):
        model, params, data = problem(np.random.default_rng(seed))
        best, _ = model.observed_step(params, data, frozenset({"flux"}))
        top = model.e_step(best, data).loglik
        for change in (-0.01, 0.01):
            other = replace(best, flux=best.flux + change * (1.0 + abs(best.flux)))
            assert model.e_step(other, data).loglik < top
        assert model.e_step(params, data).loglik <= top


def test_every_step_of_the_cycle_raises_the_objective_of_an_image():
    for seed in range(60):
        model, params, data = image_problem(np.random.default_rng(seed))
        moved = {name for step in model.cycle for name in step.free}
        assert moved >= {"band_variances", "noise_scale", "flux"}
        for step in model.cycle:
            if step.maximizes == "q":
                params = model.m_step(model.e_step(params, data), params, step.free)
                continue
            before = model.loglik(params, data) + model.log_prior(params)
            params, _ = model.observed_step(params, data, step.free)
            after = model.loglik(params, data) + model.log_prior(params)
            assert after >= before - 1e-9 * (1.0 + abs(before))


@pytest.mark.parametrize("noise", ["gaussian", "student"])
@pytest.mark.parametrize("gains", [False, True])
def test_a_climb_is_charged_for_every_covariance_that_it_inverts(noise, gains, monkeypatch):
    made = []
    whole = Marginal.of
    monkeypatch.setattr(Marginal, "of", lambda *given: made.append(1) or whole(*given))
    data = tiny(np.random.default_rng(11), n=30)
    model = GaussianImageModel(pixels=5, n_bands=2, noise=noise, gains=gains).prepare(data)
    params = model.start(data, np.ones((30, 1)))
    end = climb(model, data, params, stopping=Stopping(tol=0, max_iter=6))
    assert end.e_steps == len(made)


def test_self_calibration_knows_the_slopes_and_the_curvature_of_the_objective():
    rng = np.random.default_rng(7)
    data = tiny(rng, n=30)
    model = GaussianImageModel(pixels=5, n_bands=2, gains=True, gain_spread=0.3).prepare(data)
    params = with_measurement(model, model.random_start(data, rng), rng)
    seen, number = model.design(data).measurements, len(params.gain_phases)

    def moved(step):
        amplitudes = params.gain_amplitudes * np.exp(step[:number])
        phases = params.gain_phases + step[number:]
        return replace(params, gain_amplitudes=amplitudes, gain_phases=phases)

    def objective(step):
        there = moved(step)
        return model.loglik(there, data) + model.log_prior(there)

    def slopes(step):
        there = moved(step)
        return derivatives(there, seen, model.marginal(there, model.design(data)), 0.3)[0]

    _, exact, positive = derivatives(params, seen, model.marginal(params, model.design(data)), 0.3)
    assert np.linalg.eigvalsh(positive).min() > -1e-9 * np.abs(positive).max()
    nudges = 1e-5 * np.eye(2 * number)
    found = [(objective(nudge) - objective(-nudge)) / 2e-5 for nudge in nudges]
    assert slopes(0 * nudges[0]) == pytest.approx(found, rel=1e-5, abs=1e-5 * np.abs(found).max())
    bends = np.array([(slopes(-nudge) - slopes(nudge)) / 2e-5 for nudge in nudges])
    assert exact == pytest.approx(bends, rel=1e-5, abs=1e-6 * np.abs(bends).max())


def test_gains_are_found_where_baselines_of_one_scan_share_no_station():
    """A phase of each such part changes no visibility, and no step may depend on it."""
    rng = np.random.default_rng(3)
    data = Visibilities.from_arrays(
        rng.normal(size=(24, 2)), sigmas=np.full(24, 0.2), uv=3e9 * rng.normal(size=(24, 2)),
        baselines=np.tile([(0, 1), (2, 3)], (12, 1)), scans=np.repeat(np.arange(12), 2),
    )  # fmt: skip
    model = GaussianImageModel(pixels=6, n_bands=2, gains=True).prepare(data)
    assert np.array(model.reference).reshape(12, 4).tolist() == [[True, False, True, False]] * 12
    params = model.start(data, np.ones((24, 1)))
    end = climb(model, data, params)
    assert end.status == "converged"
    assert end.objective > climb(replace(model, held=GAINS), data, params).objective + 10.0
    assert np.abs(end.params.gain_phases).max() > 0.1


def test_a_video_whose_amplitudes_are_held_learns_phases_alone():
    rng = np.random.default_rng(5)
    data = tiny(rng, n=20)
    model = RotatingVideoModel(pixels=5, n_states=5, gains=True, held=GAINS[:1]).prepare(data)
    params = with_measurement(model, model.start(data, np.ones((20, 1))), rng)
    end = climb(model, data, params, stopping=Stopping(tol=0, max_iter=3)).params
    assert (end.gain_amplitudes == params.gain_amplitudes).all()
    assert np.abs(end.gain_phases - params.gain_phases).max() > 1e-3
    with pytest.raises(ValueError, match="held: gain_phases without gain_amplitudes"):
        RotatingVideoModel(gains=True, held=GAINS[1:])


def test_no_band_is_finer_than_the_longest_observed_baseline():
    rng = np.random.default_rng(3)
    data = tiny(rng, n=40)
    longest = np.hypot(data.u, data.v) == np.hypot(data.u, data.v)[data.observed].max()
    hidden = replace(data, values=np.where(longest, np.nan, data.values))
    for seen in (data, hidden):
        model = GaussianImageModel(pixels=12, n_bands=3).prepare(seen)
        reach = np.hypot(seen.u, seen.v)[seen.observed].max() * 160e-6 / 3600 * np.pi / 180
        assert model.resolved == pytest.approx(reach)
        frequency = model.grid.waves()[1]
        assert (model.bands[frequency >= reach] == model.bands.max()).all()
    assert model.resolved < GaussianImageModel(pixels=12).prepare(data).resolved


def drawn_sky(model, variances, seed):
    """An image from the model's own law, on a grid twice as fine."""
    waves = np.sqrt(variances[model.bands]) * np.random.default_rng(seed).normal(
        size=len(model.bands)
    )
    image = (model.mean_image * (2.0 + model.grid.waves()[0] @ waves)).reshape(2 * [model.pixels])
    return {"image": np.kron(image, np.full((2, 2), 0.25)), "field_of_view": np.array(160.0)}


def test_an_image_starts_from_the_true_flux_and_the_power_of_its_waves():
    model, variances = GaussianImageModel(pixels=16, n_bands=3), np.array([10.0, 2.0, 0.5])
    starts = []
    for seed in range(8):
        truth = drawn_sky(model, variances, seed)
        assert model.accepts_truth(truth)
        starts.append(model.from_truth(truth))
        assert starts[-1].flux == pytest.approx(truth["image"].sum())
    ratios = np.mean([start.band_variances for start in starts], axis=0) / variances
    assert ((ratios > 0.5) & (ratios < 2.0)).all()


@pytest.mark.parametrize("other", [{"gains": True}, {"noise": "student"}, {"pixels": 7}])
def test_what_a_truth_does_not_say_is_no_start(other):
    truth = drawn_sky(GaussianImageModel(pixels=16), np.ones(4), 0)
    assert not GaussianImageModel(**{"pixels": 16, **other}).accepts_truth(truth)
    assert not RotatingVideoModel(pixels=16, n_states=5).accepts_truth(truth)


@PROBLEMS
def test_held_parameters_stay_and_are_not_counted(problem):
    model, params, data = problem(np.random.default_rng(5))
    held = replace(model, held=("flux", "noise_scale"))
    end = climb(held, data, params, stopping=Stopping(tol=0, max_iter=3)).params
    assert (end.flux, end.noise_scale) == (params.flux, params.noise_scale)
    assert held.n_parameters(data) == model.n_parameters(data) - 2


@PROBLEMS
@pytest.mark.parametrize("algorithm", ["squarem", "anderson"])
def test_accelerated_climbs_do_not_fall_either(problem, algorithm):
    for seed in range(10):
        model, params, data = problem(np.random.default_rng(seed))
        end = climb(
            model, data, params, make_algorithm(algorithm), Stopping(tol=0, max_iter=15)
        )  # fmt: skip
        assert end.status == "max_iter", end.message


@PROBLEMS
def test_the_posterior_is_that_of_the_dense_law(problem):
    """Hidden visibilities are completed by conditional means, at gains of 1."""
    for seed in range(6):
        model, params, data = problem(np.random.default_rng(seed))
        model = replace(model, gains=False, reference=())
        params = replace(params, gain_amplitudes=np.empty(0), gain_phases=np.empty(0))
        everything = replace(data, values=np.nan_to_num(data.values))
        weights = np.ones(data.n)
        if model.noise == "student":
            weights[data.observed] = params.noise_weights
            mean, law = dense_law(model, replace(params, noise_weights=weights), everything)
        else:
            mean, law = dense_law(model, params, everything)
        seen = np.tile(data.observed, 2)
        y = np.concatenate([data.values.real, data.values.imag])
        cross = law[np.ix_(~seen, seen)]
        expected = mean[~seen] + cross @ np.linalg.solve(
            law[np.ix_(seen, seen)], y[seen] - mean[seen]
        )
        completed = model.posterior(params, data).completed
        assert completed[data.observed] == pytest.approx(y[seen].reshape(2, -1).T)
        assert completed[~data.observed] == pytest.approx(expected.reshape(2, -1).T, abs=1e-9)


@pytest.mark.parametrize(("n_frames", "k", "correlation"), [(1, 2, 0.5), (4, 4, 0.9), (5, 3, 0.0)])
def test_the_smoother_is_the_inverse_of_the_whole_precision(n_frames, k, correlation):
    rng = np.random.default_rng(n_frames)
    values, partner = rng.normal(size=(n_frames, 3)), np.arange(k)[::-1]
    left, right = rng.normal(size=(2, n_frames, 3, k))
    found = chain_posterior(values[:, :, None], left, right, correlation, partner)
    lags = np.abs(np.subtract.outer(np.arange(n_frames), np.arange(n_frames)))
    prior = np.zeros(((n_frames + 1) * k,) * 2)
    prior[:k, :k] = np.eye(k)
    prior[k:, k:] = np.kron(correlation**lags, np.eye(k))
    maps = np.zeros((n_frames, 3, n_frames + 1, k))
    maps[:, :, 0] = left
    for t in range(n_frames):
        maps[t, :, t + 1] = right[t]
    maps = maps.reshape(3 * n_frames, -1)
    precision = np.linalg.inv(prior) + maps.T @ maps
    law = np.linalg.inv(precision)
    means = (law @ maps.T @ values.ravel()).reshape(-1, k)
    law = law.reshape(n_frames + 1, k, n_frames + 1, k)
    data_law = np.eye(3 * n_frames) + maps @ prior @ maps.T
    assert found.log_det == pytest.approx(np.linalg.slogdet(data_law)[1])
    assert np.vstack([found.constant.T, found.means[:, :, 0]]) == pytest.approx(means)
    spread = np.array([np.diagonal(law[t, :, t]) for t in range(1, n_frames + 1)])
    assert found.variances == pytest.approx(spread)
    pairs = [law[t + 1, :, t] for t in range(1, n_frames)] or [np.zeros((k, k))]
    assert found.lagged == pytest.approx(sum(np.diagonal(pair) for pair in pairs))
    assert found.crossed == pytest.approx(sum(pair[np.arange(k), partner] for pair in pairs))
    for t in range(n_frames):
        slope = found.slopes[t] @ found.constant_covariance
        assert -slope == pytest.approx(law[t + 1, :, 0], abs=1e-10)
        whole = found.covariances[t] + slope @ found.slopes[t].T
        assert whole == pytest.approx(law[t + 1, :, t + 1], abs=1e-10)


def test_the_polar_basis_has_the_covariance_of_the_field():
    grid = Grid(16, 240.0)
    basis = polar_basis(grid, 60.0, 40.0, 700)
    distance = np.hypot(np.subtract.outer(grid.east, grid.east),
                        np.subtract.outer(grid.north, grid.north))  # fmt: skip
    scaled, mean = np.sqrt(3.0) * distance / 40.0, grid.gaussian(60.0)
    expected = mean[:, None] * (1.0 + scaled) * np.exp(-scaled) * mean
    assert np.abs(basis.images @ basis.images.T - expected).max() < 0.002 * expected.max()
    assert basis.explained == pytest.approx(1.0, abs=0.01)


def test_a_rotation_of_states_rotates_their_image():
    """By a right angle, which turns the pixels into each other: east goes to north."""
    model = RotatingVideoModel(pixels=12, n_states=30)
    states = np.random.default_rng(0).normal(size=len(model.basis.order))
    image = (model.basis.images @ states).reshape(12, 12)
    turned = (model.basis.turned(model.basis.images, np.asarray(90.0)) @ states).reshape(12, 12)
    assert turned == pytest.approx(np.rot90(image, -1), abs=1e-12 * np.abs(image).max())


@settings(max_examples=60, deadline=None)
@given(SEEDS)
def test_the_m_step_finds_the_global_maximum_over_the_motion(seed):
    rng = np.random.default_rng(seed)
    order = int(rng.integers(1, 12))
    motion = Motion(
        2.0, 2.0, 5.0, rng.normal(size=order + 1), rng.normal(size=order + 1),
        rng.uniform(-180, 180), 4, 3,
    )  # fmt: skip
    angle = best_rotation(motion, 10.0)
    grid = np.linspace(-180, 180, 3001)
    assert motion.overlap(angle) >= max(motion.overlap(other) for other in grid) - 1e-12
    assert -180.0 < angle <= 180.0
    scale = max(abs(motion.overlap(angle)) / 4.0, 0.1)
    motion = motion._replace(first=2.0 * scale, last=2.0 * scale, inner=5.0 * scale)
    correlation = best_correlation(motion, 1.3, 0.5, angle)
    assert 0.0 <= correlation <= LARGEST_CORRELATION
    best = motion.log_density(1.3, correlation, angle)
    values = [motion.log_density(1.3, rho, angle) for rho in np.linspace(0, 0.999, 500)]
    assert best >= max(values) - 1e-9


def test_gains_are_found_when_the_image_is_known():
    rng = np.random.default_rng(2)
    data = tiny(rng, n=60)
    model = GaussianImageModel(pixels=5, n_bands=2, gains=True, gain_spread=1.0).prepare(data)
    shape = model.grid.gaussian(40.0)
    known = Measurements.of(data, data.values[data.observed])
    true = np.exp(0.3 * rng.normal(size=known.n_gains) + 1j * rng.uniform(-3, 3, known.n_gains))
    values = data.values.copy()
    clean = model.grid.fourier(data.u, data.v) @ shape
    seen = data.observed
    values[seen] = true[known.gain1] * true[known.gain2].conj() * clean[seen]
    exact = replace(data, values=values, sigmas=np.full(data.n, 1e-6))
    start = model.start_from_image(exact, shape)
    g = complex_gains(start)
    ratio = (g[known.gain1] * g[known.gain2].conj() * clean[seen]) / values[seen]
    assert ratio == pytest.approx(np.full(len(ratio), ratio[0]), rel=1e-2)  # but for the flux
    assert abs(ratio[0].imag) < 1e-2


def test_an_outlier_gets_a_small_weight_and_data_without_any_a_refusal():
    rng = np.random.default_rng(4)
    data = tiny(rng, n=40)
    model = GaussianImageModel(pixels=5, n_bands=2, noise="student").prepare(data)
    drawn = model.bootstrapped(model.start(data, np.ones((40, 1))), data, rng)
    values = drawn.values.copy()
    values[0] += 30.0 * drawn.sigmas[0]
    spoiled = replace(drawn, values=values)
    end = climb(model, spoiled, model.start(spoiled, np.ones((40, 1))))
    assert end.params.noise_weights.argmin() == 0
    assert end.params.noise_weights[0] < 0.1
    hidden = replace(data, values=np.full(40, complex(np.nan, np.nan)))
    with pytest.raises(InvalidData, match="no visibility is observed"):
        model.prepare(hidden)
