"""What a run starts from: digests that change when, and only when, a job's content does."""

import os
from pathlib import Path

import pytest
import yaml

from emlib.errors import ConfigError
from emlib.study.atomic import write_json
from emlib.study.prepare import check_writable, prepare
from tests.study.small_study import CONFIG


@pytest.fixture
def jobs_of(tmp_path, monkeypatch):
    """The jobs of the small study with some of its keys changed."""
    monkeypatch.chdir(tmp_path)

    def jobs_of(**changes):
        path = Path("config.yaml")
        path.write_text(yaml.safe_dump({**CONFIG, **changes}))
        return prepare(path)["jobs"]

    return jobs_of


def same(a, b, kind):
    """Jobs of a kind that are in both plans with the same digests."""
    return {key for key in a[kind] if a[kind][key] == b[kind].get(key)}


def test_an_added_init_changes_blocks_but_neither_data_nor_masks(jobs_of):
    before, after = jobs_of(), jobs_of(inits={**CONFIG["inits"], "points": None})
    assert same(before, after, "data") == set(before["data"])
    assert same(before, after, "masks") == set(before["masks"])
    assert not same(before, after, "blocks")
    assert before["report"] != after["report"]


def test_added_replicates_change_no_full_block(jobs_of):
    before, after = jobs_of(replicates=4), jobs_of(replicates=6)
    for kind in ("data", "masks", "blocks"):
        assert same(before, after, kind) == set(before[kind])
        assert len(after[kind]) == 1.5 * len(before[kind])


def test_a_changed_dataset_changes_its_own_jobs_alone(jobs_of):
    drawn = {**CONFIG["datasets"]["drawn"], "n": 61}
    before, after = jobs_of(), jobs_of(datasets={**CONFIG["datasets"], "drawn": drawn})
    for kind in ("data", "masks", "blocks"):
        assert {key for key in before[kind] if key.startswith("faithful/")} == same(
            before, after, kind
        )


def test_a_changed_mask_file_draws_the_masks_again_and_nothing_else(jobs_of):
    def planned(last):
        Path("mask.csv").write_text("eruptions,waiting\n" + 271 * "0,1\n" + f"{last},0\n")
        return jobs_of(
            datasets={"faithful": CONFIG["datasets"]["faithful"]},
            missingness=[{"mechanism": "file", "path": "mask.csv"}],
            inits={"random": None},
        )

    before, again, after = planned(0), planned(0), planned(1)
    assert {key.split("/")[1] for key in before["masks"]} == {"file"}
    assert before["masks"] == again["masks"]
    assert before["data"] == after["data"]
    assert not same(before, after, "masks")


def test_the_order_of_the_config_changes_the_report_alone(jobs_of):
    before, after = jobs_of(), jobs_of(inits=dict(reversed(CONFIG["inits"].items())))
    assert before["blocks"] == after["blocks"]
    assert before["data"] == after["data"]


def test_an_edited_csv_file_changes_its_jobs(jobs_of):
    own = {"own": {"csv": "own.csv"}}
    Path("own.csv").write_text("x,y\n1,2\n2,5\n3,1\n4,4\n")
    before = jobs_of(datasets=own)
    Path("own.csv").write_text("x,y\n1,2\n2,5\n3,1\n4,5\n")
    after = jobs_of(datasets=own)
    assert not same(before, after, "data")


def test_a_loss_marker_makes_its_block_run_again(jobs_of):
    before = jobs_of()
    write_json(Path("results/small/lost/drawn/none/two/0000.json"), {"count": 2})
    after = jobs_of()
    changed = set(before["blocks"]) - same(before, after, "blocks")
    assert changed == {"drawn/none/two/0000"}
    assert after["blocks"]["drawn/none/two/0000"]["lost"] == 2


def test_settings_of_the_mirror_change_the_mirror_alone(jobs_of):
    before, after = jobs_of(), jobs_of(tracking={"runs": "all"})
    assert before["mirror"] != after["mirror"]
    assert before["report"] == after["report"]
    assert before["blocks"] == after["blocks"]


def test_a_frozen_block_size_stays_and_says_so(jobs_of):
    write_json(Path("results/small/blocks.json"), {"block_size": 4})
    prepared = prepare(Path("config.yaml")) if jobs_of() else {}
    assert prepared["blocks"] == {"block_size": 4}
    assert "block_size: 2 is not used" in prepared["notes"][0]
    assert len(prepared["jobs"]["data"]) == 2


def test_a_damaged_block_size_is_told_with_the_way_out(jobs_of):
    Path("results/small").mkdir(parents=True)
    Path("results/small/blocks.json").write_text("damaged")
    with pytest.raises(ConfigError, match=r"blocks\.json: damaged .* plan --resize"):
        jobs_of()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(ConfigError, match="the folder cannot be written to"):
        check_writable(tmp_path / "results" / "small")
