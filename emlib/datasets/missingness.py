"""Which cells of a table are hidden: one entry of a study's missingness, checked and drawn.

One uniform is drawn for whatever is hidden together (a cell, a row, a burst), whatever the rate,
and that is hidden where it falls below a probability that only grows with the rate: holes are
nested.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms import MECHANISMS, Layout, Mechanism
from emlib.datasets.naming import Mistakes, default_names, is_number, unknown_name
from emlib.datasets.settings import check_settings
from emlib.errors import InvalidData

FloatArray = npt.NDArray[np.float64]


def check_mechanism(
    mechanism: str,
    settings: Mapping[str, Any] | None,
    rates: float | Sequence[float],
    d: int | None = None,
    columns: Sequence[str] | None = None,
    observed: Sequence[int] | None = None,
    n: int | None = None,
    extras: Collection[str] | None = None,
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
    n : int, optional
        Number of rows.
    extras : collection of str, optional
        Names of the arrays beside the values, such as ``lengths`` of sequences.

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
    kind = MECHANISMS[mechanism]
    wrong = check_settings(settings or {}, kind.schema, f"mechanism {mechanism!r}", "setting")
    if wrong:
        return mistakes + wrong
    built = _build(mechanism, settings)
    wrong = built.check_alone()
    if wrong:
        return mistakes + wrong
    if columns is None:
        columns = default_names(d) if d is not None else None
    if columns is None and built.rated:
        return mistakes
    names = tuple(columns or ())
    counts = np.asarray(observed if observed is not None else np.ones(len(names)), np.float64)
    layout = Layout(names, counts, n, None if extras is None else tuple(extras))
    wrong = _wrong_data(mechanism, layout)
    if columns is not None and not wrong:
        wrong = built.check(layout)
    if wrong:
        return mistakes + wrong
    highest = built.highest_rate(layout)
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
    extras: Mapping[str, npt.NDArray[Any]] | None = None,
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
    extras : mapping of str to ndarray, optional
        Arrays beside the values: ``lengths`` of the sequences whose steps the rows are, or what
        visibilities have.

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
    asked = rate if mechanism not in MECHANISMS or MECHANISMS[mechanism].rated else 0.0
    mistakes = check_mechanism(
        mechanism,
        settings,
        asked,
        columns=names,
        observed=counts.tolist(),
        n=len(values),
        extras=tuple(extras or ()),
    )
    if mistakes:
        raise InvalidData("; ".join(f"missingness {path}: {text}" for path, text in mistakes))
    if rate == 0:
        return np.zeros(values.shape, dtype=bool)
    built = _build(mechanism, settings)
    return built.mask(_finite(values), float(rate), names, rng, extras or {})


def _wrong_data(mechanism: str, layout: Layout) -> Mistakes:
    """A mechanism for rows on visibilities, or the other way round."""
    wanted = MECHANISMS[mechanism].data
    if layout.extras is None or wanted == "any":
        return []
    found = "visibilities" if "uv" in layout.extras else "rows"
    if wanted == found:
        return []
    have = [name for name, kind in MECHANISMS.items() if kind.data in (found, "any")]
    return [
        (
            "mechanism",
            f"{mechanism!r} hides {wanted}, and these are {found}: for them there "
            f"is {', '.join(have)}",
        )
    ]


def own_rate(mechanism: str, settings: Mapping[str, Any] | None) -> float | None:
    """The rate that a sound mechanism has by itself; None where the config says the rate."""
    built = _build(mechanism, settings)
    return None if built.rated else built.own_rate()


def mask_files(mechanism: str, settings: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Files on disk that decide which cells a sound mechanism hides."""
    return _build(mechanism, settings).source_files()


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
    return MECHANISMS[mechanism](**(settings or {}))


def _indexed(rates: Any) -> dict[str, Any]:
    if isinstance(rates, list | tuple):
        return {f"rate[{i}]": rate for i, rate in enumerate(rates)}
    return {"rate": rates}


def _bad(rate: Any) -> bool:
    return not (is_number(rate) and 0.0 <= rate < 1.0)
