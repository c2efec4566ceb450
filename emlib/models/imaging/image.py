"""A static image as a Gaussian process, its hyper-parameters learned by a generalization of EM.

    y = H x + n,   x = flux mu + diag(mu) W s,   s_k ~ N(0, band_variances[band of k]),

where mu is a round Gaussian and W the orthonormal Fourier basis in bands of radial frequency.  The
marginal law of the data is normal with covariance S = noise + sum_b band_variances[b] K_b, so that
an iteration costs the cube of the number of visibilities, whatever the number of pixels.

The objective never falls, as under EM, whose own step for a variance is slow: variances and noise
maximize another minorizer of the loglik, in closed form (MM; Zhou, Hu, Zhou and Lange 2019), the
flux the loglik itself (ECME), and gains take steps of Newton.  Student weights take EM's step.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import MICROARCSECOND, stacked
from emlib.data.visibilities import Visibilities
from emlib.errors import require_count
from emlib.models.base import prepared
from emlib.models.imaging.base import PERFECT, ImagingModel, is_last, kept, made_last
from emlib.models.imaging.marginal import Design, GaussianImageStats, Marginal
from emlib.models.imaging.measurement import Measurements, measurement_q
from emlib.models.imaging.selfcal import first_better, gain_steps
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Degenerate, Diagnosis, Posteriors, Step

Array = NDArray[np.float64]

BOUNDARY = 0.05
"""A variance is not told from 0 where the data tell less than this of all its coefficients, as a
number of coefficients: it is worth about half as many nats."""


@dataclass(frozen=True, eq=False)
class GaussianImageParams:
    """Parameters of an image.

    Attributes
    ----------
    band_variances : ndarray of shape (n_bands,)
        Of the coefficients s, from low to high frequency.
    flux : ndarray of shape ()
        Of the mean image, Jy.
    noise_scale : ndarray of shape ()
        Noise variance in units of the thermal one.
    noise_weights : ndarray of shape (n observed,)
        Precision of each visibility in units of the others'; empty where noise is Gaussian.
    gain_amplitudes, gain_phases : ndarray of shape (n_gains,)
        One a station and scan, in the order of scans, then stations; phases in radians.  Empty
        where no gains are estimated.
    """

    band_variances: Array
    flux: Array
    noise_scale: Array
    noise_weights: Array
    gain_amplitudes: Array
    gain_phases: Array


@dataclass(frozen=True, kw_only=True)
class GaussianImageModel(ImagingModel):
    """A static image.

    Parameters
    ----------
    n_bands : int
        Bands of radial frequency, equally wide in its logarithm up to ``resolved``; what is finer
        belongs to the last one, for the data cannot tell a variance of its own.
    resolved : float or None
        Length of the longest observed baseline, periods per field of view; ``prepare`` finds it.
    others
        See ``ImagingModel``.
    """

    family: ClassVar[str] = "gaussian_image"
    traits: ClassVar[frozenset[str]] = frozenset({"image", "bands"})
    search: ClassVar[tuple[str, ...]] = ("power_law", "flat", "random")
    record: ClassVar[type] = GaussianImageParams

    n_bands: int = 4
    resolved: float | None = prepared(None)

    def __post_init__(self) -> None:
        super().__post_init__()
        require_count("n_bands", self.n_bands)

    def prepare(self, data: Visibilities) -> "GaussianImageModel":
        prepared = super().prepare(data)
        longest = float(np.hypot(data.u, data.v)[data.observed].max())
        return replace(prepared, resolved=longest * self.field_of_view * MICROARCSECOND)

    def e_step_size(self, n: int, d: int) -> float:
        """Matrices of all visibilities, as seen at 167 to 661: see ``Model.e_step_size``."""
        return 100.0 * n**2

    def e_step_numbers(self, n: int, d: int) -> float:
        """A covariance of all real and imaginary parts: see ``Model.e_step_numbers``."""
        return 4.0 * n**2

    @cached_property
    def bands(self) -> NDArray[np.int64]:
        """The band of each coefficient, shape (pixels ** 2 - 1,)."""
        frequency = self._waves[1]
        highest = min(self.resolved or np.inf, frequency.max())
        edges = np.geomspace(1.0, max(highest, 1.0), self.n_bands + 1)[1:-1]
        number = np.searchsorted(edges, frequency, side="right")
        return np.asarray(np.unique(number, return_inverse=True)[1])

    @cached_property
    def centres(self) -> Array:
        """Mean radial frequency of each band, periods per field of view."""
        return np.bincount(self.bands, self._waves[1]) / np.bincount(self.bands)

    @cached_property
    def _waves(self) -> tuple[Array, Array]:
        return self.grid.waves()

    @cached_property
    def _atoms(self) -> Array:
        """From coefficients to pixels, shape (pixels ** 2, k)."""
        return self.mean_image[:, None] * self._waves[0]

    def design(self, data: Visibilities) -> Design:
        def make() -> Design:
            seen = data.observed
            fourier = self.grid.fourier(data.u[seen], data.v[seen])
            loadings = stacked(fourier @ self._atoms)
            kernels = np.stack([
                loadings[:, self.bands == band] @ loadings[:, self.bands == band].T
                for band in range(len(self.centres))
            ])  # fmt: skip
            measurements = Measurements.of(data, fourier @ self.mean_image)
            return Design(measurements, loadings, kernels)

        key = (self.pixels, self.field_of_view, self.prior_fwhm, self.n_bands, self.resolved)
        design: Design = kept(data, key, make)
        return design

    def marginal(self, params: GaussianImageParams, design: Design) -> Marginal:
        """The law of the calibrated data; that of the last parameters is kept.

        Raises
        ------
        Degenerate
            If their covariance is singular.
        """
        law: Marginal = made_last(design.last, params, lambda: Marginal.of(params, design))
        return law

    def loglik(self, params: GaussianImageParams, data: Visibilities) -> float:
        """Of the observed visibilities, nats."""
        law = self.marginal(params, self.design(data))
        return law.constant - 0.5 * law.weighted(params.flux)[1]

    @property
    def cycle(self) -> tuple[Step, ...]:
        steps = (
            Step(frozenset({"noise_weights"})),
            Step(frozenset({"gain_amplitudes", "gain_phases"}), maximizes="loglik"),
            Step(frozenset({"band_variances", "noise_scale"}), maximizes="loglik"),
            Step(frozenset({"flux"}), maximizes="loglik"),
        )
        there = [self.noise == "student", self.gains, True, True]
        known = [step for step, wanted in zip(steps, there, strict=True) if wanted]
        return tuple(step for step in known if step.free - set(self.held))

    def observed_step(
        self, params: GaussianImageParams, data: Visibilities, free: frozenset[str]
    ) -> tuple[GaussianImageParams, float]:
        """Gains, variances or flux, each of which EM would move too slowly.

        The covariance of the data is kept for what comes next; the flux's serves the E-step after
        it.  So trials of gains cost, and a covariance that new weights ask for.
        """
        free = free - set(self.held)
        cost = 0.0 if "flux" in free or is_last(self.design(data).last, params) else 1.0
        if free & {"gain_amplitudes", "gain_phases"}:
            params, trials = self._calibrated(params, data, free)
            cost += trials
        if free & {"band_variances", "noise_scale"}:
            params = self._rescaled(params, data, free)
        if "flux" in free:
            params, _ = super().observed_step(params, data, free)
        return params, cost

    def _calibrated(
        self, params: GaussianImageParams, data: Visibilities, free: frozenset[str]
    ) -> tuple[GaussianImageParams, float]:
        design = self.design(data)
        law, number = self.marginal(params, design), len(params.gain_amplitudes)
        moving = np.concatenate([
            np.full(number, "gain_amplitudes" in free),
            ~np.array(self.reference) & ("gain_phases" in free),
        ])  # fmt: skip
        steps = gain_steps(params, design.measurements, law, moving, self.gain_spread)

        def objective(there: GaussianImageParams) -> float:
            try:
                return self.loglik(there, data) + self.log_prior(there)
            except Degenerate:
                return -np.inf

        return first_better(steps, objective, params, objective(params))

    def _rescaled(
        self, params: GaussianImageParams, data: Visibilities, free: frozenset[str]
    ) -> GaussianImageParams:
        """Each variance v of a kernel K times the root of w'Kw / tr(inverse K), w = inverse times
        deviations: a minorizer of the loglik in all of them at once (Zhou, Hu, Zhou and Lange 2019,
        Journal of Computational and Graphical Statistics 28, 350).

        EM moves a variance that the data hardly know by the square of their share in it, so that
        one on its way to 0 never arrives; this, by their share, and in the logarithm.
        """
        design = self.design(data)
        law = self.marginal(params, design)
        weighted = law.weighted(params.flux)[0]
        if "band_variances" in free:
            scales = np.sqrt(self._fitted(design, weighted) / law.lost)
            params = replace(params, band_variances=params.band_variances * scales)
        if "noise_scale" in free:
            fitted = law.variances @ weighted**2
            scale = np.sqrt(fitted / (law.variances @ np.diagonal(law.inverse)))
            params = replace(params, noise_scale=np.asarray(params.noise_scale * scale))
        return params

    def _fitted(self, design: Design, weighted: Array) -> Array:
        """w'Kw of each band, from K's root, so that rounding takes none below 0."""
        return np.asarray(np.bincount(self.bands, (weighted @ design.loadings) ** 2), np.float64)

    def best_flux(self, params: GaussianImageParams, data: Visibilities) -> float:
        law = self.marginal(params, self.design(data))
        towards = law.inverse @ law.unit
        return float((towards @ law.values) / (towards @ law.unit))

    def e_step(
        self, params: GaussianImageParams, data: Visibilities, posterior: Posterior = EXACT
    ) -> GaussianImageStats:
        """Moments of s by band, and of its visibilities, from the inverse of S alone."""
        self._refuse(posterior)
        design = self.design(data)
        law = self.marginal(params, design)
        weighted, square = law.weighted(params.flux)
        n = len(design.measurements.values)
        signal = law.values - params.flux * law.unit - law.variances * weighted
        spread = law.variances - law.variances**2 * np.diagonal(law.inverse)
        variances, gain = params.band_variances, self._fitted(design, weighted) - law.lost
        squares = variances + variances**2 * gain / np.bincount(self.bands)
        return GaussianImageStats(
            design.measurements, signal[:n] + 1j * signal[n:], spread[:n] + spread[n:],
            law.constant - 0.5 * square, law.magnitude + 0.5 * square, squares,
            variances * law.lost,
        )  # fmt: skip

    def m_step(
        self,
        stats: GaussianImageStats,
        params: GaussianImageParams,
        free: frozenset[str] | None = None,
    ) -> GaussianImageParams:
        """Each band's variance is the mean expected square; the measurement's steps beside it.

        Climbs ask for the weights alone (see ``cycle``): the rest is EM as the textbook has it, and
        what Q is tested by.
        """
        params, free = self.measured(stats, params, free)
        if "band_variances" in free:
            params = replace(params, band_variances=np.maximum(stats.band_squares, 0.0))
        return params

    def q(self, stats: GaussianImageStats, params: GaussianImageParams) -> float:
        there = params.band_variances > 0
        variances, sizes = params.band_variances[there], np.bincount(self.bands)[there]
        prior = sizes * (np.log(2.0 * np.pi * variances) + stats.band_squares[there] / variances)
        return measurement_q(stats, params) - 0.5 * float(prior.sum())

    def diagnose(self, params: GaussianImageParams, stats: GaussianImageStats) -> Diagnosis:
        """``boundary``: a band's variance is on its way to 0."""
        return Diagnosis(("boundary",) if self._vanishing(params, stats).any() else ())

    def settled(
        self, params: GaussianImageParams, stats: GaussianImageStats
    ) -> GaussianImageParams:
        """Variances on their way to 0 at 0."""
        gone = self._vanishing(params, stats)
        return replace(params, band_variances=np.where(gone, 0.0, params.band_variances))

    def _vanishing(
        self, params: GaussianImageParams, stats: GaussianImageStats
    ) -> NDArray[np.bool_]:
        """Variances that fall, and of whose coefficients the data tell next to none."""
        falls = stats.band_squares <= params.band_variances
        return falls & (stats.learned < BOUNDARY) & ("band_variances" not in self.held)

    def start(self, data: Visibilities, responsibilities: Array) -> GaussianImageParams:
        """The start of ``power_law``; an image has no classes."""
        return self.power_law_start(data, 2.0)

    def power_law_start(self, data: Visibilities, exponent: float) -> GaussianImageParams:
        """Variances that fall with this power of the frequency.

        Flux and the size of the variances match the visibilities' amplitudes, whose phases may be
        the stations' own.
        """
        return self.scaled_start(data, self.centres**-exponent)

    def random_start(self, data: Visibilities, rng: np.random.Generator) -> GaussianImageParams:
        """A random power law between 0 and 4, each band's variance times exp(N(0, 1))."""
        noise = np.exp(rng.standard_normal(len(self.centres)))
        return self.scaled_start(data, self.centres ** -rng.uniform(0.0, 4.0) * noise)

    def scaled_start(self, data: Visibilities, shape: Array) -> GaussianImageParams:
        """Band variances of this shape, and what else a start needs."""
        design = self.design(data)
        seen = design.measurements
        amplitude, unit = np.abs(seen.values), np.abs(seen.mean)
        flux = float(amplitude @ unit / (unit @ unit))
        unexplained = float(((amplitude - flux * unit) ** 2).sum())
        power = np.trace(np.tensordot(shape, design.kernels, 1))
        size = max(unexplained, 1e-6 * float(amplitude @ amplitude)) / power
        return GaussianImageParams(
            band_variances=size * shape, **self.measurement_start(data, flux)
        )

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        return self.true_frames(truth, "image") is not None

    def from_truth(self, truth: dict[str, Any]) -> GaussianImageParams:
        """The true flux; and the mean squares of the coefficients closest to the true image.

        An image has no true variances.  Far from the centre, where the mean image hardly shines, no
        coefficient is known.
        """
        (image,) = np.asarray(self.true_frames(truth, "image"))
        flux = image.sum()
        waves = np.linalg.lstsq(self._atoms, image - flux * self.mean_image, rcond=1e-2)[0]
        squares = np.bincount(self.bands, waves**2) / np.bincount(self.bands)
        return GaussianImageParams(squares, np.asarray(flux), **PERFECT)

    def image(self, params: GaussianImageParams, data: Visibilities) -> tuple[Array, Array]:
        """Posterior mean and standard deviation of the image, Jy a pixel, each (pixels, pixels)."""
        design = self.design(data)
        law = self.marginal(params, design)
        scaled = self._atoms * params.band_variances[self.bands]
        gain = scaled @ design.loadings.T
        mean = params.flux * self.mean_image + gain @ law.weighted(params.flux)[0]
        variance = (scaled * self._atoms).sum(axis=1) - ((gain @ law.inverse) * gain).sum(axis=1)
        shape = self.pixels, self.pixels
        return mean.reshape(shape), np.sqrt(np.maximum(variance, 0.0)).reshape(shape)

    def pictures(self, params: GaussianImageParams, data: Visibilities) -> tuple[Array, Array]:
        """``image`` as a video of one frame."""
        mean, deviation = self.image(params, data)
        return mean[None], deviation[None]

    def drawn_image(
        self, params: GaussianImageParams, data: Visibilities, rng: np.random.Generator
    ) -> NDArray[np.complex128]:
        sizes = np.sqrt(params.band_variances[self.bands])
        coefficients = sizes * rng.standard_normal(len(sizes))
        image = params.flux * self.mean_image + self._atoms @ coefficients
        return np.asarray(self.grid.fourier(data.u, data.v) @ image)

    def posterior(self, params: GaussianImageParams, data: Visibilities) -> Posteriors:
        """``latent`` is the image, shape (1, pixels ** 2)."""
        image = self.image(params, data)[0].ravel()
        clean = self.grid.fourier(data.u, data.v) @ image
        loglik = np.array([self.loglik(params, data)])
        return Posteriors(loglik, None, self.completed(params, data, clean), image[None])
