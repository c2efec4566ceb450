"""Visibilities drop by themselves, by baseline, by station, by scan; nested, at the right rate."""

from itertools import pairwise

import numpy as np
import pytest

from emlib.datasets import check_mechanism, draw_mask
from emlib.errors import InvalidData

KINDS = ("dropped_visibilities", "dropped_baselines", "dropped_stations", "dropped_scans")


def many(n_stations=12, n_scans=40):
    """All baselines of an array in every scan."""
    pairs = np.array(np.triu_indices(n_stations, 1)).T
    baselines = np.tile(pairs, (n_scans, 1))
    scans = np.repeat(np.arange(n_scans), len(pairs))
    extras = {"baselines": baselines, "scans": scans, "uv": np.zeros((len(scans), 2))}
    return np.ones((len(scans), 2)), extras


def hide(kind, rate, seed=0):
    values, extras = many()
    return draw_mask(kind, {}, rate, values, np.random.default_rng(seed), extras=extras)


@pytest.mark.parametrize("kind", KINDS)
def test_both_parts_of_a_visibility_are_hidden(kind):
    hidden = hide(kind, 0.4)
    assert hidden.any()
    assert (hidden[:, 0] == hidden[:, 1]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_holes_are_nested_across_rates(kind):
    masks = [hide(kind, rate) for rate in (0.0, 0.2, 0.5, 0.9)]
    assert not masks[0].any()
    for lower, higher in pairwise(masks):
        assert (higher | ~lower).all()


@pytest.mark.parametrize("kind", KINDS)
def test_the_expected_share_is_the_rate(kind):
    shares = [hide(kind, 0.3, seed).mean() for seed in range(300)]
    error = np.std(shares) / np.sqrt(len(shares))
    assert abs(np.mean(shares) - 0.3) < 4 * error


@pytest.mark.parametrize(
    ("kind", "group"),
    [
        ("dropped_baselines", lambda extras: extras["baselines"] @ [100, 1]),
        ("dropped_scans", lambda extras: extras["scans"]),
    ],
)
def test_what_drops_together_does(kind, group):
    _, extras = many()
    hidden = hide(kind, 0.5)[:, 0]
    for unit in np.unique(group(extras)):
        assert len(set(hidden[group(extras) == unit])) == 1


def test_a_dropped_station_takes_all_its_baselines():
    _, extras = many()
    hidden = hide("dropped_stations", 0.3)[:, 0]
    ends = extras["baselines"]
    gone = [s for s in range(12) if hidden[(ends == s).any(axis=1)].all()]
    assert gone
    assert (hidden == np.isin(ends, gone).any(axis=1)).all()


def test_rows_are_no_visibilities_and_visibilities_no_rows():
    said = check_mechanism("dropped_scans", {}, [0.2], d=2, extras=())
    assert [path for path, _ in said] == ["mechanism"]
    assert "these are rows" in said[0][1]
    said = check_mechanism("mcar", {}, [0.2], d=2, extras=("uv", "sigmas"))
    assert "dropped_stations" in said[0][1]
    assert check_mechanism("none", {}, [0.0], d=2, extras=("uv", "sigmas")) == []
    with pytest.raises(InvalidData, match="hides visibilities"):
        draw_mask("dropped_scans", {}, 0.2, np.ones((3, 2)), np.random.default_rng(0))
