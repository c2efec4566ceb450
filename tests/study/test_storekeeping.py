"""The store can be checked, packed and tidied, and never while somebody writes to it."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from emlib.cli import main
from emlib.errors import EmlibError
from emlib.study.journal import encode
from emlib.study.paths import StudyPaths
from emlib.study.store import Store, Writer
from emlib.study.storekeeping import collect_garbage, compact, verify
from emlib.study.supervisor import run_block
from tests.study.small_study import DRAWN, planned_study

IDS = ("drawn", "mcar-0.2", "two", 0)
DATA = "ab" * 16


def put(root: Path, *identities: str, data_id: str = DATA, value: float = 1.0) -> None:
    with Writer(Store(root)) as writer:
        for identity in identities:
            writer.append(data_id, (identity, encode({"fit": value})))


def test_a_sound_store_has_no_faults_and_is_counted(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    put(tmp_path, "b", "c")
    put(tmp_path, "d", data_id="cd" * 16)
    check = verify(tmp_path)
    assert (check.shards, check.journals, check.records, check.faults) == (2, 3, 4, [])


def test_damage_and_contradictions_are_all_listed(tmp_path: Path) -> None:
    put(tmp_path, "a", "b", "c")
    (journal,) = Store(tmp_path).journals(DATA)
    content = bytearray(journal.read_bytes())
    content[content.index(b"\x01b") + 8] ^= 1
    journal.write_bytes(content)
    put(tmp_path, "x", data_id="cd" * 16, value=1.0)
    put(tmp_path, "x", data_id="cd" * 16, value=2.0)
    faults = verify(tmp_path).faults
    assert len(faults) == 2
    assert str(journal) in faults[0]
    assert "different numbers" in faults[1]


def test_compacting_keeps_every_record_in_one_journal_a_shard(tmp_path: Path) -> None:
    put(tmp_path, "a", "b")
    put(tmp_path, "b", "c")
    before = {name: item.content for name, item in Store(tmp_path).read(DATA)[0].items()}
    size_before, size_after, damages = compact(tmp_path)
    assert damages == []
    after = {name: item.content for name, item in Store(tmp_path).read(DATA)[0].items()}
    assert after == before
    assert len(Store(tmp_path).journals(DATA)) == 1
    assert size_after < size_before
    assert compact(tmp_path) == (size_after, size_after, [])


def test_damage_that_goes_by_compacting_is_said(tmp_path: Path) -> None:
    root = tmp_path / "results" / "store"
    put(root, "a", "b", "c")
    (journal,) = Store(root).journals(DATA)
    content = bytearray(journal.read_bytes())
    content[content.index(b"\x01b") + 8] ^= 1
    journal.write_bytes(content)
    command = [sys.executable, "-m", "emlib", "store", "compact", "--results", "results"]
    for times in (1, 0):
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr.count("dropped: ") == times
        assert (str(journal.relative_to(tmp_path)) in done.stderr) == bool(times)
    assert set(Store(root).read(DATA)[0]) == {"a", "c"}


@pytest.mark.parametrize("look", [1, 2])
def test_a_store_that_is_compacted_while_it_is_verified_has_no_faults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: int
) -> None:
    put(tmp_path, "a", "b")
    put(tmp_path, "b", "c")
    listed, looks = Store.journals, []

    def compacted_after(store: Store, data_id: str) -> list[Path]:
        paths = listed(store, data_id)
        looks.append(paths)
        if len(looks) == look:
            compact(tmp_path)
        return paths

    monkeypatch.setattr(Store, "journals", compacted_after)
    check = verify(tmp_path)
    assert (check.shards, check.records, check.faults) == (1, 3, [])


def test_compacting_is_refused_while_a_writer_lives(tmp_path: Path) -> None:
    with Writer(Store(tmp_path)), pytest.raises(EmlibError, match="is writing"):
        compact(tmp_path)


@pytest.fixture(scope="module")
def two_studies(tmp_path_factory: pytest.TempPathFactory) -> tuple[StudyPaths, StudyPaths]:
    folder = tmp_path_factory.mktemp("two")
    one = {"datasets": {"drawn": DRAWN}, "missingness": [{"mechanism": "mcar", "rate": 0.2}]}
    big = planned_study(folder, study="big", **one)
    run_block(big.root, *IDS)
    run_block(big.root, *IDS[:3], 1)
    small = planned_study(folder, study="small", inits={"random": None}, replicates=2, **one)
    run_block(small.root, *IDS)
    return big, small


@pytest.fixture
def results(two_studies: tuple[StudyPaths, StudyPaths], tmp_path: Path) -> Path:
    """A copy of the two studies' results, which a test may change."""
    return Path(shutil.copytree(two_studies[0].results, tmp_path / "results"))


def test_garbage_is_what_no_kept_study_has_in_its_files(results: Path) -> None:
    everything = verify(results / "store")
    collect_garbage(results / "store", [results / "big", results / "small"])
    assert verify(results / "store").records == everything.records
    ran = CliRunner().invoke(main, ["store", "gc", "--keep", "small", "--results", str(results)])
    assert ran.exit_code == 0, ran.output
    assert verify(results / "store").records < everything.records
    kept = verify(results / "store")
    assert kept.shards == 2
    assert not kept.faults
    small = StudyPaths(results / "small")
    files = small.block("fits", *IDS).read_bytes()
    run_block(small.root, *IDS)
    assert small.block("fits", *IDS).read_bytes() == files
    assert '"computed": 0' in (small.logs / "events.jsonl").read_text().splitlines()[-1]


def test_a_study_with_missing_blocks_cannot_be_kept(results: Path) -> None:
    everything = verify(results / "store")
    StudyPaths(results / "big").block("curves", *IDS[:3], 1).unlink()
    words = r"1 of its blocks are missing \(the first: drawn/mcar-0\.2/two/0001\).*finish .* first"
    with pytest.raises(EmlibError, match=words):
        collect_garbage(results / "store", [results / "small", results / "big"])
    assert verify(results / "store") == everything


def test_a_folder_with_a_stray_file_stays_and_the_others_are_tidied(
    two_studies: tuple[StudyPaths, StudyPaths], tmp_path: Path
) -> None:
    results = tmp_path / "results"
    shutil.copytree(two_studies[1].root, results / "small")
    shutil.copytree(two_studies[0].store, results / "store")
    put(results / "store", "a", data_id="00" * 16)
    put(results / "store", "b", data_id="ff" * 16)
    stray = Store(results / "store").shard("00" * 16) / ".nfs0001"
    stray.touch()
    collect_garbage(results / "store", [results / "small"])
    assert [path.name for path in stray.parent.iterdir()] == [".nfs0001"]
    assert not Store(results / "store").shard("ff" * 16).exists()
    assert not verify(results / "store").faults


def test_a_folder_without_a_study_cannot_be_kept(tmp_path: Path) -> None:
    with pytest.raises(EmlibError, match=r"study\.json is missing"):
        collect_garbage(tmp_path / "store", [tmp_path / "nothing"])


def test_the_command_verifies_and_fails_on_damage(tmp_path: Path) -> None:
    root = tmp_path / "results" / "store"
    put(root, "a")
    command = [sys.executable, "-m", "emlib", "store", "verify", "--results", "results"]
    sound = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert sound.returncode == 0
    assert "1 records of 1 data sets" in sound.stdout
    (journal,) = Store(root).journals(DATA)
    journal.write_bytes(b"something else")
    damaged = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert damaged.returncode == 1
    assert str(journal.relative_to(tmp_path)) in damaged.stderr
