"""Where the panels of a figure stand."""

import re
from xml.etree import ElementTree

import altair as alt
import pandas as pd

from emlib.report.figures import to_svg
from emlib.report.theme import Look


def places(svg):
    """Text -> (x, y) of each text of a figure."""
    found = {}

    def walk(element, x, y):
        moved = re.match(r"translate\(([-\d.]+)[, ]+([-\d.]+)\)", element.get("transform", ""))
        if moved:
            x, y = x + float(moved[1]), y + float(moved[2])
        if element.tag.endswith(("text", "tspan")) and element.text:
            found[element.text] = (x, y)
        for child in element:
            walk(child, x, y)

    walk(ElementTree.fromstring(svg), 0.0, 0.0)
    return found


def test_panels_stand_under_their_names_where_a_setting_is_missing():
    rows, columns = ["z", "a"], ["none", "half", "all"]
    look = Look(["random"], set(), rows, columns, "random", 1e-3)
    there = [(row, column) for row in rows for column in columns if (row, column) != ("a", "half")]
    data = pd.DataFrame(there, columns=["row", "column"]).assign(x=1.0)
    data["name"] = data["row"] + "/" + data["column"]
    texts = alt.Chart().mark_text().encode(x="x:Q", text="name:N")
    found = places(to_svg(look.panels(data, [texts], height=80)))
    x = {column: {found[f"{r}/{c}"][0] for r, c in there if c == column} for column in columns}
    y = {row: {found[f"{r}/{c}"][1] for r, c in there if r == row} for row in rows}
    assert all(len(same) == 1 for same in [*x.values(), *y.values()])
    lefts, tops = [min(x[column]) for column in columns], [min(y[row]) for row in rows]
    assert lefts == sorted(set(lefts))
    assert tops == sorted(set(tops))
    from_header = [left - found[name][0] for left, name in zip(lefts, columns, strict=True)]
    assert max(from_header) - min(from_header) < 1


def test_what_is_written_under_narrow_panels_is_no_wider_than_they_are():
    title = "E-step equivalents, all starts so far"

    def written(columns):
        look = Look(["random"], set(), ["a"], columns, "random", 1e-3)
        data = pd.DataFrame({"row": "a", "column": columns, "value": 1.0})
        points = alt.Chart().mark_point().encode(x=alt.X("value:Q", axis=alt.Axis(title=title)))
        return set(places(to_svg(look.panels(data, [points], height=80))))

    assert title in written(["none"])
    narrow = written([f"mcar-0.{k}" for k in range(1, 6)])
    assert title not in narrow
    assert {"E-step equivalents, all", "starts so far"} <= narrow
