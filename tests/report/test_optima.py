"""Optima are the endpoints put together; shares, certificates and budgets are counted by hand."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest

from emlib.report import views_optima
from emlib.report.budgets import BUDGETS, budget_table
from emlib.report.optima import basin_table, find_optima, with_verdicts
from emlib.report.outcomes import judge
from emlib.report.statistics import wilson
from emlib.report.tables import read
from emlib.report.theme import Look
from emlib.study import files, grid
from emlib.study.files import SCHEMAS
from tests.report.conftest import fit_frame, reference_frame


def found(fits: list[dict[str, Any]], certificates: list[dict[str, Any]] = (), reference=-100.0):
    """Optima of a few fits of one data set."""
    common = {"oracle": False, "algorithm": "em", "smallest_component": 50.0,
              "eigenvalue_ratio": 0.1, "linear_rate": 0.5}  # fmt: skip
    frame = fit_frame([common | row for row in fits])
    searched = reference_frame(reference).assign(eigenvalue_ratio=0.2, smallest_component=60.0)
    blank = dict.fromkeys(SCHEMAS["certificates"].names, 0.0) | {"data_id": "D", "model": "m"}
    certified = pd.DataFrame([blank | row for row in certificates], columns=list(blank))
    results = SimpleNamespace(fits=frame, references=searched, certificates=certified)
    return results, find_optima(results, judge(frame, searched, 1e-3))


def test_endpoints_within_a_thousandth_are_one_optimum_and_dead_fits_are_none():
    _, optima = found([
        {"loglik_polished": -100.0000004, "init": "a"},
        {"loglik_polished": -103.0, "init": "a"},
        {"loglik_polished": -103.0005, "init": "b"},
        {"status": "degenerate", "status_polished": "", "loglik_polished": np.nan, "init": "b"},
    ])  # fmt: skip
    assert optima.of_fit.tolist() == [0, 1, 1, -1]
    table = optima.table
    assert table["rank"].tolist() == [0, 1]
    assert table["objective"].tolist() == [-100.0, -103.0]
    assert table["loss"].tolist() == [0.0, 3.0]
    assert table["in_search"].tolist() == [True, False]
    assert table["starts"].tolist() == [4, 4]
    assert table["reached"].tolist() == [1, 2]
    low, high = wilson([1, 2], [4, 4])
    assert table["low"].tolist() == pytest.approx(low)
    assert table["high"].tolist() == pytest.approx(high)


def test_an_optimum_that_only_the_search_found_is_in_the_table():
    _, optima = found([{"loglik_polished": -102.0}], reference=-100.0)
    assert optima.table["reached"].tolist() == [0, 1]
    assert optima.table["smallest_component"].tolist() == [60.0, 50.0]
    assert optima.of_fit.tolist() == [1]


def test_an_oracle_s_starts_are_counted_apart():
    results, optima = found(
        [{"init": "truth", "oracle": True}, {"init": "a"}, {"init": "a", "loglik_polished": -101.0}]
    )
    assert optima.table["starts"].tolist() == [2, 2]
    assert optima.table["reached"].tolist() == [1, 1]
    basins = basin_table(results, optima).set_index(["rank", "init"])
    assert basins.loc[(0, "truth"), "reached"] == basins.loc[(0, "truth"), "starts"] == 1
    assert basins.loc[(0, "a"), "share"] == 0.5
    assert basins.loc[(1, "truth"), "reached"] == 0
    assert basins["oracle"].tolist() == [init == "truth" for _, init in basins.index]


def test_a_certificate_belongs_to_its_optimum_and_flags_its_fits():
    certificates = [
        {"objective": -100.0, "verdict": "maximum", "reason": "", "em_rate": 0.7},
        {"objective": -105.0000002, "verdict": "saddle", "reason": "up", "em_rate": 1.1},
        {"objective": -111.0, "verdict": "saddle", "reason": "of nothing", "em_rate": 1.1},
        {"objective": -100.0, "verdict": "saddle", "reason": "of others", "data_id": "E"},
    ]
    heights = [-100.0, -105.0, -105.0, -110.0]
    results, optima = found(
        [{"loglik_polished": height, "flags": "boundary"} for height in heights], certificates
    )
    assert optima.table["verdict"].tolist() == ["maximum", "saddle", ""]
    assert optima.table["reason"].tolist() == ["", "up", ""]
    assert optima.table["em_rate"].tolist()[:2] == [0.7, 1.1]
    flags = with_verdicts(results_like(results), optima).fits["flags"].tolist()
    assert flags == ["boundary", "boundary,saddle", "boundary,saddle", "boundary"]


def results_like(results: SimpleNamespace) -> Any:
    from emlib.report.load import Results

    return Results(None, {}, None, results.fits, results.references, results.certificates, None)


def test_a_study_s_optima_are_those_of_the_slow_way(whole: Path):
    table = read(whole, "optima")
    fits = [files.read_table(path).to_pandas() for path in (whole / "fits").rglob("*.parquet")]
    fits = pd.concat(fits)
    key = table[["data_id", "model"]].drop_duplicates().iloc[7]
    mine = fits[(fits["data_id"] == key["data_id"]) & (fits["model"] == key["model"])]
    searched = pd.concat(
        [files.read_table(path).to_pandas() for path in (whole / "references").rglob("*.parquet")]
    ).set_index("data_id").loc[[key["data_id"]], "loglik"].iloc[0]  # fmt: skip
    alive = mine[mine["loglik_polished"].notna() & (mine["status_polished"] != "degenerate")]
    groups: list[list[float]] = []
    for height in sorted([*alive["loglik_polished"], searched], reverse=True):
        if groups and groups[-1][-1] - height <= 1e-3:
            groups[-1].append(height)
        else:
            groups.append([height])
    rows = table[(table["data_id"] == key["data_id"]) & (table["model"] == key["model"])]
    assert rows["objective"].tolist() == [group[0] for group in groups]
    rivals = alive[~alive["oracle"]]["loglik_polished"]
    reached = [int(rivals.between(group[-1], group[0]).sum()) for group in groups]
    assert rows["reached"].tolist() == reached
    assert set(rows["starts"]) == {(~mine["oracle"]).sum()}
    basins = read(whole, "basins").query("data_id == @key.data_id and not oracle")
    assert basins.groupby("rank")["reached"].sum().tolist() == reached


def test_fits_at_a_certified_saddle_are_flagged_in_the_cells(whole: Path):
    cells = read(whole, "cells").groupby("dataset")["flag_saddle"].sum()
    assert cells["high"] > 0
    assert cells.drop("high").sum() == 0


def test_the_report_names_references_that_are_no_maximum(whole: Path):
    tables = {name: read(whole, name) for name in ("optima", "basins", "cells", "budgets")}
    named = views_optima.uncertain(tables)
    assert named
    assert all(text.startswith("high, ") and "replicate 1: saddle" in text for text in named)
    text = (whole / "report.html").read_text()
    assert "no certified maximum" in text
    assert named[0] in text
    look = Look.of(grid.load_study(whole), tables["cells"])
    groups = views_optima.detail_groups(tables, look)
    assert len(groups) == len(views_optima.summary_rows(tables, look)) == 12
    assert sum(group["open"] for group in groups) == 1


def test_hit_rates_at_equal_work_are_counted_by_hand(whole: Path):
    table = read(whole, "budgets")
    replicates = read(whole, "replicates").set_index("cell_id")
    assert sorted(set(table["budget"])) == list(BUDGETS)
    for row in table.iloc[::17].itertuples():
        mine = replicates.loc[[row.cell_id]]
        assert row.hits == (mine["work_to_hit"] <= row.budget).sum()
        spent = np.isinf(mine["work_to_hit"]) & (mine["work"] < row.budget)
        assert row.exhausted == spent.sum()
    rates = table.pivot(index="cell_id", columns="budget", values="hit_rate")
    assert (rates.diff(axis=1).iloc[:, 1:] >= 0).all(axis=None)


def test_an_init_without_fits_has_no_rate_at_any_budget():
    plan = pd.DataFrame({"cell_id": ["c"], "dataset": ["d"], "init": ["a"], "mechanism": ["mcar"]})
    study = {"datasets": {"d": {"generator": "g"}}, "inits": {"a": {"deterministic": False}}}
    empty = pd.DataFrame({"cell": np.empty(0, int), "work": [], "work_to_hit": []})
    table = budget_table(SimpleNamespace(plan=plan, study=study), empty)
    assert table["hit_rate"].isna().all()
    assert table["exhausted"].tolist() == [0] * len(BUDGETS)
