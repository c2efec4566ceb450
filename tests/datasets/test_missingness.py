"""Mechanisms hide the requested share of cells, nested across rates, for their stated reason."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit

from emlib.datasets import MECHANISMS, check_mechanism, draw_mask
from emlib.datasets.mechanisms import AtRandom, NotAtRandom
from emlib.errors import InvalidData

HIDING = ("mcar", "steps", "mar", "mnar")


def table(n=300, d=4, seed=0):
    rng = np.random.default_rng(seed)
    return rng.standard_t(4, size=(n, d)) @ rng.normal(size=(d, d)) + 10.0


def hide(mechanism, rate, values, seed=1, **settings_):
    return draw_mask(mechanism, settings_, rate, values, np.random.default_rng(seed))


@settings(max_examples=150, deadline=None)
@given(
    mechanism=st.sampled_from(HIDING),
    rates=st.tuples(st.floats(0, 0.45), st.floats(0, 0.45)).map(sorted),
    n=st.integers(2, 40),
    d=st.integers(2, 6),
    scale=st.sampled_from([1e-150, 1.0, 1e150]),
    seed=st.integers(0, 10**6),
)
def test_holes_of_a_lower_rate_are_among_those_of_a_higher_one(mechanism, rates, n, d, scale, seed):
    values = scale * table(n, d, seed)
    low, high = (hide(mechanism, rate, values, seed) for rate in rates)
    assert not np.any(low & ~high)


@pytest.mark.parametrize("mechanism", HIDING)
@pytest.mark.parametrize("rate", [0.01, 0.1, 0.3, 0.47])
def test_the_mean_probability_is_the_rate(mechanism, rate):
    values = table()
    names = tuple("abcd")
    probabilities = MECHANISMS[mechanism]().probabilities(values, rate, names)
    assert probabilities.mean() == pytest.approx(rate, abs=1e-12)
    if mechanism != "mar":
        np.testing.assert_allclose(probabilities.mean(axis=0), rate, atol=1e-12)


@pytest.mark.parametrize("mechanism", HIDING)
def test_the_drawn_share_meets_the_rate_on_average(mechanism):
    values = table(n=200)
    shares = [hide(mechanism, 0.3, values, seed).mean() for seed in range(200)]
    error = np.sqrt(0.3 * 0.7 / values.size / len(shares))
    assert np.mean(shares) == pytest.approx(0.3, abs=4 * error)


@pytest.mark.parametrize("mechanism", HIDING)
def test_rate_0_hides_nothing(mechanism):
    assert not hide(mechanism, 0, table()).any()
    assert not hide(mechanism, 0.0, table()).any()


def test_mechanism_none_hides_nothing_and_has_no_other_rate():
    assert not hide("none", 0, table()).any()
    assert check_mechanism("none", {}, 0.1)[0][0] == "rate"


def test_steps_hides_whole_rows_and_each_as_often_as_it_should():
    values = table(n=4000)
    values[::3, 1] = np.nan
    hidden = hide("steps", 0.25, values)
    rows = hidden.any(axis=1)
    np.testing.assert_array_equal(hidden, rows[:, None] & ~np.isnan(values))
    assert rows.mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))


def test_an_open_end_of_a_censored_cell_counts_as_the_column_s_extreme_value():
    values = table()
    values[:20, 0], values[20:40, 1] = -np.inf, np.inf
    closed = values.copy()
    closed[:20, 0] = values[20:, 0].min()
    closed[20:40, 1] = max(values[:20, 1].max(), values[40:, 1].max())
    for mechanism in HIDING:
        np.testing.assert_array_equal(hide(mechanism, 0.3, values), hide(mechanism, 0.3, closed))


def test_mar_never_looks_at_the_columns_it_hides():
    values = table()
    other = values.copy()
    other[:, 2:] = np.random.default_rng(9).exponential(size=(300, 2))
    np.testing.assert_array_equal(hide("mar", 0.3, values), hide("mar", 0.3, other))


def test_mar_looks_at_the_columns_that_stay_observed_and_keeps_them():
    values = table()
    hidden = hide("mar", 0.3, values, observed=1)
    assert not hidden[:, 0].any()
    assert hidden[:, 1:].any(axis=0).all()
    rows = hidden.any(axis=1)
    assert values[rows, 0].mean() > values[~rows, 0].mean() + 0.5 * values[:, 0].std()


def test_mar_keeps_the_named_columns():
    hidden = draw_mask(
        "mar", {"observed": ["c"]}, 0.3, table(), np.random.default_rng(0), columns="abcd"
    )
    assert [bool(x) for x in hidden.any(axis=0)] == [True, True, False, True]


def test_mar_follows_its_formula():
    values, rate = table(), 0.2
    probabilities = AtRandom(observed=2, strength=1.5).probabilities(values, rate, tuple("abcd"))
    z = (values[:, :2] - values[:, :2].mean(axis=0)) / values[:, :2].std(axis=0)
    u = z.mean(axis=1) / z.mean(axis=1).std()
    odds = np.log(probabilities[:, 2:] / (1 - probabilities[:, 2:])) - 1.5 * u[:, None]
    np.testing.assert_allclose(odds, odds[0, 0], atol=1e-9)
    assert np.all(probabilities[:, :2] == 0)


def test_mnar_follows_its_formula():
    values = table()
    probabilities = NotAtRandom(strength=-1.0).probabilities(values, 0.2, tuple("abcd"))
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    for j in range(4):
        intercept = np.log(probabilities[0, j] / (1 - probabilities[0, j])) + z[0, j]
        np.testing.assert_allclose(probabilities[:, j], expit(intercept - z[:, j]), rtol=1e-9)


def test_mnar_hides_high_values_of_the_cell_itself():
    values = table()
    hidden = hide("mnar", 0.3, values)
    for j in range(4):
        column, gone = values[:, j], hidden[:, j]
        assert column[gone].mean() > column[~gone].mean() + 0.5 * column.std()


@pytest.mark.parametrize("mechanism", HIDING)
def test_cells_that_are_missing_already_are_neither_hidden_nor_counted(mechanism):
    values = table()
    values[np.random.default_rng(3).random(values.shape) < 0.2] = np.nan
    missing = np.isnan(values)
    probabilities = MECHANISMS[mechanism]().probabilities(values, 0.3, tuple("abcd"))
    assert np.all(probabilities[missing] == 0)
    assert probabilities.sum() / (~missing).sum() == pytest.approx(0.3, abs=1e-12)
    assert not np.any(hide(mechanism, 0.3, values) & missing)


@pytest.mark.parametrize("mechanism", ["mcar", "mnar"])
def test_one_column_and_rows_without_any_cell_left_are_legal(mechanism):
    hidden = hide(mechanism, 0.9, table(d=1))
    assert hidden.all(axis=1).any()


def test_a_constant_column_gets_the_rate_in_every_cell():
    probabilities = NotAtRandom().probabilities(np.ones((5, 2)), 0.4, ("a", "b"))
    np.testing.assert_allclose(probabilities, 0.4)


def test_mar_on_one_column_is_an_error():
    expected = [("mechanism", "'mar' needs at least two columns, and this table has one")]
    assert check_mechanism("mar", {}, 0.1, d=1) == expected
    with pytest.raises(InvalidData, match="at least two columns"):
        hide("mar", 0.1, table(d=1))


def test_a_rate_that_the_observed_columns_make_impossible_is_an_error():
    mistakes = check_mechanism("mar", {}, [0.3, 0.6], d=4)
    assert [path for path, _ in mistakes] == ["rate[1]"]
    assert "at most 0.475" in mistakes[0][1]
    assert check_mechanism("mar", {"observed": 1}, [0.3, 0.6], d=4) == []
    with pytest.raises(InvalidData, match=r"0\.6 is too high"):
        hide("mar", 0.6, table())


def test_holes_of_the_table_itself_lower_what_mar_can_hide():
    assert check_mechanism("mar", {}, 0.4, d=2, observed=(100, 100)) == []
    mistakes = check_mechanism("mar", {}, 0.4, d=2, observed=(100, 50))
    assert "at most 0.3167" in mistakes[0][1]


@pytest.mark.parametrize(
    ("mechanism", "given", "rates", "path", "message"),
    [
        ("mcr", {}, 0.1, "mechanism", "did you mean 'mcar'"),
        ("mcar", {}, 1, "rate", "1 is not in [0, 1)"),
        ("mcar", {}, [0.1, -0.1], "rate[1]", "-0.1 is not in [0, 1)"),
        ("mcar", {}, "0.1", "rate", "'0.1' is not in [0, 1)"),
        ("mcar", {}, True, "rate", "True is not in [0, 1)"),
        ("mcar", {}, float("nan"), "rate", "nan is not in [0, 1)"),
        ("mcar", {"strength": 1.0}, 0.1, "strength", "unknown setting 'strength'"),
        ("mnar", {"strenght": 1.0}, 0.1, "strenght", "did you mean 'strength'"),
        ("mnar", {"strength": "high"}, 0.1, "strength", "not a finite number"),
        ("mar", {"observed": 0}, 0.1, "observed", "0 is neither a number of columns"),
        ("mar", {"observed": []}, 0.1, "observed", "[] is neither"),
        ("mar", {"observed": ["a", "a"]}, 0.1, "observed", "is neither"),
        ("mar", {"observed": ["with"]}, 0.1, "observed", "did you mean 'width'"),
        ("mar", {"observed": 2}, 0.1, "observed", "all 2 columns stay observed"),
        ("mar", {"observed": ["width", "length"]}, 0.1, "observed", "all 2 columns"),
    ],
)
def test_a_wrong_entry_is_named_with_its_place(mechanism, given, rates, path, message):
    mistakes = check_mechanism(mechanism, given, rates, columns=("width", "length"))
    assert [where for where, _ in mistakes] == [path]
    assert message in mistakes[0][1]


def test_without_a_table_only_what_holds_for_any_is_checked():
    assert check_mechanism("mar", {"observed": ["a"]}, 0.9) == []
    assert check_mechanism("mar", {}, 1.0)[0][0] == "rate"
