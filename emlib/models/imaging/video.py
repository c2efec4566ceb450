"""A rotating source: a state-space model over frames whose cost does not grow with the pixels.

    x_t = flux mu + B (c + s_t),            c ~ N(0, static_variance I),
    s_t = correlation R(rotation) s_t-1 + w_t,   s_1 ~ N(0, moving_variance I),

with w_t such that s_t is stationary, and y_t = H_t x_t + n_t.  B is the polar Karhunen-Loeve basis,
in which R is orthogonal, so that the law is normalized for every rotation; StarWarps (Bouman et al.
2018, IEEE TCI 4, 512) has a learned warp in R's place, and no static part.
"""

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emlib.data.visibilities import Visibilities
from emlib.errors import require_count, require_positive
from emlib.kernels.rotating_chain import ChainPosterior
from emlib.models.base import Degenerate, Diagnosis, Posteriors
from emlib.models.imaging.base import LARGEST_CORRELATION, ImagingModel, kept, made_last
from emlib.models.imaging.measurement import (
    Measurements,
    SignalStats,
    calibrated,
    measurement_q,
)
from emlib.models.imaging.polar import PolarBasis, polar_basis
from emlib.models.posterior import EXACT, Posterior

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


class Motion(NamedTuple):
    """Sums of expected products of states, turned back by the rotation of the E-step.

    Attributes
    ----------
    first, last, inner : float
        E|s_1|^2, E|s_T|^2, and the sum of the others'.
    along, across : ndarray of shape (largest order + 1,)
        E[s_t' R(d) s_t-1] summed over t is the sum over m of along cos(m d) + across sin(m d).
    rotation : float
        Degrees.
    n_frames, n_states : int
    """

    first: float
    last: float
    inner: float
    along: Array
    across: Array
    rotation: float
    n_frames: int
    n_states: int

    def overlap(self, rotation: float) -> float:
        """Sum over t of E[s_t' R(rotation) s_t-1]."""
        return float(trigonometric(self.along, self.across, np.deg2rad(rotation - self.rotation)))

    def shocks(self, correlation: float, rotation: float) -> float:
        """Sum of E|s_t|^2 at the start and of E|w_t|^2 / (1 - correlation^2) after it."""
        if self.n_frames == 1:
            return self.first
        before, after = self.first + self.inner, self.inner + self.last
        square = after - 2.0 * correlation * self.overlap(rotation) + correlation**2 * before
        return self.first + square / (1.0 - correlation**2)

    def log_density(self, variance: float, correlation: float, rotation: float) -> float:
        """Expected log density of all states."""
        steps = self.n_states * (self.n_frames - 1)
        total = self.n_states * self.n_frames * np.log(2.0 * np.pi * variance)
        total += steps * np.log(1.0 - correlation**2)
        return float(-0.5 * (total + self.shocks(correlation, rotation) / variance))


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

    @cached_property
    def partner(self) -> NDArray[np.int64]:
        """The state that a rotation mixes each one with, itself where the order is 0."""
        order, partner = self.basis.order, np.arange(len(self.basis.order))
        first = np.flatnonzero(order)[::2]
        partner[first], partner[first + 1] = first + 1, first
        return partner

    @cached_property
    def _second(self) -> NDArray[np.bool_]:
        return self.partner < np.arange(len(self.partner))

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

    def turned(self, loadings: Array, rotation: Array) -> Array:
        """Loadings (..., n, k) of states that were turned back by ``rotation`` (...), degrees."""
        turns = np.deg2rad(rotation)[..., None, None] * self.basis.order
        sine = np.where(self._second, -np.sin(turns), np.sin(turns))
        return np.asarray(loadings * np.cos(turns) + loadings[..., self.partner] * sine)

    def smoothed(self, params: RotatingVideoParams, frames: Frames) -> Smoothed:
        """The posterior of c and s_t; that at the last parameters is kept.

        Raises
        ------
        Degenerate
            If a covariance is numerically singular.
        """
        run: Smoothed = made_last(frames.last, params, lambda: self._smoothed(params, frames))
        return run

    def _smoothed(self, params: RotatingVideoParams, frames: Frames) -> Smoothed:
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
        right = np.sqrt(params.moving_variance) * self.turned(whitened, angles)
        correlation = float(params.correlation)
        try:
            run = posterior(values, left, right, correlation, self.partner)
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
            motion=self._motion(params, run),
        )  # fmt: skip

    def _motion(self, params: RotatingVideoParams, run: Smoothed) -> Motion:
        variance, order = float(params.moving_variance), self.basis.order
        means = run.of(run.law.means, float(params.flux))
        squares = variance * (means**2 + run.law.variances).sum(axis=1)
        later, earlier = means[1:], means[:-1]
        lagged = (later * earlier).sum(axis=0) + run.law.lagged
        crossed = (later * earlier[:, self.partner]).sum(axis=0) + run.law.crossed
        crossed = np.where(self.partner == np.arange(len(order)), 0.0, crossed)
        crossed = np.where(self._second, crossed, -crossed)
        n_frames, k = means.shape
        return Motion(
            squares[0], squares[-1], float(squares[1:-1].sum()),
            np.asarray(variance * np.bincount(order, lagged)),
            np.asarray(variance * np.bincount(order, crossed)),
            float(params.rotation), n_frames, k,
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
        """A video of these pixels; weights and gains are none of the generator's parameters."""
        known = {"rotation", "frames", "field_of_view"} <= set(truth)
        return (
            known
            and not self.penalized
            and float(truth["field_of_view"]) == self.field_of_view
            and np.shape(truth["frames"])[-1] % self.pixels == 0
        )

    def from_truth(self, truth: dict[str, Any]) -> RotatingVideoParams:
        """The true rotation; and the variances of the states that are closest to the frames."""
        fine, side = np.asarray(truth["frames"]), self.pixels
        block = fine.shape[-1] // side
        frames = fine.reshape(len(fine), side, block, side, block).sum(axis=(2, 4))
        frames = frames.reshape(len(fine), -1)
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
            noise_scale=np.asarray(1.0),
            noise_weights=np.empty(0),
            gain_amplitudes=np.empty(0),
            gain_phases=np.empty(0),
        )

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
            turned = self.turned(moving, params.rotation * t)
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
            turned = self.turned(self.basis.images, params.rotation * t)
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


