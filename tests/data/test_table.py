import numpy as np
import pytest

from emlib import parallel
from emlib.data import Table
from emlib.data.table import sorted_lines
from emlib.errors import InvalidData
from tests.conftest import mixture_rows


def test_groups_cover_every_row_once_chunk_by_chunk_with_one_pattern_each(rng, monkeypatch):
    monkeypatch.setattr(parallel, "CHUNK_ROWS", 1000)
    x = mixture_rows(rng, 2100, 3, 2, missing=0.4)
    table = Table.from_array(x)
    assert sorted(table.order) == list(range(len(x)))
    assert (np.diff(table.groups[:, 0]) >= 0).all()
    for chunk, pattern, first, last in table.groups:
        rows = table.order[first:last]
        assert (rows // 700 == chunk).all()
        assert (~np.isnan(x[rows]) == table.patterns[pattern]).all()
        assert (np.diff(rows) > 0).all()


def test_columns_of_a_pattern_are_observed_first_and_ascending(rng):
    table = Table.from_array(mixture_rows(rng, 50, 4, 2, missing=0.5))
    for pattern, columns, m in zip(
        table.patterns, table.columns_of_pattern, table.observed_counts, strict=True
    ):
        assert list(columns[:m]) == list(np.flatnonzero(pattern))
        assert list(columns[m:]) == list(np.flatnonzero(~pattern))


def test_moments_are_those_of_the_observed_cells_far_from_zero(rng):
    x = rng.normal(size=(200, 2))
    x[rng.random(x.shape) < 0.3] = np.nan
    mean, variance = Table.from_array(x + 1e9).column_moments
    exact = x + 1e9 - 1e9
    assert mean - 1e9 == pytest.approx(np.nanmean(exact, axis=0), abs=1e-6)
    assert variance == pytest.approx(np.nanvar(exact, axis=0), rel=1e-9)


def test_a_row_is_drawn_the_same_from_weights_copies_and_shuffled_rows(rng):
    x = rng.normal(size=(20, 2))
    w = rng.integers(0, 4, size=20)
    weighted, copies = Table.from_array(x, w), Table.from_array(np.repeat(x, w, axis=0))
    shuffled = Table.from_array(x[::-1].copy(), w[::-1])
    for u in rng.random(50):
        rows = [t.values[t.draw_row(np.ones(t.n), u)] for t in (weighted, copies, shuffled)]
        assert (rows[0] == rows[1]).all()
        assert (rows[0] == rows[2]).all()


@pytest.mark.parametrize(
    ("values", "weights", "words"),
    [
        ([[1.0, np.inf]], None, "row 0, column 1: inf"),
        ([[1.0], [1e200]], None, "row 1, column 0: 1e\\+200"),
        ([1.0, 2.0], None, "shape \\(2,\\)"),
        (np.empty((0, 3)), None, "shape \\(0, 3\\)"),
        ([[1.0], [2.0]], [1.0], "one weight a row"),
        ([[1.0], [2.0]], [1.0, -1.0], "not negative"),
        ([[1.0], [2.0]], [0.0, 0.0], "not all zero"),
    ],
)
def test_bad_arrays_are_refused_with_the_place(values, weights, words):
    with pytest.raises(InvalidData, match=words):
        Table.from_array(values, weights)


@pytest.mark.parametrize("levels", [1, 3, 10**6])
def test_lines_are_sorted_as_numpy_sorts_them_by_all_keys(rng, levels):
    lines = rng.integers(levels, size=(200, 3)).astype(float)
    lines[rng.random(lines.shape) < 0.2] = np.nan
    assert (sorted_lines(lines) == np.lexsort(lines.T[::-1])).all()
