"""Coordinates of probabilities: there and back, with zeros and with frozen edges."""

import numpy as np
import pytest

from emlib.models.simplex import pack_simplex, unpack_simplex


def test_what_lies_below_the_edge_is_frozen_where_it_is_and_the_rest_moves():
    p = np.array([[1e-30, 0.3, 0.7 - 1e-30], [0.0, 0.6, 0.4]])
    vector = pack_simplex(p, True, edge=1e-8)
    assert np.isneginf(vector).tolist() == [True, False, True, False]
    assert unpack_simplex(vector, p, True, edge=1e-8) == pytest.approx(p, rel=1e-12)
    moved = unpack_simplex(vector + [0.0, 1.0, 0.0, 1.0], p, True, edge=1e-8)
    assert moved.sum(axis=1) == pytest.approx(np.ones(2))
    assert moved[0, 0] / moved[0, 2] == pytest.approx(p[0, 0] / p[0, 2], rel=1e-9)
    assert moved[0, 1] / moved[0, 2] == pytest.approx(np.e * p[0, 1] / p[0, 2])
    assert pack_simplex(moved, True, p, edge=1e-8) == pytest.approx(vector + [0, 1, 0, 1])


def test_without_an_edge_only_zero_is_on_the_boundary():
    p = np.array([1e-30, 0.0, 1.0])
    vector = pack_simplex(p, True)
    assert vector == pytest.approx([np.log(1e-30), -np.inf])
    assert unpack_simplex(vector, p, True) == pytest.approx(p, rel=1e-12)
