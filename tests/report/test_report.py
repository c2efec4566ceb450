"""The page: self-contained, escaped, complete or saying what is missing."""

import json
import re
from html import escape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

from emlib.errors import StoreError
from emlib.report import picture_figures
from emlib.report.build import build_report, tables_are_current
from emlib.report.charts import decades
from emlib.report.figures import FIGURES
from emlib.report.schemas import TABLES
from emlib.report.views import worst_rows
from emlib.study import files, grid
from emlib.study.atomic import write_json
from tests.report.fake_study import FakeStudy


class Loads(HTMLParser):
    """What a page asks the network or the disk for, and the ids it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.sources: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        for name, value in attrs:
            if name in ("src", "srcset", "data", "poster", "action"):
                self.sources.append(value)
            elif name in ("href", "xlink:href"):
                self.links.append(value)
            elif name == "id":
                self.ids.append(value)


@pytest.fixture(scope="module")
def text(whole):
    return (whole / "report.html").read_text()


def test_the_page_loads_nothing_from_anywhere(text):
    loads = Loads(text)
    assert loads.sources == []
    assert not {"link", "iframe", "object", "embed", "img"} & set(loads.tags)
    assert not re.search(r"@import|url\((?!#)", text)
    assert all(not re.match(r"\w+:|//", link) for link in loads.links)


def test_links_lead_to_files_beside_the_page_or_places_in_it(text, whole):
    loads = Loads(text)
    for link in loads.links:
        assert link[1:] in loads.ids if link.startswith("#") else (whole / link).is_file(), link


def test_no_two_elements_share_an_id(text):
    ids = Loads(text).ids
    assert len(ids) == len(set(ids))


def test_every_figure_is_in_the_page_and_beside_it(text, whole):
    for name in FIGURES:
        assert f'id="figure-{name}"' in text
        assert (whole / "figures" / f"{name}.svg").read_text().startswith("<svg")
        assert (whole / "figures" / f"{name}.pdf").read_bytes().startswith(b"%PDF")
    assert text.count("<svg") == len(FIGURES)


def test_every_figure_has_a_caption_for_snakemake():
    folder = Path(__file__).parents[2] / "rules" / "captions"
    assert {path.stem for path in folder.glob("*.rst")} == {*FIGURES, *picture_figures.FIGURES}


def test_sections_come_in_the_order_of_the_design(text):
    order = ["answer", "design", "coverage", "hits", "profiles", "convergence", "losses", "rates"]
    order += ["optima", "cost", "statuses", "sensitivity", "provenance"]
    places = [text.index(f'<section id="{name}">') for name in order]
    assert places == sorted(places)


def test_the_page_says_what_a_referee_asks(text):
    for words in (
        "more often than random in",
        "replicates would give every interval ±5 points",
        "one data set: conditional inference",
        "raised for all",
        "emlib replay ",
        "20261123",
        "Example CPU 3000",
        "spurious optima included",
    ):
        assert words in text, words


def test_a_complete_study_gets_its_seal_with_its_counts(whole):
    seal = json.loads((whole / "complete.json").read_text())
    assert seal == {"study": "whole", "cells": 66, "blocks": 24, "fits": 6120}


@pytest.mark.usefixtures("plain")
def test_the_same_tables_give_the_same_page(small):
    build_report(small.write())
    first = (small.root / "report.html").read_bytes()
    build_report(small.root)
    assert (small.root / "report.html").read_bytes() == first


def test_names_and_messages_stand_as_text(small):
    evil = "<img src=x onerror=alert(1)>"
    breakout = f"\"'>{evil}</title></style></svg></script><script>alert(1)</script>"
    small.root = small.root.with_name(f"\"'{evil}")
    small.names = {"kmeans": breakout, "random": "{{ 7 * 7 }}"}
    build_report(small.write())
    text = (small.root / "report.html").read_text()
    assert evil not in text
    assert f"<title>&#34;&#39;{escape(evil)}: EM" in text
    assert "{{ 7 * 7 }}" in text
    loads = Loads(text)
    assert "img" not in loads.tags
    assert (loads.tags.count("script"), loads.tags.count("title")) == (1, 1)


def test_messages_of_failed_fits_are_escaped(text):
    assert "needs &lt;at least&gt; as many rows" in text
    assert "<at least>" not in text


def test_a_fit_that_collapsed_while_polished_says_so():
    row = dict.fromkeys(TABLES["worst"].names, "x") | {"loss": np.inf, "message": ""}
    rows = pd.DataFrame([row | {"status_polished": s} for s in ("degenerate", "converged")])
    messages = [shown["message"] for shown in worst_rows(rows)]
    assert messages == ["a component collapsed while its end was polished", ""]


@pytest.mark.parametrize(("low", "high"), [(4e-4, 1.3), (0.011, 0.012), (2.0, 2.0), (1e-4, 900.0)])
def test_ticks_of_seconds_are_few_and_within_the_axis(low, high):
    ticks = np.array(decades(pd.Series([low, high])))
    assert 1 <= len(ticks) <= 6
    assert 0.8 * low <= ticks.min() <= ticks.max() <= 1.05 * high


@pytest.mark.usefixtures("plain")
def test_a_partial_report_names_what_is_missing_and_has_no_seal(small):
    study = small.study()
    small.write()
    build_report(small.root)
    assert small.paths.complete.exists()
    gone = grid.planned_blocks(small.root)[1]
    for kind in ("fits", "curves"):
        names = (gone.dataset, gone.missingness, gone.model, gone.block)
        small.paths.block(kind, *names).unlink()
    build_report(small.root, partial=True)
    text = small.paths.report.read_text()
    assert "Partial report: 1 of 8 blocks missing" in text
    assert f"{gone.dataset}/{gone.missingness}/{gone.model}/{gone.block:04d}" in text
    assert "lacks fits, curves" in text
    assert "So far: " in text
    assert not small.paths.complete.exists()
    assert study["replicates"] == 4


@pytest.mark.usefixtures("plain")
def test_blocks_of_an_earlier_plan_are_missing_whatever_their_cells(small):
    small.study()
    small.write()
    first, *others = grid.planned_blocks(small.root)
    digests = {block.key: {"fits": ""} for block in others}
    write_json(small.paths.jobs, {"blocks": {**digests, first.key: {"fits": "def"}}})
    names = (first.dataset, first.missingness, first.model, first.block)
    stray = files.read_table(path := small.paths.block("fits", *names))
    row = stray.schema.get_field_index("cell_id")
    files.write_table(path, stray.set_column(row, "cell_id", [["ab" * 8] * len(stray)]), "fits")
    with pytest.raises(StoreError, match="1 of 8 blocks are missing"):
        build_report(small.root)
    text = small.paths.report.read_text()
    assert f"{first.key}" in text
    assert "of an earlier plan" in text
    assert not small.paths.complete.exists()


@pytest.mark.usefixtures("plain")
def test_without_partial_a_missing_block_is_an_error_after_the_report(small):
    small.write()
    build_report(small.root)
    next((small.root / "references").rglob("*.parquet")).unlink()
    with pytest.raises(StoreError, match=r"1 of 8 blocks are missing.*--partial"):
        build_report(small.root)
    assert not small.paths.complete.exists()
    assert "Partial report" in small.paths.report.read_text()


def test_a_partial_report_of_nothing_is_still_a_report(small):
    blocks_of_all = small.write()
    for path in (blocks_of_all / "fits").rglob("*.parquet"):
        path.unlink()
    build_report(small.root, partial=True)
    text = small.paths.report.read_text()
    assert "No fits yet" in text
    assert "8 of 8 blocks missing" in text
    assert all((small.root / "figures" / f"{name}.svg").is_file() for name in FIGURES)


@pytest.mark.usefixtures("plain")
def test_tables_that_are_behind_the_files_are_computed_again(small):
    small.write()
    build_report(small.root)
    assert tables_are_current(small.paths)
    small.replicates = 6
    small.write()
    assert not tables_are_current(small.paths)
    build_report(small.root)
    assert json.loads(small.paths.complete.read_text())["blocks"] == 12


@pytest.mark.usefixtures("plain")
def test_tables_of_another_version_are_computed_again(small):
    build_report(small.write())
    path = small.paths.tables / "worst.parquet"
    pq.write_table(pq.read_table(path).drop_columns("status_polished"), path)
    build_report(small.root)
    assert tables_are_current(small.paths)
    assert "status_polished" in pq.read_schema(path).names


@pytest.mark.parametrize("change", ["one_init", "no_baseline", "mechanisms", "one_replicate"])
def test_unusual_grids_have_reports_too(tmp_path, change):
    options = {
        "one_init": {"inits": ("random",)},
        "no_baseline": {"inits": ("kmeans", "points")},
        "mechanisms": {"mechanisms": ("mar", "mcar", "mnar"), "rates": (0.0, 0.1, 0.2)},
        "one_replicate": {"replicates": 1, "restarts": 1},
    }[change]
    common = {"datasets": {"low": 0.1}, "inits": ("random", "kmeans"), "replicates": 2}
    common |= {"rates": (0.0,), "restarts": 2}
    study = FakeStudy(tmp_path / change, **(common | options))
    build_report(study.write())
    assert study.paths.complete.exists()
