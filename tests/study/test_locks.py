"""Locks stop a second process, and die with the process that holds them."""

import errno
import fcntl
import json
import os
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from emlib.study import locks
from emlib.study.locks import FileLock, LockHeld, append_line
from emlib.tracking.sqlite import writer_lock

HOLD = """
import sys, time
from pathlib import Path
from emlib.study.locks import FileLock
FileLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
{then}
"""


def holder(path: Path, then: str = "time.sleep(60)") -> subprocess.Popen:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(then=then), str(path)],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_a_second_process_is_refused_and_told_who_holds_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.lock"
    path.parent.mkdir()
    with holder(path) as process:
        with pytest.raises(LockHeld, match=f"process {process.pid} on"):
            FileLock(path).acquire()
        process.kill()


def test_a_lock_dies_with_its_holder(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with holder(path) as process:
        process.kill()
    with FileLock(path) as lock:
        assert lock.held


def test_a_child_that_outlives_the_holder_does_not_keep_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    child = """
        import subprocess
        child = subprocess.Popen(["sleep", "5"], stdout=subprocess.DEVNULL)
        print(child.pid, flush=True)
        time.sleep(60)
    """
    with holder(path, textwrap.dedent(child)) as process:
        assert process.stdout is not None
        sleeping = int(process.stdout.readline())
        process.kill()
    assert Path(f"/proc/{sleeping}").exists() or sys.platform != "linux"
    FileLock(path).acquire()


def test_whoever_waits_is_told_once_and_gets_the_lock_when_it_is_released(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    first = FileLock(path)
    first.acquire()
    told: list[str] = []
    timer = threading.Timer(0.4, first.release)
    timer.start()
    began = time.monotonic()
    with FileLock(path) as never:  # another descriptor: waits although this process holds it
        assert time.monotonic() - began > 0.3
        assert never.held
    first.acquire()
    with pytest.raises(LockHeld):
        FileLock(path).acquire(wait=0.25, on_wait=told.append)
    assert len(told) == 1
    assert "process" in told[0]
    first.release()


def test_shared_holders_share_and_shut_an_exclusive_one_out(tmp_path: Path) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path, shared=True), FileLock(path, shared=True), pytest.raises(LockHeld):
        FileLock(path).acquire()
    FileLock(path).acquire()


@pytest.fixture(params=["ENOSYS", "ENOLCK", "EOPNOTSUPP"])
def without_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The words of a file system that has no locks."""
    number = getattr(errno, request.param)

    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)
    monkeypatch.setattr(locks, "_without", set())
    return os.strerror(number)


def test_a_file_system_without_locks_is_told_of_once_and_worked_on(
    tmp_path: Path, without_locks: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.lock"
    with FileLock(path) as first, FileLock(path, shared=True) as second:
        assert first.held
        assert second.held
    append_line(tmp_path / "events.jsonl", {"i": 1})
    with writer_lock(tmp_path / "mlflow.db"):
        pass
    assert (tmp_path / "events.jsonl").read_text() == '{"i": 1}\n'
    said = capsys.readouterr().err
    assert said.startswith(f"{path}: this file system has no locks ({without_locks})")
    assert said.count("start no study twice") == 1


@pytest.mark.skipif(sys.platform != "linux", reason="counts open files in /proc")
@pytest.mark.parametrize("fault", ["held", "interrupted", "broken"])
def test_whatever_keeps_a_lock_from_being_taken_leaves_no_file_open(
    tmp_path: Path, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    path = tmp_path / "a.lock"
    with FileLock(path):
        before = os.listdir("/proc/self/fd")
        if fault == "broken":
            monkeypatch.setattr(fcntl, "flock", fail)
        with pytest.raises((LockHeld, OSError)):
            FileLock(path).acquire(
                wait=0.0 if fault == "held" else None,
                on_wait=fail if fault == "interrupted" else None,
            )
        assert os.listdir("/proc/self/fd") == before


def test_lines_of_many_processes_never_mix(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    code = """
    import sys
    from pathlib import Path
    from emlib.study.locks import append_line
    for i in range(50):
        append_line(Path(sys.argv[1]), {"who": sys.argv[2], "i": i, "text": "x" * 5000})
    """
    processes = [
        subprocess.Popen([sys.executable, "-c", textwrap.dedent(code), str(path), str(who)])
        for who in range(3)
    ]
    assert [process.wait() for process in processes] == [0, 0, 0]
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert len(lines) == 150
    for who in "012":
        assert [line["i"] for line in lines if line["who"] == who] == list(range(50))
    append_line(path, {"after": True})
    assert json.loads(path.read_text().splitlines()[-1]) == {"after": True}
