"""Which cells of a table are hidden: one entry of a study's missingness, checked and drawn.

One uniform is drawn for each cell (each row, where whole rows are hidden), whatever the rate, and
the cell is hidden where it falls below a probability that only grows with the rate: holes are
nested.
"""

from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms import MECHANISMS, Mechanism
from emlib.datasets.naming import Mistakes, default_names, is_count, is_number, unknown_name
from emlib.errors import InvalidData

FloatArray = npt.NDArray[np.float64]


def check_mechanism(
    mechanism: str,
    settings: Mapping[str, Any] | None,
    rates: float | Sequence[float],
    d: int | None = None,
    columns: Sequence[str] | None = None,
    observed: Sequence[int] | None = None,
) -> Mistakes:
    """Find every mistake in one missingness entry of a configuration, without any data.

    Parameters
    ----------
    mechanism : str
        A name in ``MECHANISMS``.
    settings : mapping
        Everything of the entry but ``mechanism`` and ``rate``.
    rates : float or sequence of float
        Requested shares of hidden cells, each in [0, 1).
    d, columns : int, sequence of str
        The table's columns. Without both, only what holds for any table is checked.
    observed : sequence of int
        Number of observed cells of each column, where the table has holes of its own.

    Returns
    -------
    list of (path, message)
        ``path`` is relative to the entry: ``mechanism``, ``rate``, ``rate[1]``, a setting.
    """
    if mechanism not in MECHANISMS:
        return [("mechanism", unknown_name(mechanism, MECHANISMS, "mechanism"))]
    indexed = _indexed(rates)
    mistakes = [
        (path, f"{rate!r} is not in [0, 1)") for path, rate in indexed.items() if _bad(rate)
    ]
    wrong = _check_settings(mechanism, settings or {})
    if wrong:
        return mistakes + wrong
    built = _build(mechanism, settings)
    if columns is None:
        columns = default_names(d) if d is not None else None
    if columns is not None:
        wrong = built.check(columns)
        if wrong:
            return mistakes + wrong
    elif mechanism != "none":
        return mistakes
    columns = columns or ()
    counts = np.asarray(observed if observed is not None else np.ones(len(columns)), np.float64)
    highest = built.highest_rate(columns, counts)
    for path, rate in indexed.items():
        if not _bad(rate) and rate > highest:
            most = f"here the rate is at most {highest:.4g}"
            mistakes.append((path, f"{rate} is too high: {mechanism!r} {built.limit}, so {most}"))
    return mistakes


def draw_mask(
    mechanism: str,
    settings: Mapping[str, Any] | None,
    rate: float,
    values: FloatArray,
    rng: np.random.Generator,
    columns: Sequence[str] | None = None,
) -> npt.NDArray[np.bool_]:
    """Draw which cells are hidden.

    Parameters
    ----------
    mechanism, settings, rate
        As in :func:`check_mechanism`; ``rate`` is the expected share of the observed cells.
    values : ndarray of shape (n, d)
        The table; cells that are NaN stay missing and are never counted as hidden. An infinite
        end of a censored cell counts as its column's extreme finite value.
    rng : numpy.random.Generator
        Keyed without the rate, so that the holes of a lower rate are among those of a higher one.
    columns : sequence of str, optional
        Names of the columns, needed where ``settings`` names some of them.

    Returns
    -------
    ndarray of bool, shape (n, d)
        True where a cell is hidden. Rows may lose all their cells.

    Raises
    ------
    InvalidData
        If the mechanism cannot hide this share of this table.
    """
    values = np.asarray(values, dtype=np.float64)
    names = tuple(columns) if columns is not None else default_names(values.shape[1])
    counts = (~np.isnan(values)).sum(axis=0)
    mistakes = check_mechanism(mechanism, settings, rate, columns=names, observed=counts.tolist())
    if mistakes:
        raise InvalidData("; ".join(f"missingness {path}: {text}" for path, text in mistakes))
    if rate == 0:
        return np.zeros(values.shape, dtype=bool)
    built = _build(mechanism, settings)
    uniforms = rng.random((len(values), 1) if built.by_row else values.shape)
    return np.asarray(uniforms < built.probabilities(_finite(values), float(rate), names))


def _finite(values: FloatArray) -> FloatArray:
    """The values (n, d), infinite ones at their column's least and largest finite one."""
    if not np.isinf(values).any():
        return values
    known = np.where(np.isfinite(values), values, np.nan)
    empty = np.isnan(known).all(axis=0)
    known[:, empty] = 0.0
    low, high = np.nanmin(known, axis=0), np.nanmax(known, axis=0)
    return np.where(np.isinf(values), np.where(values < 0, low, high), values)


def _build(mechanism: str, settings: Mapping[str, Any] | None) -> Mechanism:
    """Make a mechanism from settings that :func:`check_mechanism` found sound."""
    built: Mechanism = MECHANISMS[mechanism](**(settings or {}))
    return built


def _check_settings(mechanism: str, settings: Mapping[str, Any]) -> Mistakes:
    allowed = [field.name for field in fields(MECHANISMS[mechanism])]
    mistakes = [
        (str(key), unknown_name(key, allowed, "setting", f"mechanism {mechanism!r}"))
        for key in settings
        if key not in allowed
    ]
    strength = settings.get("strength", 0.0)
    if "strength" in allowed and not is_number(strength):
        mistakes.append(("strength", f"{strength!r} is not a finite number"))
    observed = settings.get("observed")
    if "observed" in allowed and observed is not None and not _is_choice(observed):
        what = "neither a number of columns, at least 1, nor a list of different column names"
        mistakes.append(("observed", f"{observed!r} is {what}"))
    return mistakes


def _is_choice(observed: Any) -> bool:
    if isinstance(observed, list | tuple):
        return 0 < len(observed) == len({*map(str, observed)}) and all(
            isinstance(name, str) for name in observed
        )
    return is_count(observed)


def _indexed(rates: Any) -> dict[str, Any]:
    if isinstance(rates, list | tuple):
        return {f"rate[{i}]": rate for i, rate in enumerate(rates)}
    return {"rate": rates}


def _bad(rate: Any) -> bool:
    return not (is_number(rate) and 0.0 <= rate < 1.0)
