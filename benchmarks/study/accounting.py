"""Where the CPU seconds of an accounted run went, part by part."""

from __future__ import annotations

import json
import struct
from collections import defaultdict
from pathlib import Path

import pyarrow.compute as pc

from benchmarks.study.project import Project
from emlib.study.files import read_tables

CLIMBS = {
    "inits": "seconds_init",
    "climbs": "seconds_climb",
    "polish of their ends": "seconds_polish",
}
SEARCHES = {"reference": "reference searches", "certificate": "certificates"}


def accounts(project: Project, study: str, total: float) -> dict[str, dict[str, float]]:
    """CPU seconds by part.

    Parameters
    ----------
    project : Project
        After an accounted run.
    study : str
    total : float
        CPU seconds of Snakemake with all its children.

    Returns
    -------
    dict
        ``climbs`` (inits, climbs, polish, as the fits record them), ``searches`` (reference optima
        and their certificates), and ``else``, whose parts sum to what is left of the total.
    """
    seconds = read_tables(
        sorted((project.root / "results" / study / "timings").rglob("*.parquet")), "timings"
    )
    climbs = {name: float(pc.sum(seconds[column]).as_py()) for name, column in CLIMBS.items()}
    workers = [struct.unpack("3d", path.read_bytes()) for path in project.accounts.glob("*.f8")]
    spent = dict(zip(("fit", *SEARCHES), map(sum, zip(*workers, strict=True)), strict=True))
    searches = {name: spent[kind] for kind, name in SEARCHES.items()}
    rest: dict[str, float] = defaultdict(float)
    rest["scores and records of fits"] = spent["fit"] - sum(climbs.values())
    for path in project.accounts.glob("process-*.json"):
        one = _read(path)
        command = _command(one["argv"])
        if command == "block":
            rest["block: supervisor (start-up, store, writing)"] += one["own"]
            rest["block: worker (start-up, reading, planning)"] += one["children"]
        elif command is not None:
            rest[command] += one["own"]
    rest["block: worker (start-up, reading, planning)"] -= sum(spent.values())
    known = sum(climbs.values()) + sum(searches.values()) + sum(rest.values())
    rest["shells and the rest"] = total - known
    return {"climbs": climbs, "searches": searches, "else": dict(rest)}


def _command(argv: list[str]) -> str | None:
    """What a process did: an emlib command, or Snakemake."""
    name = Path(argv[0])
    if name.parent.name == "emlib":
        return argv[1]
    return "snakemake" if name.parent.name == "snakemake" else None


def _read(path: Path) -> dict:
    return json.loads(path.read_text())
