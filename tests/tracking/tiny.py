"""A tiny finished study, written as the workflow writes one, with made-up numbers."""

import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa

from emlib.study import files, grid
from emlib.study.atomic import write_json
from emlib.study.measures import MEASURES
from emlib.study.paths import StudyPaths

STUDY: dict[str, Any] = {
    "study": "tiny",
    "seed": 7,
    "datasets": {"faithful": {"table": "faithful"}},
    "missingness": {
        "none": {"mechanism": "none", "rate": 0.0, "settings": {}},
        "mcar-0.1": {"mechanism": "mcar", "rate": 0.1, "settings": {}},
    },
    "models": {"gmm-2": {"family": "gaussian_mixture", "settings": {"n_components": 2}}},
    "inits": {
        "kmeans++": {"init": "kmeans++", "settings": {}, "oracle": False, "deterministic": False},
        "random": {"init": "random", "settings": {}, "oracle": False, "deterministic": False},
    },
    "algorithms": {"em": {"algorithm": "em", "settings": {}}},
    "exclude": [],
    "truths": {},
    "replicates": 2,
    "restarts": 2,
    "block_size": 1,
    "baseline": "random",
    "stopping": {"tol": 0.001, "max_iter": 1000},
    "budget": {"e_steps": 2000, "seconds": None, "hard_seconds": 60},
    "tracking": {"uri": None, "runs": "best"},
}
STATUSES = ("converged", "max_iter", "failed")


