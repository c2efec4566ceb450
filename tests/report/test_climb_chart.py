"""The picture of a climb shows what was left to gain, and comes in the format asked for."""

import numpy as np
import pytest

from emlib.errors import EmlibError
from emlib.report.climb_chart import BEST, FLOOR, OWN, check_format, gaps, write_climb

ROW = {
    "fit_id": "f1", "dataset": "d", "missingness": "none", "model": "m", "init": "random",
    "algorithm": "em", "replicate": 0, "start": 1, "status": "converged", "flags": "spurious",
    "n_iter": 2, "loglik_polished": -10.0,
}  # fmt: skip
CURVE = [
    {"iteration": k, "e_steps": 2.0 + k, "objective": objective}
    for k, objective in enumerate((-30.0, -12.0, -10.0))
]
OPENINGS = {"svg": b"<svg", "pdf": b"%PDF", "png": b"\x89PNG", "html": b"<!doctype html>"}


def test_points_are_nats_below_the_own_optimum_and_below_a_better_reference():
    points = gaps(ROW, CURVE, -7.0)
    nats = {line: rows["nats"].tolist() for line, rows in points.groupby("line")}
    assert nats == {OWN: [20.0, 2.0, FLOOR], BEST: [23.0, 5.0, 3.0]}
    assert points.loc[points["last"], "iteration"].tolist() == [2, 2]


@pytest.mark.parametrize("reference", [-10.0, -11.0, np.nan])
def test_a_reference_that_is_no_better_is_not_drawn_twice(reference):
    assert set(gaps(ROW, CURVE, reference)["line"]) == {OWN}


def test_a_climb_that_came_to_no_optimum_is_drawn_below_its_highest_point():
    points = gaps(ROW | {"loglik_polished": np.nan}, CURVE, np.nan)
    assert points["nats"].tolist() == [20.0, 2.0, FLOOR]


@pytest.mark.parametrize("suffix", OPENINGS)
def test_the_suffix_decides_the_format(tmp_path, suffix):
    path = tmp_path / f"climb.{suffix}"
    write_climb(path, ROW, CURVE, -7.0)
    content = path.read_bytes()
    assert content.startswith(OPENINGS[suffix])
    if suffix in ("svg", "html"):
        assert b"its optimum is 3 nats below the reference" in content
        assert b"flags: spurious" in content


def test_another_suffix_and_a_fit_without_a_climb_are_errors(tmp_path):
    with pytest.raises(EmlibError, match=r"'gif' is not one of \.svg, \.pdf, \.png, \.html"):
        check_format(tmp_path / "x.gif")
    with pytest.raises(EmlibError, match=r"never climbed \(converged\)"):
        write_climb(tmp_path / "x.svg", ROW, [], -7.0)
