"""``engine: dask``: the same study, its E-steps summed by a cluster."""

import sys
from pathlib import Path
from typing import Any

import pytest

from emlib.errors import ConfigError, EmlibError
from emlib.study.config import load_config
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


def block(paths: StudyPaths, model: str, threads: int = 2) -> dict[str, list[dict[str, Any]]]:
    """Run a model's block, and read its files."""
    study = load_study(paths.root)
    (planned,) = (one for one in planned_blocks(paths.root) if one.model == model)
    ids = ("drawn", "mcar-0.2", model, 0)
    run_block(paths.root, *ids, block_fingerprint(study, block_cells(study, planned)), threads=threads)
    kinds = ("fits", "references", "certificates", "curves")
    return {kind: read_table(paths.block(kind, *ids)).to_pylist() for kind in kinds}


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> StudyPaths:
    return planned_study(tmp_path_factory.mktemp("engines"), **STUDY)


@pytest.fixture(scope="module")
def both(paths: StudyPaths) -> tuple[dict[str, Any], dict[str, Any]]:
    return block(paths, "here"), block(paths, "there")


def test_both_engines_climb_from_the_same_starts_to_the_same_ends(both: Any) -> None:
    here, there = both
    assert len(here["fits"]) == 2
    for one, other in zip(here["fits"], there["fits"], strict=True):
        assert [one[name] for name in SAME] == [other[name] for name in SAME]
        assert one["status"] == "converged"
        for name in CLOSE:
            assert other[name] == pytest.approx(one[name], rel=1e-9)
        assert one["fit_id"] != other["fit_id"]
    for one, other in zip(here["references"], there["references"], strict=True):
        assert other["loglik"] == pytest.approx(one["loglik"], rel=1e-9)
    verdicts = [[row["verdict"] for row in side["certificates"]] for side in both]
    assert verdicts[0] == verdicts[1]
    assert "maximum" in verdicts[0]