class Tiny:
    """Writes the files of a study.

    `change` shifts the logliks of the init `random`, `hits` is what every cell counts, `fails`
    names failed fits as (init, replicate, start), `length` is every climb's iterations.
    """

    def __init__(self, results: Path) -> None:
        self.study = json.loads(json.dumps(STUDY))
        self.root = results / "tiny"
        self.length = 12
        self.fails: set[tuple[str, int, int]] = set()
        self.change = 0.0
        self.hits = 4

    @property
    def uri(self) -> str:
        return f"sqlite:///{self.root.parent / 'mlflow.db'}"

    def write(self) -> Path:
        paths = StudyPaths(self.root)
        write_json(paths.study, self.study)
        write_json(paths.blocks, {"block_size": self.study["block_size"]})
        fits: list[dict[str, Any]] = []
        for block in grid.planned_blocks(self.root):
            rows = [self._fit(fit) for fit in grid.block_fits(self.study, block)]
            place = (block.dataset, block.missingness, block.model, block.block)
            curves = [point for row in rows for point in self._curve(row)]
            timings = [self._timing(row) for row in rows]
            files.write_table(paths.block("fits", *place), rows, "fits")
            files.write_table(paths.block("curves", *place), curves, "curves")
            files.write_table(paths.block("timings", *place), timings, "timings")
            fits.extend(rows)
        self._tables(paths, fits)
        return self.root

    def _loglik(self, row: dict[str, Any], iteration: int) -> float:
        best = -100.0 - row["replicate"] - row["start"]
        if row["init"] == "random":
            best += self.change
        return best - 50.0 * math.exp(-iteration / 5)

    def _fit(self, planned: grid.PlannedFit) -> dict[str, Any]:
        entry = planned.entry
        missingness = self.study["missingness"][entry.missingness]
        row: dict[str, Any] = dict.fromkeys(files.SCHEMAS["fits"].names)
        row |= {
            "fit_id": f"{entry.cell_id}-{planned.replicate}-{planned.start}",
            "cell_id": entry.cell_id,
            "dataset": entry.dataset,
            "missingness": entry.missingness,
            "mechanism": missingness["mechanism"],
            "rate": missingness["rate"],
            "model": entry.model,
            "init": entry.init,
            "algorithm": entry.algorithm,
            "oracle": entry.oracle,
            "replicate": planned.replicate,
            "start": planned.start,
            "status": "converged",
            "n_iter": self.length,
            "e_steps_init": 1.0,
            "e_steps_climb": float(self.length),
            "n_rows": 272,
            "n_parameters": 11,
            "bic": 2222.0,
        }
        row["loglik"] = row["loglik_polished"] = row["objective"] = self._loglik(row, self.length)
        if (entry.init, planned.replicate, planned.start) in self.fails:
            row |= {"status": "failed", "message": "LinAlgError: no", "n_iter": 0}
            row |= dict.fromkeys(("loglik", "loglik_polished", "objective", "bic"), math.nan)
        return row

    def _curve(self, row: dict[str, Any]) -> list[dict[str, Any]]:
        shared = {name: row[name] for name in ("fit_id", "cell_id", "init", "algorithm")}
        shared |= {name: row[name] for name in ("replicate", "start")}
        if row["status"] == "failed":
            return []
        values = [self._loglik(row, i) for i in range(self.length + 1)]
        return [
            shared | {"iteration": i, "e_steps": 2.0 + i, "objective": value, "loglik": value}
            for i, value in enumerate(values)
        ]

    def _timing(self, row: dict[str, Any]) -> dict[str, Any]:
        started = 1_700_000_000.0 + 10 * row["replicate"] + row["start"]
        return {
            "fit_id": row["fit_id"],
            "cell_id": row["cell_id"],
            "seconds_init": 0.25,
            "seconds_climb": 0.5,
            "seconds_polish": 0.125,
            "started": started,
            "ended": started + 0.875,
            "processor": "a processor",
        }

    def _tables(self, paths: StudyPaths, fits: list[dict[str, Any]]) -> None:
        hits = [
            {
                "fit_id": row["fit_id"],
                "reference": -100.0 - row["replicate"],
                "loss": float(row["start"]) if row["status"] != "failed" else math.inf,
                "hit": row["start"] == 0 and row["status"] != "failed",
                "best_of_replicate": row["start"] == 0,
            }
            for row in fits
        ]
        paths.tables.mkdir(parents=True, exist_ok=True)
        _write(paths.tables / "hits.parquet", hits)
        cells, curves = [], []
        for number, entry in enumerate(grid.entries(self.study)):
            mine = [row for row in fits if row["cell_id"] == entry.cell_id]
            cells.append(self._cell(entry, mine))
            end = 20 + 10 * number
            curves += [
                {
                    "cell_id": entry.cell_id,
                    "iteration": i,
                    "loss_median": math.inf if self.fails and i < 2 else 50.0 / (1 + i),
                    "loss_q25": 25.0 / (1 + i),
                    "loss_q75": 75.0 / (1 + i),
                    "loglik_median": -100.0 - 50.0 / (1 + i),
                }
                for i in range(end + 1)
            ]
        _write(paths.tables / "cells.parquet", cells)
        measures = dict.fromkeys(MEASURES, math.nan) | {"ari": 0.9}
        estimation = [{"cell_id": cell["cell_id"]} | measures for cell in cells]
        _write(paths.tables / "estimation.parquet", estimation)
        _write(paths.tables / "curves.parquet", curves)

    def _cell(self, entry: grid.Entry, mine: list[dict[str, Any]]) -> dict[str, Any]:
        failures = sum(row["status"] != "converged" for row in mine)
        return {
            "cell_id": entry.cell_id,
            "dataset": entry.dataset,
            "missingness": entry.missingness,
            "mechanism": mine[0]["mechanism"],
            "rate": mine[0]["rate"],
            "model": entry.model,
            "init": entry.init,
            "algorithm": entry.algorithm,
            "oracle": entry.oracle,
            "fits": len(mine),
            "replicates": self.study["replicates"],
            "hits": self.hits,
            "hit_rate": 0.5,
            "hit_low": 0.2,
            "hit_high": 0.8,
            "loglik_median": -101.5 + self.change * (entry.init == "random"),
            "loglik_q05": -103.0,
            "loglik_q95": -100.0,
            "loss_median": math.inf if failures else 0.5,
            "e_steps_median": 41.0,
            "seconds_median": 0.75,
            "failures": failures,
        } | {
            f"status_{status}": sum(row["status"] == status for row in mine) for status in STATUSES
        }


def _write(path: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(rows)
    kinds = [pa.int32() if kind == pa.int64() else kind for kind in table.schema.types]
    schema = pa.schema(list(zip(table.column_names, kinds, strict=True)))
    files.write_table(path, table, schema)
