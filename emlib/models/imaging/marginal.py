"""The marginal law of a static image's visibilities: one normal law of all of their parts."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import stacked
from emlib.models.imaging.measurement import Measurements, SignalStats, calibrated
from emlib.models.records import Degenerate

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Design:
    """What the data's (u, v) and the grid decide.

    Attributes
    ----------
    loadings : ndarray of shape (2 n, k)
        From s to real and imaginary parts of the observed visibilities.
    kernels : ndarray of shape (n_bands, 2 n, 2 n)
        Of each band, loadings times their transpose.
    last : dict
        The covariance that was made last, by its parameters.
    """

    measurements: Measurements
    loadings: Array
    kernels: Array
    last: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class GaussianImageStats(SignalStats):
    """And of each band E of its coefficients' mean square, and how many of them the data tell.

    Both of shape (n_bands,).
    """

    band_squares: Array = field(default_factory=lambda: np.empty(0))
    learned: Array = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, eq=False)
class Marginal:
    """The covariance of the calibrated data, and what follows from it whatever the flux.

    Attributes
    ----------
    values, unit : ndarray of shape (2 n,)
        The calibrated data; and the mean of 1 Jy.
    variances : ndarray of shape (2 n,)
        Of the noise.
    inverse : ndarray of shape (2 n, 2 n)
        Of the covariance.
    lost : ndarray of shape (n_bands,)
        Trace of the inverse times each band's kernel.
    constant, magnitude : float
        Of the loglik, but for the squares; and its parts' sizes.
    """

    values: Array
    unit: Array
    variances: Array
    inverse: Array
    lost: Array
    constant: float
    magnitude: float

    @classmethod
    def of(cls, params: Any, design: Design) -> "Marginal":
        """That of parameters, those of ``GaussianImageParams``.

        Raises
        ------
        Degenerate
            If the covariance is singular.
        """
        from scipy.linalg.lapack import dpotrf, dpotri

        values, noise, log_jacobian = calibrated(params, design.measurements)
        y, variances = stacked(values), np.tile(noise, 2)
        covariance = np.tensordot(params.band_variances, design.kernels, 1)
        covariance.flat[:: len(y) + 1] += variances
        # In units of the noise no eigenvalue is below 1: rounding of the determinant is up to
        # epsilon times the trace.
        trace = float((np.diagonal(covariance) / variances).sum())
        # Its transpose is itself, in the order that LAPACK wants.
        factor, wrong = dpotrf(covariance.T, lower=1, overwrite_a=1)
        if wrong:
            raise Degenerate("the covariance of the visibilities is singular")
        log_det = 2.0 * float(np.log(np.diagonal(factor)).sum())
        half = dpotri(factor, lower=1, overwrite_c=1)[0]  # above the diagonal 0, as in the factor
        inverse = half + half.T
        inverse.flat[:: len(y) + 1] *= 0.5
        constant = len(y) * np.log(2.0 * np.pi)
        magnitude = 0.5 * (constant + np.abs(np.log(variances)).sum() + trace)
        magnitude += abs(log_jacobian)
        return cls(
            y, stacked(design.measurements.mean), variances, inverse,
            np.tensordot(design.kernels, inverse, 2),
            -0.5 * (constant + log_det) + log_jacobian, float(magnitude),
        )  # fmt: skip

    def weighted(self, flux: Any) -> tuple[Array, float]:
        """Deviations times the inverse; and their square."""
        deviations = self.values - flux * self.unit
        weighted = self.inverse @ deviations
        return weighted, float(deviations @ weighted)
