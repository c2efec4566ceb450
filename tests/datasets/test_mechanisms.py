"""Mechanisms hide what their formulas say: amputation, drop-out, bursts, quantiles, mask files."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import brentq
from scipy.special import expit
from scipy.stats import norm

from emlib.datasets import MECHANISMS, check_mechanism, draw_mask
from emlib.datasets.mechanisms import AtRandom
from emlib.datasets.mechanisms.ampute import Ampute
from emlib.datasets.mechanisms.bursts import burst_thresholds
from emlib.datasets.mechanisms.dropout import Monotone
from emlib.datasets.mechanisms.quantile import QuantileCensoring
from emlib.errors import InvalidData

NAMES = tuple("abcd")
PAIRS = [["a", "b"], ["d"]]
CASES = {
    "mcar, own rates": ("mcar", {"columns": {"a": 3, "c": 0}}),
    "mar, weighted": ("mar", {"observed": {"a": 1.0, "b": -2.0}, "columns": {"d": 0.5}}),
    "mnar, own rates": ("mnar", {"columns": {"a": 0.2}, "strength": -1}),
    "quantile upper": ("quantile", {}),
    "quantile lower, tail": ("quantile", {"side": "lower", "tail": 0.6}),
    "quantile both": ("quantile", {"side": "both"}),
    "quantile middle, tail": ("quantile", {"side": "middle", "tail": 0.5}),
    "monotone": ("monotone", {}),
    "monotone, own value": ("monotone", {"order": ["d", "a", "c"], "own_strength": 1}),
    "ampute": ("ampute", {}),
    "ampute MNAR": ("ampute", {"mech": "MNAR", "patterns": PAIRS, "type": ["TAIL", "MID"]}),
    "ampute MCAR": ("ampute", {"mech": "MCAR", "patterns": PAIRS, "freq": [0.7, 0.3]}),
    "ampute MAR": ("ampute", {"patterns": PAIRS, "weights": {"c": -1.0}, "type": "LEFT"}),
    "blocks": ("blocks", {"length": 3}),
    "blocks of columns": ("blocks", {"length": 2.5, "together": False}),
}
every = pytest.mark.parametrize("case", CASES)


def table(n=300, d=4, seed=0, missing=0.0):
    rng = np.random.default_rng(seed)
    values = rng.standard_t(4, size=(n, d)) @ rng.normal(size=(d, d)) + 10.0
    values[rng.random(values.shape) < missing] = np.nan
    return values


def hide(case, rate, values, seed=1):
    mechanism, own = CASES[case]
    lengths = [len(values) // 2, len(values) - len(values) // 2]
    rng = np.random.default_rng(seed)
    return draw_mask(
        mechanism, own, rate, values, rng, columns=NAMES, extras={"lengths": np.array(lengths)}
    )


def probabilities(case, values, rate):
    mechanism, own = CASES[case]
    return MECHANISMS[mechanism](**own).probabilities(values, rate, NAMES)


@every
@pytest.mark.parametrize("missing", [0.0, 0.2])
@pytest.mark.parametrize("rate", [0.02, 0.1, 0.22])
def test_the_mean_probability_is_the_rate(case, missing, rate):
    values = table(missing=missing)
    found = probabilities(case, values, rate)
    assert found.sum() / (~np.isnan(values)).sum() == pytest.approx(rate, abs=1e-9)
    assert found.min() >= 0
    assert found.max() <= 1
    assert np.all(found[np.isnan(values)] == 0)


@every
def test_cells_are_hidden_as_often_as_their_probability_says(case):
    values = table(n=24, missing=0.1)
    draws = 600
    found = sum(hide(case, 0.2, values, seed).astype(float) for seed in range(draws)) / draws
    expected = probabilities(case, values, 0.2)
    error = np.sqrt(np.maximum(expected * (1 - expected), 1e-12) / draws)
    assert np.abs((found - expected) / error).max() < 5
    assert np.all(found[np.isnan(values)] == 0)


@settings(max_examples=120, deadline=None, derandomize=True)
@given(
    case=st.sampled_from(sorted(CASES)),
    rates=st.tuples(st.floats(0, 0.23), st.floats(0, 0.23)).map(sorted),
    n=st.integers(4, 40),
    seed=st.integers(0, 10**6),
)
def test_holes_of_a_lower_rate_are_among_those_of_a_higher_one(case, rates, n, seed):
    values = table(n, seed=seed).round(1)
    low, high = (hide(case, rate, values, seed) for rate in rates)
    assert not np.any(low & ~high)


@every
def test_a_row_s_probabilities_do_not_depend_on_where_it_stands(case):
    values = table(missing=0.1)
    order = np.random.default_rng(5).permutation(len(values))
    here = probabilities(case, values, 0.2)[order]
    np.testing.assert_allclose(probabilities(case, values[order], 0.2), here, atol=1e-9)


# --- rates of columns ---


@pytest.mark.parametrize("mechanism", ["mcar", "mnar", "quantile"])
def test_a_column_has_its_relative_rate(mechanism):
    values = table(missing=0.2)
    built = MECHANISMS[mechanism](columns={"a": 3.0, "c": 0.0})
    found = built.probabilities(values, 0.2, NAMES)
    shares = found.sum(axis=0) / (~np.isnan(values)).sum(axis=0)
    np.testing.assert_allclose(shares[[0, 2, 3]] / shares[1], [3, 0, 1], atol=1e-9)


def test_mar_weighs_the_observed_columns():
    values = table()
    found = AtRandom(observed={"a": 1.0, "b": -2.0}).probabilities(values, 0.2, NAMES)
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    score = z[:, 0] - 2 * z[:, 1]
    odds = np.log(found[:, 2] / (1 - found[:, 2])) - 2 * score / score.std()
    np.testing.assert_allclose(odds, odds[0], atol=1e-8)


# --- amputation ---


@pytest.mark.parametrize(
    ("kind", "log_odds"),
    [
        ("RIGHT", lambda u: u),
        ("LEFT", lambda u: -u),
        ("MID", lambda u: 0.75 - abs(u)),
        ("TAIL", lambda u: abs(u) - 0.75),
    ],
)
def test_amputation_of_normal_scores_follows_the_curves_of_mice(kind, log_odds):
    # expected normal order statistics in column a, so that sums over rows are nearly integrals
    values = np.column_stack([norm.ppf((np.arange(20000) + 0.5) / 20000), np.zeros(20000)])
    built = Ampute(patterns=[["b"]], type=kind)
    found = built.probabilities(values, 0.15, ("a", "b"))[:, 1]

    def excess(shift):
        density = quad(lambda u: norm.pdf(u) * expit(log_odds(u) + shift), -9, 9, points=[0])
        return density[0] - 0.3

    shift = brentq(excess, -8, 8)
    expected = expit(log_odds(values[:, 0] / values[:, 0].std()) + shift)
    np.testing.assert_allclose(found, expected, atol=2e-4)


def test_amputation_hides_whole_patterns_at_their_frequency():
    values = table(n=6000)
    own = {"patterns": PAIRS, "freq": [0.25, 0.75], "mech": "MCAR"}
    rng = np.random.default_rng(3)
    hidden = draw_mask("ampute", own, 0.15, values, rng, columns=NAMES)
    both, last = hidden[:, 0], hidden[:, 3]
    np.testing.assert_array_equal(hidden[:, 1], both)
    assert not np.any(both & last)
    assert not hidden[:, 2].any()
    cases = 0.15 * 4 / (0.25 * 2 + 0.75)  # share of rows with a hole
    assert both.mean() == pytest.approx(0.25 * cases, abs=4 * np.sqrt(0.12 * 0.88 / 6000))
    assert last.mean() == pytest.approx(0.75 * cases, abs=4 * np.sqrt(0.36 * 0.64 / 6000))


def test_amputation_at_random_never_looks_at_what_it_hides():
    values = table()
    own = Ampute(patterns=[["b", "c"]], type="TAIL")
    other = values.copy()
    other[:, 1:3] = np.random.default_rng(4).exponential(size=(300, 2))
    expected = own.probabilities(values, 0.2, NAMES)
    np.testing.assert_array_equal(own.probabilities(other, 0.2, NAMES), expected)


def test_amputation_not_at_random_looks_at_nothing_else():
    values = table()
    own = Ampute(patterns=[["b", "c"]], mech="MNAR")
    other = values.copy()
    other[:, [0, 3]] = np.random.default_rng(4).exponential(size=(300, 2))
    expected = own.probabilities(values, 0.2, NAMES)
    np.testing.assert_array_equal(own.probabilities(other, 0.2, NAMES), expected)
    other[:, 1] = values[::-1, 1]
    assert not np.array_equal(own.probabilities(other, 0.2, NAMES), expected)


# --- drop-out ---


def test_drop_out_is_monotone_and_spares_the_first_column_and_those_outside_the_order():
    values = table(n=2000)
    own = {"order": ["d", "a", "c"]}
    hidden = draw_mask("monotone", own, 0.3, values, np.random.default_rng(0), columns=NAMES)
    assert not hidden[:, [3, 1]].any()
    assert not np.any(hidden[:, 0] & ~hidden[:, 2])
    assert np.any(hidden[:, 2] & ~hidden[:, 0])


def test_drop_out_follows_the_hazard_of_diggle_and_kenward():
    values = table()
    built = Monotone(strength=1.5, own_strength=-0.5)
    found = built.probabilities(values, 0.3, NAMES)
    z = (values - values.mean(axis=0)) / values.std(axis=0)
    stays = np.column_stack([np.ones(300), 1 - found[:, 1:]])
    hazards = 1 - stays[:, 1:] / stays[:, :-1]
    intercepts = np.log(hazards / (1 - hazards)) - 1.5 * z[:, :-1] + 0.5 * z[:, 1:]
    sound = (hazards > 1e-6) & (hazards < 1 - 1e-6)
    np.testing.assert_allclose(intercepts[sound], intercepts[0, 0], atol=1e-6)


def test_drop_out_at_random_depends_only_on_what_was_seen_before():
    values = table()
    other = values.copy()
    other[:, 3] = np.random.default_rng(4).exponential(size=300)
    expected = Monotone().probabilities(values, 0.3, NAMES)
    found = Monotone().probabilities(other, 0.3, NAMES)
    np.testing.assert_array_equal(found, expected)


# --- bursts ---


def markov_chain(uniforms, first, length, rate):
    """The chain of one rate, step by step."""
    hidden = []
    for u, begins in zip(uniforms, first, strict=True):
        if begins:
            hidden.append(u < rate)
        elif hidden[-1]:
            hidden.append(u < 1 - 1 / length)
        else:
            hidden.append(u < rate / ((1 - rate) * length))
    return np.array(hidden)


@pytest.mark.parametrize("length", [1.5, 4.0, 30.0])
def test_bursts_are_the_markov_chain_of_every_rate(length):
    uniforms = np.random.default_rng(2).random(5000)
    first = np.zeros(5000, dtype=bool)
    first[[0, 1, 700, 3333]] = True
    thresholds = burst_thresholds(uniforms, first, length)
    for rate in (0.01, 0.2, 1 - 1 / length):
        expected = markov_chain(uniforms, first, length, rate)
        np.testing.assert_array_equal(thresholds < rate, expected)


@pytest.mark.parametrize("rate", [0.1, 0.5])
def test_bursts_have_the_mean_length_at_every_rate(rate):
    rng = np.random.default_rng(0)
    hidden = draw_mask(
        "blocks",
        {"length": 4},
        rate,
        np.ones((200_000, 1)),
        rng,
        extras={"lengths": np.array([200_000])},
    )
    edges = np.diff(np.concatenate([[0], hidden[:, 0], [0]]).astype(int))
    lengths = np.flatnonzero(edges < 0) - np.flatnonzero(edges > 0)
    error = np.sqrt(4 * 3 / len(lengths))  # of the mean of geometric lengths
    assert lengths.mean() == pytest.approx(4, abs=4 * error)
    assert (lengths == 1).mean() == pytest.approx(1 / 4, abs=4 * np.sqrt(3 / 16 / len(lengths)))


def test_a_burst_hides_whole_steps_or_the_steps_of_a_column():
    values, rng = table(n=500), np.random.default_rng
    whole = draw_mask("blocks", {}, 0.3, values, rng(0), extras={"lengths": np.array([500])})
    np.testing.assert_array_equal(whole, whole[:, :1] & np.ones((500, 4), dtype=bool))
    own = draw_mask(
        "blocks", {"together": False}, 0.3, values, rng(0), extras={"lengths": np.array([500])}
    )
    assert np.any(own[:, 0] != own[:, 1])


def test_bursts_begin_anew_in_each_sequence():
    values, lengths = np.ones((40_000, 1)), np.full(20_000, 2)
    rng = np.random.default_rng(1)
    hidden = draw_mask(
        "blocks", {"length": 100}, 0.3, values, rng, extras={"lengths": np.array(lengths)}
    )[:, 0]
    ends, begins = hidden[1:-1:2], hidden[2::2]
    assert np.corrcoef(ends, begins)[0, 1] == pytest.approx(0, abs=4 / np.sqrt(20_000))


# --- quantiles ---


def test_values_beyond_the_quantile_go_missing():
    values = np.random.default_rng(0).permutation(np.arange(100.0))[:, None]
    for side, gone in {
        "upper": values >= 80,
        "lower": values < 20,
        "both": (values < 10) | (values >= 90),
        "middle": (values >= 40) & (values < 60),
    }.items():
        found = QuantileCensoring(side=side).probabilities(values, 0.2, ("a",))
        np.testing.assert_allclose(found, gone, atol=1e-12)
    found = QuantileCensoring(tail=0.5).probabilities(values, 0.2, ("a",))
    np.testing.assert_allclose(found, np.where(values >= 50, 0.4, 0.0), atol=1e-12)


def test_equal_values_share_what_is_left_for_them():
    values = np.array([1.0, 2.0, 2.0, 2.0, 3.0])[:, None]
    found = QuantileCensoring().probabilities(values, 0.4, ("a",))[:, 0]
    np.testing.assert_allclose(found, [0, 1 / 3, 1 / 3, 1 / 3, 1])


# --- files ---


def written(folder, hidden, columns=NAMES):
    rows = [",".join(columns), *(",".join(str(int(cell)) for cell in row) for row in hidden)]
    path = folder / "mask.csv"
    path.write_text("\n".join(rows) + "\n")
    return str(path)


def test_a_file_says_what_is_hidden_whatever_the_order_of_its_columns(tmp_path):
    values = table(n=20, missing=0.1)
    wanted = np.random.default_rng(0).random((20, 4)) < 0.3
    csv = written(tmp_path, wanted[:, ::-1], NAMES[::-1])
    np.savez(tmp_path / "m.npz", hidden=wanted)
    for path in (csv, str(tmp_path / "m.npz")):
        rng = np.random.default_rng(0)
        found = draw_mask("file", {"path": path}, 0.3, values, rng, columns=NAMES)
        np.testing.assert_array_equal(found, wanted & ~np.isnan(values))


def test_a_file_that_does_not_match_is_an_error(tmp_path):
    own = {"path": written(tmp_path, np.zeros((5, 4)))}
    names = ("a", "b", "c", "e")
    assert (
        "has 5 rows, and the table 6" in check_mechanism("file", own, 0, columns=NAMES, n=6)[0][1]
    )
    assert "unknown column 'd'" in check_mechanism("file", own, 0, columns=names, n=5)[0][1]
    few = check_mechanism("file", own, 0, columns=(*NAMES, "e"), n=5)
    assert "has no column 'e'" in few[0][1]
    assert check_mechanism("file", own, 0.1)[0][0] == "rate"
    missing = check_mechanism("file", {"path": "nowhere.npz"}, 0)
    assert missing[0][0] == "path"
    assert "no such file" in missing[0][1]
    (tmp_path / "mask.csv").write_text("a,b\n0,1\n0,x\n")
    assert "line 3, column 'b': 'x' is none of 0, 1" in check_mechanism("file", own, 0)[0][1]
    np.savez(tmp_path / "m.npz", hidden=np.zeros((5, 4)))
    wrong = check_mechanism("file", {"path": str(tmp_path / "m.npz")}, 0)
    assert "must be bool of shape (rows, columns), not float64" in wrong[0][1]


# --- what is impossible ---


@pytest.mark.parametrize(
    ("mechanism", "own", "rate", "path", "message"),
    [
        ("mcar", {"columns": {"e": 1}}, 0.1, "columns", "unknown column 'e'"),
        ("mcar", {"columns": {"a": -1}}, 0.1, "columns", "not a mapping of column names"),
        ("mcar", {"columns": dict.fromkeys("abcd", 0)}, 0.1, "columns", "none can have holes"),
        ("mcar", {"columns": {"a": 9}}, 0.4, "rate", "at most 0.3167"),
        ("mar", {"columns": {"a": 1}}, 0.1, "columns", "'a' stays observed"),
        ("mar", {"observed": {"a": 0}}, 0.1, "observed", "weights that are not all 0"),
        ("quantile", {"side": "top"}, 0.1, "side", "not one of upper"),
        ("quantile", {"tail": 0}, 0.1, "tail", "not in (0, 1]"),
        ("quantile", {"tail": 0.2}, 0.3, "rate", "at most 0.2"),
        ("monotone", {"order": ["a"]}, 0.1, "order", "at least two"),
        ("monotone", {"order": ["a", "e"]}, 0.1, "order", "unknown column 'e'"),
        ("monotone", {}, 0.8, "rate", "at most 0.7125"),
        ("ampute", {"patterns": [["a", "a"]]}, 0.1, "patterns", "different column names"),
        ("ampute", {"patterns": [["e"]]}, 0.1, "patterns", "unknown column 'e'"),
        ("ampute", {"patterns": [list("abcd")]}, 0.1, "patterns", "no observed one is left"),
        ("ampute", {"freq": [0.5, 0.5]}, 0.1, "freq", "has 2 items for 4 patterns"),
        ("ampute", {"freq": [0.5, 0.6]}, 0.1, "freq", "sum to 1"),
        ("ampute", {"type": "UP"}, 0.1, "type", "not one of RIGHT, LEFT, MID, TAIL"),
        ("ampute", {"mech": "MAAR"}, 0.1, "mech", "not one of MAR, MNAR, MCAR"),
        ("ampute", {"patterns": PAIRS, "weights": {"a": 1}}, 0.1, "weights", "hidden by pattern 0"),
        ("ampute", {}, 0.24, "rate", "at most 0.2375"),
        ("blocks", {"length": 1}, 0.1, "length", "not a number above 1"),
        ("blocks", {"length": 2}, 0.6, "rate", "at most 0.5"),
        ("file", {}, 0, "path", "is missing"),
        ("file", {"path": "mask.txt"}, 0, "path", "not the path of a .csv or .npz file"),
    ],
)
def test_what_is_impossible_is_named_with_its_place(mechanism, own, rate, path, message):
    mistakes = check_mechanism(mechanism, own, rate, columns=NAMES)
    assert [where for where, _ in mistakes] == [path]
    assert message in mistakes[0][1]


def test_bursts_need_sequences():
    assert "needs sequences" in check_mechanism("blocks", {}, 0.1, d=2, extras=())[0][1]
    with pytest.raises(InvalidData, match="needs sequences"):
        draw_mask("blocks", {}, 0.1, table(), np.random.default_rng(0))
