"""GaussianImage and RotatingVideo: images of the sky from an interferometer's visibilities."""

from collections.abc import Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from emlib.data.visibilities import Visibilities
from emlib.errors import InvalidData
from emlib.estimators.base import EMEstimator
from emlib.models.imaging import GaussianImageModel, RotatingVideoModel
from emlib.models.imaging.measurement import Measurements

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="ImageEstimator")


@dataclass(kw_only=True, eq=False, repr=False)
class ImageEstimator(EMEstimator):
    """An estimator whose latent variable is an image, or the frames of a video."""

    pixels: int = 24
    field_of_view: float = 160.0
    prior_fwhm: float = 60.0
    noise: str = "gaussian"
    dof: float = 4.0
    gains: bool = False
    gain_spread: float = 0.1
    held: Sequence[str] = ()

    def fit(self: Self, visibilities: Visibilities, y: None = None) -> Self:
        """Fit the model.

        Parameters
        ----------
        visibilities : Visibilities
            ``emlib.data.Visibilities.from_arrays`` makes them; NaN marks a hidden one.
        y : ignored

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If the model cannot take the data; it is a ``ValueError``.
        """
        _require_visibilities(visibilities)
        self._fit(visibilities)
        self._image(visibilities)
        return self

    def predict(self, visibilities: Visibilities) -> NDArray[np.complex128]:
        """All visibilities (n,), Jy: measured ones as they are, hidden ones at their expectation
        given the others.

        Raises
        ------
        InvalidData
            If they are others than the fitted ones, where weights or gains are of those.
        """
        self._check_fitted()
        _require_visibilities(visibilities)
        known = visibilities.values[visibilities.observed]
        sizes = len(known), Measurements.of(visibilities, known).n_gains
        for name, size in zip(("noise_weights", "gain_amplitudes"), sizes, strict=True):
            fitted = getattr(self.params_, name).size
            if fitted not in (0, size):
                raise InvalidData(
                    f"{name}: {fitted} were fitted, and these visibilities need {size}: predict "
                    "takes the visibilities of the fit"
                )
        parts = self._model.posterior(self.params_, visibilities).completed
        return np.asarray(parts[:, 0] + 1j * parts[:, 1])

    def _image(self, data: Visibilities) -> None:
        """Set the attributes of the image."""
        raise NotImplementedError

    def _any_start(self, model: Any, data: Visibilities) -> Any:
        return model.start(data, np.ones((data.n, 1)))

    def _settings(self) -> dict[str, Any]:
        return {
            "pixels": self.pixels,
            "field_of_view": self.field_of_view,
            "prior_fwhm": self.prior_fwhm,
            "noise": self.noise,
            "dof": self.dof,
            "gains": self.gains,
            "gain_spread": self.gain_spread,
            "held": tuple(self.held),
        }


def _require_visibilities(given: Any) -> None:
    if not isinstance(given, Visibilities):
        kind = type(given).__name__
        raise TypeError(f"{kind} are no Visibilities; see Visibilities.from_arrays")


