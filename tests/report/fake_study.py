"""A made-up study, written as the workflow writes one: every kind of ending, in known numbers."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from emlib.study import files, grid, identity
from emlib.study.measures import MEASURES
from emlib.study.paths import BLOCK_KINDS, StudyPaths

SKILL = {"kmeans": 0.75, "kmeans++": 0.6, "points": 0.4, "random": 0.25, "short_em": 0.65}
COST = {"kmeans": 4.0, "kmeans++": 1.0, "points": 1.0, "random": 1.0, "short_em": 50.0, "truth": 0}
CURVE_KEYS = ("fit_id", "cell_id", "init", "algorithm", "replicate", "start")
PROCESSOR = "Example CPU 3000"


@dataclass
class FakeStudy:
    """Writes study.json, plan, blocks and the files of every block; `root` is the study's folder.

    Datasets map to what they add to every init's skill; `names` gives inits other ids.
    """

    root: Path
    datasets: Mapping[str, float] = field(
        default_factory=lambda: {"faithful": 0.3, "high": -0.15, "iris": 0.0, "low": 0.15}
    )
    rates: tuple[float, ...] = (0.0, 0.1, 0.3)
    mechanisms: tuple[str, ...] = ("mcar",)
    inits: tuple[str, ...] = (*SKILL, "truth")
    replicates: int = 20
    restarts: int = 5
    block_size: int = 10
    real: tuple[str, ...] = ("faithful", "iris")
    seed: int = 20261123
    names: Mapping[str, str] = field(default_factory=dict)

    @property
    def paths(self) -> StudyPaths:
        return StudyPaths(self.root)

    def study(self) -> dict[str, Any]:
        datasets: dict[str, Any] = {}
        for name in self.datasets:
            table = {"table": name}
            made = {
                "generator": "gaussian_mixture",
                "n": 500,
                "d": 4,
                "n_components": 3,
                "overlap": {"mean": 0.001 if name == "low" else 0.05},
            }
            datasets[name] = table if name in self.real else made
        missingness: dict[str, Any] = {}
        for rate in self.rates:
            for mechanism in self.mechanisms if rate else ("none",):
                key = f"{mechanism}-{rate:g}" if rate else "none"
                missingness[key] = {"mechanism": mechanism, "rate": rate, "settings": {}}
        return {
            "study": self.root.name,
            "seed": self.seed,
            "datasets": datasets,
            "missingness": missingness,
            "models": {
                "gmm-full": {
                    "family": "gaussian_mixture",
                    "settings": {"n_components": 3, "covariance_type": "full", "prior": None},
                }
            },
            "inits": {
                self.names.get(name, name): {
                    "init": name,
                    "settings": {"tries": 10, "iterations": 5} if name == "short_em" else {},
                    "oracle": name == "truth",
                    "deterministic": name == "truth",
                }
                for name in self.inits
            },
            "algorithms": {"em": {"algorithm": "em", "settings": {}}},
            "truths": {name: ["gmm-full"] for name in self.datasets if name not in self.real},
            "exclude": [],
            "replicates": self.replicates,
            "restarts": self.restarts,
            "block_size": self.block_size,
            "baseline": self.names.get("random", "random"),
            "stopping": {"tol": 1e-3, "max_iter": 1000},
            "budget": {"e_steps": 2000, "seconds": None, "hard_seconds": 60},
            "reference": {"starts": 20, "e_steps": 5000},
            "hit_tolerance": 1e-3,
            "keep_params": "best",
            "tracking": {"uri": None, "runs": "best"},
            "strict": False,
        }

    def write(self, skip: tuple[grid.Block, ...] = ()) -> Path:
        """Write it all but the blocks to skip; returns the study's folder."""
        study = self.study()
        self.root.mkdir(parents=True, exist_ok=True)
        self.paths.study.write_text(json.dumps(study, indent=2))
        self.paths.blocks.write_text(json.dumps({"block_size": self.block_size}))
        files.write_table(
            self.paths.plan, [self._plan(study, e) for e in grid.entries(study)], "plan"
        )
        for block in grid.planned_blocks(self.root):
            if block not in skip:
                for kind, rows in self.rows(study, block).items():
                    path = self.paths.block(
                        kind, block.dataset, block.missingness, block.model, block.block
                    )
                    files.write_table(path, rows, kind)
        return self.root

    def _plan(self, study: Mapping[str, Any], entry: grid.Entry) -> dict[str, Any]:
        missing = study["missingness"][entry.missingness]
        return {
            "cell_id": entry.cell_id,
            "dataset": entry.dataset,
            "missingness": entry.missingness,
            "mechanism": missing["mechanism"],
            "rate": missing["rate"],
            "model": entry.model,
            "init": entry.init,
            "algorithm": entry.algorithm,
            "oracle": entry.oracle,
            "starts": entry.starts,
            "replicates": self.replicates,
            "fits": entry.starts * self.replicates,
        }

    def rows(self, study: Mapping[str, Any], block: grid.Block) -> dict[str, list[dict[str, Any]]]:
        """Rows of a block's six files."""
        out: dict[str, list[dict[str, Any]]] = {kind: [] for kind in BLOCK_KINDS}
        for fit in grid.block_fits(study, block):
            row, curve, timing = self.fit(study, fit)
            out["fits"].append(row)
            out["curves"] += curve
            out["timings"].append(timing)
            out["params"].append(
                {"fit_id": row["fit_id"], "start": [0.0, 1.0], "final": [0.5, 1.5]}
            )
        for replicate in block.replicates:
            out["references"].append(self.reference(study, block, replicate))
        out["certificates"] = [self.certificate(row) for row in out["references"]]
        return out

    def certificate(self, reference: Mapping[str, Any]) -> dict[str, Any]:
        """Of the reference optimum: a saddle on data set `high` in replicate 1."""
        saddle = reference["dataset"] == "high" and reference["replicate"] == 1
        share = -0.2 if saddle else 0.3
        return {
            "of": identity.digest(["start", reference["reference_id"]]),
            **{k: reference[k] for k in ("data_id", "dataset", "missingness", "model")},
            "replicate": reference["replicate"],
            "objective": reference["loglik"] + 1e-7,
            "verdict": "saddle" if saddle else "maximum",
            "reason": "the objective rises along 1 of 44 directions" if saddle else "",
            "newton_decrement": 1e-8,
            "gradient_norm": 1e-5,
            "smallest_share": share,
            "em_rate": 1.0 - share,
            "null_dimension": 0,
            "boundary_dimension": 0,
        }

    def data_id(self, study: Mapping[str, Any], dataset: str, missingness: str, r: int) -> str:
        fixed = dataset in self.real and study["missingness"][missingness]["rate"] == 0
        return identity.digest(["data", dataset, missingness, 0 if fixed else r])

    def optimum(self, data_id: str) -> float:
        return -1000.0 - int(data_id[:4], 16) / 100

    def reference(
        self, study: Mapping[str, Any], block: grid.Block, replicate: int
    ) -> dict[str, Any]:
        data_id = self.data_id(study, block.dataset, block.missingness, replicate)
        best = self.optimum(data_id)
        weak = block.dataset == "high" and replicate == 3
        return {
            "reference_id": identity.digest(["reference", data_id, block.model]),
            "data_id": data_id,
            "dataset": block.dataset,
            "missingness": block.missingness,
            "model": block.model,
            "replicate": replicate,
            "loglik": best - 0.8 if weak else best,
            "loglik_with_spurious": best + 4.0,
            "source": "kmeans",
            "starts": 20,
            "e_steps": 1800.0,
            "eigenvalue_ratio": 0.05,
            "smallest_component": 90.0,
        }

    def fit(
        self, study: Mapping[str, Any], fit: grid.PlannedFit
    ) -> tuple[dict[str, Any], list[dict[str, Any]], dict[str, Any]]:
        entry, r, s = fit
        init = study["inits"][entry.init]["init"]
        missing = study["missingness"][entry.missingness]
        rng = identity.rng(self.seed, "fake", entry.cell_id, r, s)
        data_id = self.data_id(study, entry.dataset, entry.missingness, r)
        best = self.optimum(data_id)
        hard = identity.rng(self.seed, "hard", data_id).normal(0, 0.1)
        skill = SKILL.get(init, 0.97) + self.datasets[entry.dataset] - 0.5 * missing["rate"] + hard
        status, flags, message = "converged", "", ""
        loss = 0.0 if rng.random() < skill else float(rng.lognormal(1.5, 1.2))
        draw = rng.random()
        polished = "converged"
        if draw < 0.03 * (init == "random") + 0.01:
            status, polished = "degenerate", ""
        elif draw < 0.05:
            flags, loss = "spurious", -3.0
        elif draw < 0.055 and init == "points":
            status, polished = "failed", ""
            message = "ValueError: 2 distinct rows, 3 components; needs <at least> as many rows"
        elif draw < 0.07:
            status, flags = "max_iter", "slow_tail"
        elif draw < 0.075:
            status = "budget"
        dead = status in ("degenerate", "failed")
        iterations = 0 if status == "failed" else int(rng.lognormal(3.3 + missing["rate"], 0.5)) + 3
        final = np.nan if status == "failed" else best - loss
        fit_id = identity.digest(["fit", entry.cell_id, r, s])
        error = float(rng.normal(0.1, 0.01) + 0.05 * max(loss, 0) ** 0.5 + 0.2 * missing["rate"])
        synthetic = entry.dataset not in self.real
        row = dict.fromkeys(files.SCHEMAS["fits"].names, np.nan) | {
            "fit_id": fit_id,
            **{axis: getattr(entry, axis) for axis in ("cell_id", *grid.AXES, "oracle")},
            "mechanism": missing["mechanism"],
            "rate": missing["rate"],
            "replicate": r,
            "start": s,
            "data_id": data_id,
            "status": status,
            "flags": flags,
            "message": message,
            "rule": "predicted_gain" if status == "converged" else "",
            "loglik": final if status != "degenerate" else best + 20,
            "objective": final,
            "loglik_start": final - 300,
            "loglik_polished": np.nan if dead else final + 1e-7 * rng.random(),
            "status_polished": polished,
            "n_iter": iterations,
            "e_steps_init": COST[init],
            "e_steps_climb": float(iterations + 1),
            "e_steps_polish": 20.0,
            "predicted_gain": 5e-4,
            "linear_rate": 0.9,
            "eigenvalue_ratio": 5e-5 if flags == "spurious" else 0.05,
            "smallest_component": 5.0 if flags == "spurious" else 80.0,
            "n_rows": 500,
            "n_parameters": 44,
            **dict.fromkeys(MEASURES, np.nan),
            "ari": np.nan if status == "failed" else max(0.0, 0.95 - error),
            "parameter_error": error if synthetic and not dead else np.nan,
            "imputation_error": 0.7 + error if missing["rate"] and not dead else np.nan,
            "bic": np.nan,
        }
        started = 1.79e9 + 10 * r + s
        timing = {
            "fit_id": fit_id,
            "cell_id": entry.cell_id,
            "seconds_init": COST[init] * 1e-4,
            "seconds_climb": iterations * 1.2e-4,
            "seconds_polish": 2e-3,
            "started": started,
            "ended": started + 0.01,
            "processor": PROCESSOR,
        }
        return row, self._curve(row, iterations, COST[init]), timing

    def _curve(self, row: dict[str, Any], iterations: int, cost: float) -> list[dict[str, Any]]:
        if row["status"] == "failed":
            return []
        spaced = np.geomspace(1, max(iterations, 1), 30).round()
        steps = np.unique(np.r_[0, spaced, iterations]).astype(int)
        share = np.log1p(steps) / max(np.log1p(iterations), 1e-9)
        gap = 300.0 * (1 - share) ** 2
        return [
            {
                **{
                    k: row[k]
                    for k in ("fit_id", "cell_id", "init", "algorithm", "replicate", "start")
                },
                "iteration": int(step),
                "e_steps": cost + step + 1.0,
                "objective": row["loglik"] - g,
                "loglik": row["loglik"] - g,
            }
            for step, g in zip(steps, gap, strict=True)
        ]
