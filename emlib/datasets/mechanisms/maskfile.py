"""Holes that a file says: the same for every replicate."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from emlib.datasets.mechanisms.base import BoolArray, FloatArray, Layout, Mechanism
from emlib.datasets.naming import Mistakes, unknown_name
from emlib.datasets.settings import REQUIRED, Setting
from emlib.errors import InvalidData

_TRUE, _FALSE = frozenset({"1", "true"}), frozenset({"0", "false"})


@dataclass(frozen=True)
class MaskFile(Mechanism):
    """``file``: the cells that a file marks are hidden; its rate is the share that it marks.

    Parameters
    ----------
    path : str
        Relative to the working directory. A CSV file whose header names the dataset's columns, in
        any order, with a line a row: 1 or true where a cell is hidden, else 0 or false. Or an npz
        file with ``hidden`` (n, d) of bool, and ``columns`` (d,) if not in the dataset's order.
    """

    data: ClassVar[str] = "any"
    limit: ClassVar[str] = "has the rate of its file"
    rated: ClassVar[bool] = False
    schema: ClassVar[Mapping[str, Setting]] = {
        "path": Setting(
            lambda path: isinstance(path, str) and path.endswith((".csv", ".npz")),
            "not the path of a .csv or .npz file",
            REQUIRED,
            {"type": "string"},
        )
    }

    path: str

    def own_rate(self) -> float:
        return float(read_mask(self.path)[0].mean())

    def source_files(self) -> tuple[str, ...]:
        return (self.path,)

    def check_alone(self) -> Mistakes:
        try:
            read_mask(self.path)
        except InvalidData as error:
            return [("path", str(error))]
        return []

    def check(self, layout: Layout) -> Mistakes:
        hidden, names = read_mask(self.path)
        n, d = hidden.shape
        if layout.n is not None and n != layout.n:
            return [("path", f"{self.path} has {n} rows, and the table {layout.n}")]
        if names is None:
            if d != len(layout.columns):
                text = f"{self.path} has {d} columns, and the table {len(layout.columns)}"
                return [("path", text)]
            return []
        for name in names:
            if name not in layout.columns:
                text = unknown_name(name, layout.columns, "column")
                return [("path", f"{self.path}: {text}")]
        for name in layout.columns:
            if name not in names:
                return [("path", f"{self.path} has no column {name!r} (it has {', '.join(names)})")]
        return []

    def highest_rate(self, layout: Layout) -> float:
        return 0.0

    def probabilities(self, values: FloatArray, rate: float, columns: Sequence[str]) -> FloatArray:
        hidden, names = read_mask(self.path)
        if names is not None:
            hidden = hidden[:, [names.index(name) for name in columns]]
        return np.where(np.isnan(values), 0.0, hidden)

    def mask(
        self,
        values: FloatArray,
        rate: float,
        columns: Sequence[str],
        rng: np.random.Generator,
        extras: Mapping[str, npt.NDArray[Any]],
    ) -> BoolArray:
        return self.probabilities(values, rate, columns) > 0


def read_mask(path: str) -> tuple[BoolArray, list[str] | None]:
    """Read which cells a file hides (n, d), and the names of its columns if it has them.

    Raises
    ------
    InvalidData
        If there is no such file, or it is not a mask.
    """
    if path.endswith(".npz"):
        return _read_npz(path)
    from emlib.datasets.csvfile import read_fields

    header, lines = read_fields(path)
    words = np.array([[field.lower() for field in row] for _, row in lines])
    hidden = np.isin(words, list(_TRUE))
    wrong = ~hidden & ~np.isin(words, list(_FALSE))
    if wrong.any():
        i, j = np.argwhere(wrong)[0]
        line, row = lines[i]
        text = f"line {line}, column {header[j]!r}: {row[j]!r} is none of 0, 1, true, false"
        raise InvalidData(f"{path}: {text}")
    return hidden, header


def _read_npz(path: str) -> tuple[BoolArray, list[str] | None]:
    if not Path(path).is_file():
        raise InvalidData(f"{path}: no such file (relative to {Path.cwd()})")
    try:
        with np.load(path, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
    except Exception as error:
        raise InvalidData(f"{path}: is not an npz file ({error})") from None
    hidden = arrays.get("hidden")
    if hidden is None or hidden.dtype != np.bool_ or hidden.ndim != 2:
        found = "nothing" if hidden is None else f"{hidden.dtype} of shape {hidden.shape}"
        raise InvalidData(f"{path}: `hidden` must be bool of shape (rows, columns), not {found}")
    if "columns" not in arrays:
        return hidden, None
    names = [str(name) for name in arrays["columns"]]
    if len(names) != hidden.shape[1] or len(set(names)) < len(names):
        raise InvalidData(
            f"{path}: `columns` must name each of the {hidden.shape[1]} columns once, not {names}"
        )
    return hidden, names
