"""A user's own table: a CSV file with a header; an empty field, NA or NaN is a missing cell."""

import csv
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from emlib.datasets.dataset import Dataset
from emlib.datasets.naming import unknown_name
from emlib.errors import InvalidData

_MISSING = frozenset({"", "na", "nan"})

Lines = list[tuple[int, list[str]]]


def read_csv(
    path: str | Path, columns: Sequence[str] | None = None, label: str | None = None
) -> Dataset:
    """Read measurements, and classes if a column holds them, from a CSV file.

    Parameters
    ----------
    path : str or Path
        UTF-8 text with commas, a header in its first line; relative to the working directory.
        Blank lines are skipped.
    columns : sequence of str, optional
        The measurement columns, in the order wanted; all but ``label`` by default.
    label : str, optional
        A column of classes, text or numbers, none missing. Classes are numbered from 0 in the
        order of their text.

    Raises
    ------
    InvalidData
        If the file cannot be read, is empty, has no row, repeats or lacks a column, has a line
        of another length, text or an infinite value in a measurement column, or a measurement
        column that is constant or entirely missing.
    """
    header, lines = _read_lines(path)
    for name in (*(columns or ()), *((label,) if label is not None else ())):
        if name not in header:
            raise InvalidData(f"{path}: {unknown_name(name, header, 'column')}")
    chosen = tuple(columns) if columns is not None else tuple(h for h in header if h != label)
    if not chosen:
        raise InvalidData(f"{path}: no measurement column is left beside the label {label!r}")
    values = np.empty((len(lines), len(chosen)))
    for j, name in enumerate(chosen):
        values[:, j] = _numbers(path, name, header.index(name), lines)
    labels = None if label is None else _classes(path, label, header.index(label), lines)
    return Dataset(values=values, columns=chosen, labels=labels)


def _read_lines(path: str | Path) -> tuple[list[str], Lines]:
    try:
        with open(path, encoding="utf-8-sig", newline="") as handle:
            reader = csv.reader(handle, strict=True)
            lines = [(reader.line_num, [field.strip() for field in row]) for row in reader if row]
    except FileNotFoundError:
        raise InvalidData(f"{path}: no such file (relative to {Path.cwd()})") from None
    except UnicodeDecodeError:
        raise InvalidData(f"{path}: is not UTF-8 text") from None
    except csv.Error as error:
        raise InvalidData(f"{path}: is not a CSV file ({error})") from None
    except OSError as error:
        raise InvalidData(f"{path}: cannot be read ({error.strerror})") from None
    if not lines:
        raise InvalidData(f"{path}: the file is empty; a header and at least one row are needed")
    header = lines.pop(0)[1]
    _check_header(path, header)
    if not lines:
        raise InvalidData(f"{path}: has a header and no row")
    for line, row in lines:
        if len(row) != len(header):
            raise InvalidData(
                f"{path}: line {line} has {len(row)} fields, the header has {len(header)}"
            )
    return header, lines


def _check_header(path: str | Path, header: list[str]) -> None:
    if len(header) == 1:
        for sign, name in ((";", "semicolons"), ("\t", "tabs"), ("|", "bars")):
            if sign in header[0]:
                raise InvalidData(f"{path}: fields look separated by {name}; commas are needed")
    for position, name in enumerate(header, start=1):
        if not name:
            raise InvalidData(f"{path}: the header has no name for column {position}")
        if name in header[: position - 1]:
            raise InvalidData(f"{path}: the header names column {name!r} twice")
    if all(_as_number(name) is not None for name in header):
        raise InvalidData(
            f"{path}: the first line holds only numbers ({', '.join(header[:3])}, ...); "
            "a header with the names of the columns is needed"
        )


def _numbers(path: str | Path, name: str, position: int, lines: Lines) -> npt.NDArray[np.float64]:
    values = np.empty(len(lines))
    for i, (line, row) in enumerate(lines):
        number = _as_number(row[position])
        if number is None:
            raise InvalidData(
                f"{path}: line {line}, column {name!r}: {row[position]!r} is not a number "
                "(a missing value is an empty field, NA or NaN)"
            )
        if math.isinf(number):
            raise InvalidData(
                f"{path}: line {line}, column {name!r}: {row[position]!r} is not finite"
            )
        values[i] = number
    present = values[~np.isnan(values)]
    if not present.size:
        raise InvalidData(f"{path}: column {name!r} has no value in any of {len(lines)} rows")
    if present.min() == present.max():
        raise InvalidData(
            f"{path}: column {name!r} is constant: each of its {present.size} values is "
            f"{present[0]:g}"
        )
    return values


def _classes(path: str | Path, name: str, position: int, lines: Lines) -> npt.NDArray[np.int64]:
    texts = [row[position] for _, row in lines]
    for (line, _), text in zip(lines, texts, strict=True):
        if text.lower() in _MISSING:
            raise InvalidData(f"{path}: line {line}, label column {name!r}: the class is missing")
    return np.unique(texts, return_inverse=True)[1].astype(np.int64)


def _as_number(text: str) -> float | None:
    """Return the number that a field holds, NaN where it is missing, None where it is text."""
    if text.lower() in _MISSING:
        return math.nan
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None
