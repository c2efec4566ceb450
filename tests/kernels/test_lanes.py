"""Groups of eight numbers against NumPy."""

import numpy as np
from numba import njit

from emlib.kernels import lanes
from emlib.kernels.lanes import load, store
from emlib.kernels.lanes_log import log


@njit
def exponentials(x, out):
    for i in range(0, x.shape[0], 8):
        store(out, i, lanes.exp(load(x, i)))


@njit
def logarithms(x, out):
    for i in range(0, x.shape[0], 8):
        store(out, i, log(load(x, i)))


@njit
def turned(x, out):
    lanes.transpose(x, 1, 10, out, 0, 8)


@njit
def chosen(x, a, b, out):
    store(out, 0, lanes.where_number(load(x, 0), load(a, 0), load(b, 0)))


@njit
def reductions(x):
    group = load(x, 8)
    return lanes.total(group), lanes.largest(group), lanes.lane(group, 3)


@njit
def arithmetic(a, b, c, out):
    x, y, z = load(a, 0), load(b, 0), load(c, 0)
    store(out, 0, lanes.add(x, y))
    store(out, 8, lanes.subtract(x, y))
    store(out, 16, lanes.multiply(x, y))
    store(out, 24, lanes.add_product(x, y, z))
    store(out, 32, lanes.larger(x, y))
    store(out, 40, lanes.spread(a[2]))
    store(out, 48, lanes.divide(x, y))


def test_exp_is_numpy_s_to_an_ulp_or_two(rng):
    x = np.concatenate([-rng.random(4000), -708 * rng.random(4000), [0.0, -1e-300] * 4])
    out = np.empty_like(x)
    exponentials(x, out)
    assert np.abs(out / np.exp(x) - 1.0).max() < 4e-16


def test_exp_is_zero_of_minus_infinity_alone():
    x = np.array([-np.inf, -708.5, -1e4, -1e300, 0.0, -1.0, -np.inf, -745.0])
    out = np.empty(8)
    exponentials(x, out)
    assert (out == 0).tolist() == np.isneginf(x).tolist()
    assert out[[1, 2, 3, 7]].max() < 1e-307


def test_log_is_numpy_s_to_an_ulp_or_two(rng):
    x = np.concatenate([
        np.exp(rng.uniform(-700, 700, 4000)), np.exp(rng.normal(size=3992)),
        [np.sqrt(0.5), np.sqrt(2.0), 2.0, 0.5, 1.0 + 1e-15, 1.0 - 1e-15, 1e-300, 1e300],
    ])  # fmt: skip
    out = np.empty_like(x)
    logarithms(x, out)
    assert np.abs(out / np.log(x) - 1.0).max() < 5e-16
    logarithms(np.ones(8), out)
    assert (out[:8] == 0.0).all()


def test_lines_become_columns(rng):
    x, out = rng.normal(size=(8, 10)), np.empty((8, 8))
    turned(x, out)
    assert np.array_equal(out, x[:, 1:9].T)


def test_numbers_are_told_from_holes(rng):
    x, a, b = rng.normal(size=(3, 8))
    x[[1, 6]] = np.nan
    out = np.empty(8)
    chosen(x, a, b, out)
    assert np.array_equal(out, np.where(np.isnan(x), b, a))


def test_operations_are_those_of_their_names(rng):
    a, b, c = rng.normal(size=(3, 8))
    out = np.empty(56)
    arithmetic(a, b, c, out)
    expected = [a + b, a - b, a * b, a * b + c, np.maximum(a, b), np.full(8, a[2]), a / b]
    assert np.allclose(out, np.concatenate(expected), rtol=1e-15, atol=1e-16)
    total, largest, fourth = reductions(np.concatenate([a, b]))
    assert np.isclose(total, b.sum(), rtol=1e-14)
    assert largest == b.max()
    assert fourth == b[3]
