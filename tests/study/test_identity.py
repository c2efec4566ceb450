"""Digests, seed paths and identities."""

import numpy as np
import pytest

from emlib.study import identity
from emlib.study.identity import digest


def test_a_digest_does_not_depend_on_the_order_of_keys():
    assert digest({"a": 1, "b": [2, 3]}) == digest({"b": (2, 3), "a": 1})


@pytest.mark.parametrize("pair", [(1, 1.0), (1, True), (1, "1"), (0, None), ([1, [2]], [[1], 2])])
def test_values_of_different_types_have_different_digests(pair):
    assert digest(pair[0]) != digest(pair[1])


def test_every_nan_has_the_same_digest():
    other = np.frombuffer(np.uint64(0x7FF8000000000123).tobytes())[0]
    assert np.isnan(other)
    assert digest(np.array([1.0, other])) == digest(np.array([1.0, np.nan]))
    assert digest(float("nan")) == digest(np.float64("nan"))


def test_an_arrays_digest_sees_shape_and_content_but_not_memory_order():
    x = np.arange(6.0).reshape(2, 3)
    assert digest(x) == digest(np.asfortranarray(x))
    assert digest(x) != digest(x.reshape(3, 2))
    assert digest(x) != digest(x.astype(np.float32))


def test_digests_stay_what_they_are():
    assert digest({"a": [1, 2.5, None, "x", True]}) == "0b153962fccd87192411041435b148d1"


@pytest.mark.parametrize("value", [{1: 2}, object(), {"a": {3}}])
def test_what_has_no_canonical_form_has_no_digest(value):
    with pytest.raises(TypeError):
        digest(value)


def test_a_draw_depends_on_its_path_alone():
    first = identity.rng(7, "dataset", "x", 3).random(4)
    identity.rng(7, "dataset", "y", 3).random(4)
    assert np.array_equal(first, identity.rng(7, "dataset", "x", 3).random(4))
    assert not np.array_equal(first, identity.rng(8, "dataset", "x", 3).random(4))
    assert not np.array_equal(first, identity.rng(7, "dataset", "x", "3").random(4))


def test_holes_share_their_draws_across_rates():
    spec = {"table": "faithful"}
    low = {"mechanism": "mcar", "rate": 0.1, "settings": {}}
    high = {**low, "rate": 0.3}
    assert identity.mask_path(spec, 0, low) == identity.mask_path(spec, 0, high)
    assert identity.mask_path(spec, 0, low) != identity.mask_path(spec, 1, low)


FIT = {
    "data_id": "d",
    "model": {"family": "gaussian_mixture", "settings": {"n_components": 2}},
    "init": {"init": "random", "settings": {}, "oracle": False, "deterministic": False},
    "algorithm": {"algorithm": "em", "settings": {}},
    "stopping": {"tol": 1e-3, "max_iter": 1000},
    "budget": {"e_steps": None, "seconds": None, "hard_seconds": 60.0},
    "seed_path": (1, "start", "x"),
    "numerics": "n",
}


def fit_id(data_id, seed_path, **settings):
    return identity.fit_id(data_id, identity.fit_settings(**settings), seed_path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("data_id", "e"),
        ("model", {"family": "gaussian_mixture", "settings": {"n_components": 3}}),
        ("stopping", {"tol": 1e-4, "max_iter": 1000}),
        ("budget", {"e_steps": 10.0, "seconds": None, "hard_seconds": 60.0}),
        ("seed_path", (1, "start", "y")),
        ("numerics", "m"),
    ],
)
def test_a_fits_identity_sees_everything_that_decides_its_numbers(part, value):
    assert fit_id(**FIT) != fit_id(**{**FIT, part: value})


def test_a_fits_identity_does_not_see_the_hard_limit():
    budget = {**FIT["budget"], "hard_seconds": 1.0}
    assert fit_id(**FIT) == fit_id(**{**FIT, "budget": budget})


def test_settings_brought_to_their_form_once_give_the_same_digest():
    value = {"b": [1.5, float("nan"), None], "a": {"c": np.arange(3.0)}}
    canonical = {key: identity.Canonical.of(part) for key, part in value.items()}
    assert identity.digest(canonical) == identity.digest(value)
