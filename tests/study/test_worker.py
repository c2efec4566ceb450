"""Real blocks through the real worker: only what is new is computed, and nothing else matters."""

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
import yaml

from emlib.errors import EmlibError
from emlib.study.files import read_table
from emlib.study.fingerprint import block_fingerprint
from emlib.study.grid import block_cells, block_fits, load_study, planned_blocks
from emlib.study.paths import BLOCK_KINDS, StudyPaths
from emlib.study.supervisor import run_block
from tests.study.small_study import CONFIG, planned_study

DRAWN = ("drawn", "mcar-0.2", "two", 0)
REAL = ("faithful", "none", "two", 0)


def rows(paths: StudyPaths, kind: str, ids: tuple[str, str, str, int]) -> list[dict[str, Any]]:
    """A file's rows; None where a number is not there (NaN), so that rows can be compared."""
    table = read_table(paths.block(kind, *ids)).to_pylist()
    return [{key: None if x != x else x for key, x in row.items()} for row in table]


def files(paths: StudyPaths, ids: tuple[str, str, str, int]) -> dict[str, bytes]:
    """A block's files whose bytes may not depend on anything but the study."""
    kinds = [kind for kind in BLOCK_KINDS if kind != "timings"]
    return {kind: paths.block(kind, *ids).read_bytes() for kind in kinds}


def last_event(paths: StudyPaths) -> dict[str, Any]:
    return json.loads((paths.logs / "events.jsonl").read_text().splitlines()[-1])


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyPaths:
    """A study with three of its blocks computed."""
    paths = planned_study(tmp_path_factory.mktemp("done"))
    study = load_study(paths.root)
    blocks = {(b.dataset, b.missingness, b.model, b.block): b for b in planned_blocks(paths.root)}
    for ids in (DRAWN, REAL, (*REAL[:3], 1)):
        fingerprint = block_fingerprint(study, block_cells(study, blocks[ids]))
        assert run_block(paths.root, *ids, fingerprint) == 0
    return paths


def test_a_block_has_a_row_for_each_planned_fit_in_plan_order(done: StudyPaths) -> None:
    block = next(b for b in planned_blocks(done.root) if (b.dataset, b.missingness) == DRAWN[:2])
    planned = [
        (fit.replicate, fit.entry.init, fit.start)
        for fit in block_fits(load_study(done.root), block)
    ]
    for kind in ("fits", "timings", "curves"):
        table = rows(done, kind, DRAWN)
        assert list(dict.fromkeys(row["fit_id"] for row in table)) == [
            row["fit_id"] for row in rows(done, "fits", DRAWN)
        ]
    found = [(row["replicate"], row["init"], row["start"]) for row in rows(done, "fits", DRAWN)]
    assert found == planned
    assert len(found) == 2 * (2 + 2 + 1)


def test_every_fit_knows_its_processor_and_when_it_ran(done: StudyPaths) -> None:
    for row in rows(done, "timings", DRAWN):
        assert row["processor"]
        assert 0 <= row["ended"] - row["started"] < 60
        assert abs(row["ended"] - time.time()) < 3600


def test_no_fit_is_far_above_its_reference_optimum(done: StudyPaths) -> None:
    for ids in (DRAWN, REAL):
        best = {row["replicate"]: row["loglik"] for row in rows(done, "references", ids)}
        for row in rows(done, "fits", ids):
            assert row["loglik_polished"] <= best[row["replicate"]] + 1e-3


def test_old_faithful_s_reference_is_the_known_optimum(done: StudyPaths) -> None:
    for row in rows(done, "references", REAL):
        assert row["loglik"] == pytest.approx(-1130.26396, abs=5e-5)


def test_replicates_that_share_their_data_share_one_search_across_blocks(done: StudyPaths) -> None:
    first, second = rows(done, "references", REAL), rows(done, "references", (*REAL[:3], 1))
    assert [row["replicate"] for row in (*first, *second)] == [0, 1, 2, 3]
    assert len({row["reference_id"] for row in (*first, *second)}) == 1
    assert len({row["data_id"] for row in rows(done, "fits", REAL)}) == 1
    event = last_event(done)
    assert event["reference_starts_computed"] == 0
    assert event["reference_starts_reused"] == 5


