"""Whatever a fit does to its worker, the block goes on, and every fit becomes a row."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from emlib.errors import EmlibError
from emlib.study.assembly import Death
from emlib.study.files import read_table
from emlib.study.journal import decode
from emlib.study.locks import FileLock
from emlib.study.paths import StudyPaths
from emlib.study.protocol import FINAL, Closed, Frame, Reader, send
from emlib.study.store import Store
from emlib.study.supervisor import run_block
from emlib.study.workerprocess import THREAD_VARIABLES, Worker, run_tasks

FAULTY = (sys.executable, str(Path(__file__).with_name("faulty_worker.py")))
IDS = ("d", "none", "m", 0)


class Outcome:
    def __init__(self, tmp_path: Path, tasks: list[str], limit: float | None = 20.0) -> None:
        self.log = tmp_path / "log.txt"
        self.log.touch()
        worker = Worker({"study": {"tasks": tasks, "log": str(self.log)}}, FAULTY)
        self.kept: list[Frame] = []
        try:
            worker.start()
            began = time.monotonic()
            self.deaths: dict[int, Death] = run_tasks(
                worker, range(len(tasks)), limit, self.kept.extend
            )
            self.seconds = time.monotonic() - began
        finally:
            worker.stop()

    @property
    def done(self) -> list[int]:
        return [frame.task for frame in self.kept]

    @property
    def starts(self) -> int:
        return self.log.read_text().count("open")


def test_control_c_at_the_terminal_is_the_supervisor_s_to_answer(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["fine", "interrupt", "fine"])
    assert outcome.done == [0, 1, 2]
    assert outcome.starts == 1


def test_tasks_end_in_order_in_one_process(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["fine"] * 50)
    assert outcome.done == list(range(50))
    assert outcome.deaths == {}
    assert outcome.starts == 1


@pytest.mark.parametrize(
    ("word", "cause"),
    [("segfault", "SIGSEGV"), ("exit", "exit code 3"), ("kill", "SIGKILL"), ("close", "pipe")],
)
def test_a_fit_that_kills_its_worker_twice_is_lost_and_the_others_are_not(
    tmp_path: Path, word: str, cause: str
) -> None:
    outcome = Outcome(tmp_path, ["fine", word, "fine"])
    assert outcome.done == [0, 2]
    assert set(outcome.deaths) == {1}
    assert outcome.deaths[1].status == "lost"
    assert cause in outcome.deaths[1].message
    assert outcome.starts == 3


def test_a_fit_whose_worker_dies_once_is_tried_again(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["fine", "kill_once", "segfault_once", "fine"])
    assert outcome.done == [0, 1, 2, 3]
    assert outcome.deaths == {}
    assert outcome.starts == 3


def test_a_worker_that_dies_between_tasks_is_held_against_none_of_them(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.touch()
    worker = Worker({"study": {"tasks": ["fine", "kill_once"], "log": str(log)}}, FAULTY)
    kept: list[Frame] = []
    try:
        worker.start()
        assert run_tasks(worker, [0], 20.0, kept.extend) == {}
        process = worker._process
        assert process is not None
        process.kill()
        process.wait()
        assert run_tasks(worker, [1], 20.0, kept.extend) == {}
    finally:
        worker.stop()
    assert [frame.task for frame in kept] == [0, 1]


def test_a_fit_over_its_hard_limit_is_killed_then_and_called_timeout(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["hang", "fine"], limit=0.3)
    assert outcome.done == [1]
    assert outcome.deaths[0].status == "timeout"
    assert "0.3 s" in outcome.deaths[0].message
    assert outcome.seconds < 10


def test_the_limit_is_one_fit_s_and_not_the_block_s(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["slow"] * 5, limit=1.0)
    assert outcome.done == [0, 1, 2, 3, 4]
    assert outcome.starts == 1


def test_nothing_is_started_again_when_the_last_fit_dies(tmp_path: Path) -> None:
    assert Outcome(tmp_path, ["fine", "hang"], limit=0.3).starts == 1


def test_prints_and_reads_of_a_fit_do_not_disturb_the_pipe(tmp_path: Path) -> None:
    assert Outcome(tmp_path, ["chatter", "fine"]).done == [0, 1]


def test_a_worker_that_never_starts_is_one_clear_error(tmp_path: Path) -> None:
    opening = {"study": {"tasks": [], "log": str(tmp_path / "log"), "never_starts": True}}
    with pytest.raises(EmlibError, match="cannot start: 3 times it ended with exit code 7"):
        Worker(opening, FAULTY).start()


def test_a_command_that_does_not_exist_is_an_error_that_names_it(study: StudyPaths) -> None:
    with pytest.raises(EmlibError, match="no-such-python"):
        run_block(study.root, *IDS, command=["/no-such-python"])


# --- a whole block --------------------------------------------------------------------------------


@pytest.fixture
def study(tmp_path: Path) -> StudyPaths:
    paths = StudyPaths(tmp_path / "results" / "s")
    write_study(paths, ["fine", "fine", "fine"])
    return paths


def write_study(paths: StudyPaths, tasks: list[str], **more: Any) -> None:
    axis = {"settings": {}}
    init = {**axis, "init": "random", "oracle": False, "deterministic": False}
    content = {
        "study": "s",
        "seed": 1,
        "datasets": {"d": {"table": "faithful"}},
        "truths": {},
        "missingness": {"none": {**axis, "mechanism": "none", "rate": 0.0}},
        "models": {"m": {**axis, "family": "gaussian_mixture"}},
        "inits": {"random": init},
        "algorithms": {"em": {**axis, "algorithm": "em"}},
        "exclude": [],
        "replicates": 1,
        "restarts": 3,
        "block_size": 1,
        "keep_params": "best",
        "budget": {"e_steps": None, "seconds": None, "hard_seconds": 20.0},
        "tasks": tasks,
        "log": str(paths.root / "log.txt"),
        **more,
    }
    paths.root.mkdir(parents=True, exist_ok=True)
    paths.study.write_text(json.dumps(content))


def column(paths: StudyPaths, name: str) -> list[Any]:
    return read_table(paths.block("fits", *IDS)).column(name).to_pylist()


def events(paths: StudyPaths) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (paths.logs / "events.jsonl").read_text().splitlines()]


def test_a_block_with_lost_and_timed_out_fits_ends_with_exit_code_0(study: StudyPaths) -> None:
    budget = {"e_steps": None, "seconds": None, "hard_seconds": 0.5}
    write_study(study, ["fine", "kill", "hang"], budget=budget)
    assert run_block(study.root, *IDS, command=FAULTY) == 0
    assert column(study, "status") == ["converged", "lost", "timeout"]
    assert column(study, "message")[1].endswith("replay: emlib replay fit1")
    assert column(study, "loglik")[0] == 0.0
    for kind in ("curves", "timings", "references", "params", "certificates"):
        assert study.block(kind, *IDS).is_file()
    assert json.loads(study.lost(*IDS).read_text()) == {"count": 1}


def test_finished_fits_are_reused_and_counted(study: StudyPaths) -> None:
    run_block(study.root, *IDS, command=FAULTY)
    first = study.block("fits", *IDS).read_bytes()
    write_study(study, ["fine"] * 5)
    run_block(study.root, *IDS, command=FAULTY)
    counts = [(e["fits"], e["reused"], e["computed"]) for e in events(study)]
    assert counts == [(3, 0, 3), (5, 3, 2)]
    write_study(study, ["fine"] * 3)
    run_block(study.root, *IDS, command=FAULTY)
    assert study.block("fits", *IDS).read_bytes() == first


@pytest.mark.parametrize("word", ["kill", "hang", "memory"])
def test_provisional_results_are_shown_and_never_reused_until_they_are_cured(
    study: StudyPaths, word: str
) -> None:
    budget = {"e_steps": None, "seconds": None, "hard_seconds": 0.5}
    write_study(study, ["fine", word], budget=budget)
    for turn in (1, 2):
        run_block(study.root, *IDS, command=FAULTY)
        assert json.loads(study.lost(*IDS).read_text()) == {"count": turn}
    assert set(Store(study.store).read("ab" * 16)[0]) == {"fit0"}
    write_study(study, ["fine", "fine"], budget=budget)
    run_block(study.root, *IDS, command=FAULTY)
    assert column(study, "status") == ["converged", "converged"]
    assert json.loads(study.lost(*IDS).read_text()) == {"count": 2}
    assert [e["provisional"] for e in events(study)] == [1, 1, 0]
    assert [e["computed"] for e in events(study)] == [2, 1, 1]


def test_a_refused_block_is_an_error_and_leaves_earlier_files_alone(study: StudyPaths) -> None:
    run_block(study.root, *IDS, command=FAULTY)
    before = study.block("fits", *IDS).read_bytes()
    write_study(study, ["fine"], refuse="fingerprint 1 here, 2 there")
    with pytest.raises(EmlibError, match="fingerprint 1 here, 2 there"):
        run_block(study.root, *IDS, command=FAULTY)
    assert study.block("fits", *IDS).read_bytes() == before


def test_a_block_that_is_not_planned_is_an_error(study: StudyPaths) -> None:
    with pytest.raises(EmlibError, match="no block d/none/m/7"):
        run_block(study.root, "d", "none", "m", 7, command=FAULTY)


def launch(study: StudyPaths) -> subprocess.Popen:
    """A supervisor in a process of its own."""
    code = (
        "import sys; from emlib.study.supervisor import run_block;"
        f"sys.exit(run_block({str(study.root)!r}, *{IDS!r}, command={FAULTY!r}))"
    )
    return subprocess.Popen([sys.executable, "-c", code], stderr=subprocess.PIPE, text=True)


def wait_for(text: str, path: Path, seconds: float = 20.0) -> str:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if path.is_file() and text in path.read_text():
            return path.read_text()
        time.sleep(0.02)
    raise AssertionError(f"{text!r} not in {path} after {seconds} s")


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.is_file() or stat.read_text().rsplit(")", 1)[1].split()[0] != "Z"


@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_killed_supervisor_loses_only_the_fit_in_flight_and_takes_its_worker_along(
    study: StudyPaths, blow: signal.Signals
) -> None:
    write_study(study, ["fine", "fine", "hang"])
    log = study.root / "log.txt"
    with launch(study) as process:
        worker = int(wait_for("task2", log).split()[1])
        while len(Store(study.store).read("ab" * 16)[0]) < 2:
            time.sleep(0.02)
        process.send_signal(blow)
        assert process.wait(10) != 0
    end = time.monotonic() + 5
    while alive(worker) and time.monotonic() < end:
        time.sleep(0.02)
    assert not alive(worker)
    assert not study.block("fits", *IDS).exists()
    assert set(Store(study.store).read("ab" * 16)[0]) == {"fit0", "fit1"}
    write_study(study, ["fine", "fine", "fine"])
    run_block(study.root, *IDS, command=FAULTY)
    assert events(study)[-1]["computed"] == 1


def test_two_jobs_of_one_block_run_one_after_the_other(study: StudyPaths) -> None:
    lock = FileLock(study.block_lock(*IDS))
    lock.acquire()
    with launch(study) as process:
        assert process.stderr is not None
        assert f"waiting for process {os.getpid()}" in process.stderr.readline()
        assert not (study.root / "log.txt").exists()
        lock.release()
        assert process.wait(20) == 0
    assert column(study, "status") == ["converged"] * 3


def test_the_supervisor_imports_only_the_standard_library_while_fits_run() -> None:
    code = (
        "import sys; import emlib.study.supervisor;"
        "print(sorted({name.split('.')[0] for name in sys.modules} - {'emlib'}"
        " - set(sys.stdlib_module_names)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    heavy = {"numpy", "scipy", "numba", "pandas", "pyarrow", "pydantic", "yaml", "sklearn"}
    assert not heavy & set(eval(done.stdout))


def test_the_worker_gets_one_thread_whatever_the_environment_says(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    worker = Worker({}, ["env"])
    worker._spawn()
    assert worker._process is not None
    assert worker._process.stdout is not None
    lines = worker._process.stdout.read().decode().splitlines()
    worker.stop()
    assert {f"{name}=1" for name in THREAD_VARIABLES} <= set(lines)


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's own score")
def test_the_worker_is_what_the_kernel_ends_first_when_memory_is_short(tmp_path: Path) -> None:
    log = tmp_path / "log"
    worker = Worker({"study": {"tasks": ["fine"], "log": str(log)}}, FAULTY)
    worker.start()
    pid = int(log.read_text().split()[1])
    score = int(Path(f"/proc/{pid}/oom_score_adj").read_text())
    worker.stop()
    assert score > int(Path("/proc/self/oom_score_adj").read_text())


def test_a_record_survives_the_way_through_the_pipe_unchanged(tmp_path: Path) -> None:
    outcome = Outcome(tmp_path, ["fine"])
    record = decode(outcome.kept[0].content)
    assert record["fit"] == {"status": "converged", "loglik": 0.0}


def test_a_pipe_of_quick_frames_is_read_in_few_looks_and_none_is_lost(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks: list[float] = []

    def read(file: int, most: int) -> bytes:
        looks.append(time.monotonic())
        return os_read(file, most)

    os_read = os.read
    monkeypatch.setattr("emlib.study.protocol.os.read", read)
    inward, outward = os.pipe()

    def write() -> None:
        for number in range(100):
            send(outward, FINAL, number, b"record")
            time.sleep(0.001)
        os.close(outward)

    pause, began = 0.02, time.monotonic()
    writer = threading.Thread(target=write)
    writer.start()
    reader = Reader(inward)
    frames: list[Frame] = []
    while len(frames) < 100:
        frames += reader.receive_all(20.0, pause)
    with pytest.raises(Closed):
        reader.receive(20.0)
    writer.join()
    os.close(inward)
    assert [frame.task for frame in frames] == list(range(100))
    assert len(looks) <= (looks[-1] - began) / pause + 2
