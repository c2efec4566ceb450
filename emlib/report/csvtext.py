"""Tables as CSV text. A column repeats few values or is numbers, so each value is written once."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

MARKS = re.compile('[,"\r\n]')


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """A frame as CSV: a header, lines that end in a line feed, twelve digits, nothing for NaN."""
    header = ",".join(_quoted(str(name)) for name in frame.columns) + "\n"
    if not len(frame):
        return header.encode("utf-8")
    columns = [_texts(frame[name]) for name in frame.columns]
    comma, end, nothing = (pa.scalar(text, pa.large_string()) for text in (",", "\n", ""))
    lines = pc.binary_join_element_wise(*columns, comma)
    ended = pc.binary_join_element_wise(lines, nothing, end)
    return header.encode("utf-8") + b"".join(map(_content, _chunks(ended)))


def _texts(values: pd.Series) -> pa.Array:
    if values.dtype.kind == "f":  # by bits: 0 is not -0
        code, bits = pd.factorize(values.to_numpy(np.float64).view(np.int64))
        numbers = bits.view(np.float64).tolist()
        texts = ["" if number != number else f"{number:.12g}" for number in numbers]
    else:
        code, different = pd.factorize(values)
        texts = [_quoted(str(value)) for value in different]
    code = np.where(code < 0, len(texts), code)
    return pa.array([*texts, ""], pa.large_string()).take(pa.array(code))


def _quoted(text: str) -> str:
    if MARKS.search(text):
        return '"' + text.replace('"', '""') + '"'
    return text


def _chunks(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return array.chunks if isinstance(array, pa.ChunkedArray) else [array]


def _content(array: pa.Array) -> memoryview:
    """The texts of an array, one after the other."""
    ends = np.frombuffer(array.buffers()[1], np.int64)[array.offset : array.offset + len(array) + 1]
    return memoryview(array.buffers()[2])[ends[0] : ends[-1]]
