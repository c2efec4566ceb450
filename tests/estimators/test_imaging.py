"""GaussianImage and RotatingVideo on skies whose truth is known."""

import pickle
import warnings
from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from emlib import GaussianImage, RotatingVideo
from emlib.data import Visibilities
from emlib.datasets import GENERATORS, draw_dataset
from emlib.errors import InvalidData
from emlib.inits import make_init
from emlib.study.scores import image_scores


def drawn(family, seed, dropped=0.0, **settings):
    """Visibilities of a generated sky, and its truth."""
    rng = np.random.default_rng(seed)
    generator = GENERATORS[family]
    truth = generator.draw_truth(settings, rng)
    data = generator.draw_rows(settings, truth, rng)
    values = data.values.copy()
    values[rng.random(len(values)) < dropped] = np.nan
    return Visibilities.from_arrays(values, **data.extras), truth


def scores(images, truth, **settings):
    return image_scores(images.reshape(-1, images.shape[-1] ** 2), truth, 160.0, **settings)


@pytest.fixture(scope="module")
def crescent():
    return drawn("gaussian_image", 3, 0.3, cadence=30.0)


def test_the_image_is_close_to_the_truth_and_its_error_of_the_size_that_it_says(crescent):
    data, truth = crescent
    model = GaussianImage(algorithm="squarem").fit(data)
    assert model.converged_
    found = scores(model.image_, truth)
    assert found["ncc"] > 0.94
    true = truth["image"].reshape(24, 4, 24, 4).sum(axis=(1, 3))
    size = np.sqrt(((model.image_ - true) ** 2).mean() / (model.image_sd_**2).mean())
    assert 0.3 < size < 2.0
    assert model.image_.sum() == pytest.approx(true.sum(), rel=0.05)


def test_learned_band_variances_have_the_higher_likelihood(crescent):
    data, _ = crescent
    free, held = GaussianImage(), GaussianImage(held=("band_variances",))
    assert free.fit(data).loglik_ > held.fit(data).loglik_ + 2.0
    start = make_init("power_law")(held.model_, data, np.random.default_rng(0)).params
    assert held.band_variances_ == pytest.approx(start.band_variances)


def test_hidden_visibilities_are_predicted_within_their_noise(crescent):
    data, _ = crescent
    model = GaussianImage(algorithm="squarem").fit(data)
    completed = model.predict(data)
    assert completed[data.observed] == pytest.approx(data.values[data.observed])
    whole, _ = drawn("gaussian_image", 3, 0.0, cadence=30.0)
    error = np.abs(completed - whole.values)[~data.observed]
    assert np.median(error) < 0.02 * np.abs(whole.values).max()


def test_t_noise_is_better_where_some_visibilities_are_spoilt():
    errors = {"gaussian": [], "student": []}
    for seed in range(3):
        data, truth = drawn("gaussian_image", seed, cadence=60.0, outliers=0.1)
        for noise, found in errors.items():
            model = GaussianImage(noise=noise, tol=0, max_iter=30).fit(data)
            found.append(scores(model.image_, truth)["nrmse"])
    assert np.mean(errors["student"]) < np.mean(errors["gaussian"])


def test_gains_are_estimated_and_the_penalized_objective_is_told():
    data, truth = drawn("gaussian_image", 1, cadence=60.0, gain_error=0.1, phase_error=10.0)
    with_gains = GaussianImage(gains=True, max_iter=100, tol=0).fit(data)
    without = GaussianImage(max_iter=100, tol=0).fit(data)
    found = scores(with_gains.image_, truth, anywhere=True)["ncc"]  # no phase is known
    assert found > scores(without.image_, truth, anywhere=True)["ncc"]
    from_disk = GaussianImage(gains=True, init_params="disk", max_iter=100, tol=0).fit(data)
    assert from_disk.objective_ == pytest.approx(with_gains.objective_, abs=1.0)
    assert with_gains.objective_ != with_gains.loglik_
    assert (np.diff(with_gains.history_.objective) > -1e-6).all()
    assert len(with_gains.gain_amplitudes_) == len(with_gains.gain_phases_) > 0


