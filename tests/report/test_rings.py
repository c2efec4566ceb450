"""Rows of ring fits: the truth first, then what the loglik chose, one a replicate."""

import pandas as pd

from emlib.report.rings import ring_rows, ring_table
from emlib.report.schemas import TABLES
from emlib.report.theme import Look
from emlib.report.views import by_setting

NUMBERS = {
    "diameter": 42.0,
    "diameter_spread": 1.0,
    "width": 10.0,
    "asymmetry": 0.2,
    "central_brightness": 0.1,
    "east": 0.0,
    "north": 0.0,
}


def rings(*rows: tuple[str, int, bool, float, float]) -> pd.DataFrame:
    """init, replicate, chosen, diameter, orientation."""
    common = {"dataset": "sky", "missingness": "none", "model": "image", "objective": 0.0}
    names = ("init", "replicate", "chosen", "diameter", "orientation")
    made = [
        {
            **common, **NUMBERS, "oracle": row[0] == "(truth)", "data_id": f"D{row[1]}",
            **dict(zip(names, row, strict=True)),
        }
        for row in rows
    ]  # fmt: skip
    return pd.DataFrame(made)[TABLES["rings"].names]


def test_only_chosen_images_count_and_the_truth_stands_above_them():
    table = rings(
        ("(truth)", 0, False, 42.0, 180.0),
        ("disk", 0, True, 40.0, 180.0),
        ("gaussian", 0, False, 10.0, 0.0),
        ("disk", 1, True, 42.0, 180.0),
    )
    truth, chosen = ring_rows(table)
    assert (truth["what"], truth["values"][0]) == ("truth", "42.0")
    assert (chosen["replicates"], chosen["values"][0]) == ("2", "41.0 ± 1.0")
    assert chosen["inits"] == "disk 2"


def test_settings_come_in_the_report_s_order():
    names = ["half", "none"]  # that of the files
    table = pd.concat([rings(("disk", 0, True, 40.0, 0.0))] * 2).assign(missingness=names)
    table = table.reset_index(drop=True)
    cells = table[["dataset", "missingness", "model", "init"]].assign(algorithm="em")
    look = Look(["disk"], set(), ["sky"], ["none", "half"], "disk", 1e-3)
    shown = [row["setting"] for row in ring_rows(by_setting(table, cells, look))]
    assert shown == ["sky · none · image", "sky · half · image"]


def test_inits_that_tie_count_once():
    (row,) = ring_rows(rings(("disk", 0, True, 40.0, 0.0), ("double", 0, True, 40.0, 0.0)))
    assert row["replicates"] == "1"


def test_replicates_of_one_data_set_have_no_standard_error():
    table = rings(("disk", 0, True, 40.0, 90.0), ("disk", 1, True, 42.0, 90.0))
    (row,) = ring_rows(table.assign(data_id="D"))
    assert (row["replicates"], row["values"][0]) == ("2 of one data set", "41.0")


def test_angles_are_averaged_around_the_circle():
    (row,) = ring_rows(rings(("disk", 0, True, 42.0, 350.0), ("disk", 1, True, 42.0, 6.0)))
    assert row["values"][3] == "358.0 ± 8.0"


def test_images_without_a_ring_are_counted_and_not_averaged():
    table = rings(("disk", 0, True, 40.0, 90.0), ("disk", 1, True, float("nan"), float("nan")))
    (row,) = ring_rows(table)
    assert (row["replicates"], row["values"][0], row["values"][3]) == ("2", "40.0", "90.0")
    (row,) = ring_rows(table[1:])
    assert (row["values"][0], row["values"][3]) == ("none", "none")


def test_a_study_of_tables_has_no_rings(small):
    from emlib.report.load import load_results

    small.write()
    table = ring_table(load_results(small.root), pd.DataFrame({"best": [0]}))
    assert len(table) == 0
