"""The sky, where stations see it, and what they measure: against ehtim and against formulas."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.special import j0, j1

from emlib.data import Visibilities
from emlib.data.sky import MICROARCSECOND, Grid
from emlib.datasets import check_spec, describe_dataset, draw_dataset, draw_truth
from emlib.datasets.coverage import observe
from emlib.datasets.imaging import visibilities_of
from emlib.datasets.skies import IMAGES, MOTIONS, SPOT, spot, video
from emlib.errors import ConfigError
from emlib.models import make_model

EHTIM = json.loads((Path(__file__).parents[1] / "reference" / "ehtim_sgra.json").read_text())


def ehtim_gaussian(grid):
    """The image of the reference: 1.5 Jy, 50 by 30 microarcseconds, its long axis 30 degrees from
    north to east, 10 to the east and 5 to the south."""
    east, north = grid.east - 10.0, grid.north + 5.0
    along = north * np.cos(np.pi / 6) + east * np.sin(np.pi / 6)
    across = north * np.sin(np.pi / 6) - east * np.cos(np.pi / 6)
    width = np.sqrt(8 * np.log(2))
    image = np.exp(-0.5 * ((along * width / 50) ** 2 + (across * width / 30) ** 2))
    return 1.5 * image / image.sum()


def test_coverage_noise_and_visibilities_are_those_of_ehtim():
    seen = observe("sgra", np.array(EHTIM["times"]))
    assert seen.n == EHTIM["n"]
    names = np.array(seen.stations)[seen.baselines]
    place = {
        (round(t, 6), *sorted(pair)): k
        for k, (t, pair) in enumerate(zip(seen.times, names, strict=True))
    }
    image = ehtim_gaussian(Grid(48, 160.0))
    for time, first, second, u, v, sigma, real, imaginary in EHTIM["rows"]:
        k = place[(round(time, 6), *sorted((first, second)))]
        sign = 1.0 if names[k, 0] == first else -1.0
        assert sign * seen.uv[k] == pytest.approx([u, v], abs=5e-3)  # of 4e9
        assert seen.sigmas[k] == pytest.approx(sigma, rel=1e-12)
        ours = Grid(48, 160.0).fourier(np.array([u]), np.array([v])) @ image
        assert ours[0] == pytest.approx(real + 1j * imaginary, abs=1e-9)


def test_a_gaussian_a_ring_and_a_disk_have_their_analytic_transforms():
    grid, size = Grid(96, 160.0), 50.0
    q = np.linspace(0.2e9, 6e9, 30)
    scaled = np.pi * q * size * MICROARCSECOND

    def seen(name):
        return (grid.fourier(0 * q, q) @ IMAGES[name](grid, size)).real

    gauss = np.exp(-((scaled) ** 2) / (4 * np.log(2)))
    assert seen("gaussian") == pytest.approx(gauss, abs=2e-3)
    cross = np.exp(-((np.pi * q * 10.0 * MICROARCSECOND) ** 2) / (4 * np.log(2)))
    assert seen("ring") == pytest.approx(j0(scaled) * cross, abs=0.03)  # the ring is not that thin
    wide, short = 2.4 * scaled, q < 2e9  # beside 120 microarcseconds, its edge is sharp
    disk = (grid.fourier(0 * q, q) @ IMAGES["disk"](grid, 2.4 * size)).real
    assert disk[short] == pytest.approx((2 * j1(wide) / wide)[short], abs=0.02)


@pytest.mark.parametrize("name", IMAGES)
def test_an_image_has_the_flux_one_and_is_nowhere_negative(name):
    image = IMAGES[name](Grid(96, 160.0), 50.0)
    assert image.sum() == pytest.approx(1.0)
    assert image.min() >= 0.0


def test_north_is_up_and_east_is_left():
    grid = Grid(48, 160.0)
    image = spot(grid, 40.0, 20.0).reshape(48, 48)
    row, column = np.unravel_index(image.argmax(), image.shape)
    assert row < 24
    assert column < 24
    crescent = IMAGES["crescent"](grid, 50.0).reshape(48, 48)
    assert crescent[24:].sum() > 1.3 * crescent[:24].sum()  # brighter in the south


def test_the_spot_turns_from_east_to_north():
    grid, frames = Grid(96, 160.0), 5
    moving = video(grid, 50.0, "orbit", frames, 12.0, 0.3)
    spots = moving - 0.7 * IMAGES["crescent"](grid, 50.0)
    east = spots @ grid.east / spots.sum(axis=1)
    north = spots @ grid.north / spots.sum(axis=1)
    assert np.degrees(np.arctan2(north, east)) == pytest.approx(12.0 * np.arange(frames), abs=0.05)
    assert np.hypot(east, north) == pytest.approx(25.0, abs=0.1)
    assert spots.sum(axis=1) == pytest.approx(0.3, rel=1e-4)
    assert SPOT < 25.0


@pytest.mark.parametrize("motion", MOTIONS)
def test_every_motion_is_positive_and_only_still_does_not_move(motion):
    frames = video(Grid(48, 160.0), 50.0, motion, 6, 12.0, 0.3)
    assert frames.shape == (6, 48**2)
    assert frames.min() >= 0.0
    assert np.allclose(frames[0], frames[-1]) == (motion == "still")


@pytest.mark.parametrize(("motion", "rotation"), [("orbit", 7.0), ("infall", 7.0), ("still", 0.0)])
def test_the_true_rotation_is_that_of_the_motion(motion, rotation):
    spec = {"generator": "rotating_video", "pixels": 4, "motion": motion, "rotation": 7.0}
    assert draw_truth(spec, np.random.default_rng(0))["rotation"] == rotation


def test_a_motion_of_many_angles_has_no_true_rotation_and_no_start_from_one():
    spec = {"generator": "rotating_video", "pixels": 4, "motion": "accelerating"}
    truth = draw_truth(spec, np.random.default_rng(0))
    assert "rotation" not in truth
    assert not make_model("rotating_video", {"pixels": 4}).accepts_truth(truth)


@pytest.mark.parametrize("generator", ["gaussian_image", "rotating_video"])
def test_what_is_drawn_is_the_sky_plus_noise_of_its_size(generator):
    spec = {"generator": generator, "pixels": 12}
    truth = draw_truth(spec, np.random.default_rng(0))
    drawn = draw_dataset(spec, None, np.random.default_rng(1), truth)
    data = Visibilities.from_arrays(drawn.values, **drawn.extras)
    assert data.n == describe_dataset(spec).n
    frames = truth.get("frames", truth.get("image"))
    frames = frames.reshape(-1, 48 * 48)
    clean = visibilities_of(frames, Grid(48, 160.0), np.column_stack([data.u, data.v]), data.frames)
    deviations = (data.values - clean) / data.sigmas
    squares = np.concatenate([deviations.real, deviations.imag]) ** 2
    assert squares.mean() == pytest.approx(1.0, abs=4 * np.sqrt(2 / len(squares)))
    assert data.n_frames == len(frames)


def test_gains_are_one_a_station_and_scan_and_do_not_change_closure_phases():
    noisy = {"generator": "gaussian_image", "flux": 1e4}  # noise is nothing beside the signal
    truth = draw_truth(noisy, np.random.default_rng(0))

    def closure(**errors):
        drawn = draw_dataset(noisy | errors, None, np.random.default_rng(1), truth)
        data = Visibilities.from_arrays(drawn.values, **drawn.extras)
        first = data.scans == np.bincount(data.scans).argmax()
        pair = {
            (a, b): y
            for a, b, y in zip(
                data.station1[first], data.station2[first], data.values[first], strict=True
            )
        }
        a, b, c = np.unique([*data.station1[first], *data.station2[first]])[:3]
        return pair[a, b], np.angle(pair[a, b] * pair[b, c] / pair[a, c])

    (plain, phase), (changed, same) = closure(), closure(gain_error=0.1, phase_error=40.0)
    assert abs(plain - changed) > 0.05 * abs(plain)
    assert same == pytest.approx(phase, abs=1e-2)


def test_outliers_have_ten_times_the_noise():
    spec = {"generator": "gaussian_image", "flux": 1e-12, "outliers": 0.5}
    drawn = draw_dataset(spec, np.random.default_rng(0), np.random.default_rng(1))
    data = Visibilities.from_arrays(drawn.values, **drawn.extras)
    ratio = np.abs(data.values / data.sigmas) ** 2 / 2
    assert ratio.mean() == pytest.approx(0.5 + 0.5 * 100, rel=0.15)


@pytest.mark.parametrize(
    ("wrong", "path", "said"),
    [
        ({"hours": [5, 4]}, "hours", "first, last"),
        ({"hours": [5, 8], "source": "m87"}, "hours", "no two of the stations"),
        ({"stations": {"A": [1, 2, 3, 4]}}, "stations", "two names or more"),
        ({"sky": "square"}, "sky", "not one of crescent"),
        ({"outliers": 1.0}, "outliers", "not in [0, 1)"),
    ],
)
def test_wrong_settings_are_named(wrong, path, said):
    ((found, text),) = check_spec({"generator": "gaussian_image"} | wrong)
    assert found == path
    assert said in text


@pytest.mark.parametrize("source", ["sgra", "m87"])
def test_a_video_of_either_source_is_seen_on_long_baselines_in_every_frame(source):
    settings = {"generator": "rotating_video", "source": source, "n_frames": 10, "pixels": 4}
    data = draw_dataset(settings, np.random.default_rng(0), np.random.default_rng(1))
    long = np.hypot(*data.extras["uv"].T) > 1e9
    assert np.bincount(data.extras["frames"], long, 10).min() >= 6  # of four sites


def test_stations_that_never_see_the_source_together_are_an_error():
    far = {"A": (6.4e6, 0, 0, 1000), "B": (-6.4e6, 0, 0, 1000)}
    with pytest.raises(ConfigError, match="no two of the stations A, B see sgra"):
        observe("sgra", np.arange(24.0), far)
