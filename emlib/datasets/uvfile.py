"""The Event Horizon Telescope's public visibilities, as its data releases have them in CSV files.

EHT Collaboration (2019), First M87 EHT Results, calibrated data, release 2019-D01-01: two lines of
comment, then time (hours UTC), two stations, u and v (wavelengths), amplitude (Jy), phase (degrees)
and thermal noise (Jy).  They are prepared as in the collaboration's Paper IV, section 2: baselines
within one site dropped, averages over scans, and a part of the amplitude added to the noise.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.datasets.dataset import VISIBILITIES, Dataset
from emlib.datasets.settings import Setting, number
from emlib.errors import InvalidData

Array = NDArray[np.float64]

HEADER = "#time(UTC),T1,T2,U(lambda),V(lambda),Iamp(Jy),Iphase(d),Isigma(Jy)"
SHORTEST = 1e8
"""Wavelengths: baselines within one site (ALMA and APEX, SMA and JCMT) are a hundredth of this."""
SCAN_GAP = 1.0 / 60.0
"""Hours without a measurement that part two scans."""
SYSTEMATIC = 0.02
"""Share of the amplitude that is added to the noise, in squares."""


not_negative = "not a number of at least 0"
FILE_SETTINGS: Mapping[str, Setting] = {
    "shortest": number(not_negative, lambda value: value >= 0, SHORTEST),
    "scan_gap": number(not_negative, lambda value: value >= 0, SCAN_GAP),
    "systematic": number(not_negative, lambda value: value >= 0, SYSTEMATIC),
}
"""Settings of a dataset of visibilities; see ``read_visibilities``."""


@dataclass(frozen=True, eq=False)
class ParsedFiles:
    """Visibilities of one or more files; names are those of the view and of ``Coverage``.

    Attributes
    ----------
    values : ndarray of shape (n,), complex
    stations : tuple of str
    baselines : ndarray of shape (n, 2), int64
    uv : ndarray of shape (n, 2)
    sigmas, times : ndarray of shape (n,)
        Hours from the first file's midnight; a day from file to file.
    frames, scans : ndarray of shape (n,), int64
    """

    values: NDArray[np.complex128]
    stations: tuple[str, ...]
    baselines: NDArray[np.int64]
    uv: Array
    sigmas: Array
    times: Array
    frames: NDArray[np.int64]
    scans: NDArray[np.int64]

    @property
    def n(self) -> int:
        return len(self.values)


def is_paths(given: Any) -> bool:
    """Whether a setting is the path of a file, or a list of some."""
    items = [given] if isinstance(given, str) else given
    return (
        isinstance(items, list | tuple)
        and bool(items)
        and all(isinstance(item, str) and item for item in items)
    )


def read_visibilities(
    paths: str | Sequence[str],
    *,
    shortest: float = SHORTEST,
    scan_gap: float = SCAN_GAP,
    systematic: float = SYSTEMATIC,
) -> ParsedFiles:
    """Read files, drop short baselines, average over scans, add systematic noise.

    Parameters
    ----------
    paths : str or sequence of str
        One file a day.
    shortest : float
        Baselines below this are dropped, wavelengths.
    scan_gap : float
        Hours without a measurement that part two scans.
    systematic : float
        Share of the amplitude that is added to the noise, in squares.

    Raises
    ------
    InvalidData
        If a file cannot be read, or none of its visibilities is left.
    """
    days = [paths] if isinstance(paths, str) else list(paths)
    stamps = tuple((day, Path(day).stat().st_mtime_ns if Path(day).exists() else 0) for day in days)
    return _read(stamps, shortest, scan_gap, systematic)


def load_visibilities(paths: str | Sequence[str], **settings: float) -> Dataset:
    """As ``read_visibilities``, as a study's dataset."""
    read = read_visibilities(paths, **settings)
    extras = {name: np.asarray(getattr(read, name)) for name in VISIBILITIES}
    values = np.column_stack([read.values.real, read.values.imag])
    return Dataset(values, ("real", "imaginary"), extras=extras)


@lru_cache(maxsize=8)
def _read(
    stamps: tuple[tuple[str, int], ...], shortest: float, scan_gap: float, systematic: float
) -> ParsedFiles:
    rows = [
        (24.0 * day + time, *rest)
        for day, (path, _) in enumerate(stamps)
        for time, *rest in _rows(path, shortest)
    ]
    names = sorted({name for row in rows for name in row[1:3]})
    number = {name: k for k, name in enumerate(names)}
    times = np.array([row[0] for row in rows])
    pairs = np.array([[number[row[1]], number[row[2]]] for row in rows], dtype=np.int64)
    uv, measured = np.array([row[3:5] for row in rows]), np.array([row[5:8] for row in rows])
    y = measured[:, 0] * np.exp(1j * np.radians(measured[:, 1]))
    moments = np.unique(times)
    part = np.concatenate([[0], np.cumsum(np.diff(moments) > scan_gap)])
    scan = part[np.searchsorted(moments, times)]
    turned = pairs[:, 0] > pairs[:, 1]  # a baseline counts once, in one direction
    pairs[turned], uv[turned], y[turned] = pairs[turned][:, ::-1], -uv[turned], y[turned].conj()
    keys, group = np.unique(np.column_stack([scan, pairs]), axis=0, return_inverse=True)
    weight = 1.0 / measured[:, 2] ** 2

    def mean(numbers: NDArray[Any]) -> Array:
        return np.bincount(group, weight * numbers) / np.bincount(group, weight)

    values = mean(y.real) + 1j * mean(y.imag)
    sigmas = np.sqrt(1.0 / np.bincount(group, weight) + (systematic * np.abs(values)) ** 2)
    return ParsedFiles(
        values, tuple(names), keys[:, 1:].astype(np.int64), np.column_stack(list(map(mean, uv.T))),
        sigmas, mean(times), np.zeros(len(keys), dtype=np.int64), keys[:, 0].astype(np.int64),
    )  # fmt: skip


def _rows(path: str, shortest: float) -> list[tuple[Any, ...]]:
    """time, two stations, u, v, amplitude, phase, sigma of each visibility on a long baseline."""
    try:
        lines = Path(path).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidData(f"visibilities {path}: {error}") from None
    if HEADER not in [line.strip() for line in lines[:4]]:
        raise InvalidData(f"visibilities {path}: no line {HEADER!r} among the first; see the docs")
    rows = []
    for place, line in enumerate(lines, start=1):
        if line.startswith("#") or not line.strip():
            continue
        cells = [cell.strip() for cell in line.split(",")]
        try:
            numbers = [float(cells[k]) for k in (0, 3, 4, 5, 6, 7)]
            first, second = cells[1], cells[2]
        except (ValueError, IndexError):
            raise InvalidData(f"visibilities {path}: line {place}: {line[:80]!r}") from None
        if not np.isfinite(numbers).all() or numbers[5] <= 0 or len(cells) != 8:
            raise InvalidData(
                f"visibilities {path}: line {place}: eight cells, numbers finite and the noise "
                f"positive, are needed: {line[:80]!r}"
            )
        if np.hypot(numbers[1], numbers[2]) >= shortest:
            rows.append((numbers[0], first, second, *numbers[1:]))
    if not rows:
        raise InvalidData(
            f"visibilities {path}: no baseline is as long as {shortest:g} wavelengths"
        )
    return rows
