"""Images and videos of the sky from visibilities, as latent variables."""

from emlib.models.imaging.image import GaussianImageModel, GaussianImageParams
from emlib.models.imaging.video import RotatingVideoModel, RotatingVideoParams

__all__ = [
    "GaussianImageModel",
    "GaussianImageParams",
    "RotatingVideoModel",
    "RotatingVideoParams",
]
