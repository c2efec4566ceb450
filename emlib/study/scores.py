"""How close a fit comes to what is known: classes, parameters, hidden cells, images.

Adjusted Rand index of Hubert and Arabie (1985), Comparing partitions. No fit sees these scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def adjusted_rand(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Adjusted Rand index of two labellings of the same rows, each of shape (n,).

    1 for the same partition whatever its labels, 0 on average for unrelated ones. NaN for n < 2.
    """
    n = len(a)
    if n < 2:
        return float("nan")
    (a_codes, a_count), (b_codes, b_count) = _codes(a), _codes(b)
    cells = np.bincount(a_codes * b_count + b_codes, minlength=a_count * b_count)
    table = cells.reshape(a_count, b_count)
    together, in_a, in_b = (
        float(np.vdot(sizes, sizes) - n) / 2  # pairs of rows that share a group
        for sizes in (cells, table.sum(axis=1), table.sum(axis=0))
    )
    expected = in_a * in_b / (n * (n - 1) / 2)
    largest = (in_a + in_b) / 2
    if largest == expected:  # both are one class, or both are all single rows
        return 1.0
    return (together - expected) / (largest - expected)


def _codes(labels: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """Labels as small numbers from 0 on, and what these stay below; such ones already stay."""
    if labels.dtype.kind in "iu" and labels.min() >= 0 and (largest := int(labels.max())) < 64:
        return labels.astype(np.int64, copy=False), largest + 1
    names, codes = np.unique(labels, return_inverse=True)
    return codes.ravel().astype(np.int64, copy=False), len(names)


class HiddenCells(NamedTuple):
    """Cells that were hidden from a fit and whose value is known.

    Attributes
    ----------
    rows, columns : ndarray of shape (m,)
    values : ndarray of shape (m,)
        The measurements.
    spread : ndarray of shape (m,)
        Standard deviation of each cell's column over its finite measurements.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: Floats
    spread: Floats

    @classmethod
    def of(cls, values: Floats, known: NDArray[np.bool_]) -> HiddenCells:
        """Those of a table (n, d), NaN where nobody knows it, that ``known`` (n, d) marks."""
        rows, columns = np.nonzero(known)
        spread = np.nanstd(np.where(np.isfinite(values), values, np.nan), axis=0)
        return cls(rows, columns, values[rows, columns], spread[columns])


def imputation_error(imputed: Floats, cells: HiddenCells, levels: bool = False) -> float:
    """Error of imputed cells against hidden ones.

    Parameters
    ----------
    imputed : ndarray of shape (n, d)
        The completed table.
    cells : HiddenCells
    levels : bool
        Whether cells are levels without an order.

    Returns
    -------
    float
        Root mean square error in each column's standard deviations, or the share of wrong levels;
        NaN if no known cell was hidden. Cells of constant columns have no such error.
    """
    rows, columns, values, spread = cells
    error = imputed[rows, columns] - values
    if levels and len(rows):
        return float(np.mean(error != 0.0))
    vary = spread > 0.0
    if not vary.all():
        error, spread = error[vary], spread[vary]
    if not len(error):
        return float("nan")
    return float(np.sqrt(np.mean((error / spread) ** 2)))


# --- images and videos: found and true have shape (T, pixels, pixels) -----------------------------


def nrmse(found: Floats, true: Floats) -> float:
    """Root mean square error in units of the true root mean square; NaN for an empty sky."""
    size = float((true**2).sum())
    return float(np.sqrt(((found - true) ** 2).sum() / size)) if size > 0 else float("nan")


def ncc(found: Floats, true: Floats) -> float:
    """Correlation over all pixels of all frames (centred normalized cross-correlation)."""
    a, b = found - found.mean(), true - true.mean()
    size = float(np.sqrt((a**2).sum() * (b**2).sum()))
    return float((a * b).sum()) / size if size > 0 else float("nan")


def dynamic_nrmse(found: Floats, true: Floats) -> float:
    """``nrmse`` of what moves, the mean over time taken away; 1 for a still image.

    NaN where nothing moves.
    """
    moving = true - true.mean(axis=0)
    if np.abs(moving).max() <= 1e-12 * np.abs(true).max():
        return float("nan")
    return nrmse(found - found.mean(axis=0), moving)


def spot_angle_error(found: Floats, true: Floats) -> float:
    """Median over frames of the error of the angle at which the moving part is brightest, degrees.

    That of the mean over pixels, each weighed by the square of what it has above its mean over
    time.  NaN where nothing moves; 90 on average for a guess.
    """
    angles = [spot_angles(frames) for frames in (found, true)]
    if angles[1] is None:
        return float("nan")
    if angles[0] is None:  # a still image shows no spot
        return 90.0
    turn = np.angle(np.exp(1j * (angles[0] - angles[1])))
    return float(np.median(np.abs(np.degrees(turn))))


def spot_angles(frames: Floats) -> Floats | None:
    moving = frames - frames.mean(axis=0)
    if np.abs(moving).max() <= 1e-12 * np.abs(frames).max():
        return None
    offsets = (frames.shape[-1] - 1) / 2 - np.arange(frames.shape[-1])
    direction = np.exp(1j * np.arctan2(offsets[:, None], offsets))
    weights = np.maximum(moving, 0.0) ** 2
    return np.asarray(np.angle((weights * direction).sum(axis=(1, 2))))


def image_scores(
    found: Floats, truth: Mapping[str, Any], field_of_view: float, anywhere: bool = False
) -> dict[str, float]:
    """Scores of images against a true sky; none where it has other pixels, or another field.

    Parameters
    ----------
    found : ndarray of shape (T, pixels ** 2)
        One image stands for all true frames.
    truth : mapping
        ``image`` (P, P) or ``frames`` (T, P, P), P a multiple of pixels, and ``field_of_view``.
    field_of_view : float
        Of what was found, microarcseconds.
    anywhere : bool
        Whether the data do not say where in the field the image is, the phases of all stations
        being unknown: it is moved to where it correlates best, by whole pixels.
    """
    name = "frames" if "frames" in truth else "image"
    if name not in truth or float(truth["field_of_view"]) != field_of_view:
        return {}
    fine = np.asarray(truth[name])
    fine = fine.reshape(-1, *fine.shape[-2:])
    side = round(np.sqrt(found.shape[1]))
    if fine.shape[-1] % side or len(found) not in (1, len(fine)):
        return {}
    block = fine.shape[-1] // side
    true = fine.reshape(len(fine), side, block, side, block).sum(axis=(2, 4))
    frames = np.broadcast_to(found.reshape(-1, side, side), true.shape)
    if anywhere:
        spectrum = (np.fft.fft2(true) * np.fft.fft2(frames).conj()).sum(axis=0)
        agreement = np.fft.ifft2(spectrum).real
        shift = np.unravel_index(np.argmax(agreement), agreement.shape)
        frames = np.roll(frames, shift, axis=(1, 2))
    scores = {"nrmse": nrmse(frames, true), "ncc": ncc(frames, true)}
    if len(true) > 1:
        scores["dynamic_nrmse"] = dynamic_nrmse(frames, true)
        scores["spot_angle_error"] = spot_angle_error(frames, true)
    return scores