def trigonometric(along: Array, across: Array, angle: Any) -> Any:
    """Sum over m of along[m] cos(m angle) + across[m] sin(m angle)."""
    turns = np.multiply.outer(angle, np.arange(len(along)))
    return np.cos(turns) @ along + np.sin(turns) @ across


def best_rotation(motion: Motion, rotation: float) -> float:
    """Where the overlap of successive frames is largest: a global maximum, by a grid much finer
    than the highest order and Newton's steps; degrees, in (-180, 180]."""
    order = np.arange(len(motion.along))
    grid = np.linspace(-np.pi, np.pi, 32 * len(order) + 1)
    along, across = motion.along, motion.across
    angle = float(grid[np.argmax(trigonometric(along, across, grid))])
    for _ in range(8):
        slope = float(trigonometric(order * across, -order * along, angle))
        bend = float(trigonometric(-(order**2) * along, -(order**2) * across, angle))
        if bend >= 0 or slope == 0:
            break
        angle -= slope / bend
    found = motion.rotation + np.rad2deg(angle)
    found = 180.0 - (180.0 - found) % 360.0
    return found if motion.overlap(found) >= motion.overlap(rotation) else rotation


def best_correlation(motion: Motion, variance: float, current: float, rotation: float) -> float:
    """Stationary points of the expected log density are the roots of a cubic."""
    overlap = motion.overlap(rotation) / variance
    squares = (motion.first + 2.0 * motion.inner + motion.last) / variance
    steps = motion.n_states * (motion.n_frames - 1)
    roots = np.roots([-steps, overlap, steps - squares, overlap])
    real = roots.real[np.abs(roots.imag) < 1e-6 * np.abs(roots)]
    candidates = [current, 0.0, LARGEST_CORRELATION, *real[(real > 0) & (real < 1)].tolist()]
    candidates = [min(rho, LARGEST_CORRELATION) for rho in candidates]
    values = [motion.log_density(variance, rho, rotation) for rho in candidates]
    return float(candidates[int(np.argmax(values))])