def test_the_best_of_several_starts_finds_the_rotation_and_a_wrong_way_round_ends_lower():
    data, truth = drawn("rotating_video", 0, n_frames=20)
    settings = {"algorithm": "squarem", "max_iter": 40}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        ends = {
            angle: RotatingVideo(init_params=motion(angle), n_init=1, **settings).fit(data)
            for angle in (-12.0, 8.0)
        }
        model = RotatingVideo(n_init=4, random_state=1, **settings).fit(data)
    assert ends[8.0].loglik_ > ends[-12.0].loglik_ + 100.0
    assert model.rotation_ == pytest.approx(12.0, abs=0.2)
    found = scores(model.frames_, truth)
    assert found["nrmse"] < 0.28
    assert found["dynamic_nrmse"] < 0.2
    assert found["spot_angle_error"] < 5.0
    assert model.frames_.shape == model.frames_sd_.shape == (20, 24, 24)


def motion(angle):
    return make_init("motion", {"lowest": angle, "highest": angle})


def test_estimators_are_copied_pickled_and_refuse_what_is_no_visibilities(crescent):
    data, _ = crescent
    model = clone(GaussianImage(pixels=12, n_bands=4, held=("flux",), tol=0, max_iter=5)).fit(data)
    again = pickle.loads(pickle.dumps(model))
    assert (again.image_ == model.image_).all()
    with pytest.raises(TypeError, match="Visibilities"):
        GaussianImage().fit(np.ones((3, 2)))
    with pytest.raises(ValueError, match="held: 'mass' is not one of band_variances, flux"):
        GaussianImage(held=("mass",)).fit(data)
    with pytest.raises(ValueError, match="station gains to estimate"):
        GaussianImage(init_params="disk").fit(data)
    with pytest.raises(ValueError, match="prior_fwhm: -1 is not a positive number"):
        GaussianImage(prior_fwhm=-1).fit(data)
    for setting in "separation", "fwhm", "angle":
        with pytest.raises(ValueError, match=f"{setting}: nan"):
            make_init("double", {setting: np.nan})


def test_what_was_fitted_to_each_visibility_predicts_no_others(crescent):
    data, _ = crescent
    model = GaussianImage(pixels=12, noise="student", tol=0, max_iter=2).fit(data)
    fewer = replace(data, values=np.where(np.arange(data.n) % 2, np.nan, data.values))
    with pytest.raises(InvalidData, match=r"noise_weights: .* predict takes the visibilities of"):
        model.predict(fewer)
    with pytest.raises(TypeError, match="no Visibilities"):
        model.predict(np.ones(3))


def test_a_variance_on_its_way_to_zero_is_told_to_lie_on_the_boundary():
    """A Gaussian sky is all mean image: the finest band has nothing to show."""
    settings = {"source": "sgra", "cadence": 60.0, "sky": "gaussian", "flux": 0.3}
    spec = {"generator": "gaussian_image", **settings}
    sky = draw_dataset(spec, np.random.default_rng(2), np.random.default_rng(3))
    data = Visibilities.from_arrays(sky.values, **sky.extras)
    fitted = GaussianImage(pixels=16).fit(data)
    assert fitted.flags_ == ("boundary",)
    errors = fitted.standard_errors()
    assert errors.reasons["band_variances"].tolist() == ["", "", "", "boundary"]
    model, params = fitted.model_, fitted.params_
    end = model.settled(params, model.e_step(params, data))
    assert end.band_variances[-1] == 0.0
    assert model.loglik(end, data) == pytest.approx(fitted.loglik_, abs=0.03)
    free, _ = drawn("gaussian_image", 3, cadence=60.0)
    assert GaussianImage(pixels=16).fit(free).flags_ == ()


def test_a_dict_of_starting_values_is_taken(crescent):
    data, _ = crescent
    first = GaussianImage(pixels=12, n_bands=4, tol=0, max_iter=5).fit(data)
    start = {name: getattr(first, f"{name}_") for name in ("band_variances", "flux", "noise_scale")}
    second = GaussianImage(pixels=12, n_bands=4, tol=0, max_iter=5, init_params=start).fit(data)
    assert second.loglik_ > first.loglik_
