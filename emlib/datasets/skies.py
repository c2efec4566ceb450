"""True skies: still images and videos that an interferometer may look at.

All are made of smooth functions of the place, drawn on a grid, of a total flux of 1.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import FWHM, Grid

Array = NDArray[np.float64]

BLUR = 10.0
"""Full width at half maximum of the ring's cross section and of edges, microarcseconds."""
SPOT = 20.0
"""Full width at half maximum of a spot, microarcseconds."""
BRIGHT_SIDE = np.radians(-90.0)
"""Where a crescent is brightest, measured from east to north: in the south."""
CONTRAST = 0.6
"""Of a crescent: its brightest side is (1 + 0.6) / (1 - 0.6) times as bright as its faintest."""


def crescent(grid: Grid, size: float) -> Array:
    """A ring of the diameter ``size``, brighter in the south."""
    angle = np.arctan2(grid.north, grid.east)
    return _whole(_ring(grid, size) * (1.0 + CONTRAST * np.cos(angle - BRIGHT_SIDE)))


def ring(grid: Grid, size: float) -> Array:
    """A ring of the diameter ``size`` and the width ``BLUR``, the same all around."""
    return _whole(_ring(grid, size))


def disk(grid: Grid, size: float) -> Array:
    """A disk of the diameter ``size``, its edge a little soft."""
    radius = np.hypot(grid.east, grid.north)
    return _whole(1.0 / (1.0 + np.exp((radius - size / 2) * 4.0 / BLUR)))


def double(grid: Grid, size: float) -> Array:
    """Two spots, the distance ``size`` apart from north-east to south-west, one twice as bright."""
    shift = size / 2 / np.sqrt(2.0)
    return _whole(2.0 * spot(grid, shift, shift) + spot(grid, -shift, -shift))


def gaussian(grid: Grid, size: float) -> Array:
    """A round Gaussian whose full width at half maximum is ``size``."""
    return grid.gaussian(size)


IMAGES: dict[str, Callable[[Grid, float], Array]] = {
    "crescent": crescent,
    "ring": ring,
    "disk": disk,
    "double": double,
    "gaussian": gaussian,
}


def spot(grid: Grid, east: float, north: float) -> Array:
    """A Gaussian spot at a place, microarcseconds; of the flux 1 where it lies in the view."""
    squares = (grid.east - east) ** 2 + (grid.north - north) ** 2
    peaked = np.exp(-0.5 * squares * (FWHM / SPOT) ** 2)
    step = grid.field_of_view / grid.pixels
    return np.asarray(peaked * step**2 * FWHM**2 / (2.0 * np.pi * SPOT**2))


def _ring(grid: Grid, size: float) -> Array:
    radius = np.hypot(grid.east, grid.north)
    return np.exp(-0.5 * ((radius - size / 2) * FWHM / BLUR) ** 2)


def _whole(image: Array) -> Array:
    return np.asarray(image / image.sum())


# --- videos: where the spot is, and how bright ---

Path = tuple[Array, Array, Array]
"""Angle (from east to north, radians), distance from the centre in units of the orbit's, and
brightness of the spot in each frame, shape (n_frames,) each."""


def orbit(turns: Array, rotation: float) -> Path:
    """The same angle from frame to frame."""
    return rotation * turns, np.ones(len(turns)), np.ones(len(turns))


def infall(turns: Array, rotation: float) -> Path:
    """A spiral down to a third of the orbit."""
    inwards = 1.0 - 2.0 / 3.0 * turns / max(turns[-1], 1.0)
    return rotation * turns, inwards, np.ones(len(turns))


def flare(turns: Array, rotation: float) -> Path:
    """An orbit of a spot that flares up in the middle and fades."""
    share = turns / max(turns[-1], 1.0)
    return rotation * turns, np.ones(len(turns)), 2.0 * np.exp(-0.5 * ((share - 0.5) / 0.2) ** 2)


def accelerating(turns: Array, rotation: float) -> Path:
    """An orbit from half of the angle a frame to one and a half of it."""
    share = turns / max(turns[-1], 1.0)
    return rotation * turns * (0.5 + 0.5 * share), np.ones(len(turns)), np.ones(len(turns))


def still(turns: Array, rotation: float) -> Path:
    """No motion at all."""
    return np.zeros(len(turns)), np.ones(len(turns)), np.ones(len(turns))


MOTIONS: dict[str, Callable[[Array, float], Path]] = {
    "orbit": orbit,
    "infall": infall,
    "flare": flare,
    "accelerating": accelerating,
    "still": still,
}


def video(
    grid: Grid, size: float, motion: str, n_frames: int, rotation: float, moving: float
) -> Array:
    """A still crescent and a spot that moves along its ring, shape (n_frames, pixels ** 2).

    Parameters
    ----------
    grid : Grid
    size : float
        Diameter of crescent and orbit, microarcseconds.
    motion : str
        A name in ``MOTIONS``.
    rotation : float
        Degrees a frame, from east to north.
    moving : float
        The spot's share of the flux.
    """
    angle, distance, brightness = MOTIONS[motion](np.arange(float(n_frames)), np.radians(rotation))
    radius = size / 2 * distance
    spots = [
        share * spot(grid, east, north)
        for share, east, north in zip(
            brightness, radius * np.cos(angle), radius * np.sin(angle), strict=True
        )
    ]
    return (1.0 - moving) * crescent(grid, size) + moving * np.array(spots)
