"""The store keeps finished fits bit for bit, survives torn writes, and says what is damaged."""

import math
import subprocess
import sys
import textwrap
from array import array
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emlib.errors import StoreError
from emlib.study import store as store_module
from emlib.study.journal import Damage, decode, encode, read_journal
from emlib.study.locks import LockHeld
from emlib.study.store import Store, Writer, writers_lock

DATA = "ab" * 16


def record(value: float = 1.0, seconds: float = 0.5) -> dict:
    return {"fit": {"loglik": value}, "curve": array("d", [value, 2.0]), "timings": {"s": seconds}}


def write(root: Path, *contents: tuple[str, bytes], data_id: str = DATA) -> Path:
    with Writer(Store(root)) as writer:
        for identity, content in contents:
            writer.append(data_id, (identity, content))
    return Store(root).journals(data_id)[-1]


def journal_of(root: Path, count: int) -> Path:
    return write(root, *((f"number{i}", encode(record(float(i)))) for i in range(count)))


@given(st.lists(st.floats(width=64)), st.lists(st.floats()), st.floats(allow_nan=False))
def test_floats_come_back_bit_for_bit(
    numbers: list[float], others: list[float], scalar: float
) -> None:
    record = {"curve": array("d", numbers), "x": scalar, "deep": [{"er": array("d", others)}]}
    back = decode(encode(record))
    assert back["curve"].tobytes() == array("d", numbers).tobytes()
    assert back["deep"][0]["er"].tobytes() == array("d", others).tobytes()
    assert back["x"].hex() == scalar.hex()


def test_scalars_that_are_not_finite_come_back() -> None:
    back = decode(encode({"a": math.inf, "b": -math.inf, "c": math.nan}))
    assert back["a"] == math.inf
    assert back["b"] == -math.inf
    assert math.isnan(back["c"])


def test_what_is_appended_is_found_by_its_identity(tmp_path: Path) -> None:
    journal_of(tmp_path, 3)
    found, damages = Store(tmp_path).read(DATA)
    assert not damages
    assert {name: decode(f.content)["fit"]["loglik"] for name, f in found.items()} == {
        "number0": 0.0,
        "number1": 1.0,
        "number2": 2.0,
    }


def test_a_job_opens_only_the_shards_of_its_own_data(tmp_path: Path) -> None:
    write(tmp_path, ("a", encode(record())), data_id="11" * 16)
    other = write(tmp_path, ("b", encode(record())), data_id="22" * 16)
    other.write_bytes(b"not a journal at all")
    found, damages = Store(tmp_path).read("11" * 16)
    assert set(found) == {"a"}
    assert not damages
    assert Store(tmp_path).shards() == ["11" * 16, "22" * 16]


def test_each_writer_has_a_file_of_its_own(tmp_path: Path) -> None:
    with Writer(Store(tmp_path)) as one, Writer(Store(tmp_path)) as two:
        one.append(DATA, ("a", encode(record(1.0))))
        two.append(DATA, ("b", encode(record(2.0))))
    assert len(Store(tmp_path).journals(DATA)) == 2
    assert set(Store(tmp_path).read(DATA)[0]) == {"a", "b"}


def test_an_appended_record_survives_kill_9_of_its_writer(tmp_path: Path) -> None:
    code = f"""
    import os, signal
    from pathlib import Path
    from emlib.study.journal import encode
    from emlib.study.store import Store, Writer
    writer = Writer(Store(Path({str(tmp_path)!r})))
    writer.append({DATA!r}, ("kept", encode({{"fit": 1}})))
    os.kill(os.getpid(), signal.SIGKILL)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert done.returncode == -9
    assert set(Store(tmp_path).read(DATA)[0]) == {"kept"}


def test_a_torn_tail_is_cut_off_wherever_the_writer_died(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 2)
    whole = path.read_bytes()
    one = len(journal_of(tmp_path / "one", 1).read_bytes())
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        items = list(read_journal(path))
        assert not any(isinstance(item, Damage) for item in items)
        assert [item[0] for item in items] == (["number0"] if length >= one else [])


def test_every_single_flipped_bit_is_noticed(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 3)
    whole = bytearray(path.read_bytes())
    sound = list(read_journal(path))
    for position in range(len(whole)):
        for bit in (0, 7):
            damaged = bytearray(whole)
            damaged[position] ^= 1 << bit
            path.write_bytes(damaged)
            items = [item for item in read_journal(path) if not isinstance(item, Damage)]
            assert items != sound
            assert all(item in sound for item in items)


def test_damage_in_the_middle_is_said_and_the_rest_is_read(tmp_path: Path) -> None:
    path = journal_of(tmp_path, 3)
    whole = bytearray(path.read_bytes())
    second = whole.index(b"number1")
    for position in (second + 9, second - 10, second - 16):  # content, length, mark
        damaged = bytearray(whole)
        damaged[position] ^= 0xFF
        path.write_bytes(damaged)
        found, damages = Store(tmp_path).read(DATA)
        assert set(found) == {"number0", "number2"}
        assert len(damages) == 1
        assert str(path) in str(damages[0])
        assert "computed again" in str(damages[0])


def test_duplicates_may_differ_in_measured_seconds_only(tmp_path: Path) -> None:
    write(tmp_path, ("a", encode(record(1.0, seconds=0.1))))
    write(tmp_path, ("a", encode(record(1.0, seconds=0.2))))
    assert set(Store(tmp_path).read(DATA)[0]) == {"a"}


@pytest.mark.parametrize("value", [math.nextafter(1.0, 2.0), math.nan])
def test_duplicates_that_disagree_are_an_error_that_names_both_files(
    tmp_path: Path, value: float
) -> None:
    one = write(tmp_path, ("a", encode(record(1.0))))
    write(tmp_path, ("a", encode(record(value))))
    with pytest.raises(StoreError) as caught:
        Store(tmp_path).read(DATA)
    assert str(one) in str(caught.value)
    assert all(str(path) in str(caught.value) for path in Store(tmp_path).journals(DATA))


def test_duplicates_with_the_same_nan_agree(tmp_path: Path) -> None:
    write(tmp_path, ("a", encode(record(math.nan, seconds=0.1))))
    write(tmp_path, ("a", encode(record(math.nan, seconds=0.2))))
    assert set(Store(tmp_path).read(DATA)[0]) == {"a"}


def test_a_writer_of_many_shards_keeps_few_files_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "OPEN_FILES", 3)
    names = [f"{i:032x}" for i in range(8)]
    with Writer(Store(tmp_path)) as writer:
        for turn in range(2):
            for name in names:
                writer.append(name, (f"fit{turn}", encode(record())))
        if sys.platform == "linux":
            files = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
            inside = sum(file.is_relative_to(tmp_path.resolve()) for file in files)
            assert 1 <= inside <= 3 + 1  # and the lock
    for name in names:
        assert set(Store(tmp_path).read(name)[0]) == {"fit0", "fit1"}
        assert len(Store(tmp_path).journals(name)) == 1


def test_whoever_rewrites_journals_is_refused_while_a_writer_lives(tmp_path: Path) -> None:
    with Writer(Store(tmp_path)), pytest.raises(LockHeld):
        writers_lock(tmp_path, shared=False).acquire()
    lock = writers_lock(tmp_path, shared=False)
    lock.acquire()
    lock.release()


def test_a_store_that_cannot_be_written_says_where(tmp_path: Path) -> None:
    with Writer(Store(tmp_path)) as writer:
        (tmp_path / DATA[:2]).write_text("in the way")
        with pytest.raises(StoreError, match=DATA):
            writer.append(DATA, ("a", encode(record())))