@dataclass(eq=False, repr=False)
class GaussianImage(ImageEstimator):
    """A static image from visibilities: a Gaussian process, its hyper-parameters learned.

    The image is ``flux_`` times a round Gaussian, plus the same Gaussian times random waves whose
    variance, one a band of radial frequency, is estimated, as is the scale of the noise.  The steps
    are a generalization of EM, each in closed form and none a fall of the likelihood: minorize and
    maximize (MM) for variances and noise, ECME for the flux.  The image is integrated out, so an
    iteration costs the cube of the number of visibilities, and the number of pixels only matters
    once.

    Parameters
    ----------
    pixels : int, default=24
        Along each side.
    field_of_view : float, default=160
        Length of a side, microarcseconds.
    prior_fwhm : float, default=60
        Full width at half maximum of the mean image, microarcseconds.  Another width is another
        model: compare their ``objective_``.
    n_bands : int, default=4
        Bands of radial frequency, equally wide in its logarithm up to the longest observed
        baseline; what is finer belongs to the last one.
    noise : {"gaussian", "student"}, default="gaussian"
        ``student`` is for outliers: each visibility's noise variance is divided by a weight of its
        own, whose logarithm has the prior under which the fitted weights are those of Student's
        t.  The exact likelihood of t noise and a latent image has no closed form, so the objective
        is ``penalized``: the loglik given the weights, plus their log prior.
    dof : float, default=4
        Degrees of freedom of ``student``.
    gains : bool, default=False
        Whether each station has an unknown complex gain in each scan.  The objective is then
        ``penalized`` too, by the prior of the amplitudes, N(1, gain_spread^2).
    gain_spread : float, default=0.1
    held : sequence of str, default=()
        Parameters that stay at their starting values: ``("band_variances",)`` is imaging with a
        fixed prior.
    init_params : str, Init or dict, default="power_law"
        ``power_law``, ``flat``, ``random``; with gains also ``gaussian``, ``disk``, ``double`` and
        ``dirty``, which fit the gains to that shape once; or starting values by name.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    image_, image_sd_ : ndarray of shape (pixels, pixels)
        Posterior mean and standard deviation, Jy a pixel.  The first row is the northern, the
        first column the eastern edge.
    band_variances_ : ndarray of shape (n_bands,)
        Of the waves' coefficients, Jy squared; fewer bands where some have no wave.
    flux_ : ndarray of shape ()
        Of the mean image, Jy.
    noise_scale_ : ndarray of shape ()
        Noise variance in units of the thermal one.
    noise_weights_ : ndarray of shape (n observed,)
        Near 0 for outliers; empty for Gaussian noise.
    gain_amplitudes_, gain_phases_ : ndarray of shape (n_gains,)
        One a scan and station with data, in that order; phases in radians, 0 for the first of the
        stations that a scan's baselines connect.  Empty without gains.
    loglik_, objective_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.  ``loglik_`` is that of the data given weights and
        gains, where there are some.

    References
    ----------
    Rasmussen and Williams (2006), Gaussian Processes for Machine Learning; Lange, Little and
    Taylor (1989), JASA 84, 881-896, for t noise; Meng and Rubin (1993), Biometrika 80, 267-278;
    Zhou, Hu, Zhou and Lange (2019), JCGS 28, 350-361, for MM.
    """

    n_bands: int = 4
    _: KW_ONLY
    init_params: Any = "power_law"

    def _make_model(self) -> GaussianImageModel:
        return GaussianImageModel(n_bands=self.n_bands, **self._settings())

    def _image(self, data: Visibilities) -> None:
        model = cast(GaussianImageModel, self._model)
        self.image_, self.image_sd_ = model.image(self.params_, data)


@dataclass(eq=False, repr=False)
class RotatingVideo(ImageEstimator):
    """A video from visibilities: a static part and one that rotates from frame to frame.

    The frames are ``flux_`` times a round Gaussian plus ``B (c + s_t)``, where c is constant and
    ``s_t = correlation_ R(rotation_) s_t-1`` plus noise.  B is a polar basis in which R is
    orthogonal.  The states are integrated out by a Kalman smoother, so an iteration costs
    the cube of their number times the number of frames, whatever the number of pixels.

    EM follows a rotation from within some degrees of it only: try several starts.

    Parameters
    ----------
    n_states : int, default=88
        Dimension of c and of s_t, at most: no pair of states is torn apart.
    length : float, default=15
        Scale of the Matern 3/2 covariance that the basis is made from, microarcseconds.
    pixels, field_of_view, prior_fwhm, noise, dof, gains, gain_spread
        See ``GaussianImage``.
    held : sequence of str, default=()
        Parameters that stay at their starting values: ``("rotation",)`` is a known motion.
    init_params : str, Init or dict, default="motion"
        ``motion`` draws a rotation from a range (``emlib.inits.Motion(-30, 30)``); with gains
        also ``gaussian``, ``disk``, ``double``, ``dirty``; or starting values by name.
    n_init : int, default=8
    algorithm, tol, max_iter, random_state
        How to climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    frames_, frames_sd_ : ndarray of shape (T, pixels, pixels)
        Posterior means and standard deviations, Jy a pixel.
    static_ : ndarray of shape (pixels, pixels)
        Posterior mean of the part that does not move, the mean image included.
    rotation_ : ndarray of shape ()
        Degrees a frame, positive from east to north.
    correlation_ : ndarray of shape ()
        Of successive frames, once rotated; at most 1 - 1e-4.
    static_variance_, moving_variance_ : ndarray of shape ()
        Of the states c and s_t.
    flux_, noise_scale_, noise_weights_, gain_amplitudes_, gain_phases_ : ndarray
        See ``GaussianImage``.
    loglik_, objective_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.  The flag ``boundary`` says that the correlation has
        come to its end.

    References
    ----------
    Bouman et al. (2018), IEEE Transactions on Computational Imaging 4, 512-527 (StarWarps), for
    state-space imaging; de Jong (1991), Annals of Statistics 19, 1073-1083, for the smoother.
    """

    n_states: int = 88
    length: float = 15.0
    _: KW_ONLY
    init_params: Any = "motion"
    n_init: int = 8

    def _make_model(self) -> RotatingVideoModel:
        return RotatingVideoModel(n_states=self.n_states, length=self.length, **self._settings())

    def _image(self, data: Visibilities) -> None:
        model = cast(RotatingVideoModel, self._model)
        self.frames_, self.frames_sd_, self.static_ = model.video(self.params_, data)
