"""A results folder of as many fits as wanted, in the very schema of a study, without a climb.

``python -m benchmarks.study.synthetic FOLDER --replicates 5000`` makes up a million fits: each
data set has five optima, an init its own chance to end at the best, and curves fall to the ends.
"""

from __future__ import annotations

import argparse
import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from emlib.study import files, grid
from emlib.study.atomic import write_bytes, write_json
from emlib.study.measures import OF_IMAGES
from emlib.study.paths import StudyPaths
from emlib.study.prepare import prepare

CONFIG = Path(__file__).with_name("reference.yaml")
OPTIMA = 5
GAPS = np.array([0.0, 3.0, 11.0, 24.0, 60.0])
"""Nats of the optima below the best."""
PARAMETERS = 59


def write_study(
    results: Path, replicates: int, block_size: int, runs: str = "none", iterations: float = 30.0
) -> StudyPaths:
    """Write study, plan and every block's six files.

    Parameters
    ----------
    results : Path
        Gets the folder ``synthetic``.
    replicates : int
        Two hundred fits each, with all eight inits.
    block_size : int
    runs : {"none", "best", "all"}
        The fits that get a run in MLflow.
    iterations : float
        Median length of a climb.
    """
    overrides: dict[str, Any] = {
        "study": "synthetic",
        "replicates": replicates,
        "block_size": block_size,
        "tracking": {"runs": runs},
    }
    prepared = prepare(CONFIG, overrides, results)
    paths = StudyPaths(Path(prepared["root"]))
    write_json(paths.study, prepared["study"])
    write_json(paths.blocks, prepared["blocks"])
    write_bytes(paths.plan, base64.b64decode(prepared["plan"]))
    write_json(paths.jobs, prepared["jobs"])
    study = prepared["study"]
    cells = grid.entries(study)
    for number, block in enumerate(grid.blocks(study, block_size)):
        rng = np.random.default_rng([1, number])
        mine = [cell for cell in cells if cell.missingness == block.missingness]
        for kind, table in block_tables(study, block, mine, rng, iterations):
            ids = (block.dataset, block.missingness, block.model, block.block)
            planned_as = prepared["jobs"]["blocks"][block.key]["fits"] if kind == "fits" else ""
            files.write_table(paths.block(kind, *ids), table, kind, planned_as)
    return paths


def block_tables(
    study: dict[str, Any],
    block: grid.Block,
    cells: list[grid.Entry],
    rng: np.random.Generator,
    iterations: float,
) -> Iterator[tuple[str, pa.Table]]:
    """The six tables of a block, by kind."""
    replicates, restarts = len(block.replicates), study["restarts"]
    n = replicates * len(cells) * restarts
    replicate = np.repeat(np.arange(block.first, block.last), len(cells) * restarts)
    cell = np.tile(np.repeat(np.arange(len(cells)), restarts), replicates)
    start = np.tile(np.arange(restarts), replicates * len(cells))
    data_id = identities(replicates, rng)
    best = rng.normal(-3000.0, 30.0, replicates)
    row = replicate - block.first
    fit_id = identities(n, rng)
    chance = 0.3 + 0.6 * np.arange(len(cells)) / max(len(cells) - 1, 1)
    missed = rng.random(n) > chance[cell]
    optimum = np.where(missed, rng.integers(1, OPTIMA, n), 0)
    polished = best[row] - GAPS[optimum] + rng.uniform(-1e-7, 1e-7, n)
    loglik = polished - rng.uniform(1e-4, 1e-3, n)
    n_iter = np.minimum(3 + rng.lognormal(np.log(iterations), 0.7, n), 199).astype(np.int32)
    below = rng.gamma(4.0, 60.0, n)
    status = rng.choice(["converged", "max_iter", "degenerate"], n, p=[0.985, 0.01, 0.005])
    dead = status == "degenerate"
    nan = np.full(n, np.nan)
    init_cost = rng.integers(1, 5, n).astype(float)
    missingness = study["missingness"][block.missingness]
    names = {
        axis: np.array([getattr(one, axis) for one in cells])[cell]
        for axis in ("cell_id", *grid.AXES)
    }
    fits = {
        "fit_id": fit_id, **names, "mechanism": np.full(n, missingness["mechanism"]),
        "rate": np.full(n, missingness["rate"]), "oracle": np.zeros(n, bool),
        "replicate": replicate, "start": start, "data_id": data_id[row], "status": status,
        "rule": np.where(status == "converged", "predicted_gain", ""),
        "flags": rng.choice(["", "spurious", "slow_tail"], n, p=[0.96, 0.02, 0.02]),
        "message": np.full(n, ""), "loglik": loglik, "objective": loglik,
        "loglik_start": loglik - below, "loglik_polished": np.where(dead, np.nan, polished),
        "status_polished": np.where(dead, "", "converged"), "n_iter": n_iter,
        "e_steps_init": init_cost, "e_steps_climb": n_iter + 1.0, "e_steps_polish": np.full(n, 9.0),
        "predicted_gain": polished - loglik, "linear_rate": rng.uniform(0.2, 0.95, n),
        "eigenvalue_ratio": rng.uniform(0.01, 0.5, n), "smallest_component": rng.uniform(9, 120, n),
        "n_rows": np.full(n, 500), "n_parameters": np.full(n, PARAMETERS),
        "ari": rng.uniform(0.5, 1.0, n), "parameter_error": rng.uniform(0.1, 1.0, n),
        "imputation_error": rng.uniform(0.5, 0.8, n) if missingness["rate"] else nan,
        "bic": -2 * loglik, **dict.fromkeys(OF_IMAGES, nan),
    }  # fmt: skip
    yield "fits", table_of(fits, "fits")
    yield "curves", table_of(_curves(fits, below), "curves")
    seconds = {f"seconds_{part}": rng.gamma(3.0, 1e-3, n) for part in ("init", "climb", "polish")}
    began = 1.79e9 + np.cumsum(rng.gamma(3.0, 3e-3, n))
    timings = {
        "fit_id": fit_id, "cell_id": names["cell_id"], **seconds, "started": began,
        "ended": began + 0.01, "processor": np.full(n, "Example CPU 3000"),
    }  # fmt: skip
    yield "timings", table_of(timings, "timings")
    yield from _by_replicate(block, data_id, best, rng)
    kept = start == 0
    packed = pa.FixedSizeListArray.from_arrays(
        rng.normal(size=int(kept.sum()) * PARAMETERS), PARAMETERS
    ).cast(pa.list_(pa.float64()))
    params = [pa.array(fit_id[kept]), packed, packed]
    yield "params", pa.Table.from_arrays(params, schema=files.SCHEMAS["params"])


