"""How visibilities are measured: noise, outliers and station gains, and their conditional M-steps.

    y_j = g_k conj(g_l) V_j + n_j,   both parts of n_j ~ N(0, noise_scale sigma_j^2 / w_j),

where V_j = flux m_j + f_j is the visibility of the image on the baseline of the stations k and l,
m_j that of the mean image, and f_j is latent.  The M-steps need of the image only E[f_j] and
E|f_j - E f_j|^2.  Each raises Q, the others as they are (ECM, Meng and Rubin 1993).
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data.visibilities import Visibilities
from emlib.models.special import gammaln, log_ndtr

Array = NDArray[np.float64]
Complex = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class Measurements:
    """The observed visibilities.

    Attributes
    ----------
    values, mean : ndarray of shape (n,), complex
        y, Jy; and m, the visibility of the mean image of 1 Jy.
    sigmas : ndarray of shape (n,)
        Thermal noise of real and imaginary part, Jy.
    gain1, gain2 : ndarray of shape (n,), int
        Numbers of the two gains that a visibility has: one a station and scan.
    station, scan : ndarray of shape (n_gains,), int
        Of each gain.
    """

    values: Complex
    mean: Complex
    sigmas: Array
    gain1: NDArray[np.int64]
    gain2: NDArray[np.int64]
    station: NDArray[np.int64]
    scan: NDArray[np.int64]

    @classmethod
    def of(cls, data: Visibilities, mean: Complex) -> "Measurements":
        """Those of a view; ``mean`` (n,) has the observed ones only."""
        seen = data.observed
        scans = np.tile(data.scans[seen], 2)
        stations = np.concatenate([data.station1[seen], data.station2[seen]])
        pairs, number = np.unique(np.stack([scans, stations]), axis=1, return_inverse=True)
        gain1, gain2 = number.reshape(2, -1)
        return cls(data.values[seen], mean, data.sigmas[seen], gain1, gain2, pairs[1], pairs[0])

    @property
    def n_gains(self) -> int:
        return len(self.station)

    @cached_property
    def reference(self) -> NDArray[np.int64]:
        """The gain whose phase is 0, of the same stations as each gain, shape (n_gains,).

        One phase for all stations that a scan's baselines connect changes no visibility.
        """
        from scipy.sparse import csr_array
        from scipy.sparse.csgraph import connected_components

        pairs = np.ones(len(self.gain1)), (self.gain1, self.gain2)
        part = connected_components(csr_array(pairs, shape=(self.n_gains, self.n_gains)), False)[1]
        return np.asarray(np.unique(part, return_index=True)[1][part])


@dataclass(frozen=True, eq=False)
class SignalStats:
    """What the M-steps of the measurement need of an E-step.

    Attributes
    ----------
    signal : ndarray of shape (n,), complex
        E[f_j], Jy.
    spread : ndarray of shape (n,)
        E|f_j - E f_j|^2, Jy squared.
    """

    measurements: Measurements
    signal: Complex
    spread: Array
    loglik: float
    magnitude: float


def complex_gains(params: Any) -> Complex:
    """Complex gains, shape (n_gains,); empty where none are estimated."""
    return np.asarray(params.gain_amplitudes * np.exp(1j * params.gain_phases))


def corruption(params: Any, seen: Measurements) -> Complex:
    """g_k conj(g_l) of each visibility, shape (n,)."""
    if not params.gain_amplitudes.size:
        return np.ones(len(seen.values), dtype=complex)
    g = complex_gains(params)
    return np.asarray(g[seen.gain1] * g[seen.gain2].conj())


def precision(params: Any, seen: Measurements) -> Array:
    """1 / variance of the real and of the imaginary part's noise, shape (n,)."""
    weights = params.noise_weights if params.noise_weights.size else 1.0
    return np.asarray(weights / (params.noise_scale * seen.sigmas**2))


def calibrated(params: Any, seen: Measurements) -> tuple[Complex, Array, float]:
    """The measurements as those of V itself.

    Returns
    -------
    values : ndarray of shape (n,), complex
        y_j / (g_k conj(g_l)).
    variances : ndarray of shape (n,)
        Of their noise, real and imaginary part each.
    log_jacobian : float
        What the loglik of y has beside theirs.
    """
    c = corruption(params, seen)
    size = np.abs(c) ** 2
    variances = 1.0 / (precision(params, seen) * size)
    return seen.values / c, variances, -float(np.log(size).sum())


def expected_squares(stats: SignalStats, params: Any) -> Array:
    """E|n_j|^2, shape (n,), Jy squared."""
    seen = stats.measurements
    c = corruption(params, seen)
    mean = params.flux * seen.mean + stats.signal
    return np.asarray(np.abs(seen.values - c * mean) ** 2 + np.abs(c) ** 2 * stats.spread)


