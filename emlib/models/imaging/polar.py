"""Karhunen-Loeve basis of a random field whose law no rotation changes.

The field is diag(mu) times a Gaussian process of the Matern 3/2 covariance, with mu round.  Its
eigenfunctions are f(r) cos(m phi) and f(r) sin(m phi), found by quadrature and interpolated between
its nodes (Rasmussen and Williams 2006, section 4.3.2).  A rotation turns each such pair into
itself, so that it is exactly orthogonal on the coefficients.
"""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import FWHM, Grid

Array = NDArray[np.float64]

NODES = 48
"""Of the radial quadrature."""

ANGLES = 256
"""Of the angular one."""

REACH = 1.5
"""Radius that the quadrature goes to, in full widths of mu: it has fallen to 2e-3 of its peak."""


@dataclass(frozen=True, eq=False)
class PolarBasis:
    """States and what they look like.

    Attributes
    ----------
    images : ndarray of shape (pixels ** 2, k)
        Of unit states, Jy a pixel.  States of variance 1 have the field's covariance, but for
        what the states left out would add.
    order : ndarray of shape (k,), int
        Angular momentum m of each state; pairs (cos, sin) stand together, m = 0 stands alone.
    explained : float
        Share of the field's variance that the states have.
    """

    images: Array
    order: NDArray[np.int64]
    explained: float

    @cached_property
    def partner(self) -> NDArray[np.int64]:
        """The state that a rotation mixes each one with, itself where the order is 0."""
        partner = np.arange(len(self.order))
        first = np.flatnonzero(self.order)[::2]
        partner[first], partner[first + 1] = first + 1, first
        return partner

    @cached_property
    def second(self) -> NDArray[np.bool_]:
        """Which states are the second of a pair."""
        return self.partner < np.arange(len(self.order))

    def turned(self, loadings: Array, rotation: Array) -> Array:
        """Loadings (..., n, k) of states that were turned back by ``rotation`` (...), degrees."""
        turns = np.deg2rad(rotation)[..., None, None] * self.order
        sine = np.where(self.second, -np.sin(turns), np.sin(turns))
        return np.asarray(loadings * np.cos(turns) + loadings[..., self.partner] * sine)


@lru_cache(maxsize=64)
def polar_basis(grid: Grid, fwhm: float, length: float, n_states: int) -> PolarBasis:
    """The leading states, no pair torn apart.

    Parameters
    ----------
    grid : Grid
    fwhm, length : float
        Of mu, and the scale of the Matern covariance, microarcseconds.
    n_states : int
        At most so many.
    """
    points, shares = np.polynomial.legendre.leggauss(NODES)
    half = 0.5 * REACH * fwhm
    nodes = np.array(half * (points + 1.0), dtype=np.float64)
    weights = np.array(half * shares, dtype=np.float64)
    roots = np.sqrt(weights * nodes)
    spectrum = _angular_spectrum(nodes, nodes, fwhm, length)
    values, vectors = np.linalg.eigh(roots[:, None] * spectrum * roots)
    values, vectors = values[:, ::-1], vectors[:, :, ::-1]

    radius, angle = np.hypot(grid.east, grid.north), np.arctan2(grid.north, grid.east)
    distinct, place = np.unique(np.round(radius, 9), return_inverse=True)
    towards = _angular_spectrum(distinct, nodes, fwhm, length)
    images: list[Array] = []
    order: list[int] = []
    explained = 0.0
    for number in np.argsort(-values, axis=None, kind="stable"):
        m, j = np.unravel_index(number, values.shape)
        copies = 1 if m == 0 else 2
        if len(order) + copies > n_states:
            break
        profile = (towards[m] @ (roots * vectors[m, :, j]))[place] / np.sqrt(values[m, j])
        waves = [np.cos(m * angle), np.sin(m * angle)][:copies]
        images += [profile * wave / np.sqrt(np.pi * (3 - copies)) for wave in waves]
        order += [int(m)] * copies
        explained += copies * float(values[m, j])
    # The variance of the whole field, from its diagonal.
    total = 2.0 * np.pi * float((weights * nodes * _window(nodes, fwhm) ** 2).sum())
    area = (grid.field_of_view / grid.pixels) ** 2
    return PolarBasis(
        area * np.stack(images, axis=1), np.array(order, dtype=np.int64), explained / total
    )


def _window(radius: NDArray[Any], fwhm: float) -> Array:
    """Mu, 1 Jy in all, in Jy per square microarcsecond."""
    spread = fwhm / FWHM
    return np.asarray(np.exp(-0.5 * (radius / spread) ** 2) / (2.0 * np.pi * spread**2))


def _angular_spectrum(left: NDArray[Any], right: NDArray[Any], fwhm: float, length: float) -> Array:
    """Integral of covariance times cos(m phi), shape (n orders, len(left), len(right))."""
    phi = 2.0 * np.pi * np.arange(ANGLES) / ANGLES
    square = left[:, None, None] ** 2 + right[None, :, None] ** 2
    square = square - 2.0 * left[:, None, None] * right[None, :, None] * np.cos(phi)
    scaled = np.sqrt(3.0 * np.maximum(square, 0.0)) / length
    covariance = (1.0 + scaled) * np.exp(-scaled)
    covariance *= (_window(left, fwhm)[:, None] * _window(right, fwhm))[:, :, None]
    waves = np.fft.rfft(covariance, axis=2).real[:, :, : ANGLES // 4]
    return np.moveaxis(waves, 2, 0) * (2.0 * np.pi / ANGLES)
