"""Stores of two clusters are united: nothing is replaced, nothing lost, contradictions shown."""

import json
import os
import signal
import subprocess
import sys
import textwrap
from array import array
from pathlib import Path

import pytest
from click.testing import CliRunner

from emlib.cli import main
from emlib.errors import EmlibError
from emlib.study.journal import encode
from emlib.study.merge import CONFLICTS, merge
from emlib.study.store import Store, Writer

DATA = "ab" * 16


def fit(loglik: float = 1.0, seconds: float = 0.5, processor: str = "one") -> bytes:
    return encode(
        {
            "provisional": False,
            "fit": {"loglik": loglik, "status": "converged", "bic": float("nan")},
            "curve": {"objective": array("d", [0.0, loglik])},
            "timings": {"seconds_climb": seconds, "processor": processor},
        }
    )


def put(results: Path, data_id: str = DATA, **records: bytes) -> None:
    with Writer(Store(results / "store")) as writer:
        for identity, content in records.items():
            writer.append(data_id, (identity, content))


def contents(results: Path, data_id: str = DATA) -> dict[str, bytes]:
    found, damages = Store(results / "store").read(data_id)
    assert not damages
    return {identity: item.content for identity, item in found.items()}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    return tmp_path / "here", tmp_path / "there"


def test_what_the_other_has_is_added_and_what_both_have_stays(folders: tuple[Path, Path]) -> None:
    here, there = folders
    put(here, a=fit(1.0, seconds=1.0), b=fit(2.0))
    put(there, a=fit(1.0, seconds=9.0, processor="two"), c=fit(3.0, processor="two"))
    put(there, data_id="cd" * 16, d=encode({"provisional": False, "reference": {"loglik": 0.0}}))
    before = contents(here), contents(there)
    merged = merge(here, [there])
    assert (merged.added, merged.known, merged.conflicts, merged.faults) == (2, 1, [], [])
    assert merged.processors == {"two": 1}
    assert contents(here) == {**before[0], "c": before[1]["c"]}
    assert list(contents(here, "cd" * 16)) == ["d"]
    assert contents(there) == before[1]
    assert not (here / CONFLICTS).exists()


def test_a_second_merge_changes_no_file(folders: tuple[Path, Path]) -> None:
    here, there = folders
    put(here, a=fit(1.0))
    put(there, a=fit(2.0), b=fit(3.0))

    def files() -> dict[Path, bytes]:
        return {path: path.read_bytes() for path in here.rglob("*.j*")}

    first = merge(here, [there])
    after = files()
    second = merge(here, [there])
    assert (first.added, second.added, second.known) == (1, 0, 1)
    assert second.conflicts == first.conflicts
    assert len(after) == 3
    assert files() == after


def test_a_contradiction_is_shown_and_kept_and_the_own_row_stays(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(here, a=fit(1.0), b=fit(5.0))
    put(there, a=fit(1.5, processor="two"), b=fit(5.0, processor="two"))
    ran = CliRunner().invoke(main, ["merge", str(there), "--results", str(here)])
    assert ran.exit_code == 1
    for part in (
        "fit a of data abab",
        f"here on one; in {there} on two",
        "fit.loglik: 1.0 here, 1.5 there",
        "curve.objective: 1 of 2 numbers, the first of them 1.0 here, 1.5 there",
        "0 results added (0 fits), 1 were here already; conflicts: 1",
    ):
        assert part in ran.output
    assert contents(here)["a"] == fit(1.0)
    (line,) = (here / CONFLICTS).read_text().splitlines()
    assert json.loads(line) == {
        "identity": "a",
        "data_id": DATA,
        "kind": "fit",
        "columns": {"curve.objective": [[0.0, 1.0], [0.0, 1.5]], "fit.loglik": [1.0, 1.5]},
        "processors": ["one", "two"],
        "other": str(there),
    }


def test_a_store_that_contradicts_itself_ends_the_merge_and_what_was_found_is_written_down(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(here, a=fit(1.0))
    put(there, a=fit(1.5))
    for loglik in (2.0, 3.0):
        put(there, "cd" * 16, c=fit(loglik))
    ran = CliRunner().invoke(main, ["merge", str(there), "--results", str(here)])
    assert ran.exit_code == 1
    assert str(there / "store" / "cd" / ("cd" * 16)) in ran.output
    (line,) = (here / CONFLICTS).read_text().splitlines()
    assert json.loads(line)["identity"] == "a"


def test_of_three_folders_that_disagree_the_first_wins(tmp_path: Path) -> None:
    put(tmp_path / "x", a=fit(1.0))
    put(tmp_path / "y", a=fit(2.0))
    merged = merge(tmp_path / "here", [tmp_path / "x", tmp_path / "y"])
    assert contents(tmp_path / "here") == {"a": fit(1.0)}
    assert [conflict.other for conflict in merged.conflicts] == [str(tmp_path / "y")]


def test_a_damaged_record_here_is_replaced_from_there_and_one_there_is_told(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(here, a=fit(1.0), b=fit(2.0))
    put(there, a=fit(1.0), c=fit(3.0), d=fit(4.0))
    for results, identity in ((here, b"\x01a"), (there, b"\x01c")):
        (journal,) = Store(results / "store").journals(DATA)
        content = bytearray(journal.read_bytes())
        content[content.index(identity) + 8] ^= 1
        journal.write_bytes(content)
    merged = merge(here, [there])
    assert merged.added == 2
    assert [str(path) in fault for path, fault in zip(folders, merged.faults, strict=True)] == [
        True,
        True,
    ]
    assert set(Store(here / "store").read(DATA)[0]) == {"a", "b", "d"}


def test_a_merge_waits_for_nobody_and_is_refused_while_a_job_writes_here(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(there, a=fit())
    with Writer(Store(here / "store")), pytest.raises(EmlibError, match="is writing"):
        merge(here, [there])
    with Writer(Store(there / "store")):
        assert merge(here, [there]).added == 1


def test_a_folder_without_a_store_and_the_folder_itself_are_refused(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(here, a=fit())
    with pytest.raises(EmlibError, match="store is missing"):
        merge(here, [there])
    with pytest.raises(EmlibError, match="itself"):
        merge(here, [here])


def test_a_merge_killed_in_the_middle_has_lost_nothing_and_is_finished_by_the_next(
    folders: tuple[Path, Path],
) -> None:
    here, there = folders
    put(here, a=fit(1.0))
    put(there, **{f"n{i}": fit(float(i)) for i in range(5)})
    killing = f"""
        import os, signal
        from pathlib import Path
        from emlib.study import merge, store
        real, count = store._write_all, iter(range(9))
        def torn(file, content):
            if next(count) == 3:  # the journal's opening, two records, and half of the third
                real(file, content[: len(content) // 2])
                os.kill(os.getpid(), signal.SIGKILL)
            real(file, content)
        store._write_all = torn
        merge.merge(Path({str(here)!r}), [Path({str(there)!r})])
    """
    code = [sys.executable, "-c", textwrap.dedent(killing)]
    assert subprocess.run(code, env=os.environ, check=False).returncode == -signal.SIGKILL
    assert set(contents(here)) == {"a", "n0", "n1"}
    assert merge(here, [there]).added == 3
    assert contents(here) == {"a": fit(1.0), **contents(there)}
