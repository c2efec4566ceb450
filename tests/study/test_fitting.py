"""One fit is one record, whatever happens in it, with scores that mean what they say."""

import itertools
import math
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

import emlib.inits
from emlib.datasets import GENERATORS
from emlib.errors import InvalidData
from emlib.inits.base import Init, Start
from emlib.models.gaussian_mixture import GaussianMixtureModel
from emlib.models.matching import matched_distance
from emlib.models.records import Degenerate
from emlib.study.case import Case
from emlib.study.fitting import FitSpec, run_fit, steady, thinned
from emlib.study.polish import flags
from emlib.study.reference import run_start, sources
from emlib.study.scores import HiddenCells, adjusted_rand, imputation_error

CYCLE = GaussianMixtureModel.search
TRUTH = {
    "weights": np.array([0.5, 0.5]),
    "means": np.array([[0.0, 0.0], [6.0, 6.0]]),
    "covariances": np.array([np.eye(2), np.eye(2)]),
}


def case(n: int = 80, rate: float = 0.2, **changes: Any) -> Case:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, n)
    values = TRUTH["means"][labels] + rng.standard_normal((n, 2))
    given = {
        "values": values,
        "hidden": rng.random((n, 2)) < rate,
        "labels": labels,
        "truth": TRUTH,
        "family": "gaussian_mixture",
        "settings": {"n_components": 2, "covariance_type": "full", "prior": None},
        **changes,
    }
    return Case(**given)


def spec(init: str = "random", **changes: Any) -> FitSpec:
    given = {
        "fit_id": "f" * 32,
        "init": {"init": init, "settings": {}},
        "algorithm": {"algorithm": "em", "settings": {}},
        "stopping": {"tol": 1e-3, "max_iter": 1000},
        "budget": {"e_steps": None, "seconds": None, "hard_seconds": 60.0},
        "rng": lambda part: np.random.default_rng(5),
        **changes,
    }
    return FitSpec(**given)


def outcome(init: str = "random", **changes: Any) -> dict[str, Any]:
    return run_fit(case(), spec(init, **changes))["fit"]


# --- the record -----------------------------------------------------------------------------------


def test_a_fit_that_converges_has_its_row_curve_parameters_and_seconds() -> None:
    record = run_fit(case(), spec("kmeans"))
    row, curve = record["fit"], record["curve"]
    assert not record["provisional"]
    assert row["status"] == row["status_polished"] == "converged"
    assert row["loglik_start"] <= row["loglik"] <= row["loglik_polished"]
    assert row["ari"] > 0.9
    assert row["parameter_error"] < 0.5
    assert 0 < row["imputation_error"] < 1
    assert curve["iteration"] == list(range(row["n_iter"] + 1))
    assert curve["objective"][-1] == row["objective"]
    assert len(record["params"]["final"]) == 11
    assert all(record["timings"][f"seconds_{part}"] > 0 for part in ("init", "climb", "polish"))


def test_the_curve_s_e_steps_begin_with_what_the_init_spent() -> None:
    record = run_fit(case(), spec("short_em"))
    row = record["fit"]
    assert row["e_steps_init"] > 10
    assert record["curve"]["e_steps"][0] == row["e_steps_init"] + 1
    assert record["curve"]["e_steps"][-1] == row["e_steps_init"] + row["e_steps_climb"]


def test_the_init_s_cost_counts_in_the_budget() -> None:
    settings = {"stopping": {"tol": 0.0, "max_iter": 1000}}
    for init in ("random", "short_em"):
        row = outcome(init=init, budget={"e_steps": 90.0, "seconds": None}, **settings)
        assert row["status"] == "budget"
        assert row["e_steps_init"] + row["e_steps_climb"] == 90


def test_a_fit_polished_from_its_budget_s_end_reaches_the_optimum() -> None:
    short = outcome(stopping={"tol": 1e-3, "max_iter": 2})
    full = outcome(stopping={"tol": 1e-9, "max_iter": 5000})
    assert short["status"] == "max_iter"
    assert short["status_polished"] == "converged"
    assert short["loglik_polished"] == pytest.approx(full["loglik"], abs=1e-5)


@pytest.mark.parametrize("status", ["converged", "degenerate"])
def test_a_climb_that_the_polish_carried_on_was_on_a_plateau(status: str) -> None:
    converged = SimpleNamespace(
        status="converged",
        objective=-10.0,
        flags=("slow_tail", "spurious"),
        diagnosis=SimpleNamespace(flags=("spurious",)),
    )
    polished = SimpleNamespace(
        status=status,
        objective=-9.0,
        diagnosis=SimpleNamespace(flags=("boundary",)),
        history=SimpleNamespace(objective=[-10.0]),
    )
    own = {"spurious"} if status == "degenerate" else {"boundary"}
    assert flags(converged, polished) == {"plateau", "slow_tail", *own}


def test_bic_is_that_of_the_returned_parameters() -> None:
    row = outcome()
    assert row["bic"] == pytest.approx(-2 * row["loglik"] + 11 * math.log(80 - empty_rows()))


