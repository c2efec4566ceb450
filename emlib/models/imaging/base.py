"""What the image models share: settings, coordinates of the parameters, the measurement."""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from inspect import signature
from typing import Any, ClassVar, TypeVar
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import Grid
from emlib.data.visibilities import Visibilities
from emlib.errors import InvalidData, require_count, require_positive
from emlib.models.base import Model, is_unconstrained, prepared
from emlib.models.imaging.measurement import (
    STEPS,
    Measurements,
    SignalStats,
    complex_gains,
    corruption,
    log_gain_prior,
    log_weight_prior,
    precision,
)
from emlib.models.posterior import Posterior
from emlib.models.records import Step
from emlib.models.special import expit

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="ImagingModel")

LARGEST_CORRELATION = 1.0 - 1e-4
"""A source that only rotates has correlation 1, where shocks have no variance to divide by."""

GAIN_SWEEPS = 50
"""Passes over the stations that fit the gains of a start to an image."""

PERFECT = {
    "noise_scale": np.asarray(1.0),
    "noise_weights": np.empty(0),
    "gain_amplitudes": np.empty(0),
    "gain_phases": np.empty(0),
}
"""The parameters of a measurement with thermal noise alone and perfect stations."""

IDENTITY = (np.asarray, np.asarray)
UNCONSTRAINED: dict[str, tuple[Callable[[Any], Array], Callable[[Any], Array]]] = {
    "flux": IDENTITY,
    "gain_phases": IDENTITY,
    "rotation": IDENTITY,
    "correlation": (
        lambda rho: np.log(rho) - np.log(LARGEST_CORRELATION - rho),
        lambda odds: LARGEST_CORRELATION * expit(odds),
    ),
}
"""Unconstrained coordinates and back; logarithms of all others, which are positive."""


