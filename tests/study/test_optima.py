"""Endpoints that are one optimum are counted as one, and the right ones get a certificate."""

import json
from pathlib import Path
from typing import Any

import pytest

from emlib.inference import certify
from emlib.study.assembly import Task
from emlib.study.certificates import run_certificate
from emlib.study.files import read_table
from emlib.study.fitting import ascend
from emlib.study.optima import APART, distinct, worth_certifying
from emlib.study.paths import StudyPaths
from emlib.study.supervisor import run_block
from tests.study.small_study import planned_study
from tests.study.test_fitting import case, spec

IDS = ("drawn", "mcar-0.2", "two", 0)


def test_gaps_part_optima_and_small_steps_do_not_add_up_to_one() -> None:
    chain = [-1.0 - k * 0.6 * APART for k in range(4)]
    objectives = [*chain, -5.0, -5.0, -7.0]
    assert [list(run) for run in distinct(objectives)] == [[0, 1, 2, 3], [4, 5], [6]]
    assert list(distinct([])) == []


def fit(loglik: float, flags: str = "", **changes: Any) -> dict[str, Any]:
    row = {"status": "converged", "status_polished": "converged", "flags": flags}
    return {"provisional": False, "fit": {**row, "loglik_polished": loglik, **changes}}


def start(loglik: float, spurious: bool = False, sound: bool = True) -> dict[str, Any]:
    end = {"sound": sound, "spurious": spurious, "loglik": loglik}
    return {"provisional": False, "reference": end}


def chosen(records: list[dict[str, Any]], data_ids: str = "") -> list[int]:
    """Which of the records' endpoints get a certificate."""
    data_ids = data_ids or "d" * len(records)
    tasks = [
        Task("fit" if "fit" in record else "reference", f"t{k}", data_id, {})
        for k, (record, data_id) in enumerate(zip(records, data_ids, strict=True))
    ]
    return worth_certifying(tasks, dict(enumerate(records)))


def test_the_best_optimum_is_certified_where_the_search_found_it() -> None:
    assert chosen([fit(-10.0), fit(-12.0), start(-10.0000001), start(-11.0)]) == [2]
    assert chosen([fit(-10.0), fit(-12.0), start(-11.0)]) == [0]


def test_an_optimum_that_two_fits_reached_is_certified_too() -> None:
    assert chosen([fit(-12.0), fit(-10.0), fit(-12.0), fit(-13.0)]) == [0, 1]


def test_the_same_fit_under_two_names_is_one() -> None:
    tasks = [Task("fit", name, "d", {}) for name in "abb"]
    records = {k: fit(value) for k, value in enumerate((-10.0, -12.0, -12.0))}
    assert worth_certifying(tasks, records) == [0]


def test_a_spurious_optimum_is_not_the_best() -> None:
    assert chosen([fit(-5.0, "slow_tail,spurious"), fit(-10.0), start(-5.0, spurious=True)]) == [1]


def test_every_data_set_has_its_own_best() -> None:
    assert chosen([fit(-5.0), fit(-10.0), start(-20.0)], "aab") == [0, 2]


@pytest.mark.parametrize(
    "end",
    [
        fit(-1.0, status="degenerate"),
        fit(-1.0, status_polished="degenerate"),
        {"provisional": False, "fit": {"status": "failed"}},
        {**fit(-1.0), "provisional": True},
        start(-1.0, sound=False),
        start(float("nan")),
    ],
)
def test_an_end_that_is_no_optimum_is_left_out(end: dict[str, Any]) -> None:
    assert chosen([end, fit(-10.0)]) == [1]


def test_a_certificate_is_that_of_the_polished_end() -> None:
    one = case()
    _, result, polished = ascend(one, spec("kmeans"))
    row = run_certificate(one, lambda: polished, 1e9)["certificate"]
    expected = certify(one.model, one.data, polished.params)
    assert row["verdict"] == expected.verdict == "maximum"
    assert row["objective"] == polished.objective >= result.objective
    assert row["newton_decrement"] == expected.newton_decrement < 1e-5
    assert row["em_rate"] == 1 - row["smallest_share"] == expected.rate


def test_what_goes_wrong_with_a_certificate_is_its_reason() -> None:
    def broken() -> None:
        raise ValueError("no such thing")

    def out_of_memory() -> None:
        raise MemoryError

    for polished, reason, again in (
        (broken, "ValueError: no such thing", False),
        (out_of_memory, "MemoryError: ", True),
        (lambda: None, "a component collapsed", False),
    ):
        record = run_certificate(case(), polished, 1e9)
        assert record["certificate"]["verdict"] == "uncertified"
        assert record["certificate"]["reason"].startswith(reason.strip())
        assert record["provisional"] == again


def test_no_certificate_costs_more_than_a_reference_search() -> None:
    def never() -> None:
        raise AssertionError

    record = run_certificate(case(), never, 4 * 11 - 1)["certificate"]
    assert record["reason"] == "would take 44 E-steps, more than the reference search"
    assert record["verdict"] == "uncertified"


# --- in a block -----------------------------------------------------------------------------------


def certificate_rows(paths: StudyPaths) -> list[dict[str, Any]]:
    return read_table(paths.block("certificates", *IDS)).to_pylist()


def last_event(paths: StudyPaths) -> dict[str, Any]:
    return json.loads((paths.logs / "events.jsonl").read_text().splitlines()[-1])


def test_a_block_certifies_the_reference_optimum_of_each_data_set_and_keeps_it(
    tmp_path: Path,
) -> None:
    paths = planned_study(tmp_path)
    run_block(paths.root, *IDS)
    rows = certificate_rows(paths)
    first = paths.block("certificates", *IDS).read_bytes()
    assert last_event(paths)["certificates_computed"] == len(rows) > 0
    for reference in read_table(paths.block("references", *IDS)).to_pylist():
        (row,) = [
            row
            for row in rows
            if row["data_id"] == reference["data_id"]
            and abs(row["objective"] - reference["loglik"]) < APART
        ]
        assert row["verdict"] == "maximum"
        assert row["replicate"] == reference["replicate"]
    run_block(paths.root, *IDS)
    assert paths.block("certificates", *IDS).read_bytes() == first
    event = last_event(paths)
    assert (event["certificates_computed"], event["certificates_reused"]) == (0, len(rows))


def test_the_reference_s_certificate_does_not_depend_on_the_grid(tmp_path: Path) -> None:
    rows = {}
    for name, inits in (("few", {"random": None}), ("more", {"random": None, "kmeans": None})):
        paths = planned_study(tmp_path / name, inits=inits)
        run_block(paths.root, *IDS)
        best: dict[str, dict[str, Any]] = {}
        for row in certificate_rows(paths):
            known = best.setdefault(row["data_id"], row)
            best[row["data_id"]] = max(known, row, key=lambda row: row["objective"])
        rows[name] = best
    assert rows["few"] == rows["more"]
