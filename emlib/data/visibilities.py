"""Visibilities: what an interferometer measures of the Fourier transform of an image.

``sky`` says which Fourier transform, and which way is east.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.errors import InvalidData

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Visibilities:
    """Complex visibilities of one image, or of the frames of one video.

    All of them depend on the same latent image, so that the whole is a single unit.

    Attributes
    ----------
    values : ndarray of shape (n,), complex128
        Jy; NaN where a visibility is hidden.
    sigmas : ndarray of shape (n,)
        Standard deviation of the thermal noise of the real and of the imaginary part, Jy.
    u, v : ndarray of shape (n,)
        Baselines, wavelengths.
    station1, station2 : ndarray of shape (n,), int64
        Numbers of the stations of each baseline.
    stations : tuple of str
        Their names.
    times : ndarray of shape (n,)
        Hours.
    frames : ndarray of shape (n,), int64
        Number of the video's frame, from 0; all 0 for a static image.
    scans : ndarray of shape (n,), int64
        Number of the scan, from 0; what a station's gain is constant over.
    """

    values: NDArray[np.complex128]
    sigmas: Array
    u: Array
    v: Array
    station1: Integers
    station2: Integers
    stations: tuple[str, ...]
    times: Array
    frames: Integers
    scans: Integers

    @classmethod
    def from_arrays(
        cls,
        values: ArrayLike,
        *,
        sigmas: ArrayLike,
        uv: ArrayLike,
        baselines: ArrayLike,
        stations: ArrayLike | None = None,
        times: ArrayLike | None = None,
        frames: ArrayLike | None = None,
        scans: ArrayLike | None = None,
    ) -> "Visibilities":
        """Build the view.

        Parameters
        ----------
        values : array-like of shape (n,), complex, or (n, 2)
            Jy, or their real and imaginary parts; NaN (in either part) means hidden.
        sigmas : array-like of shape (n,)
            Thermal noise of the real and of the imaginary part, Jy, positive.
        uv : array-like of shape (n, 2)
            Wavelengths.
        baselines : array-like of shape (n, 2)
            Numbers of two different stations.
        stations : array-like of str, optional
            Their names: numbers by default.
        times : array-like of shape (n,), optional
            Hours; 0 by default.
        frames : array-like of shape (n,), optional
            Numbers from 0; all 0 by default.
        scans : array-like of shape (n,), optional
            Numbers from 0; visibilities of one frame and time are one scan by default.

        Raises
        ------
        InvalidData
            If shapes do not fit, a sigma is not positive, or a number is none of its kind.
        """
        y = _complex(values)
        n = len(y)
        if n == 0:
            raise InvalidData("values: there is no visibility")
        sd = _numbers(sigmas, (n,), "sigmas")
        if (sd <= 0).any():
            worst = int(np.flatnonzero(sd <= 0)[0])
            raise InvalidData(f"sigmas: visibility {worst}: {sd[worst]!r} is not positive")
        plane = _numbers(uv, (n, 2), "uv")
        pairs = _whole(baselines, (n, 2), "baselines")
        if (pairs[:, 0] == pairs[:, 1]).any():
            raise InvalidData("baselines: the two stations of a baseline must differ")
        names = tuple(
            str(name)
            for name in (np.arange(pairs.max() + 1) if stations is None else np.asarray(stations))
        )
        if pairs.max() >= len(names):
            raise InvalidData(f"baselines: station {pairs.max()} is none of the {len(names)} named")
        hours = np.zeros(n) if times is None else _numbers(times, (n,), "times")
        frame = np.zeros(n, np.int64) if frames is None else _whole(frames, (n,), "frames")
        if scans is None:
            moments = np.stack([frame, hours])
            scan = np.unique(moments, axis=1, return_inverse=True)[1].ravel().astype(np.int64)
        else:
            scan = _whole(scans, (n,), "scans")
        u, v = (np.ascontiguousarray(plane[:, axis]) for axis in (0, 1))
        first, second = (np.ascontiguousarray(pairs[:, end]) for end in (0, 1))
        return cls(y, sd, u, v, first, second, names, hours, frame, scan)

    @property
    def n(self) -> int:
        """Number of visibilities, hidden ones included."""
        return len(self.values)

    @cached_property
    def observed(self) -> NDArray[np.bool_]:
        """True where a visibility is not hidden, shape (n,)."""
        return np.isfinite(self.values)

    @property
    def total_weight(self) -> float:
        """Number of observed visibilities."""
        return float(self.observed.sum())

    @property
    def unit_weights(self) -> Array:
        """One: there is a single unit."""
        return np.ones(1)

    @cached_property
    def n_frames(self) -> int:
        """Number of the video's frames, also of those without an observed visibility."""
        return int(self.frames.max()) + 1

    @cached_property
    def lengths(self) -> Array:
        """Length of each baseline, wavelengths, shape (n,)."""
        return np.hypot(self.u, self.v)


def _complex(values: ArrayLike) -> NDArray[np.complex128]:
    array = np.asarray(values)
    if not np.iscomplexobj(array):
        parts = np.asarray(array, dtype=np.float64)
        if parts.ndim != 2 or parts.shape[1] != 2:
            raise InvalidData(
                f"values of shape {parts.shape}: complex numbers (n,), or their real and imaginary "
                "parts (n, 2), are needed"
            )
        array = parts[:, 0] + 1j * parts[:, 1]
    if array.ndim != 1:
        raise InvalidData(f"values of shape {array.shape}: complex visibilities have shape (n,)")
    y = np.array(array, dtype=np.complex128)
    if np.isinf(y.real).any() or np.isinf(y.imag).any():
        raise InvalidData("values: a visibility is infinite")
    y[np.isnan(y)] = complex(np.nan, np.nan)
    return y


def _numbers(given: ArrayLike, shape: tuple[int, ...], name: str) -> Array:
    array = np.array(given, dtype=np.float64)
    if array.shape != shape:
        raise InvalidData(f"{name} of shape {array.shape}: the visibilities need {shape}")
    if not np.isfinite(array).all():
        where = int(np.argwhere(~np.isfinite(array))[0][0])
        raise InvalidData(f"{name}: visibility {where}: not a finite number")
    return array


def _whole(given: ArrayLike, shape: tuple[int, ...], name: str) -> Integers:
    array = _numbers(given, shape, name)
    if (array != np.trunc(array)).any() or (array < 0).any():
        raise InvalidData(f"{name}: numbers from 0 are needed")
    return array.astype(np.int64)
