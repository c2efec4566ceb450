"""A user's own table: a CSV file with a header; an empty field, NA or NaN is a missing cell."""

import csv
import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from emlib.datasets.dataset import Dataset
from emlib.datasets.naming import unknown_name
from emlib.errors import InvalidData

_MISSING = frozenset({"", "na", "nan"})

Lines = list[tuple[int, list[str]]]


def read_csv(
    path: str | Path,
    columns: Sequence[str] | None = None,
    label: str | None = None,
    covariates: Sequence[str] = (),
    upper: Sequence[str] = (),
    sequence: str | None = None,
) -> Dataset:
    """Read measurements, and what other columns say of their rows, from a CSV file.

    Parameters
    ----------
    path : str or Path
        UTF-8 text with commas, a header in its first line; relative to the working directory.
        Blank lines are skipped.
    columns : sequence of str, optional
        The measurement columns, in the order wanted; by default all that serve no other purpose.
    label : str, optional
        A column of classes, text or numbers, none missing. Classes are numbered from 0 in the
        order of their text.
    covariates : sequence of str, optional
        Columns of numbers, none missing, that the measurements are regressed on.
    upper : sequence of str, optional
        For each measurement column the one with its cells' upper ends, the measurements being the
        lower ones: equal ends are an exact value, ``-inf`` or ``inf`` an open end.
    sequence : str, optional
        A column that names the sequence of each time step. Steps stand in their order, those of
        one sequence together.

    Raises
    ------
    InvalidData
        If the file cannot be read, is empty, has no row, repeats or lacks a column, has a line
        of another length, text or an infinite value in a measurement column, or a measurement
        column that is constant or entirely missing; if a sequence is interrupted.
    """
    header, lines = read_fields(path)
    single = [name for name in (label, sequence) if name is not None]
    others = [*covariates, *upper, *single]
    for name in (*(columns or ()), *others):
        if name not in header:
            raise InvalidData(f"{path}: {unknown_name(name, header, 'column')}")
    chosen = tuple(h for h in header if h not in others) if columns is None else tuple(columns)
    if not chosen:
        besides = " and ".join(map(repr, others))
        what = "the label" if others == [label] else "the other columns,"
        raise InvalidData(f"{path}: no measurement column is left beside {what} {besides}")
    if upper and len(upper) != len(chosen):
        raise InvalidData(f"{path}: {len(upper)} upper ends for {len(chosen)} columns")

    def read(names: Sequence[str], open_ends: bool = False) -> npt.NDArray[np.float64]:
        read = [_numbers(path, name, header.index(name), lines, open_ends) for name in names]
        return np.column_stack(read)

    extras: dict[str, npt.NDArray[Any]] = {}
    if covariates:
        extras["covariates"] = read(covariates)
        _check_whole(path, covariates, extras["covariates"], lines)
    if upper:
        extras["upper"] = read(upper, open_ends=True)
    if sequence is not None:
        extras["lengths"] = _lengths(path, sequence, header.index(sequence), lines)
    labels = None if label is None else _classes(path, label, header.index(label), lines)
    return Dataset(read(chosen, open_ends=bool(upper)), chosen, labels, extras=extras)


def read_fields(path: str | Path) -> tuple[list[str], Lines]:
    if os.path.exists(path) and not os.path.isfile(path):  # a device or a pipe may have no end
        raise InvalidData(f"{path}: cannot be read (not a file)")
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
    except ValueError as error:
        raise InvalidData(f"{path!r}: is not a path ({error})") from None
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
    known = set()
    for position, name in enumerate(header, start=1):
        if not name:
            raise InvalidData(f"{path}: the header has no name for column {position}")
        if name in known:
            raise InvalidData(f"{path}: the header names column {name!r} twice")
        known.add(name)
    if all(_as_number(name) is not None for name in header):
        raise InvalidData(
            f"{path}: the first line holds only numbers ({', '.join(header[:3])}, ...); "
            "a header with the names of the columns is needed"
        )


def _check_whole(
    path: str | Path, names: Sequence[str], values: npt.NDArray[np.float64], lines: Lines
) -> None:
    if np.isnan(values).any():
        row, column = np.argwhere(np.isnan(values))[0]
        raise InvalidData(
            f"{path}: line {lines[row][0]}, covariate {names[column]!r}: is missing (only "
            "measurements may have missing cells)"
        )


def _lengths(path: str | Path, name: str, position: int, lines: Lines) -> npt.NDArray[np.int64]:
    """Lengths of the runs of equal names."""
    lengths: dict[str, int] = {}
    last = None
    for line, row in lines:
        text = row[position]
        if text in lengths and text != last:
            raise InvalidData(
                f"{path}: line {line}, column {name!r}: sequence {text!r} goes on after another one"
            )
        lengths[text] = lengths.get(text, 0) + 1
        last = text
    return np.array(list(lengths.values()), dtype=np.int64)


def _numbers(
    path: str | Path, name: str, position: int, lines: Lines, open_ends: bool
) -> npt.NDArray[np.float64]:
    values = np.empty(len(lines))
    for i, (line, row) in enumerate(lines):
        number = _as_number(row[position])
        if number is None:
            raise InvalidData(
                f"{path}: line {line}, column {name!r}: {row[position]!r} is not a number "
                "(a missing value is an empty field, NA or NaN)"
            )
        if math.isinf(number) and not open_ends:
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