def measurement_q(stats: SignalStats, params: Any) -> float:
    """Expected log density of the visibilities given the image."""
    sharp = precision(params, stats.measurements)
    squares = expected_squares(stats, params)
    return float((np.log(sharp / (2.0 * np.pi)) - 0.5 * sharp * squares).sum())


def flux_step(stats: SignalStats, params: Any, model: Any) -> Any:
    """Least squares."""
    seen, c = stats.measurements, corruption(params, stats.measurements)
    sharp, unit = precision(params, seen), c * seen.mean
    rest = seen.values - c * stats.signal
    flux = (sharp * (unit.conj() * rest).real).sum() / (sharp * np.abs(unit) ** 2).sum()
    return replace(params, flux=np.asarray(flux))


def gain_step(stats: SignalStats, params: Any, model: Any) -> Any:
    """One station after the other, all scans at once.

    Q in one gain g is N'g - P |g|^2 / 2 but for the prior of its amplitude, so the phase is that of
    N, and the amplitude (|N| + 1 / s^2) / (P + 1 / s^2); an amplitude that is held stays.
    """
    seen, g = stats.measurements, complex_gains(params)
    sharp = precision(params, seen)
    mean = params.flux * seen.mean + stats.signal
    power = sharp * (np.abs(mean) ** 2 + stats.spread)
    agreement = sharp * seen.values * mean.conj()
    prior = 1.0 / model.gain_spread**2
    for station in np.unique(seen.station):
        first, second = seen.station[seen.gain1] == station, seen.station[seen.gain2] == station
        towards = np.zeros(seen.n_gains, dtype=complex)
        weight = np.zeros(seen.n_gains)
        for here, own, other, part in (
            (first, seen.gain1, seen.gain2, agreement),
            (second, seen.gain2, seen.gain1, agreement.conj()),
        ):
            np.add.at(towards, own[here], (part * g[other])[here])
            np.add.at(weight, own[here], (power * np.abs(g[other]) ** 2)[here])
        moved = seen.station == station
        size, before = np.abs(towards[moved]), np.abs(g[moved])
        phase = np.where(
            size > 0, towards[moved] / np.where(size > 0, size, 1.0), g[moved] / before
        )
        held = "gain_amplitudes" in model.held
        g[moved] = phase * (before if held else (size + prior) / (weight[moved] + prior))
    g *= np.exp(-1j * np.angle(g[seen.reference]))
    phases = np.angle(g)
    phases[np.unique(seen.reference)] = 0.0
    amplitudes = params.gain_amplitudes if "gain_amplitudes" in model.held else np.abs(g)
    return replace(params, gain_amplitudes=amplitudes, gain_phases=phases)


def weight_step(stats: SignalStats, params: Any, model: Any) -> Any:
    """The weights of Student's t: (dof + 2) / (dof + E|n|^2 / (noise_scale sigma^2))."""
    squares = expected_squares(stats, params)
    squares /= params.noise_scale * stats.measurements.sigmas**2
    return replace(params, noise_weights=(model.dof + 2.0) / (model.dof + squares))


def noise_scale_step(stats: SignalStats, params: Any, model: Any) -> Any:
    """Mean of the expected squares in units of the thermal noise."""
    squares = expected_squares(stats, params) * precision(params, stats.measurements)
    return replace(params, noise_scale=np.asarray(params.noise_scale * squares.mean() / 2.0))


STEPS: dict[str, Callable[[SignalStats, Any, Any], Any]] = {
    "flux": flux_step,
    "gain_phases": gain_step,
    "noise_weights": weight_step,
    "noise_scale": noise_scale_step,
}
"""The conditional M-steps by what they move, in their order; gains move together."""


def log_weight_prior(weights: Array, dof: float) -> float:
    """Log density of log w, where w ~ Gamma(dof / 2, rate dof / 2).

    Maximized over w, the density of y given w times this one is that of Student's t, but for a
    constant: in the logarithm the mode of w is its mean given y.
    """
    half = 0.5 * dof
    normalizer = half * np.log(half) - gammaln(half)
    return float((half * (np.log(weights) - weights) + normalizer).sum())


def log_gain_prior(params: Any, spread: float) -> float:
    """Amplitudes N(1, spread^2) above 0, phases uniform."""
    z = (params.gain_amplitudes - 1.0) / spread
    normalizer = np.log(2.0 * np.pi) * 1.5 + np.log(spread) + log_ndtr(1.0 / spread)
    return float(-(0.5 * z**2 + normalizer).sum())