def empty_rows() -> int:
    return int(case().hidden.all(axis=1).sum())


def test_the_same_fit_gives_the_same_record_but_for_its_seconds() -> None:
    one, two = (run_fit(case(), spec()) for _ in range(2))
    for record in (one, two):
        del record["timings"]
    assert one == two


def video(settings: dict[str, Any]) -> Case:
    """A tiny video, three of whose visibilities in a hundred are outliers."""
    drawn = {"n_frames": 3, "pixels": 8, "hours": [2.0, 3.0]}
    generator, rng = GENERATORS["rotating_video"], np.random.default_rng(0)
    truth = generator.draw_truth(drawn, rng)
    data = generator.draw_rows({**drawn, "outliers": 0.03}, truth, rng)
    hidden = np.zeros(data.values.shape, dtype=bool)
    given = {"pixels": 8, "n_states": 5, **settings}
    return Case(data.values, hidden, None, truth, "rotating_video", given, data.extras)


@pytest.mark.parametrize("settings", [{}, {"gains": True}, {"noise": "student"}, {"pixels": 5}])
def test_a_rotation_has_its_error_whatever_is_estimated_beside_it(settings: dict[str, Any]) -> None:
    known = {"init": "motion", "settings": {"lowest": 15.0, "highest": 15.0}}
    short = replace(spec(stopping={"tol": 1e-3, "max_iter": 1}), init=known)
    record = run_fit(video({"held": ("rotation",), **settings}), short)["fit"]
    assert record["parameter_error"] == 3.0  # of 12


def test_an_image_whose_station_phases_are_held_is_scored_where_it_is(monkeypatch) -> None:
    shifted = []

    def seen(latent: Any, truth: Any, field_of_view: float, anywhere: bool) -> dict[str, float]:
        shifted.append(anywhere)
        return {}

    monkeypatch.setattr(emlib.study.fitting, "image_scores", seen)
    for held in [], ["gain_amplitudes"], ["gain_amplitudes", "gain_phases"]:
        one = spec("motion", stopping={"tol": 1e-3, "max_iter": 1})
        run_fit(video({"gains": True, "held": held}), one)
    assert shifted == [True, True, False]


def test_an_oracle_starts_from_the_truth_and_only_where_there_is_one() -> None:
    assert outcome(init="truth")["status"] == "converged"
    row = run_fit(case(truth=None), spec("truth"))["fit"]
    assert row["status"] == "failed"
    assert "truth" in row["message"]


# --- failures are data ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Broken(Init):
    """Raises what it is told to."""

    name: ClassVar[str] = "broken"
    holes: ClassVar[str] = "native"
    error: BaseException = ValueError("no")  # noqa: RUF009

    def __call__(self, model: Any, data: Any, rng: np.random.Generator) -> Start:
        raise self.error


@pytest.fixture
def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(emlib.inits.INITS, "broken", Broken)


def broken_init(error: BaseException) -> dict[str, Any]:
    return {"init": "broken", "settings": {"error": error}}


def run_broken(error: BaseException) -> dict[str, Any]:
    return run_fit(case(), FitSpec(**{**vars(spec()), "init": broken_init(error)}))


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("error", [ValueError("a\nb"), SystemExit(3), ZeroDivisionError("z")])
def test_an_exception_is_a_final_row_with_type_message_and_replay_line(
    error: BaseException,
) -> None:
    record = run_broken(error)
    assert record["fit"]["status"] == "failed"
    assert record["fit"]["message"].startswith(f"{type(error).__name__}: ")
    assert record["fit"]["message"].endswith("; replay: emlib replay " + "f" * 32)
    assert "\n" not in record["fit"]["message"]
    assert not record["provisional"]


@pytest.mark.usefixtures("broken")
@pytest.mark.parametrize("error", [MemoryError(), OSError("disk")])
def test_an_exception_of_the_machine_s_is_provisional(error: BaseException) -> None:
    record = run_broken(error)
    assert record["fit"]["status"] == "failed"
    assert record["provisional"]


@pytest.mark.usefixtures("broken")
def test_an_init_whose_start_collapses_is_degenerate_with_its_cost_and_no_failure() -> None:
    assert run_broken(Degenerate("component 1", e_steps=7.0))["fit"] == {
        "status": "degenerate",
        "message": "component 1",
        "e_steps_init": 7.0,
    }


@pytest.mark.usefixtures("broken")
def test_control_c_ends_the_worker_and_is_no_row() -> None:
    with pytest.raises(KeyboardInterrupt):
        run_broken(KeyboardInterrupt())


def test_data_that_the_model_cannot_take_are_invalid_rows_that_say_why() -> None:
    hidden = np.zeros((80, 2), bool)
    hidden[:, 1] = True
    for _ in range(2):
        record = run_fit(case(hidden=hidden), spec())
        assert record["fit"]["status"] == "invalid"
        assert "column 1" in record["fit"]["message"]
        assert not record["provisional"]


