"""A rotating source: a state-space model over frames whose cost does not grow with the pixels.

    x_t = flux mu + B (c + s_t),            c ~ N(0, static_variance I),
    s_t = correlation R(rotation) s_t-1 + w_t,   s_1 ~ N(0, moving_variance I),

with w_t such that s_t is stationary, and y_t = H_t x_t + n_t.  B is the polar Karhunen-Loeve basis,
in which R is orthogonal, so that the law is normalized for every rotation; StarWarps (Bouman et al.
2018, IEEE TCI 4, 512) has a learned warp in R's place, and no static part.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.visibilities import Visibilities
from emlib.errors import require_count, require_positive
from emlib.models.imaging.base import (
    LARGEST_CORRELATION,
    PERFECT,
    ImagingModel,
    kept,
    made_last,
)
from emlib.models.imaging.frames import Frames, Smoothed, smooth
from emlib.models.imaging.measurement import Measurements, SignalStats, measurement_q
from emlib.models.imaging.motion import Motion, best_correlation, best_rotation
from emlib.models.imaging.polar import PolarBasis, polar_basis
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Diagnosis, Posteriors

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class RotatingVideoParams:
    """Parameters of a video.

    Attributes
    ----------
    static_variance, moving_variance : ndarray of shape ()
        Of the coefficients c and s_t.
    correlation : ndarray of shape ()
        From frame to frame, once rotated; from 0 to ``LARGEST_CORRELATION``.
    rotation : ndarray of shape ()
        Degrees a frame, from east to north.
    flux, noise_scale, noise_weights, gain_amplitudes, gain_phases : ndarray
        See ``GaussianImageParams``.
    """

    static_variance: Array
    moving_variance: Array
    correlation: Array
    rotation: Array
    flux: Array
    noise_scale: Array
    noise_weights: Array
    gain_amplitudes: Array
    gain_phases: Array


@dataclass(frozen=True, eq=False, kw_only=True)
class RotatingVideoStats(SignalStats):
    """And E|c|^2 and the products of the moving states."""

    static_square: float
    motion: Motion


@dataclass(frozen=True, kw_only=True)
class RotatingVideoModel(ImagingModel):
    """A static part and a rotating one.

    Parameters
    ----------
    n_states : int
        Dimension of c and of s_t, at most.
    length : float
        Scale of the Matern 3/2 covariance, microarcseconds.
    others
        See ``ImagingModel``.
    """

    family: ClassVar[str] = "rotating_video"
    traits: ClassVar[frozenset[str]] = frozenset({"image", "motion"})
    search: ClassVar[tuple[str, ...]] = ("motion",)
    record: ClassVar[type] = RotatingVideoParams

    n_states: int = 88
    length: float = 15.0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("n_states", self.n_states)
        require_positive("length", self.length)
        if self.gains and {"gain_amplitudes", "gain_phases"} & set(self.held) == {"gain_phases"}:
            raise ValueError(
                "held: gain_phases without gain_amplitudes: the gains of a video move together, or "
                "their phases alone"
            )

    def e_step_size(self, n: int, d: int) -> float:
        """A smoother over frames of some twenty visibilities: see ``Model.e_step_size``."""
        return 5.0 * n * self.n_states**2

    @cached_property
    def basis(self) -> PolarBasis:
        """The states' images."""
        return polar_basis(self.grid, self.prior_fwhm, self.length, self.n_states)

    def frames(self, data: Visibilities) -> Frames:
        def make() -> Frames:
            seen = data.observed
            fourier = self.grid.fourier(data.u[seen], data.v[seen])
            frame = np.asarray(data.frames)[seen]
            order = np.argsort(frame, kind="stable")
            ranks = np.empty(len(frame), dtype=np.int64)
            ranks[order] = np.arange(len(frame)) - np.searchsorted(frame[order], frame[order])
            rows = int(ranks.max()) + 1
            loadings = fourier @ self.basis.images
            padded = np.zeros((data.n_frames, 2 * rows, loadings.shape[1]))
            padded[frame, ranks], padded[frame, rows + ranks] = loadings.real, loadings.imag
            measurements = Measurements.of(data, fourier @ self.mean_image)
            return Frames(measurements, frame, ranks, padded)

        key = (self.pixels, self.field_of_view, self.prior_fwhm, self.n_states, self.length)
        frames: Frames = kept(data, key, make)
        return frames

    def smoothed(self, params: RotatingVideoParams, frames: Frames) -> Smoothed:
        """The posterior of c and s_t; that at the last parameters is kept.

        Raises
        ------
        Degenerate
            If a covariance is numerically singular.
        """
        run: Smoothed = made_last(frames.last, params, lambda: smooth(params, frames, self.basis))
        return run

    def loglik(self, params: RotatingVideoParams, data: Visibilities) -> float:
        """Of the observed visibilities, nats."""
        run = self.smoothed(params, self.frames(data))
        return run.constant - 0.5 * run.square(params.flux)

    def best_flux(self, params: RotatingVideoParams, data: Visibilities) -> float:
        run = self.smoothed(params, self.frames(data))
        towards = run.residuals[:, :, 1]  # noise has variance 1: what the inverse makes of the mean
        values, unit = run.values[:, :, 0], run.values[:, :, 1]
        return float((towards * values).sum() / (towards * unit).sum())

    def e_step(
        self, params: RotatingVideoParams, data: Visibilities, posterior: Posterior = EXACT
    ) -> RotatingVideoStats:
        self._refuse(posterior)
        frames = self.frames(data)
        run = self.smoothed(params, frames)
        law, flux = run.law, float(params.flux)
        real, imaginary = frames.gathered(run.of(run.residuals, flux))
        signal = run.calibrated - flux * frames.measurements.mean
        signal = signal - np.sqrt(run.variances) * (real + 1j * imaginary)
        by_constant = run.left - run.right @ law.slopes
        spread = np.einsum("tnk,tnk->tn", by_constant @ law.constant_covariance, by_constant)
        spread += np.einsum("tnk,tnk->tn", run.right @ law.covariances, run.right)
        real, imaginary = frames.gathered(spread)
        constant, square = run.of(law.constant, flux), run.square(flux)
        static = float(constant @ constant + np.trace(law.constant_covariance))
        return RotatingVideoStats(
            frames.measurements, signal, run.variances * (real + imaginary),
            run.constant - 0.5 * square, run.magnitude + 0.5 * square,
            static_square=float(params.static_variance) * static,
            motion=Motion.of(
                run.law, run.of(run.law.means, flux), float(params.moving_variance),
                float(params.rotation), self.basis,
            ),
        )  # fmt: skip

    def m_step(
        self,
        stats: RotatingVideoStats,
        params: RotatingVideoParams,
        free: frozenset[str] | None = None,
    ) -> RotatingVideoParams:
        """Rotation, correlation and variances, each with the others as they are."""
        params, free = self.measured(stats, params, free)
        motion = stats.motion
        rotation, correlation = float(params.rotation), float(params.correlation)
        moving = float(params.moving_variance)
        if motion.n_frames > 1 and moving > 0:
            if "rotation" in free:
                rotation = best_rotation(motion, rotation)
            if "correlation" in free:
                correlation = best_correlation(motion, moving, correlation, rotation)
        if "moving_variance" in free:
            moving = motion.shocks(correlation, rotation) / (motion.n_states * motion.n_frames)
        if "static_variance" in free:
            static = np.asarray(stats.static_square / motion.n_states)
            params = replace(params, static_variance=static)
        return replace(
            params,
            rotation=np.asarray(rotation),
            correlation=np.asarray(correlation),
            moving_variance=np.asarray(moving),
        )

    def q(self, stats: RotatingVideoStats, params: RotatingVideoParams) -> float:
        total = measurement_q(stats, params)
        if params.static_variance > 0:
            k, variance = stats.motion.n_states, float(params.static_variance)
            total -= 0.5 * (k * np.log(2.0 * np.pi * variance) + stats.static_square / variance)
        if params.moving_variance > 0:
            total += stats.motion.log_density(
                float(params.moving_variance), float(params.correlation), float(params.rotation)
            )
        return float(total)

    def inside(self, params: RotatingVideoParams) -> bool:
        return super().inside(params) and 0.0 <= float(params.correlation) <= LARGEST_CORRELATION

    def diagnose(self, params: RotatingVideoParams, stats: RotatingVideoStats) -> Diagnosis:
        """``boundary``: successive frames are unrelated, or the same but for the rotation."""
        at_end = params.correlation in (0.0, LARGEST_CORRELATION) and "correlation" not in self.held
        return Diagnosis(("boundary",) if at_end else ())

    def start(self, data: Visibilities, responsibilities: Array) -> RotatingVideoParams:
        """No rotation; a video has no classes."""
        return self.motion_start(data, 0.0)

    def random_start(self, data: Visibilities, rng: np.random.Generator) -> RotatingVideoParams:
        """Any rotation up to 30 degrees a frame, either way."""
        return self.motion_start(data, rng.uniform(-30.0, 30.0))

    def motion_start(self, data: Visibilities, rotation: float) -> RotatingVideoParams:
        """This rotation, and variances that match the visibilities' amplitudes."""
        frames = self.frames(data)
        seen = frames.measurements
        amplitude, unit = np.abs(seen.values), np.abs(seen.mean)
        flux = float(amplitude @ unit / (unit @ unit))
        unexplained = float(((amplitude - flux * unit) ** 2).sum())
        unexplained = max(unexplained, 1e-6 * float(amplitude @ amplitude))
        variance = np.asarray(0.5 * unexplained / (frames.loadings**2).sum())
        return RotatingVideoParams(
            static_variance=variance,
            moving_variance=variance,
            correlation=np.asarray(0.9),
            rotation=np.asarray(rotation),
            **self.measurement_start(data, flux),
        )

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return "rotation" in truth and self.true_frames(truth, "frames") is not None

    def from_truth(self, truth: dict[str, Any]) -> RotatingVideoParams:
        """The true rotation; and the variances of the states that are closest to the frames."""
        frames = np.asarray(self.true_frames(truth, "frames"))
        flux = frames.sum(axis=1).mean()
        still = frames.mean(axis=0)
        images = self.basis.images
        targets = np.vstack([still - flux * self.mean_image, frames - still]).T
        states = np.linalg.lstsq(images, targets, rcond=1e-2)[0]
        moving = (states[:, 1:] ** 2).mean()
        return RotatingVideoParams(
            static_variance=np.asarray((states[:, 0] ** 2).mean()),
            moving_variance=np.asarray(moving if moving > 0 else 1e-6 * flux**2),
            correlation=np.asarray(0.9),
            rotation=np.asarray(truth["rotation"], dtype=np.float64),
            flux=np.asarray(flux),
            **PERFECT,
        )

    def is_comparable(self, truth: dict[str, Any]) -> bool:
        """Of a video of any pixels, whatever is estimated beside its rotation."""
        return "rotation" in truth

    def parameter_error(self, params: RotatingVideoParams, truth: dict[str, Any]) -> float:
        """Of the rotation, degrees a frame."""
        difference = float(params.rotation) - float(truth["rotation"])
        return float(abs((difference + 180.0) % 360.0 - 180.0))

    def video(self, params: RotatingVideoParams, data: Visibilities) -> tuple[Array, Array, Array]:
        """What the data say of the images, Jy a pixel.

        Returns
        -------
        frames, deviations : ndarray of shape (T, pixels, pixels)
            Posterior means and standard deviations.
        static : ndarray of shape (pixels, pixels)
            Posterior mean of the part that does not move.
        """
        run = self.smoothed(params, self.frames(data))
        law, flux = run.law, float(params.flux)
        images = self.basis.images
        still = np.sqrt(params.static_variance) * images
        moving = np.sqrt(params.moving_variance) * images
        static = flux * self.mean_image + still @ run.of(law.constant, flux)
        states = run.of(law.means, flux)
        means, deviations = np.empty((2, len(states), len(images)))
        for t in range(len(states)):
            turned = self.basis.turned(moving, params.rotation * t)
            means[t] = static + turned @ states[t]
            by_constant = still - turned @ law.slopes[t]
            variance = np.einsum("pk,pk->p", by_constant @ law.constant_covariance, by_constant)
            variance += np.einsum("pk,pk->p", turned @ law.covariances[t], turned)
            deviations[t] = np.sqrt(variance)
        shape = self.pixels, self.pixels
        return means.reshape(-1, *shape), deviations.reshape(-1, *shape), static.reshape(shape)

    def pictures(self, params: RotatingVideoParams, data: Visibilities) -> tuple[Array, Array]:
        """The frames of ``video`` and their deviations."""
        frames, deviations, _ = self.video(params, data)
        return frames, deviations

    def drawn_image(
        self, params: RotatingVideoParams, data: Visibilities, rng: np.random.Generator
    ) -> NDArray[np.complex128]:
        k, correlation = len(self.basis.order), float(params.correlation)
        static = np.sqrt(params.static_variance) * rng.standard_normal(k)
        state, frames = np.zeros(k), np.empty((data.n_frames, len(self.basis.images)))
        for t in range(data.n_frames):
            shock = rng.standard_normal(k) * np.sqrt(1.0 - correlation**2 if t else 1.0)
            state = correlation * state + shock
            turned = self.basis.turned(self.basis.images, params.rotation * t)
            frames[t] = self.basis.images @ static
            frames[t] += np.sqrt(params.moving_variance) * turned @ state
        frames += params.flux * self.mean_image
        fourier = self.grid.fourier(data.u, data.v)
        return np.asarray(np.einsum("np,np->n", fourier, frames[data.frames]))

    def posterior(self, params: RotatingVideoParams, data: Visibilities) -> Posteriors:
        """``latent`` is the frames, shape (T, pixels ** 2)."""
        frames = self.video(params, data)[0].reshape(data.n_frames, -1)
        fourier = self.grid.fourier(data.u, data.v)
        clean = np.einsum("np,np->n", fourier, frames[data.frames])
        loglik = self.loglik(params, data)
        return Posteriors(np.array([loglik]), None, self.completed(params, data, clean), frames)
