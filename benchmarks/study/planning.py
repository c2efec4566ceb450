"""``python -m benchmarks.study.planning``: Snakemake on a study of a million fits, before any runs.

Measured are ``snakemake -n`` where nothing is there, and where every file is (stand-ins of the size
that such files have, checksum and all, since each start reads them; ``--touch`` enters them in
Snakemake's own records): finding that there is nothing to do.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from pathlib import Path

from benchmarks.study.project import Project
from emlib.study.atomic import write_json
from emlib.study.checksums import BLANK, sealed
from emlib.study.paths import BLOCK_KINDS, StudyPaths
from emlib.study.prepare import prepare

CONFIG = Path(__file__).with_name("reference.yaml")
BYTES_A_FIT = {"fits": 135, "curves": 850, "timings": 67, "params": 230}
"""In the block files of the reference study; the other two have some a replicate."""
FEW_BYTES = 20_000


def stand_in(project: Project, replicates: int) -> None:
    """A file for every output of the blocks' rules, and a database that the receipt is of.

    What comes after the blocks is left to ``--touch``, which wants files too: their names are
    Snakemake's own, read from its summary.
    """
    results = project.root / "results"
    prepared = prepare(CONFIG, {"replicates": replicates}, results)
    jobs, root = prepared["jobs"], Path(prepared["root"])
    fits = 200 * replicates // len(jobs["blocks"])
    few = sealed(bytes(FEW_BYTES) + BLANK)
    for family in jobs["kernels"]:
        _touch(root / "kernels" / f"{family}.txt")
    for kind in ("data", "masks"):
        for key in jobs[kind]:
            _touch(root / kind / f"{key}.npz", few)
    for kind in BLOCK_KINDS:
        content = sealed(bytes(BYTES_A_FIT[kind] * fits) + BLANK) if kind in BYTES_A_FIT else few
        for key in jobs["blocks"]:
            _touch(root / kind / f"{key}.parquet", content)
    write_json(StudyPaths(root).jobs, jobs)
    _touch(StudyPaths(root).database)
    _touch(StudyPaths(root).tables / "cells.csv")  # what a finished run says is read from it
    project.snakemake(*_arguments(replicates), "--summary")
    listed = (project.root / "snakemake.log").read_text()
    for name in re.findall(r"^(results/\S+)\t", listed, re.MULTILINE):
        if not (project.root / name).exists():
            _touch(project.root / name, few)


def _touch(path: Path, content: bytes = b"") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _arguments(replicates: int) -> tuple[str, ...]:
    return ("--configfile", str(CONFIG), "--config", f"replicates={replicates}")


def main() -> None:
    """Print two lines."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.planning")
    parser.add_argument("--replicates", type=int, default=5000, help="200 fits each")
    given = parser.parse_args()
    arguments = _arguments(given.replicates)
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder))
        print("all to do:    ", project.snakemake(*arguments, "-n"))
        stand_in(project, given.replicates)
        project.snakemake(*arguments, "--touch")
        print("nothing to do:", project.snakemake(*arguments, "-n"))
        said = (project.root / "snakemake.log").read_text()
        if "Nothing to be done" not in said:
            raise SystemExit(f"there was something to do:\n{said[-2000:]}")


if __name__ == "__main__":
    main()