def test_a_case_says_each_time_anew_why_its_model_cannot_take_it() -> None:
    bad = case(hidden=np.ones((80, 2), bool))
    errors = []
    for _ in range(2):
        with pytest.raises(InvalidData) as caught:
            _ = bad.model
        errors.append(caught.value)
    assert errors[0] is not errors[1]


def test_messages_do_not_hold_what_changes_from_run_to_run() -> None:
    assert steady(f"bad {object()!r}\n  at line 2") == "bad <object object at 0x...> at line 2"


# --- curves ---------------------------------------------------------------------------------------


@given(st.integers(1, 30_000))
def test_a_thinned_curve_keeps_both_ends_and_at_most_200_points(n: int) -> None:
    kept = thinned(n)
    assert kept[0] == 0
    assert kept[-1] == n - 1
    assert len(kept) <= 200
    assert (np.diff(kept) > 0).all()
    if n <= 200:
        assert len(kept) == n


def test_a_thinned_curve_is_dense_where_climbs_are_fast() -> None:
    kept = thinned(10_000)
    assert kept[:10].tolist() == list(range(10))
    assert np.diff(np.log(kept[50:] + 1)).max() < 0.06


# --- scores ---------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=2, max_size=40))
def test_adjusted_rand_is_scikit_learn_s(pairs: list[tuple[int, int]]) -> None:
    a, b = np.array(pairs).T
    assert adjusted_rand(a, b) == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)


@pytest.mark.parametrize("k", [1, 4, 6])
def test_parameter_error_is_the_least_over_all_matchings_of_labels(k: int) -> None:
    rng = np.random.default_rng(3)
    for _ in range(20):
        fitted, true = rng.standard_normal((2, k, 3))
        covariances = np.array([np.diag(rng.random(3) + 0.1) for _ in range(k)])
        scale = np.trace(covariances, axis1=1, axis2=2) / 3
        least = min(
            np.sqrt((((fitted[list(order)] - true) ** 2).sum(axis=1) / scale).mean())
            for order in itertools.permutations(range(k))
        )
        assert matched_distance(fitted, true, covariances) == pytest.approx(least, rel=1e-12)


def test_parameter_error_has_no_value_for_another_number_of_components() -> None:
    assert math.isnan(matched_distance(np.zeros((3, 2)), np.zeros((2, 2)), np.ones((2, 2, 2))))


def test_imputation_error_of_the_column_means_is_about_one() -> None:
    values = np.random.default_rng(1).normal(5.0, 3.0, (4000, 2))
    hidden = np.random.default_rng(2).random(values.shape) < 0.5
    cells = HiddenCells.of(values, hidden)
    error = imputation_error(np.broadcast_to(values.mean(axis=0), values.shape), cells)
    assert error == pytest.approx(1.0, abs=0.05)
    assert imputation_error(values, cells) == 0.0


def test_cells_that_nobody_knows_are_not_scored() -> None:
    values = np.array([[1.0, np.nan], [2.0, 3.0], [4.0, 5.0]])
    hidden = np.array([[False, True], [True, False], [False, False]])
    cells = Case(values, hidden, None, None, "gaussian_mixture", {}).hidden_cells
    assert (cells.rows.tolist(), cells.columns.tolist()) == ([1], [0])
    error = imputation_error(np.zeros((3, 2)), cells)
    assert error == pytest.approx(2.0 / np.std([1.0, 2.0, 4.0]))
    values = np.array([[1.0, np.nan], [2.0, 3.0]])
    hidden = np.array([[False, True], [False, False]])
    assert math.isnan(imputation_error(np.zeros((2, 2)), HiddenCells.of(values, hidden)))


def test_cells_of_constant_columns_have_no_error() -> None:
    values = np.array([[1.0, 3.0], [2.0, 3.0]])
    cells = HiddenCells.of(values, np.array([[False, True], [False, True]]))
    assert math.isnan(imputation_error(np.zeros((2, 2)), cells))


# --- reference searches ---------------------------------------------------------------------------


def test_a_search_mixes_its_starts_and_adds_the_truth_where_it_is_known() -> None:
    assert sources(case(truth=None), 7) == [*CYCLE, *CYCLE[:2]]
    assert sources(case(), 2) == ["truth", *CYCLE[:2]]
    three = {"n_components": 3, "covariance_type": "full", "prior": None}
    assert "truth" not in sources(case(settings=three), 7)


@pytest.mark.parametrize("source", [*CYCLE[:4], "truth"])
def test_starts_of_a_search_reach_the_optimum(source: str) -> None:
    end = run_start(case(), source, 200.0, np.random.default_rng(1))["reference"]
    best = run_fit(case(), spec("truth"))["fit"]["loglik_polished"]
    assert end["sound"]
    assert not end["spurious"]
    assert end["loglik"] == pytest.approx(best, abs=1e-5)


def test_a_search_on_data_that_the_model_cannot_take_has_no_sound_end() -> None:
    record = run_start(
        case(hidden=np.ones((80, 2), bool)), "kmeans", 200.0, np.random.default_rng(1)
    )
    assert not record["reference"]["sound"]
    assert not record["provisional"]
