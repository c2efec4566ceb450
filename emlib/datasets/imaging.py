"""Images and videos seen by an interferometer: a true sky, stations that see it, their noise."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data.sky import Grid
from emlib.datasets.coverage import SOURCES, Coverage, observe
from emlib.datasets.dataset import VISIBILITIES, Dataset, DatasetInfo, Truth
from emlib.datasets.naming import Mistakes, is_number
from emlib.datasets.settings import (
    Setting,
    check_settings,
    choice,
    count,
    number,
    positive,
    with_defaults,
)
from emlib.datasets.skies import IMAGES, MOTIONS, video
from emlib.datasets.uvfile import FILE_SETTINGS, ParsedFiles, is_paths, read_visibilities
from emlib.errors import EmlibError

FINER = 4
"""Pixels of the truth for one of the reconstruction, along each side."""
OUTLYING = 10.0
"""Times the noise of an outlier."""
COLUMNS = ("real", "imaginary")
HOURS = {"sgra": (16.0, 30.0), "m87": (10.0, 26.0)}
"""Greenwich sidereal hours of a night on which two stations at least see the source."""
VIDEO_HOURS = {"sgra": (1.5, 3.2), "m87": (17.0, 18.7)}
"""Those of a video: five sites see Sgr A*, four or five see M87."""
SIMULATED: tuple[str, ...] = ("hours", "cadence", "integration", "stations")
"""Settings of an observation that measured files take the place of."""

not_negative = number("not a number of at least 0", lambda value: value >= 0, 0.0)
share = number("not in [0, 1)", lambda value: 0 <= value < 1, 0.0)


def _is_hours(given: Any) -> bool:
    sound = isinstance(given, list | tuple) and len(given) == 2 and all(map(is_number, given))
    return sound and given[0] < given[1]


def _is_stations(given: Any) -> bool:
    return (
        isinstance(given, Mapping)
        and len(given) >= 2
        and all(
            isinstance(name, str)
            and isinstance(row, list | tuple)
            and len(row) == 4
            and all(map(is_number, row))
            and row[3] > 0
            for name, row in given.items()
        )
    )


_SHARED: Mapping[str, Setting] = {
    "source": choice(*SOURCES, default="sgra"),
    "size": positive(50.0),
    "flux": positive(2.0),
    "hours": Setting(_is_hours, "not two sidereal hours [first, last]", None, {"type": "array"}),
    "integration": positive(60.0),
    "stations": Setting(
        _is_stations,
        "not a mapping of two names or more to [x, y, z, flux density] (metres, Jy)",
        None,
        {"type": "object"},
    ),
    "gain_error": not_negative,
    "phase_error": not_negative,
    "outliers": share,
    "pixels": count(4, 24),
    "field_of_view": positive(160.0),
}


class VisibilityGenerator(ABC):
    """A true sky, drawn once, and its visibilities, a replicate's noise and gains its own.

    Settings of both: ``source`` (sgra or m87), ``size`` (50 microarcseconds), ``flux`` (2 Jy),
    ``hours`` (Greenwich sidereal), ``integration`` (60 s), ``stations`` (the EHT of 2017, or a
    mapping of names to [x, y, z, flux density]), ``gain_error`` (0; standard deviation of the
    amplitude of a station's gain in a scan), ``phase_error`` (0; degrees, of its phase),
    ``outliers`` (0; share of visibilities whose noise is ten times as large), and ``pixels`` (24)
    across the ``field_of_view`` (160 microarcseconds) of a reconstruction; the truth has four times
    as many.
    """

    family: ClassVar[str]
    schema: ClassVar[Mapping[str, Setting]]
    extras: ClassVar[tuple[str, ...]] = VISIBILITIES

    @abstractmethod
    def coverage(self, settings: dict[str, Any]) -> Coverage | ParsedFiles:
        """What is measured, and with which noise."""

    @abstractmethod
    def sky(self, settings: dict[str, Any], grid: Grid) -> Truth:
        """``image`` or ``frames``, Jy a pixel, and what else the family's record has."""

    def check(self, settings: Mapping[str, Any]) -> Mistakes:
        """Return (path, message) for every wrong setting."""
        mistakes = check_settings(settings, self.schema, f"generator {self.family!r}")
        if mistakes:
            return mistakes
        try:
            self.coverage(with_defaults(settings, self.schema))
        except EmlibError as error:
            return [("coverage" if settings.get("coverage") else "hours", str(error))]
        return []

    def describe(self, settings: Mapping[str, Any]) -> DatasetInfo:
        """Return the size of the datasets that these settings give."""
        n = self.coverage(with_defaults(settings, self.schema)).n
        return DatasetInfo(n, 2, COLUMNS, None, True, (n, n), self.extras)

    def draw_truth(self, settings: Mapping[str, Any], rng: np.random.Generator) -> Truth:
        """The sky; nothing is drawn."""
        full = with_defaults(settings, self.schema)
        grid = Grid(FINER * full["pixels"], full["field_of_view"])
        return {**self.sky(full, grid), "field_of_view": np.array(grid.field_of_view)}

    def draw_rows(
        self, settings: Mapping[str, Any], truth: Truth, rng: np.random.Generator
    ) -> Dataset:
        """Visibilities of the true sky times gains, plus noise."""
        full = with_defaults(settings, self.schema)
        seen = self.coverage(full)
        frames = np.asarray(truth["frames"] if "frames" in truth else truth["image"][None])
        grid = Grid(frames.shape[-1], float(truth["field_of_view"]))
        frame = seen.frames if "frames" in truth else np.zeros(seen.n, dtype=np.int64)
        clean = visibilities_of(frames.reshape(len(frames), -1), grid, seen.uv, frame)
        gains = _gains(seen, full["gain_error"], full["phase_error"], rng)
        noise = rng.standard_normal((seen.n, 2)) @ np.array([1.0, 1j]) * seen.sigmas
        noise[rng.random(seen.n) < full["outliers"]] *= OUTLYING
        y = clean * gains + noise
        extras = {name: np.asarray(getattr(seen, name)) for name in self.extras} | {"frames": frame}
        return Dataset(np.column_stack([y.real, y.imag]), COLUMNS, None, truth, extras)


def visibilities_of(
    frames: NDArray[np.float64],
    grid: Grid,
    uv: NDArray[np.float64],
    frame: NDArray[np.int64],
) -> NDArray[np.complex128]:
    """Visibilities (n,) of frames (n_frames, pixels ** 2), each of the frame it was measured in."""
    result = np.empty(len(uv), dtype=complex)
    for t in np.unique(frame).tolist():
        here = frame == t
        result[here] = grid.fourier(uv[here, 0], uv[here, 1]) @ frames[t]
    return result


def _gains(
    seen: Coverage | ParsedFiles, amplitude: float, phase: float, rng: np.random.Generator
) -> NDArray[np.complex128]:
    """The product g_k conj(g_l) of each visibility, one g a station and scan, shape (n,)."""
    shape = (int(seen.scans.max()) + 1, len(seen.stations))
    sizes = np.abs(1.0 + amplitude * rng.standard_normal(shape))
    g = sizes * np.exp(1j * np.radians(phase) * rng.standard_normal(shape))
    first, second = seen.baselines.T
    return np.asarray(g[seen.scans, first] * g[seen.scans, second].conj())


class GaussianImageGenerator(VisibilityGenerator):
    """A still image: ``sky`` is crescent, ring, disk, double or gaussian.

    A visibility every ``cadence`` (15) minutes; or, with ``coverage``, at the places, times and
    noise of measured visibilities, the EHT's public files, read with ``shortest``, ``scan_gap`` and
    ``systematic`` (see ``read_visibilities``).
    """

    family: ClassVar[str] = "gaussian_image"
    schema: ClassVar[Mapping[str, Setting]] = {
        **_SHARED,
        "sky": choice(*IMAGES, default="crescent"),
        "cadence": positive(15.0),
        "coverage": Setting(is_paths, "not the path of a file, nor a list of some", None),
        **FILE_SETTINGS,
    }

    def check(self, settings: Mapping[str, Any]) -> Mistakes:
        given = [key for key, value in settings.items() if value is not None]
        if "coverage" in given:
            unused, why = SIMULATED, "has no meaning beside coverage, whose files say what was seen"
        else:
            unused, why = tuple(FILE_SETTINGS), "has no meaning without coverage, a file to read"
        return [(key, why) for key in given if key in unused] or super().check(settings)

    def coverage(self, settings: dict[str, Any]) -> Coverage | ParsedFiles:
        if settings["coverage"] is not None:
            how = {key: settings[key] for key in FILE_SETTINGS}
            return read_visibilities(settings["coverage"], **how)
        first, last = settings["hours"] or HOURS[settings["source"]]
        hours = np.arange(first, last, settings["cadence"] / 60.0)
        options = {"integration": settings["integration"]}
        return observe(settings["source"], hours, settings["stations"], **options)

    def sky(self, settings: dict[str, Any], grid: Grid) -> Truth:
        image = settings["flux"] * IMAGES[settings["sky"]](grid, settings["size"])
        return {"image": image.reshape(grid.pixels, grid.pixels)}


class RotatingVideoGenerator(VisibilityGenerator):
    """A video of ``n_frames`` (50): a still crescent and a spot on its ring.

    ``motion`` is orbit, infall, flare, accelerating or still; ``rotation`` (12) degrees a frame
    from east to north; ``moving`` (0.3) is the spot's share of the flux.  The true ``rotation`` of
    ``still`` is 0; ``accelerating``, whose is not one number, has none.
    """

    family: ClassVar[str] = "rotating_video"
    schema: ClassVar[Mapping[str, Setting]] = {
        **_SHARED,
        "motion": choice(*MOTIONS, default="orbit"),
        "n_frames": count(2, 50),
        "rotation": number("not a number", lambda value: True, 12.0),
        "moving": number("not in (0, 1)", lambda value: 0 < value < 1, 0.3),
    }

    def coverage(self, settings: dict[str, Any]) -> Coverage:
        first, last = settings["hours"] or VIDEO_HOURS[settings["source"]]
        hours = np.linspace(first, last, settings["n_frames"])
        options = {"integration": settings["integration"]}
        return observe(settings["source"], hours, settings["stations"], **options)

    def sky(self, settings: dict[str, Any], grid: Grid) -> Truth:
        frames = settings["flux"] * video(
            grid, settings["size"], settings["motion"], settings["n_frames"],
            settings["rotation"], settings["moving"],
        )  # fmt: skip
        sky = {"frames": frames.reshape(-1, grid.pixels, grid.pixels)}
        if settings["motion"] == "accelerating":
            return sky
        rotation = 0.0 if settings["motion"] == "still" else settings["rotation"]
        return {**sky, "rotation": np.array(rotation, dtype=float)}
