"""Visibilities of a video, frame by frame, and the posterior of its states."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.kernels.rotating_chain import ChainPosterior
from emlib.models.imaging.measurement import Measurements, calibrated
from emlib.models.imaging.polar import PolarBasis
from emlib.models.records import Degenerate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Frames:
    """The observed visibilities of each frame, side by side.

    Attributes
    ----------
    frame, slot : ndarray of shape (n,), int
        Where each visibility stands.
    loadings : ndarray of shape (T, 2 m, k)
        From states to real parts, then imaginary parts, of at most m visibilities.
    last : dict
        The posterior that was made last, by its parameters.
    """

    measurements: Measurements
    frame: NDArray[np.int64]
    slot: NDArray[np.int64]
    loadings: Array
    last: dict[str, Any] = field(default_factory=dict)

    def spread_out(self, real: Array, imaginary: Array) -> Array:
        """Numbers of visibilities (n,) at their places (T, 2 m), 0 elsewhere."""
        n_frames, rows, _ = self.loadings.shape
        out = np.zeros((n_frames, rows))
        out[self.frame, self.slot] = real
        out[self.frame, rows // 2 + self.slot] = imaginary
        return out

    def gathered(self, rows: Array) -> tuple[Array, Array]:
        """Inverse of ``spread_out``."""
        half = rows.shape[1] // 2
        return rows[self.frame, self.slot], rows[self.frame, half + self.slot]


@dataclass(frozen=True, eq=False)
class Smoothed:
    """The posterior of c and s_t in units of their standard deviations, whatever the flux.

    Attributes
    ----------
    law : ChainPosterior
        Means of two columns: of the calibrated data, and of the mean image of 1 Jy.
    left, right : ndarray of shape (T, 2 m, k)
        Loadings in units of the noise.
    values, residuals : ndarray of shape (T, 2 m, 2)
        Those columns; and what their posterior means leave of them.
    calibrated : ndarray of shape (n,), complex
    variances : ndarray of shape (n,)
        Of the noise.
    correlation : float
    constant, magnitude : float
        Of the loglik, but for the squares; and its parts' sizes.
    """

    law: ChainPosterior
    left: Array
    right: Array
    values: Array
    residuals: Array
    calibrated: NDArray[np.complex128]
    variances: Array
    correlation: float
    constant: float
    magnitude: float

    @staticmethod
    def of(columns: Array, flux: float) -> Array:
        """What the data minus the flux have of two columns (..., 2)."""
        return np.asarray(columns[..., 0] - flux * columns[..., 1])

    def square(self, flux: Any) -> float:
        """Of the deviations in the metric of the inverse of their covariance."""
        residuals, constant = self.of(self.residuals, flux), self.of(self.law.constant, flux)
        means = self.of(self.law.means, flux)
        shocks = means[1:] - self.correlation * means[:-1]
        before = (residuals**2).sum() + constant @ constant + means[0] @ means[0]
        return float(before + (shocks**2).sum() / (1.0 - self.correlation**2))


def smooth(params: Any, frames: Frames, basis: PolarBasis) -> Smoothed:
    """The posterior of c and s_t at parameters, those of ``RotatingVideoParams``.

    Raises
    ------
    Degenerate
        If a covariance is numerically singular.
    """
    from emlib.kernels.rotating_chain import posterior

    calibrated_values, variances, log_jacobian = calibrated(params, frames.measurements)
    sharp = 1.0 / np.sqrt(variances)
    columns = [
        frames.spread_out(numbers.real * sharp, numbers.imag * sharp)
        for numbers in (calibrated_values, frames.measurements.mean)
    ]
    values = np.stack(columns, axis=2)
    whitened = frames.loadings * frames.spread_out(sharp, sharp)[:, :, None]
    left = np.sqrt(params.static_variance) * whitened
    angles = params.rotation * np.arange(len(whitened))
    right = np.sqrt(params.moving_variance) * basis.turned(whitened, angles)
    correlation = float(params.correlation)
    try:
        run = posterior(values, left, right, correlation, basis.partner)
    except np.linalg.LinAlgError as error:
        raise Degenerate(str(error)) from error
    constant = 2.0 * len(variances) * np.log(2.0 * np.pi)
    logs = np.log(variances)
    return Smoothed(
        run, left, right, values, values - left @ run.constant - right @ run.means,
        calibrated_values, variances, correlation,
        -0.5 * (constant + 2.0 * float(logs.sum()) + run.log_det) + log_jacobian,
        0.5 * float(constant + 2.0 * np.abs(logs).sum() + run.log_det + run.largest)
        + abs(log_jacobian),
    )  # fmt: skip
