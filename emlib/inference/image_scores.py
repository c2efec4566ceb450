"""How near an image or a video is to the true one: errors, correlation, the angle of a spot."""

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import Grid
from emlib.errors import InvalidData

Array = NDArray[np.float64]


def coarser(image: Array, pixels: int) -> Array:
    """Sums over squares of pixels: the same sky, Jy a pixel, on a coarser grid.

    Parameters
    ----------
    image : ndarray of shape (..., n, n)
    pixels : int
        Divides n.
    """
    n = image.shape[-1]
    if n % pixels:
        raise InvalidData(f"an image of {n} pixels has no grid of {pixels}: {n} is no multiple")
    k = n // pixels
    blocks = image.reshape(*image.shape[:-2], pixels, k, pixels, k)
    return np.asarray(blocks.sum(axis=(-3, -1)))


def nrmse(image: Array, truth: Array) -> float:
    """Root of the squared error over that of an image of zeros."""
    return float(np.linalg.norm(image - truth) / np.linalg.norm(truth))


def correlation(image: Array, truth: Array) -> float:
    """Normalized cross-correlation of images (or videos) less their means, in [-1, 1]."""
    a, b = image - image.mean(), truth - truth.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float((a * b).sum() / size) if size > 0 else float("nan")


def dynamic_nrmse(frames: Array, truth: Array) -> float:
    """NRMSE of what moves: of frames less their mean over time; 1 for a still video.

    NaN where the truth does not move.
    """
    moving = truth - truth.mean(axis=0)
    if not np.linalg.norm(moving) > 1e-12 * np.linalg.norm(truth):
        return float("nan")
    return nrmse(frames - frames.mean(axis=0), moving)


def spot_angles(frames: Array, field_of_view: float) -> Array:
    """Where the moving part is in each frame, degrees from east to north, shape (T,).

    The angle of the centre of the positive part of each frame less the mean over time, seen from
    the middle of the view.
    """
    grid = Grid(frames.shape[-1], field_of_view)
    moving = (frames - frames.mean(axis=0)).reshape(len(frames), -1)
    light = np.maximum(moving, 0.0)
    return np.asarray(np.degrees(np.arctan2(light @ grid.north, light @ grid.east)))


def spot_angle_error(frames: Array, truth: Array, field_of_view: float) -> float:
    """Mean absolute difference of two videos' spot angles, degrees; 90 is what chance gives."""
    away = spot_angles(frames, field_of_view) - spot_angles(truth, field_of_view)
    return float(np.abs((away + 180.0) % 360.0 - 180.0).mean())
