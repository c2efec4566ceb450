"""Means and covariances of a Gaussian mixture that the settings give, instead of random ones."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from emlib.datasets.naming import Mistakes, is_number

FloatArray = npt.NDArray[np.float64]

RANDOM_ONLY = ("overlap", "spherical", "eccentricity")
"""Settings that say how random parameters are drawn."""


def is_given(settings: Mapping[str, Any]) -> bool:
    """Whether the settings give means or covariances."""
    return settings.get("means") is not None or settings.get("covariances") is not None


def check_given(settings: Mapping[str, Any], d: int | None, k: int | None) -> Mistakes:
    """Return (path, message) for each mistake in given ``means`` and ``covariances``.

    ``d`` and ``k`` are the numbers of columns and components, None where they are not sound.
    """
    mistakes = [
        (name, "is missing; means and covariances are given together")
        for name in ("means", "covariances")
        if settings.get(name) is None
    ]
    mistakes += [
        (name, "is for random parameters, and here means and covariances are given")
        for name in RANDOM_ONLY
        if settings.get(name) not in (None, False) and not _is_default(name, settings[name])
    ]
    if isinstance(settings.get("weights"), Mapping):
        mistakes.append(("weights", "must be a list or null where means are given, not random"))
    if d is None or k is None:
        return mistakes
    for name, read, what in (
        ("means", _mean, f"a list of {d} numbers" + (", or a number" if d == 1 else "")),
        (
            "covariances",
            _covariance,
            f"a positive variance of every column, or a symmetric positive definite {d} x {d} list",
        ),
    ):
        given = settings.get(name)
        if given is None:
            continue
        if not isinstance(given, list | tuple):
            mistakes.append((name, f"{given!r} is not a list with an item for each component"))
        elif len(given) != k:
            mistakes.append((name, f"has {len(given)} items for {k} components"))
        else:
            mistakes += [
                (f"{name}[{i}]", f"{item!r} is not {what}")
                for i, item in enumerate(given)
                if read(item, d) is None
            ]
    return mistakes


def given_parameters(settings: Mapping[str, Any]) -> tuple[FloatArray, FloatArray]:
    """Means (K, d) and covariances (K, d, d) of sound settings."""
    d = settings["d"]
    means = [_mean(item, d) for item in settings["means"]]
    return np.array(means), np.array([_covariance(item, d) for item in settings["covariances"]])


def _is_default(name: str, value: Any) -> bool:
    return name == "eccentricity" and value == 0.9


def _mean(item: Any, d: int) -> FloatArray | None:
    numbers = [item] if d == 1 and is_number(item) else item
    if not (isinstance(numbers, list | tuple) and len(numbers) == d):
        return None
    return np.array(numbers, dtype=np.float64) if all(map(is_number, numbers)) else None


def _covariance(item: Any, d: int) -> FloatArray | None:
    if is_number(item):
        return float(item) * np.eye(d) if item > 0 else None
    if not (isinstance(item, list | tuple) and len(item) == d):
        return None
    rows = [_mean(row, d) for row in item]
    if any(row is None for row in rows):
        return None
    matrix = np.array(rows)
    if not np.array_equal(matrix, matrix.T) or np.linalg.eigvalsh(matrix)[0] <= 0:
        return None
    return matrix
