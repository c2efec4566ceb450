"""Starts of image models: what is latent is the image, so they are parameters, never an image.

The mean image is a setting of the model, the same for every start, so that their logliks compare.
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import Grid
from emlib.data.visibilities import Visibilities
from emlib.errors import require_finite, require_positive
from emlib.inits.base import Init, Start
from emlib.models.base import Model
from emlib.models.imaging.base import ImagingModel

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PowerLaw(Init):
    """Band variances that fall with a power of the frequency.

    Flux and the size of the variances match the visibilities' amplitudes.  Hidden visibilities
    need no care.  Cost: one pass.

    Parameters
    ----------
    exponent : float
        Natural images have about 2 (Field 1987); 0 is ``flat``.
    """

    name: ClassVar[str] = "power_law"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = True

    exponent: float = 2.0

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"bands"})

    def __call__(self, model: Any, data: Visibilities, rng: np.random.Generator) -> Start:
        return Start(model.power_law_start(data, self.exponent), e_steps=1.0)


@dataclass(frozen=True)
class Flat(Init):
    """The same variance in every band; otherwise as ``power_law``.  Cost: one pass."""

    name: ClassVar[str] = "flat"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"bands"})

    def __call__(self, model: Any, data: Visibilities, rng: np.random.Generator) -> Start:
        return Start(model.power_law_start(data, 0.0), e_steps=1.0)


@dataclass(frozen=True)
class Motion(Init):
    """A rotation drawn uniformly from a range; variances match the visibilities' amplitudes.

    Several starts, for EM follows a rotation only from within some degrees of it.  Hidden
    visibilities need no care.  Cost: one pass.

    Parameters
    ----------
    lowest, highest : float
        Degrees a frame, from east to north; the same number twice is that rotation.
    """

    name: ClassVar[str] = "motion"
    holes: ClassVar[str] = "native"

    lowest: float = -30.0
    highest: float = 30.0

    def __post_init__(self) -> None:
        if not -np.inf < self.lowest <= self.highest < np.inf:
            raise ValueError(f"lowest, highest: {self.lowest!r} to {self.highest!r} is no range")

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"motion"})

    def __call__(self, model: Any, data: Visibilities, rng: np.random.Generator) -> Start:
        return Start(model.motion_start(data, rng.uniform(self.lowest, self.highest)), e_steps=1.0)


class Shape(Init):
    """Station gains fitted to one image, and the rest to the data so calibrated.

    The image itself is forgotten.  Only where gains are estimated.  Hidden visibilities need no
    care.  Cost: one pass, the gains' own being small.
    """

    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = True

    @property
    def needs(self) -> frozenset[str]:
        return frozenset({"image"})

    def lacks(self, family: type[Model] | Model) -> list[str]:
        if isinstance(family, ImagingModel) and not family.gains:
            return [*super().lacks(family), "station gains to estimate"]
        return super().lacks(family)

    def image(self, grid: Grid, data: Visibilities) -> Array:
        """Shape (pixels ** 2,), any flux."""
        raise NotImplementedError

    def __call__(self, model: Any, data: Visibilities, rng: np.random.Generator) -> Start:
        return Start(model.start_from_image(data, self.image(model.grid, data)), e_steps=1.0)


@dataclass(frozen=True)
class GaussianShape(Shape):
    """Gains from a round Gaussian.

    Parameters
    ----------
    fwhm : float
        Microarcseconds.
    """

    name: ClassVar[str] = "gaussian"

    fwhm: float = 50.0

    def __post_init__(self) -> None:
        require_positive("fwhm", self.fwhm)

    def image(self, grid: Grid, data: Visibilities) -> Array:
        return grid.gaussian(self.fwhm)


@dataclass(frozen=True)
class Disk(Shape):
    """Gains from a uniform disk.

    Parameters
    ----------
    diameter : float
        Microarcseconds.
    """

    name: ClassVar[str] = "disk"

    diameter: float = 60.0

    def __post_init__(self) -> None:
        require_positive("diameter", self.diameter)

    def image(self, grid: Grid, data: Visibilities) -> Array:
        pixel = grid.field_of_view / grid.pixels
        beyond = np.hypot(grid.east, grid.north) - 0.5 * self.diameter
        return np.clip(0.5 - beyond / pixel, 0.0, 1.0)


@dataclass(frozen=True)
class Double(Shape):
    """Gains from two equal Gaussians.

    Parameters
    ----------
    separation, fwhm : float
        Microarcseconds.
    angle : float
        Of their axis, degrees from east to north.
    """

    name: ClassVar[str] = "double"

    separation: float = 40.0
    fwhm: float = 20.0
    angle: float = 0.0

    def __post_init__(self) -> None:
        require_positive("separation", self.separation)
        require_positive("fwhm", self.fwhm)
        require_finite("angle", self.angle)

    def image(self, grid: Grid, data: Visibilities) -> Array:
        east = 0.5 * self.separation * np.cos(np.deg2rad(self.angle))
        north = 0.5 * self.separation * np.sin(np.deg2rad(self.angle))
        scale = -4.0 * np.log(2.0) / self.fwhm**2
        there = (grid.east - east) ** 2 + (grid.north - north) ** 2
        opposite = (grid.east + east) ** 2 + (grid.north + north) ** 2
        return np.asarray(np.exp(scale * there) + np.exp(scale * opposite))


@dataclass(frozen=True)
class Dirty(Shape):
    """Gains from the positive part of the dirty image, the Fourier sum of the data as they are."""

    name: ClassVar[str] = "dirty"

    def image(self, grid: Grid, data: Visibilities) -> Array:
        seen = data.observed
        adjoint = grid.fourier(data.u[seen], data.v[seen]).conj().T @ data.values[seen]
        return np.maximum(adjoint.real, 0.0)
