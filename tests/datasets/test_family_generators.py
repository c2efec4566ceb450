"""A generator of a family needs its settings and its parameters; rows follow from its model."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import emlib.models
from emlib.datasets import GENERATORS, check_spec, describe_dataset, draw_dataset, draw_truth
from emlib.datasets.dataset import EXTRAS
from emlib.datasets.family import FamilyGenerator
from emlib.datasets.settings import (
    check_settings,
    choice,
    count,
    counts,
    flag,
    positive,
    probability,
    with_defaults,
)
from emlib.models import make_model


@dataclass(frozen=True)
class Coins:
    """What a generator asks of a model: parameters from a truth, and rows."""

    n_states: int

    def from_truth(self, truth):
        return truth["heads"]

    def sample(self, heads, n, rng):
        states = rng.integers(0, self.n_states, n)
        return (rng.random(n) < heads[states]).astype(int), states


class CoinSequences(FamilyGenerator):
    family = "coins"
    schema: ClassVar = {
        "length": count(2),
        "n_sequences": count(default=1),
        "n_states": count(2, 2),
    }

    def model_settings(self, settings):
        return {"n_states": settings["n_states"]}

    def parameters(self, settings, rng):
        return {"heads": rng.random(settings["n_states"])}

    def check_together(self, settings):
        short = settings["length"] < settings["n_states"]
        return [("length", "is less than n_states")] if short else []


@pytest.fixture
def coins(monkeypatch):
    monkeypatch.setitem(GENERATORS, "coins", CoinSequences())
    monkeypatch.setitem(emlib.models.FAMILIES, "coins", Coins)


@pytest.mark.usefixtures("coins")
def test_sequences_stand_one_after_the_other_with_their_lengths_and_states():
    spec = {"generator": "coins", "length": 7, "n_sequences": 3}
    info = describe_dataset(spec)
    data = draw_dataset(spec, np.random.default_rng(0), np.random.default_rng(1))
    assert (info.n, info.d, info.n_labels, info.extras) == (21, 1, 2, ("lengths",))
    assert data.values.shape == (21, 1)
    assert data.values.dtype == np.float64
    assert data.labels.shape == (21,)
    assert data.extras["lengths"].tolist() == [7, 7, 7]
    assert set(data.extras) == set(info.extras)
    assert list(data.truth) == ["heads"]


@pytest.mark.usefixtures("coins")
def test_settings_are_checked_alone_and_then_together():
    spec = {"generator": "coins", "length": 2, "n_states": 3}
    assert check_spec(spec) == [("length", "is less than n_states")]
    assert check_spec({**spec, "n_states": 0}) == [
        ("n_states", "0 is not a whole number of at least 2 and at most 1000000")
    ]
    assert check_spec({"generator": "coins"}) == [("length", "is missing")]
    assert "did you mean 'length'?" in check_spec({**spec, "lenght": 2})[0][1]


@pytest.mark.parametrize(
    ("setting", "good", "bad", "complaint"),
    [
        (count(2), 2, 1, "1 is not a whole number of at least 2 and at most 1000000"),
        (count(), 1, True, "True is not a whole number of at least 1 and at most 1000000"),
        (counts(2), [2, 3], [2, 1], "[2, 1] is not a list of whole numbers of at least 2"),
        (counts(), (1,), [], "[] is not a list of whole numbers"),
        (positive(), 1e-9, 0, "0 is not a positive number"),
        (positive(), 3, float("inf"), "inf is not a positive number"),
        (probability(), 0.5, 1, "1 is not in (0, 1)"),
        (choice("a", "b"), "a", "c", "'c' is not one of a, b"),
        (choice("a", "b"), "b", ["a"], "['a'] is not one of a, b"),
        (flag(), True, 1, "1 is neither true nor false"),
    ],
)
def test_a_setting_says_what_it_refuses(setting, good, bad, complaint):
    assert check_settings({"s": good}, {"s": setting}, "x") == []
    ((path, text),) = check_settings({"s": bad}, {"s": setting}, "x")
    assert path == "s"
    assert text.startswith(complaint)


def test_what_is_not_given_has_its_default_and_null_may_be_one():
    schema = {"n": count(), "rates": counts(default=None), "x": flag()}
    assert check_settings({"n": 1, "rates": None}, schema, "x") == []
    assert with_defaults({"generator": "g", "n": 1}, schema) == {"n": 1, "rates": None, "x": False}


SMALLEST = {
    "latent_class": {"n": 30, "n_levels": [2, 3, 4], "n_components": 2},
    "categorical_hmm": {"length": 20, "n_states": 2, "n_symbols": 3},
    "student_mixture": {"n": 30, "d": 2, "n_components": 2, "overlap": {"mean": 0.05}},
    "gaussian_mixture": {"n": 30, "d": 2, "n_components": 2, "overlap": {"mean": 0.05}},
    "multivariate_normal": {"n": 30, "d": 3},
}
"""Settings of each generator, to be completed where one needs more than its sizes."""


def smallest(name):
    """The settings that a generator needs, sizes small."""
    sizes = {"n": 30, "d": 3, "length": 20, "n_components": 2, "n_states": 2, "n_factors": 1}
    needed = {k: v for k, v in sizes.items() if k in GENERATORS[name].schema}
    return {"generator": name, **(SMALLEST.get(name) or needed)}


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_draws_what_it_describes_again_and_again(name):
    spec = smallest(name)
    assert check_spec(spec) == []
    info = describe_dataset(spec)
    one, two = (
        draw_dataset(spec, np.random.default_rng(1), np.random.default_rng(2)) for _ in range(2)
    )
    assert one.values.shape == (info.n, info.d)
    assert one.columns == info.columns
    assert info.synthetic
    assert set(one.extras) == set(info.extras) <= set(EXTRAS)
    assert sum(one.extras.get("lengths", [info.n])) == info.n
    assert one.values.tobytes() == two.values.tobytes()
    if info.n_labels is None:
        assert one.labels is None
    else:
        assert set(one.labels) <= set(range(info.n_labels))


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_s_truth_is_parameters_of_its_family_and_of_arrays(name):
    spec = smallest(name)
    generator = GENERATORS[name]
    truth = draw_truth(spec, np.random.default_rng(1))
    for value in truth.values():
        for array in value if isinstance(value, list) else [value]:
            assert np.asarray(array).dtype.kind in "biuf"
    if isinstance(generator, FamilyGenerator):
        full = with_defaults(spec, generator.schema)
        model = make_model(name, generator.model_settings(full))
        assert model.accepts_truth(truth)
        assert model.parameter_error(model.from_truth(truth), truth) in (0, pytest.approx(0))


def test_a_family_that_needs_more_than_values_has_a_generator_that_draws_it():
    for name, family in emlib.models.FAMILIES.items():
        if family.needs and name in GENERATORS:
            assert set(family.needs) <= set(describe_dataset(smallest(name)).extras)


@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_and_its_settings_are_in_the_docs(name):
    text = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text()
    assert f"`{name}`" in text or f"generator: {name}" in text
    assert [key for key in GENERATORS[name].schema if f"`{key}`" not in text] == []
