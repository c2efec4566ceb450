"""Tables of a made-up study: complete, documented, and independent of what else is in the grid."""

import math
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from emlib.errors import StoreError
from emlib.report.cells import STATUSES
from emlib.report.charts_loss import rate_data
from emlib.report.schemas import TABLES
from emlib.report.tables import build_tables, read
from emlib.report.theme import Look
from emlib.report.views import estimation_groups
from emlib.study import files, grid
from emlib.study.measures import MEASURES
from emlib.study.paths import BLOCK_KINDS

README = Path(__file__).parents[2] / "results" / "README.md"


def test_every_table_is_written_with_its_schema(whole):
    for name, schema in TABLES.items():
        table = files.read_table(whole / "tables" / f"{name}.parquet")
        assert table.schema.names == schema.names
        assert (table.num_rows > 0) == (name != "rings"), name  # no images, no rings


def test_every_table_but_the_one_of_single_fits_is_also_csv(whole):
    for name in TABLES:
        path = whole / "tables" / f"{name}.csv"
        assert path.exists() == (name != "hits")
        if path.exists():
            assert list(pd.read_csv(path, nrows=1).columns) == TABLES[name].names


def test_every_table_is_an_output_of_its_rule():
    rules = (README.parents[1] / "rules" / "reports.smk").read_text()
    (listed,) = re.findall(r"^TABLES = \((.*?)\)", rules, re.MULTILINE | re.DOTALL)
    assert re.findall(r'"(\w+)"', listed) == list(TABLES)


def test_each_fit_is_counted_once_whatever_became_of_it(whole):
    cells = read(whole, "cells")
    plan = files.read_table(whole / "plan.parquet").to_pandas()
    assert cells["cell_id"].tolist() == plan["cell_id"].tolist()
    assert cells["fits"].tolist() == plan["fits"].tolist()
    assert (cells[[f"status_{s}" for s in STATUSES]].sum(axis=1) == cells["fits"]).all()
    assert (cells["failures"] == cells["fits"] - cells["status_converged"]).all()
    assert len(read(whole, "hits")) == cells["fits"].sum()


def test_a_replicate_has_one_best_start(whole):
    hits = read(whole, "hits")
    assert (hits.groupby(["cell_id", "replicate"])["best_of_replicate"].sum() == 1).all()


def test_intervals_hold_their_estimates(whole):
    cells = read(whole, "cells")
    for name, low, high in [
        ("hit_rate", "hit_low", "hit_high"),
        ("start_rate", "start_low", "start_high"),
        ("ert", "ert_low", "ert_high"),
    ]:
        assert (cells[low] <= cells[name] + 1e-12).all()
        assert (cells[name] <= cells[high] + 1e-12).all()


def test_every_measure_of_estimation_has_an_interval(small):
    tables = build_tables(small.write())
    table = tables["estimation"]
    values = {f"{name}{end}": v for name in MEASURES for end, v in (("", 0.9), ("_se", 0.1))}
    counts = {f"{name}_replicates": 3 for name in MEASURES}
    tables["estimation"] = table.assign(**values, **counts)
    (first, *_) = estimation_groups(tables, Look.of(small.study(), tables["cells"]))
    texts = [value["text"] for value in first["parts"][0]["rows"][0]["values"]]
    bounded = {"ari", "ncc"}  # 1 is the best
    expected = ["0.900 (0.470–1.00)" if m in bounded else "0.900 (0.470–1.33)" for m in MEASURES]
    assert texts == expected
    drawn = rate_data(tables)
    assert set(drawn["measure"]) == {"hit_rate", *MEASURES} - {"ari"}
    part = drawn[drawn["measure"] != "hit_rate"]
    assert ((part["low"] < part["value"]) & (part["value"] < part["high"])).all()


def test_a_real_table_without_holes_is_one_data_set_of_independent_starts(whole):
    cells = read(whole, "cells")
    expected = cells["dataset"].isin(["faithful", "iris"]) & (cells["missingness"] == "none")
    assert (cells["conditional"] == expected).all()


def test_the_weak_reference_is_raised_and_told(whole):
    raised = read(whole, "references").query("raised")
    assert set(raised["dataset"]) == {"high"}
    assert set(raised["replicate"]) == {3}
    assert raised["gain"].to_numpy() == pytest.approx(0.8, abs=1e-5)


def test_more_inits_in_the_grid_change_no_estimate_of_the_others(small, tmp_path):
    build_tables(small.write())
    few = read(small.root, "cells")
    small.root, small.inits = tmp_path / "more", (*small.inits, "points")
    build_tables(small.write())
    more = read(small.root, "cells").set_index("cell_id").loc[few["cell_id"]].reset_index()
    pd.testing.assert_frame_equal(few, more[few.columns])


def test_the_same_files_give_the_same_tables(small):
    build_tables(small.write())
    first = {path.name: path.read_bytes() for path in (small.root / "tables").iterdir()}
    build_tables(small.root)
    assert first == {path.name: path.read_bytes() for path in (small.root / "tables").iterdir()}


def test_a_study_without_any_block_has_empty_tables_of_every_cell(small):
    small.write()
    for block in grid.planned_blocks(small.root):
        for kind in BLOCK_KINDS:
            names = (block.dataset, block.missingness, block.model, block.block)
            small.paths.block(kind, *names).unlink()
    tables = build_tables(small.root)
    assert (tables["cells"]["fits"] == 0).all()
    assert (tables["coverage"]["found"] == 0).all()


@pytest.mark.parametrize("kind", BLOCK_KINDS)
def test_a_damaged_block_is_named_and_left_out(small, kind):
    small.write()
    path = next((small.root / kind).rglob("*.parquet"))
    path.write_bytes(path.read_bytes()[:-20])
    coverage = build_tables(small.root)["coverage"]
    assert coverage["missing"].tolist().count("damaged") == 1


def test_timings_in_another_order_find_their_fits(small):
    build_tables(small.write())
    before = read(small.root, "cells")["seconds_median"]
    for path in (small.root / "timings").rglob("*.parquet"):
        table = files.read_table(path)
        files.write_table(path, table.take(np.arange(table.num_rows)[::-1]), "timings")
    build_tables(small.root)
    assert read(small.root, "cells")["seconds_median"].tolist() == before.tolist()


def test_a_study_that_was_never_planned_says_so(tmp_path):
    with pytest.raises(StoreError, match="emlib plan"):
        build_tables(tmp_path)


def test_fits_of_another_plan_are_an_error_that_names_them(small):
    small.write()
    plan = files.read_table(small.paths.plan)
    files.write_table(small.paths.plan, plan.slice(1), "plan")
    with pytest.raises(StoreError, match="not in plan"):
        build_tables(small.root)


def test_sensitivity_to_the_budget_grows_with_it(whole):
    table = read(whole, "sensitivity").query("variant == 'budget'")
    hits = table.groupby("value")["hits"].sum()
    assert hits.is_monotonic_increasing
    assert math.isclose(hits.index.max(), 4000)


def test_the_readme_documents_every_column_of_every_file():
    text = README.read_text()
    for name, schema in {**files.SCHEMAS, **TABLES}.items():
        assert f"`{name}`" in text or f"{name}.parquet" in text, name
        for column in schema.names:
            short = column.split("_")[0] + "_*"
            assert f"`{column}`" in text or f"`{short}`" in text, f"{name}.{column}"
