"""``engine: dask``: the same study, its E-steps summed by a cluster."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emlib.distributed.view import MOST_PARTITIONS, partition_bounds
from emlib.errors import ConfigError, EmlibError
from emlib.study.engines import ENGINES, require_same_workers, require_workers
from emlib.study.files import read_table
from emlib.study.fingerprint import block_fingerprint, numerics_fingerprint
from emlib.study.grid import block_cells, load_study, planned_blocks
from emlib.study.paths import StudyPaths
from emlib.study.replay import rerun
from emlib.study.supervisor import run_block
from tests.study.small_study import CONFIG, DRAWN, planned_study

pytest.importorskip("dask.dataframe", reason="Dask is not installed: extra 'dask'")
pytest.importorskip("distributed", reason="Dask is not installed: extra 'dask'")

ROWS = 70_000
"""Three chunks, so that there is something to sum."""
TWO = CONFIG["models"]["two"]
STUDY: dict[str, Any] = {
    "datasets": {"drawn": {**DRAWN, "n": ROWS}},
    "missingness": [{"mechanism": "mcar", "rate": 0.2}],
    "models": {"here": TWO, "there": {**TWO, "engine": "dask"}},
    "inits": {"random": None},
    "algorithms": {"em": None, "squarem": None},
    "replicates": 1,
    "restarts": 1,
    "reference": {"starts": 1, "e_steps": 100},
}
SAME = ("init", "algorithm", "start", "status", "status_polished", "flags", "n_iter", "data_id")
CLOSE = ("loglik", "loglik_start", "loglik_polished", "bic", "ari", "e_steps_climb")


KINDS = ("fits", "curves", "references", "certificates", "params")


def run(paths: StudyPaths, model: str, threads: int = 2) -> dict[str, Path]:
    """Run a model's block: its files, but the one of measured seconds."""
    study = load_study(paths.root)
    (planned,) = (one for one in planned_blocks(paths.root) if one.model == model)
    ids = ("drawn", "mcar-0.2", model, 0)
    run_block(
        paths.root, *ids, block_fingerprint(study, block_cells(study, planned)), threads=threads
    )
    return {kind: paths.block(kind, *ids) for kind in KINDS}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StudyPaths:
    return planned_study(tmp_path_factory.mktemp("engines"), **STUDY)


@pytest.fixture(scope="module")
def both(paths: StudyPaths) -> tuple[dict[str, Path], dict[str, Path]]:
    return run(paths, "here"), run(paths, "there")


def test_both_engines_climb_from_the_same_starts_to_the_same_ends(both: Any) -> None:
    here, there = ({kind: read_table(side[kind]).to_pylist() for kind in KINDS} for side in both)
    assert len(here["fits"]) == 2
    for one, other in zip(here["fits"], there["fits"], strict=True):
        assert [one[name] for name in SAME] == [other[name] for name in SAME]
        assert one["status"] == "converged"
        for name in CLOSE:
            assert other[name] == pytest.approx(one[name], rel=1e-9)
        assert one["fit_id"] != other["fit_id"]
    for one, other in zip(here["references"], there["references"], strict=True):
        assert other["loglik"] == pytest.approx(one["loglik"], rel=1e-9)
    verdicts = [[row["verdict"] for row in side["certificates"]] for side in (here, there)]
    assert verdicts[0] == verdicts[1]
    assert "maximum" in verdicts[0]


def test_threads_and_an_existing_scheduler_change_no_bit(
    both: Any, paths: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from distributed import LocalCluster

    fit_id = read_table(both[1]["fits"])["fit_id"][0].as_py()
    assert rerun(fit_id, paths.results).differences == []  # one thread
    options = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": ":0"}
    again = planned_study(tmp_path, **STUDY)
    with LocalCluster(**options) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        there = run(again, "there")
        seen = cluster.scheduler.transition_counter
    assert seen > 1000  # it was they who worked
    for kind in KINDS:
        assert there[kind].read_bytes() == both[1][kind].read_bytes()


def test_a_scheduler_that_does_not_answer_is_named(
    paths: StudyPaths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://127.0.0.1:1")
    monkeypatch.setenv("DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT", "1s")
    with pytest.raises(EmlibError, match=r"no scheduler of Dask at tcp://127.0.0.1:1 \("):
        run_block(paths.root, "drawn", "mcar-0.2", "there", 0)


def test_a_scheduler_without_workers_is_named() -> None:
    from distributed import Client, LocalCluster

    with (
        LocalCluster(n_workers=0, dashboard_address=":0", processes=False) as cluster,
        Client(cluster) as client,
        pytest.raises(EmlibError, match=r"no worker for 0\.1 s; start some with: dask worker"),
    ):
        require_workers(client, seconds=0.1)


def test_workers_with_other_code_are_refused() -> None:
    class Client:
        def run(self, function: Any, *arguments: Any, **named: Any) -> dict[str, Any]:
            return {"tcp://one:1": numerics_fingerprint("gaussian_mixture", engine="dask"), "b": 7}

    with pytest.raises(EmlibError, match="worker b of Dask does not have the code"):
        require_same_workers(Client(), "gaussian_mixture")


def test_the_engine_is_part_of_what_decides_the_numbers() -> None:
    both = [numerics_fingerprint("gaussian_mixture", engine=engine) for engine in ENGINES]
    assert both[0] == numerics_fingerprint("gaussian_mixture") != both[1]


@pytest.mark.parametrize(
    ("changes", "texts"),
    [
        (
            {"models": {"two": {**TWO, "engine": "spark"}}},
            ["models.two.engine: unknown engine 'spark'", "memory, dask"],
        ),
        (
            {"algorithms": {"split": {"algorithm": "split_merge"}, "em": None, "online": None}},
            [
                "algorithms.online: online looks at single rows or parts of them",
                "algorithms that need no more: em (see exclude)",
            ],
        ),
        (
            {
                "datasets": {
                    "steps": {"generator": "gaussian_hmm", "length": 80, "n_states": 2, "d": 2}
                },
                "models": {"two": {"family": "gaussian_hmm", "n_states": 2, "engine": "dask"}},
            },
            [
                "models.two.engine: 'dask' cuts data between rows, and those of gaussian_hmm "
                "depend on each other; allowed: memory"
            ],
        ),
    ],
    ids=["unknown", "algorithms", "sequences"],
)
def test_what_dask_cannot_climb_is_refused_when_planned(
    tmp_path: Path, changes: dict[str, Any], texts: list[str]
) -> None:
    asked = {"datasets": {"drawn": DRAWN}, "models": {"two": {**TWO, "engine": "dask"}}, **changes}
    with pytest.raises(ConfigError) as refused:
        planned_study(tmp_path, **asked)
    for text in texts:
        assert text in str(refused.value)


def test_without_dask_the_plan_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ConfigError, match=r"models.there.engine: .*pip install 'emlib\[dask\]'"):
        planned_study(tmp_path, **STUDY)


@pytest.mark.parametrize(("n", "partitions"), [(1, 1), (70_000, 3), (10**9, MOST_PARTITIONS)])
def test_long_data_are_cut_into_a_bounded_number_of_equal_partitions(
    n: int, partitions: int
) -> None:
    sizes = np.diff(partition_bounds(n))
    assert len(sizes) == partitions
    assert sizes.sum() == n
    assert sizes.max() - sizes.min() <= 1