def _curves(fits: dict[str, np.ndarray], below: np.ndarray) -> dict[str, np.ndarray]:
    points = fits["n_iter"] + 1
    fit = np.repeat(np.arange(len(points)), points)
    iteration = np.arange(len(fit)) - np.repeat(np.cumsum(points) - points, points)
    left = 1.0 - iteration / fits["n_iter"][fit]
    height = fits["loglik"][fit] - below[fit] * left**3
    same = {
        name: fits[name][fit]
        for name in ("fit_id", "cell_id", "init", "algorithm", "replicate", "start")
    }
    work = fits["e_steps_init"][fit] + iteration + 1.0
    return {
        **same, "iteration": iteration, "e_steps": work, "objective": height, "loglik": height
    }  # fmt: skip


def _by_replicate(
    block: grid.Block, data_id: np.ndarray, best: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[str, pa.Table]]:
    n = len(data_id)
    ids = {name: np.full(n, getattr(block, name)) for name in ("dataset", "missingness", "model")}
    ids |= {"data_id": data_id, "replicate": np.arange(block.first, block.last)}
    search = {
        "reference_id": identities(n, rng), **ids, "loglik": best, "loglik_with_spurious": best,
        "source": np.full(n, "kmeans"), "starts": np.full(n, 31), "e_steps": np.full(n, 900.0),
        "eigenvalue_ratio": np.full(n, 0.2), "smallest_component": np.full(n, 80.0),
    }  # fmt: skip
    yield "references", table_of(search, "references")
    looked_at = rng.integers(1, OPTIMA, n)
    twice = {name: np.r_[column, column] for name, column in ids.items()}
    small = rng.uniform(0.0, 1e-6, 2 * n)
    certificates = {
        "of": identities(2 * n, rng), **twice, "objective": np.r_[best, best - GAPS[looked_at]],
        "verdict": np.full(2 * n, "maximum"), "reason": np.full(2 * n, ""),
        "newton_decrement": small, "gradient_norm": small,
        "smallest_share": rng.uniform(0.1, 0.6, 2 * n), "em_rate": rng.uniform(0.4, 0.9, 2 * n),
        "null_dimension": np.zeros(2 * n), "boundary_dimension": np.zeros(2 * n),
    }  # fmt: skip
    yield "certificates", table_of(certificates, "certificates")


def identities(n: int, rng: np.random.Generator) -> np.ndarray:
    """Random names of 32 hexadecimal digits."""
    text = rng.bytes(16 * n).hex().encode()
    return np.frombuffer(text, dtype="S32").astype("U32")


def table_of(columns: dict[str, np.ndarray], schema: str) -> pa.Table:
    """Columns as an Arrow table of a schema in ``files.SCHEMAS``."""
    kinds = files.SCHEMAS[schema]
    arrays = [pa.array(columns[field.name]).cast(field.type) for field in kinds]
    return pa.Table.from_arrays(arrays, schema=kinds)


def main() -> None:
    """Write one."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.synthetic")
    parser.add_argument("results", type=Path)
    parser.add_argument("--replicates", type=int, default=5000, help="200 fits each")
    parser.add_argument("--block-size", type=int, default=250)
    given = parser.parse_args()
    print(write_study(given.results, given.replicates, given.block_size).root)


if __name__ == "__main__":
    main()