@dataclass(frozen=True, kw_only=True)
class ImagingModel(Model):
    """Settings of the image models.

    Parameters
    ----------
    pixels : int
        Of the reconstruction, along each side.
    field_of_view : float
        Microarcseconds.
    prior_fwhm : float
        Of the mean image, a round Gaussian, microarcseconds.
    noise : {"gaussian", "student"}
        ``student``: each visibility's noise variance is divided by a weight of its own, and the
        objective is the loglik given the weights plus their log prior.
    dof : float
        Degrees of freedom of ``student``.
    gains : bool
        Whether each station has an unknown complex gain in each scan; the objective is then the
        loglik given the gains plus the log prior of their amplitudes.
    gain_spread : float
        Standard deviation of that prior.
    held : sequence of str
        Parameters that stay what the start says.
    reference : tuple of bool
        Gains whose phase is 0; ``prepare`` finds them.
    """

    traits: ClassVar[frozenset[str]] = frozenset({"image"})
    posteriors: ClassVar[frozenset[str]] = frozenset()
    sums: ClassVar[frozenset[str]] = frozenset()
    rows: ClassVar[bool] = False  # one image is one unit
    needs: ClassVar[tuple[str, ...]] = ("sigmas", "uv", "baselines")
    n_components: ClassVar[int] = 1  # type: ignore[misc]
    record: ClassVar[type]
    """The family's record of parameters."""

    pixels: int = 24
    field_of_view: float = 160.0
    prior_fwhm: float = 60.0
    noise: str = "gaussian"
    dof: float = 4.0
    gains: bool = False
    gain_spread: float = 0.1
    held: tuple[str, ...] = ()
    reference: tuple[bool, ...] = prepared(())

    def __post_init__(self) -> None:
        require_count("pixels", self.pixels)
        for name in ("field_of_view", "prior_fwhm", "dof", "gain_spread"):
            require_positive(name, getattr(self, name))
        if self.noise not in ("gaussian", "student"):
            raise ValueError(f"noise: {self.noise!r} is not gaussian or student")
        object.__setattr__(self, "held", tuple(self.held))
        names = [field.name for field in fields(self.record)]
        for name in self.held:
            if name not in names:
                raise ValueError(f"held: {name!r} is not one of {', '.join(names)}")

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Visibilities:
        read = signature(Visibilities.from_arrays).parameters
        return Visibilities.from_arrays(values, **{k: v for k, v in extras.items() if k in read})

    @property
    def grid(self) -> Grid:
        return Grid(self.pixels, self.field_of_view)

    @property
    def mean_image(self) -> Array:
        """The mean image of 1 Jy, shape (pixels ** 2,)."""
        return self.grid.gaussian(self.prior_fwhm)

    @property
    def cycle(self) -> tuple[Step, ...]:
        names = frozenset(field.name for field in fields(self.record))
        if "flux" in self.held:
            return (Step(names),)
        return Step(names - {"flux"}), Step(frozenset({"flux"}), maximizes="loglik")

    def prepare(self: Self, data: Visibilities) -> Self:
        if not data.observed.any():
            raise InvalidData("no visibility is observed")
        if not self.gains:
            return self
        seen = Measurements.of(data, data.values[data.observed])
        reference = np.arange(seen.n_gains) == seen.reference
        return replace(self, reference=tuple(reference.tolist()))

    def measured(
        self, stats: SignalStats, params: Any, free: frozenset[str] | None
    ) -> tuple[Any, frozenset[str]]:
        """The conditional M-steps of the measurement; and the names that move."""
        names = frozenset(field.name for field in fields(params))
        free = (names if free is None else free) - set(self.held)
        for name, step in STEPS.items():
            if name in free and np.size(getattr(params, name)):
                params = step(stats, params, self)
        return params, free

    @abstractmethod
    def best_flux(self, params: Any, data: Visibilities) -> float:
        """Generalized least squares, Jy."""

    def observed_step(
        self, params: Any, data: Visibilities, free: frozenset[str]
    ) -> tuple[Any, float]:
        """The likeliest flux (ECME): given the image it hardly moves, given the data it does.

        The covariance of the data is kept for the E-step that follows, so that both are the work
        of one.
        """
        return replace(params, flux=np.asarray(self.best_flux(params, data))), 0.0

    @property
    def penalized(self) -> bool:
        return self.gains or self.noise == "student"

    def log_prior(self, params: Any) -> float:
        """Of the weights' logarithms, and of the gains' amplitudes and phases."""
        total = 0.0
        if params.noise_weights.size:
            total += log_weight_prior(params.noise_weights, self.dof)
        if params.gain_amplitudes.size:
            total += log_gain_prior(params, self.gain_spread)
        return total

    def measurement_start(self, data: Visibilities, flux: float) -> dict[str, Array]:
        """Thermal noise alone, perfect stations."""
        n_seen = int(data.observed.sum())
        n_gains = len(self.reference) if self.gains else 0
        return {
            "flux": np.asarray(flux),
            "noise_scale": np.asarray(1.0),
            "noise_weights": np.ones(n_seen if self.noise == "student" else 0),
            "gain_amplitudes": np.ones(n_gains),
            "gain_phases": np.zeros(n_gains),
        }

    def true_frames(self, truth: dict[str, Any], name: str) -> Array | None:
        """A generator's images on this grid, shape (T, pixels ** 2), Jy; None where they are not.

        ``name`` is ``image`` or ``frames``.  Weights and gains are none of its parameters.
        """
        if name not in truth or self.penalized:
            return None
        fine, side = np.asarray(truth[name]), self.pixels
        if float(truth["field_of_view"]) != self.field_of_view or fine.shape[-1] % side:
            return None
        block = fine.shape[-1] // side
        return np.asarray(
            fine.reshape(-1, side, block, side, block).sum(axis=(2, 4)).reshape(-1, side**2)
        )

    def start_from_image(self: Self, data: Visibilities, image: Array) -> Any:
        """A start whose gains were fitted to this image, and the rest to the data so calibrated.

        Parameters
        ----------
        data : Visibilities
        image : ndarray of shape (pixels ** 2,)
            Of any flux.
        """
        seen = data.observed
        mean = self.grid.fourier(data.u[seen], data.v[seen]) @ image
        known = Measurements.of(data, mean)
        params = self.start(data, np.ones((data.n, 1)))
        size = float(np.abs(known.values) @ np.abs(mean) / (np.abs(mean) @ np.abs(mean)))
        params = replace(params, flux=np.asarray(size))
        exact = SignalStats(known, np.zeros(len(mean), complex), np.zeros(len(mean)), 0.0, 0.0)
        for _ in range(GAIN_SWEEPS):
            params = STEPS["gain_phases"](exact, params, self)
        c = corruption(params, known)
        values, sigmas = data.values.copy(), data.sigmas.copy()
        values[seen] /= c
        sigmas[seen] /= np.abs(c)
        start = self.start(replace(data, values=values, sigmas=sigmas), np.ones((data.n, 1)))
        return replace(
            start, gain_amplitudes=params.gain_amplitudes, gain_phases=params.gain_phases
        )

    def pack(self, params: Any, coordinates: str = "natural", around: Any = None) -> Array:
        unconstrained = is_unconstrained(coordinates)
        parts = [np.empty(0)]
        for name in self._free():
            value = np.ravel(getattr(params, name))[self._moving(name, params)]
            with np.errstate(divide="ignore"):
                parts.append(UNCONSTRAINED.get(name, LOGS)[0](value) if unconstrained else value)
        return np.concatenate(parts)

    def unpack(self, vector: Array, around: Any, coordinates: str = "natural") -> Any:
        unconstrained, at, new = is_unconstrained(coordinates), 0, {}
        for name in self._free():
            value, moving = np.array(getattr(around, name)), self._moving(name, around)
            part = vector[at : at + moving.sum()]
            at += len(part)
            if unconstrained:
                part = UNCONSTRAINED.get(name, LOGS)[1](part)
            flat = value.ravel()
            flat[moving] = part
            new[name] = flat.reshape(value.shape)
        return replace(around, **new)

    @property
    def unheld(self: Self) -> Self:
        return replace(self, held=())

    def n_coordinates(self, data: Visibilities) -> int:
        return len(self.pack(self.start(data, np.ones((data.n, 1)))))

    def n_parameters(self, data: Visibilities) -> int:
        """As everywhere: the weights of Student's t are latent, and none."""
        latent = self.noise == "student" and "noise_weights" not in self.held
        return self.n_coordinates(data) - latent * int(data.observed.sum())

    def _free(self) -> list[str]:
        return [f.name for f in fields(self.record) if f.name not in self.held]

    def _moving(self, name: str, params: Any) -> NDArray[np.bool_]:
        """Entries that move, in one line."""
        if name == "gain_phases":
            return ~np.array(self.reference, dtype=bool)
        return np.ones(np.size(getattr(params, name)), dtype=bool)

    def completed(self, params: Any, data: Visibilities, clean: NDArray[Any]) -> NDArray[Any]:
        """Real and imaginary parts (n, 2), each missing visibility at its expectation.

        ``clean`` (n,) is the image's; gains of which nothing was observed are 1.
        """
        gain = np.ones(data.n, dtype=complex)
        if params.gain_amplitudes.size:
            seen = Measurements.of(data, data.values[data.observed])
            pairs = zip(seen.scan, seen.station, strict=True)
            known = dict(zip(pairs, complex_gains(params), strict=True))
            for station, number in ((data.station1, 1), (data.station2, 2)):
                g = np.array(
                    [known.get(pair, 1.0) for pair in zip(data.scans, station, strict=True)]
                )
                gain *= g if number == 1 else g.conj()
        whole = np.where(data.observed, data.values, gain * clean)
        return np.stack([whole.real, whole.imag], axis=1)

    @abstractmethod
    def drawn_image(
        self, params: Any, data: Visibilities, rng: np.random.Generator
    ) -> NDArray[np.complex128]:
        """Visibilities (n,) of an image drawn from the model, before gains and noise."""

    def bootstrapped(
        self, params: Any, data: Visibilities, rng: np.random.Generator
    ) -> Visibilities:
        """Observed visibilities drawn anew from ``params``: an image and its noise."""
        seen = data.observed
        known = Measurements.of(data, data.values[seen])
        size = 1.0 / np.sqrt(precision(params, known))
        noise = size * (rng.standard_normal(len(size)) + 1j * rng.standard_normal(len(size)))
        values = data.values.copy()
        clean = self.drawn_image(params, data, rng)[seen]
        values[seen] = corruption(params, known) * clean + noise
        return replace(data, values=values)

    def sample(self, params: Any, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        raise NotImplementedError(
            f"{self.family} draws no rows: visibilities need the baselines that they are of"
        )

    def _refuse(self, posterior: Posterior) -> None:
        if not posterior.is_exact:
            raise NotImplementedError(f"{self.family} has no latent classes to temper or draw")


LOGS = (np.log, np.exp)


def made_last(last: dict[str, Any], params: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` gives for the parameters, whatever their flux; the last one is kept."""
    key = _but_flux(params)
    known, made = last.get("made", (None, None))
    if known != key:
        made = make()
        last["made"] = key, made
    return made


def is_last(last: dict[str, Any], params: Any) -> bool:
    """Whether what ``made_last`` keeps is of these parameters."""
    return bool(last.get("made", (None, None))[0] == _but_flux(params))


def _but_flux(params: Any) -> tuple[bytes, ...]:
    return tuple(
        np.asarray(getattr(params, f.name)).tobytes() for f in fields(params) if f.name != "flux"
    )


_KEPT: "WeakKeyDictionary[Any, dict[Any, Any]]" = WeakKeyDictionary()


def kept(data: Visibilities, key: Any, make: Callable[[], Any]) -> Any:
    """What ``make`` gives for the data, made once for each key and kept as long as they are."""
    known = _KEPT.setdefault(data, {})
    if key not in known:
        known[key] = make()
    return known[key]
