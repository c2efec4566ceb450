"""When an array of telescopes sees a source, on which baselines, and with how much thermal noise.

Thompson, Moran and Swenson (2017), Interferometry and Synthesis in Radio Astronomy, sections 4.1
and 6.2; station positions and noise as in the EHT's campaign of April 2017 (Event Horizon Telescope
Collaboration 2019, ApJL 875, L2, table 2; eht-imaging's ``arrays/EHT2017.txt``).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from emlib.errors import ConfigError

Array = NDArray[np.float64]

SPEED_OF_LIGHT = 299_792_458.0
LOWEST, HIGHEST = 10.0, 85.0
"""Degrees of elevation between which a station observes."""
QUANTIZATION = 0.88
"""Share of the signal that two-bit sampling keeps."""


class Source(NamedTuple):
    """Where a source stands: right ascension in hours, declination in degrees."""

    right_ascension: float
    declination: float


SOURCES = {"sgra": Source(17.761121, -29.007843), "m87": Source(12.513729, 12.391123)}

STATIONS: dict[str, tuple[float, float, float, float, float]] = {
    "PV": (5088967.9000, -301681.6000, 3825015.8000, 1400.0, 3600.0),
    "SMT": (-1828796.200, -5054406.800, 3427865.200, 5000.0, 14400.0),
    "SMA": (-5464523.400, -2493147.080, 2150611.750, 4900.0, 6030.0),
    "LMT": (-768713.9637, -5988541.7982, 2063275.9472, 600.0, 3600.0),
    "ALMA": (2225061.164, -5440057.37, -2481681.15, 90.0, 70.0),
    "SPT": (0.01, 0.01, -6359609.7, 5000.0, 16900.0),
    "APEX": (2225039.53, -5441197.63, -2479303.36, 3500.0, 4900.0),
    "JCMT": (-5464584.68, -2493001.17, 2150653.98, 6000.0, 10000.0),
}
"""Geocentric x, y, z in metres; system equivalent flux density in Jy towards Sgr A*, and M87 (the
geometric mean of both polarizations)."""


@dataclass(frozen=True, eq=False)
class Coverage:
    """The visibilities that an array measures, in order of time; names are those of the view.

    Attributes
    ----------
    stations : tuple of str
    baselines : ndarray of shape (n, 2), int64
    uv : ndarray of shape (n, 2)
        Wavelengths.
    sigmas : ndarray of shape (n,)
        Jy, of real and imaginary part.
    times : ndarray of shape (n,)
        Greenwich sidereal hours.
    frames : ndarray of shape (n,), int64
        The number of its time among those asked for.
    scans : ndarray of shape (n,), int64
    """

    stations: tuple[str, ...]
    baselines: NDArray[np.int64]
    uv: Array
    sigmas: Array
    times: Array
    frames: NDArray[np.int64]
    scans: NDArray[np.int64]

    @property
    def n(self) -> int:
        return len(self.sigmas)


def standard_stations(source: str) -> dict[str, tuple[float, float, float, float]]:
    """The EHT of 2017 as x, y, z (metres) and flux density (Jy) by name."""
    column = list(SOURCES).index(source)
    return {name: (*values[:3], values[3 + column]) for name, values in STATIONS.items()}


def observe(
    source: str,
    hours: Array,
    stations: Mapping[str, tuple[float, float, float, float]] | None = None,
    *,
    frequency: float = 230e9,
    bandwidth: float = 2e9,
    integration: float = 60.0,
) -> Coverage:
    """The visibilities of all pairs of stations that see a source.

    Parameters
    ----------
    source : str
        A name in ``SOURCES``.
    hours : ndarray of shape (n_times,)
        Greenwich sidereal hours at which all stations integrate.
    stations : mapping, optional
        x, y, z (metres, geocentric) and system equivalent flux density (Jy) by name; by default
        the EHT of 2017.
    frequency, bandwidth : float
        Hz.
    integration : float
        Seconds.

    Raises
    ------
    ConfigError
        If no pair of stations ever sees the source.
    """
    table = dict(standard_stations(source) if stations is None else stations)
    numbers = np.array(list(table.values()), dtype=np.float64)
    right_ascension, declination = SOURCES[source]
    direction = np.array([np.cos(np.radians(declination)), 0.0, np.sin(np.radians(declination))])
    east = np.array([0.0, 1.0, 0.0])
    north = np.cross(direction, east)
    places = _turned(numbers[:, :3], (np.asarray(hours) - right_ascension) * np.pi / 12)
    up = np.degrees(np.arcsin(places @ direction / np.linalg.norm(numbers[:, :3], axis=1)))
    sees = (up > LOWEST) & (up < HIGHEST)
    first, second = np.triu_indices(len(table), 1)
    moment, pair = np.nonzero(sees[:, first] & sees[:, second])
    if not len(pair):
        raise ConfigError(f"no two of the stations {', '.join(table)} see {source} at these hours")
    ends = np.column_stack([first[pair], second[pair]])
    apart = places[moment, ends[:, 0]] - places[moment, ends[:, 1]]
    wavelength = SPEED_OF_LIGHT / frequency
    noise = numbers[:, 3]
    radiometer = 2.0 * bandwidth * integration
    sigmas = np.sqrt(noise[ends[:, 0]] * noise[ends[:, 1]] / radiometer) / QUANTIZATION / np.sqrt(2)
    return Coverage(
        tuple(table),
        ends.astype(np.int64),
        np.column_stack([apart @ east, apart @ north]) / wavelength,
        sigmas,
        np.asarray(hours, dtype=np.float64)[moment],
        moment.astype(np.int64),
        np.unique(moment, return_inverse=True)[1].astype(np.int64),
    )


def _turned(places: Array, angles: Array) -> Array:
    """Stations (n_stations, 3) turned with the Earth, shape (n_times, n_stations, 3)."""
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    x, y, z = places.T
    return np.stack(
        [cos * x - sin * y, sin * x + cos * y, np.broadcast_to(z, (len(angles), len(z)))], -1
    )
