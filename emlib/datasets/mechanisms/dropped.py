"""Visibilities that are lost: single ones, baselines, stations, or scans, completely at random."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms.base import BoolArray, FloatArray, Mechanism

Arrays = Mapping[str, npt.NDArray[Any]]


@dataclass(frozen=True)
class Dropped(Mechanism):
    """Whatever drops together has one uniform, whatever the rate; both parts of it are hidden."""

    data: ClassVar[str] = "visibilities"

    def units(self, n: int, extras: Arrays) -> npt.NDArray[np.int64]:
        """Numbers of what each visibility drops with, shape (n, m): lost where one of m is."""
        return np.arange(n)[:, None]

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        return np.where(np.isnan(values), 0.0, rate)

    def mask(
        self,
        values: FloatArray,
        rate: float,
        columns: Sequence[str],
        rng: np.random.Generator,
        extras: Arrays,
    ) -> BoolArray:
        units = self.units(len(values), extras)
        lost = rng.random(units.max() + 1) < 1.0 - (1.0 - rate) ** (1.0 / units.shape[1])
        return np.asarray(lost[units].any(axis=1)[:, None] & ~np.isnan(values))


@dataclass(frozen=True)
class DroppedVisibilities(Dropped):
    """``dropped_visibilities``: each visibility by itself."""


@dataclass(frozen=True)
class DroppedBaselines(Dropped):
    """``dropped_baselines``: a pair of stations for the whole observation."""

    def units(self, n: int, extras: Arrays) -> npt.NDArray[np.int64]:
        ends = np.sort(extras["baselines"], axis=1)
        return np.unique(ends, axis=0, return_inverse=True)[1].reshape(-1, 1)


@dataclass(frozen=True)
class DroppedStations(Dropped):
    """``dropped_stations``: a station for the whole observation.

    A visibility is lost with either station, so a station is with the probability
    1 - sqrt(1 - rate).
    """

    def units(self, n: int, extras: Arrays) -> npt.NDArray[np.int64]:
        return np.asarray(extras["baselines"], dtype=np.int64)


@dataclass(frozen=True)
class DroppedScans(Dropped):
    """``dropped_scans``: all visibilities of a scan."""

    def units(self, n: int, extras: Arrays) -> npt.NDArray[np.int64]:
        return np.asarray(extras["scans"], dtype=np.int64)[:, None]
