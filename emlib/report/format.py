"""Numbers and settings as people read them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"
GAP = "\u202f"  # narrow, does not break


def percent(value: float) -> str:
    """0.954 -> ``95 %``."""
    return NOTHING if math.isnan(value) else f"{100 * value:.0f} %"


def percents(value: float, low: float, high: float) -> str:
    """``95 % (76–99)``; without the interval where it has no width."""
    if math.isnan(value):
        return NOTHING
    if math.isnan(low) or (low == value == high):
        return percent(value)
    return f"{100 * value:.0f} % ({100 * low:.0f}–{100 * high:.0f})"


def points(value: float, low: float, high: float) -> str:
    """A difference of proportions in points: ``+35 (+9 to +53)``."""
    if math.isnan(value):
        return NOTHING
    return f"{_signed(value)} ({_signed(low)} to {_signed(high)})"


def _signed(value: float) -> str:
    rounded = round(100 * value)
    return f"{rounded:+d}".replace("-", "−") if rounded else "0"


def number(value: float, digits: int = 3) -> str:
    """Significant digits: 41.904 -> ``41.9``; 12345.6 -> ``12 346``; infinite -> ``∞``."""
    if value is None or math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value == 0:
        return "0"
    size = abs(value)
    if size >= 10 ** (digits - 1):
        text = f"{value:,.0f}".replace(",", GAP)
    elif size < 1e-4:
        text = f"{value:.{digits - 1}e}"
    else:
        text = f"{value:.{max(digits - 1 - math.floor(math.log10(size)), 0)}f}"
    return text.replace("-", "−") if "e" not in text else text


def interval(value: float, low: float, high: float, digits: int = 3) -> str:
    """``41.9 (38.2–46.0)``; without the interval where it has no width."""
    if math.isnan(value):
        return NOTHING
    if math.isnan(low) or (low == value == high):
        return number(value, digits)
    return f"{number(value, digits)} ({number(low, digits)}–{number(high, digits)})"


def with_error(value: float, error: float, digits: int = 3) -> str:
    """``0.105 ± 0.004``: a mean and its Monte-Carlo standard error."""
    if math.isnan(value):
        return NOTHING
    if math.isnan(error):
        return number(value, digits)
    places = 0 if error == 0 else max(0, min(6, 1 - math.floor(math.log10(error))))
    if not error:
        return f"{number(value)} ± 0"
    return f"{value:.{places}f} ± {error:.{places}f}".replace("-", "−")


def seconds(value: float) -> str:
    """A duration in a fitting unit: ``4.8 ms``, ``1.2 s``, ``3 min 20 s``."""
    if math.isnan(value):
        return NOTHING
    if math.isinf(value):
        return "∞"
    if value < 1e-3:
        return f"{1e6 * value:.0f} µs"
    if value < 1:
        return f"{number(1e3 * value, 2)} ms"
    if value < 120:
        return f"{number(value, 2)} s"
    minutes, rest = divmod(round(value), 60)
    if minutes < 60:
        return f"{minutes} min {rest} s"
    return f"{minutes // 60} h {minutes % 60} min"


def count(value: int, one: str, many: str | None = None) -> str:
    """``1 block``, ``1 200 blocks``."""
    return f"{whole(value)} {one if value == 1 else many or one + 's'}"


def whole(value: int) -> str:
    """1234567 -> ``1 234 567``."""
    return f"{value:,}".replace(",", GAP)


def given(value: float) -> str:
    """A number as somebody chose it: 0.001, 2000, without zeros that say nothing."""
    return whole(int(value)) if float(value).is_integer() else f"{value:g}"


def loss(value: float, floor: float) -> str:
    """A loss in nats; below `floor` it is rounding."""
    return f"< {given(floor)}" if value < floor else number(value, 2)


def listed(names: Sequence[str], most: int = 12) -> str:
    """``a, b and c``."""
    names = [str(name) for name in names]
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return " and ".join([", ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def settings_text(settings: Mapping[str, Any]) -> str:
    """Settings in one line: ``n 500, overlap (mean 0.001), covariance_type full``."""
    parts = []
    for name, value in settings.items():
        if value is None or value == {}:
            continue
        if isinstance(value, Mapping):
            parts.append(f"{name} ({settings_text(value)})")
        elif isinstance(value, list):
            parts.append(f"{name} [{', '.join(str(item) for item in value)}]")
        else:
            number = isinstance(value, float)
            parts.append(f"{name} {given(value) if number else value}")
    return ", ".join(parts)