def test_blocks_that_share_their_data_and_run_at_once_compute_no_search_twice(
    tmp_path: Path,
) -> None:
    paths = planned_study(tmp_path, reference={"starts": 500, "e_steps": 100_000})
    began = threading.Barrier(2)

    def run(block: int) -> None:
        began.wait()
        run_block(paths.root, *REAL[:3], block)

    threads = [threading.Thread(target=run, args=(block,)) for block in (0, 1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [json.loads(line) for line in paths.events.read_text().splitlines()]
    for kind in ("reference_starts", "certificates"):
        assert sum(event[f"{kind}_computed"] for event in events) == events[0][kind], kind
        assert sum(event[f"{kind}_reused"] for event in events) == events[0][kind], kind


def test_parameters_of_the_best_start_of_each_replicate_are_kept(done: StudyPaths) -> None:
    fits = rows(done, "fits", DRAWN)
    kept = {row["fit_id"] for row in rows(done, "params", DRAWN)}
    groups: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for row in fits:
        groups.setdefault((row["cell_id"], row["replicate"]), []).append(row)
    assert len(kept) == len(groups)
    for members in groups.values():
        best = max(members, key=lambda row: row["loglik_polished"])
        assert best["fit_id"] in kept


def test_no_fit_s_numbers_depend_on_what_else_is_in_the_grid(
    done: StudyPaths, tmp_path: Path
) -> None:
    fewer = {"two": CONFIG["models"]["two"]}
    small = planned_study(
        tmp_path,
        inits={"random": None},
        models=fewer,
        datasets={"drawn": CONFIG["datasets"]["drawn"]},
    )
    run_block(small.root, *DRAWN)
    alone = rows(small, "fits", DRAWN)
    assert alone == [row for row in rows(done, "fits", DRAWN) if row["init"] == "random"]
    assert rows(small, "references", DRAWN) == rows(done, "references", DRAWN)


def test_another_order_of_the_grid_gives_the_same_files(done: StudyPaths, tmp_path: Path) -> None:
    turned = {
        key: dict(reversed(value.items())) if isinstance(value, dict) else value
        for key, value in reversed(CONFIG.items())
        if key in ("datasets", "models", "inits")
    }
    other = planned_study(tmp_path, **turned)
    run_block(other.root, *DRAWN)
    assert files(other, DRAWN) == files(done, DRAWN)


def test_growing_the_grid_computes_only_what_is_new(tmp_path: Path) -> None:
    paths = planned_study(tmp_path)
    run_block(paths.root, *DRAWN)
    assert (last_event(paths)["fits"], last_event(paths)["computed"]) == (10, 10)
    before = {row["fit_id"]: row for row in rows(paths, "fits", DRAWN)}
    planned_study(tmp_path, inits={**CONFIG["inits"], "points": None}, restarts=3)
    run_block(paths.root, *DRAWN)
    event = last_event(paths)
    assert (event["fits"], event["reused"], event["computed"]) == (20, 10, 10)
    assert event["reference_starts_computed"] == 0
    after = {row["fit_id"]: row for row in rows(paths, "fits", DRAWN)}
    assert {name: after[name] for name in before} == before


def test_a_new_study_of_the_same_things_reuses_their_fits(done: StudyPaths) -> None:
    other = planned_study(done.root.parent.parent, study="renamed")
    run_block(other.root, *DRAWN)
    assert last_event(other)["computed"] == 0
    assert files(other, DRAWN) == files(done, DRAWN)
    config = done.root.parent.parent / "config.yaml"
    config.write_text(yaml.safe_dump(CONFIG))


def test_another_stopping_rule_is_another_fit(tmp_path: Path) -> None:
    paths = planned_study(tmp_path)
    run_block(paths.root, *DRAWN)
    planned_study(tmp_path, stopping={"tol": 1.0e-4, "max_iter": 1000})
    run_block(paths.root, *DRAWN)
    assert last_event(paths)["computed"] == 10
    planned_study(tmp_path, keep_params="all", budget={"hard_seconds": 30.0})
    run_block(paths.root, *DRAWN)
    assert last_event(paths)["computed"] == 0
    assert len(rows(paths, "params", DRAWN)) == 10


def test_other_numerical_code_than_the_head_s_is_refused(done: StudyPaths) -> None:
    before = files(done, DRAWN)
    with pytest.raises(EmlibError, match=r"fingerprint \w+ here, 00ff there"):
        run_block(done.root, *DRAWN, "00ff")
    assert files(done, DRAWN) == before


def test_a_block_without_its_data_says_which_file_is_missing(tmp_path: Path) -> None:
    paths = planned_study(tmp_path)
    paths.mask("drawn", "mcar-0.2", 0).unlink()
    with pytest.raises(EmlibError, match=r"masks/drawn/mcar-0\.2/0000\.npz: no such file"):
        run_block(paths.root, *DRAWN)


def test_data_that_a_model_cannot_take_are_rows_and_the_block_goes_on(tmp_path: Path) -> None:
    crowd = {"crowd": {"family": "gaussian_mixture", "n_components": 60}}
    paths = planned_study(
        tmp_path, models=crowd, missingness=[{"mechanism": "mcar", "rate": 0.6}], replicates=2
    )
    ids = ("drawn", "mcar-0.6", "crowd", 0)
    assert run_block(paths.root, *ids) == 0
    assert {row["status"] for row in rows(paths, "fits", ids)} == {"invalid"}
    assert "fewer than the 60 components" in rows(paths, "fits", ids)[0]["message"]
    assert [row["starts"] for row in rows(paths, "references", ids)] == [5, 5]
    assert rows(paths, "curves", ids) == []


def workers_of(pid: int) -> list[int]:
    """Workers that a supervisor in the process ``pid`` started."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rsplit(")", 1)[1].split()
            command = stat.with_name("cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[1] == str(pid) and b"emlib.study.worker" in command:
            found.append(int(stat.parent.name))
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_killing_the_real_worker_at_any_moment_changes_no_file(
    done: StudyPaths, tmp_path: Path
) -> None:
    paths = planned_study(tmp_path)
    killed: list[int] = []
    finished = threading.Event()

    def kill_now_and_then() -> None:
        while not finished.wait(0.05) and len(killed) < 2:
            journals = [p for p in paths.store.glob("*/*/*.journal") if p.stat().st_size > 3000]
            for pid in workers_of(os.getpid()):
                if len(journals) > len(killed) and pid not in killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    killer = threading.Thread(target=kill_now_and_then)
    killer.start()
    try:
        assert run_block(paths.root, *DRAWN) == 0
    finally:
        finished.set()
        killer.join()
    assert killed
    assert files(paths, DRAWN) == files(done, DRAWN)


def test_the_worker_imports_nothing_that_its_fits_do_not_need() -> None:
    code = (
        "import sys, emlib.study.worker, emlib.study.tasks, emlib.kernels.gaussian;"
        "print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unwanted = {"pandas", "mlflow", "sklearn", "snakemake", "pydantic", "altair", "click"}
    assert not (unwanted | {"scipy.optimize", "scipy.ndimage"}) & set(done.stdout.split())
