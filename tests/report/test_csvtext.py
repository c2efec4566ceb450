"""CSV text is what pandas would have written."""

import numpy as np
import pandas as pd

from emlib.report.csvtext import csv_bytes

FRAME = pd.DataFrame(
    {
        "text": ["a", 'says "b"', "c,d", "", None, "ü\n"],
        "category": pd.Categorical(["x", "y", None, "x", "x,y", "y"]),
        "number": [1.0, -0.0, np.nan, np.inf, 1 / 3, 123456789012345.0],
        "zero": [0.0, -0.0, 0.0, -np.inf, 1e-300, 5.0],
        "whole": np.arange(6, dtype=np.int32),
        "yes": [True, False, True, True, False, False],
    }
)


def test_a_table_is_written_as_pandas_writes_it():
    for frame in (FRAME, FRAME.iloc[:0], FRAME[["zero"]]):
        expected = frame.to_csv(index=False, float_format="%.12g", lineterminator="\n")
        assert csv_bytes(frame).decode() == expected
