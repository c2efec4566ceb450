"""The ring in an image: diameter, width, orientation, asymmetry and central brightness.

The definitions of the EHT Collaboration (2019), ApJL 875, L4, section 9.1: the centre is where the
radius of the brightest point varies least with the angle, relative to its mean.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import Grid
from emlib.errors import InvalidData

Array = NDArray[np.float64]

RADII = np.arange(0.0, 50.0 + 0.25, 0.5)
"""Along which a profile is read, microarcseconds."""
ANGLES = np.linspace(0.0, 2.0 * np.pi, 180, endpoint=False)
"""From east to north."""
SMALLEST_RADIUS = 5.0
"""Of a ring; the central brightness is the mean within it."""
SEARCH = 20.0
"""How far from the flux-weighted centre the ring's may be, microarcseconds."""
STARTS = 5
"""Of the search for the centre, along each axis."""


@dataclass(frozen=True)
class Ring:
    """A ring, as measured in an image.

    Attributes
    ----------
    diameter : float
        Twice the mean radius of the brightest point, microarcseconds.
    diameter_spread : float
        Twice its standard deviation over angles.
    width : float
        Mean full width at half maximum of the radial profiles above the floor, which is the mean
        brightness at the largest radius; microarcseconds.
    orientation : float
        Of the brightest side, degrees east of north (astronomers' position angle), in [0, 360).
    asymmetry : float
        Amplitude of the first angular mode over the ring's width, relative to the mean: 0 for an
        even ring.
    central_brightness : float
        Mean brightness within 5 microarcseconds of the centre over the mean along the ring: near 0
        for a ring, near or above 1 for what has no hole.  The mean is over angles and radii, each
        radius counting alike, so that the centre itself has more weight than in a mean by area.
    east, north : float
        The centre, microarcseconds.
    """

    diameter: float
    diameter_spread: float
    width: float
    orientation: float
    asymmetry: float
    central_brightness: float
    east: float
    north: float


def fit_ring(image: Array, field_of_view: float) -> Ring:
    """Measure the ring in an image.

    An image without a ring gets numbers too: then the central brightness is near or above 1, or the
    diameter's spread is large.

    Parameters
    ----------
    image : ndarray of shape (pixels, pixels)
        The first row is the northern, the first column the eastern edge.
    field_of_view : float
        Length of a side, microarcseconds.

    Raises
    ------
    InvalidData
        If the image is not square or has no positive flux, or if at most angles it is brightest at
        the largest radius that is read, 50 microarcseconds: a ring wider than that.
    """
    from scipy.optimize import minimize  # here: fits start in half the time without it

    image = np.asarray(image, dtype=float)
    if image.ndim != 2 or image.shape[0] != image.shape[1]:
        raise InvalidData(f"an image of shape {image.shape}: (pixels, pixels) is needed")
    light = np.maximum(image, 0.0)
    if not np.isfinite(image).all() or light.sum() <= 0:
        raise InvalidData("an image without positive, finite flux has no ring")
    grid = Grid(len(image), field_of_view)
    middle = np.array([(light.ravel() @ axis) / light.sum() for axis in (grid.east, grid.north)])

    def unevenness(centre: Array) -> float:
        if np.hypot(*(centre - middle)) > SEARCH:
            return np.inf
        peaks = _peaks(_profiles(image, grid, centre))
        return float(peaks.std() / peaks.mean())

    offsets = np.linspace(-0.5 * SEARCH, 0.5 * SEARCH, STARTS)
    centres = [middle + np.array([east, north]) for east in offsets for north in offsets]
    start = min(centres, key=unevenness)
    found = minimize(unevenness, start, method="Nelder-Mead", options={"xatol": 0.05})
    return _measured(image, grid, found.x)


def _profiles(image: Array, grid: Grid, centre: Array) -> Array:
    """Brightness at each angle and radius; 0 outside the image."""
    from scipy.ndimage import map_coordinates

    step = grid.field_of_view / grid.pixels
    east = centre[0] + np.outer(np.cos(ANGLES), RADII)
    north = centre[1] + np.outer(np.sin(ANGLES), RADII)
    places = [(grid.pixels - 1) / 2.0 - axis / step for axis in (north, east)]
    return np.asarray(map_coordinates(image, places, order=3, mode="constant"))


def _peaks(profiles: Array) -> Array:
    """Radius of the brightest point at each angle."""
    first = int(np.searchsorted(RADII, SMALLEST_RADIUS))
    return np.asarray(RADII[first + profiles[:, first:].argmax(axis=1)])


def _measured(image: Array, grid: Grid, centre: Array) -> Ring:
    profiles = _profiles(image, grid, centre)
    peaks = _peaks(profiles)
    if np.median(peaks) == RADII[-1]:
        raise InvalidData(
            f"the image is brightest {RADII[-1]:g} microarcseconds or more from any centre: only "
            f"rings of a diameter below {2 * RADII[-1]:g} are measured"
        )
    radius = float(peaks.mean())
    floor = float(profiles[:, -1].mean())
    width = float(
        np.mean([_fwhm(row - floor, peak) for row, peak in zip(profiles, peaks, strict=True)])
    )
    on_ring = np.abs(RADII - radius) <= 0.5 * width
    around = profiles[:, on_ring]
    mode = (around * np.exp(1j * ANGLES)[:, None]).sum(axis=0)
    strength = around.sum(axis=0)
    bright = np.degrees(np.angle(mode.sum()))
    along = np.array([np.interp(radius, RADII, row) for row in profiles]).mean()
    inside = profiles[:, RADII <= SMALLEST_RADIUS].mean()
    return Ring(
        diameter=2.0 * radius,
        diameter_spread=2.0 * float(peaks.std()),
        width=width,
        orientation=float((90.0 - bright) % 360.0),
        asymmetry=float(np.mean(np.abs(mode) / strength)),
        central_brightness=float(inside / along),
        east=float(centre[0]),
        north=float(centre[1]),
    )


def _fwhm(profile: Array, peak: float) -> float:
    """Width of the profile around its peak where it is above half of it."""
    at = int(np.searchsorted(RADII, peak))
    half = 0.5 * profile[at]
    return _crossing(profile[at:], half) + _crossing(profile[at::-1], half)


def _crossing(profile: Array, half: float) -> float:
    """How far from its first point a profile falls to a level; to its end if it never does."""
    below = np.flatnonzero(profile < half)
    step = RADII[1] - RADII[0]
    if not len(below):
        return float(step * (len(profile) - 1))
    k = int(below[0])
    if k == 0:
        return 0.0
    part = (profile[k - 1] - half) / (profile[k - 1] - profile[k])
    return float(step * (k - 1 + part))
