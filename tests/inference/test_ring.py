"""The ring fit on shapes whose numbers are known, before any image of the sky."""

import numpy as np
import pytest

from emlib.data.sky import FWHM, Grid
from emlib.datasets.skies import BLUR, CONTRAST, IMAGES
from emlib.errors import InvalidData
from emlib.inference.ring import fit_ring

FINE = Grid(96, 160.0)


def ring(diameter=42.0, fwhm=10.0, asymmetry=0.0, position_angle=0.0, east=0.0, north=0.0):
    x, y = FINE.east - east, FINE.north - north
    across = np.exp(-0.5 * ((np.hypot(x, y) - diameter / 2) * FWHM / fwhm) ** 2)
    bright = np.radians(90.0 - position_angle)
    image = across * (1 + 2 * asymmetry * np.cos(np.arctan2(y, x) - bright))
    return image.reshape(96, 96)


@pytest.mark.parametrize("diameter", [36.0, 42.0, 50.0])
@pytest.mark.parametrize("width", [8.0, 12.0])
def test_diameter_and_width_of_a_ring_are_found_again(diameter, width):
    found = fit_ring(ring(diameter, width), 160.0)
    assert found.diameter == pytest.approx(diameter, abs=0.7)
    assert found.width == pytest.approx(width, abs=0.7)
    assert found.asymmetry < 0.01
    assert found.central_brightness < 0.1
    assert found.diameter_spread < 1.0


@pytest.mark.parametrize("angle", [0.0, 90.0, 200.0])
def test_asymmetry_and_position_angle_count_from_north_to_east(angle):
    found = fit_ring(ring(asymmetry=0.25, position_angle=angle), 160.0)
    assert found.asymmetry == pytest.approx(0.25, abs=0.02)
    assert abs((found.orientation - angle + 180) % 360 - 180) < 2


def test_a_ring_out_of_the_middle_is_the_same_ring():
    found = fit_ring(ring(asymmetry=0.2, east=6.0, north=-4.0), 160.0)
    assert (found.east, found.north) == pytest.approx((6.0, -4.0), abs=0.7)
    assert found.diameter == pytest.approx(42.0, abs=0.7)


def test_on_the_grid_of_a_reconstruction_a_ring_keeps_its_diameter_and_gains_a_pixels_width():
    found = fit_ring(ring().reshape(24, 4, 24, 4).sum(axis=(1, 3)), 160.0)
    assert found.diameter == pytest.approx(42.0, abs=1.5)
    assert 10.0 < found.width < 14.0


def test_the_crescent_is_brightest_in_the_south():
    found = fit_ring(IMAGES["crescent"](FINE, 42.0).reshape(96, 96), 160.0)
    assert found.orientation == pytest.approx(180.0, abs=2)
    assert found.asymmetry == pytest.approx(CONTRAST / 2, abs=0.02)
    assert found.width == pytest.approx(BLUR, abs=0.7)


@pytest.mark.parametrize("shape", ["disk", "gaussian"])
def test_what_has_no_hole_has_a_bright_centre(shape):
    assert fit_ring(IMAGES[shape](FINE, 50.0).reshape(96, 96), 160.0).central_brightness > 0.9


def test_a_double_source_is_uneven():
    found = fit_ring(IMAGES["double"](FINE, 42.0).reshape(96, 96), 160.0)
    assert found.diameter_spread > 5.0 or found.central_brightness > 0.5


@pytest.mark.parametrize("diameter", [110.0, 150.0])
def test_a_ring_wider_than_what_is_read_is_refused_and_not_called_a_smaller_one(diameter):
    with pytest.raises(InvalidData, match="diameter below 100"):
        fit_ring(ring(diameter), 160.0)
    assert fit_ring(ring(90.0), 160.0).diameter == pytest.approx(90.0, abs=0.7)


def test_what_is_no_image_is_refused():
    with pytest.raises(InvalidData, match=r"shape \(3,\)"):
        fit_ring(np.ones(3), 160.0)
    with pytest.raises(InvalidData, match="positive"):
        fit_ring(np.zeros((8, 8)), 160.0)
