"""The sky as a square of pixels: where they are, and the visibilities of what is in them.

V(u, v) = sum over pixels of flux exp(2 pi i (u x + v y)), x to the east, y to the north; (u, v)
is the place of the first station less that of the second (Thompson, Moran and Swenson 2017,
Interferometry and Synthesis in Radio Astronomy, chapter 3; eht-imaging has the same sign).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

MICROARCSECOND = np.pi / 180.0 / 3600.0 * 1e-6
"""In radians."""

FWHM = 2.0 * np.sqrt(2.0 * np.log(2.0))
"""Full width at half maximum of a Gaussian of standard deviation 1."""


@dataclass(frozen=True)
class Grid:
    """Square pixels around the phase centre; the first row is the northern, the first column the
    eastern edge.

    Parameters
    ----------
    pixels : int
        Along each side.
    field_of_view : float
        Length of a side, microarcseconds.
    """

    pixels: int
    field_of_view: float

    @property
    def east(self) -> Array:
        """Of each pixel's centre, microarcseconds, shape (pixels ** 2,)."""
        return np.tile(self._offsets, self.pixels)

    @property
    def north(self) -> Array:
        """Of each pixel's centre, microarcseconds, shape (pixels ** 2,)."""
        return np.repeat(self._offsets, self.pixels)

    @property
    def _offsets(self) -> Array:
        middle = (self.pixels - 1) / 2.0
        step = self.field_of_view / self.pixels
        return np.asarray((middle - np.arange(self.pixels)) * step)

    def fourier(self, u: Array, v: Array) -> NDArray[np.complex128]:
        """What maps an image, Jy a pixel, to visibilities, shape (n, pixels ** 2).

        Parameters
        ----------
        u, v : ndarray of shape (n,)
            Wavelengths.
        """
        turns = np.outer(u, self.east) + np.outer(v, self.north)
        return np.asarray(np.exp(2j * np.pi * MICROARCSECOND * turns))

    def gaussian(self, fwhm: float) -> Array:
        """A round Gaussian in the centre, 1 Jy in all, shape (pixels ** 2,)."""
        spread = fwhm / FWHM
        image = np.exp(-0.5 * (self.east**2 + self.north**2) / spread**2)
        return np.asarray(image / image.sum())

    def waves(self) -> tuple[Array, Array]:
        """The orthonormal real Fourier basis without the constant (Hartley's cas functions).

        Returns
        -------
        basis : ndarray of shape (pixels ** 2, pixels ** 2 - 1)
        frequency : ndarray of shape (pixels ** 2 - 1,)
            Radial, in periods per field of view.
        """
        n = self.pixels
        whole = np.arange(n) - n // 2
        kx, ky = np.tile(whole, n), np.repeat(whole, n)
        step = self.field_of_view / n
        angle = 2.0 * np.pi / n * (np.outer(self.east, kx) + np.outer(self.north, ky)) / step
        basis = (np.cos(angle) + np.sin(angle)) / n
        varying = (kx != 0) | (ky != 0)
        return basis[:, varying], np.hypot(kx, ky)[varying]


def stacked(numbers: NDArray[Any]) -> Array:
    """Complex numbers as real ones: real parts, then imaginary parts, along the first axis."""
    return np.concatenate([numbers.real, numbers.imag])
