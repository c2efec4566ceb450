"""``python -m benchmarks.study.sweep``: 50,000 fits run to the end through Slurm on this machine.

A Slurm of one node is started for it (``tests/slurm/cluster``) and stopped after it. Printed are
wall seconds, CPU seconds of all Python processes together, jobs, jobs that were tried again, and
how the fits ended. ``python -m benchmarks.study.planning`` plans 1,000,000.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

import pyarrow.compute as pc

from benchmarks.study.accounting import CLIMBS, SEARCHES
from benchmarks.study.project import REPOSITORY, Project
from emlib.study.files import read_tables

CONFIG = Path(__file__).with_name("sweep.yaml")
CLUSTER = REPOSITORY / "tests" / "slurm" / "cluster"
FITS_A_REPLICATE = 2 * 4 * 5 * 2 * 5
SLURM = (
    *("--profile", "profiles/slurm", "--slurm-no-account"),
    *("--slurm-init-seconds-before-status-checks", "5"),
)


@contextmanager
def slurm(cores: int) -> Iterator[None]:
    """A Slurm with so many cores, which what runs inside submits to."""
    folder = Path(tempfile.mkdtemp(prefix="slurm-"))
    before = dict(os.environ)
    os.environ["CPUS"] = str(cores)
    try:
        subprocess.run([CLUSTER, "start", folder], check=True)
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        os.environ["PATH"] = os.pathsep.join([str(folder / "bin"), before["PATH"]])
        yield
    finally:
        subprocess.run([CLUSTER, "stop", folder], check=False)
        os.environ.clear()
        os.environ.update(before)
        shutil.rmtree(folder, ignore_errors=True)


def cpu_seconds(project: Project) -> dict[str, float]:
    """CPU seconds of the run's Python processes: in all, and those of the fits' parts."""
    processes = [json.loads(path.read_text()) for path in project.accounts.glob("process-*.json")]
    workers = [json.loads(path.read_text()) for path in project.accounts.glob("worker-*.json")]
    total = sum(one["own"] for one in processes)
    total += sum(one["children"] for one in processes if one["argv"][1:2] == ["block"])
    table = read_tables(
        sorted((project.root / "results" / "sweep" / "timings").rglob("*.parquet")), "timings"
    )
    parts = {name: float(pc.sum(table[column]).as_py()) for name, column in CLIMBS.items()}
    searches = {name: sum(one[kind] for one in workers) for kind, name in SEARCHES.items()}
    return {"all Python processes": total, **parts, **searches}


def ends(project: Project) -> Counter[str]:
    """Fits by status."""
    files = sorted((project.root / "results" / "sweep" / "fits").rglob("*.parquet"))
    return Counter(read_tables(files, "fits").column("status").to_pylist())


def main() -> None:
    """Print one line a number."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study.sweep", description=__doc__)
    parser.add_argument("--replicates", type=int, default=125, help="400 fits each")
    parser.add_argument("--cores", type=int, default=os.cpu_count(), help="of the node")
    parser.add_argument("--keep", type=Path, help="run in this folder and leave it there")
    given = parser.parse_args()
    project = Project(given.keep or Path(tempfile.mkdtemp(prefix="sweep-")))
    warm = ("--config", "study=warm", "replicates=1", "--until", "kernels")
    project.snakemake("--configfile", str(CONFIG), *warm)
    with slurm(given.cores):
        cost = project.snakemake(
            "--configfile", str(CONFIG), "--config", f"replicates={given.replicates}", *SLURM,
            accounted=True,
        )  # fmt: skip
    log = (project.root / "snakemake.log").read_text()
    fits, asked = ends(project), given.replicates * FITS_A_REPLICATE
    if fits.total() != asked:
        raise SystemExit(f"{fits.total()} fits in the files, of {asked}")
    print(f"{asked:,} fits: {cost.wall:.0f} s of wall time; {datetime.now():%Y-%m-%d %H:%M}")
    for name, seconds in cpu_seconds(project).items():
        print(f"{seconds:8.1f} CPU s  {name}")
    print(f"jobs: {log.count('Finished jobid')} ended, {log.count('restart job')} tried again")
    print("fits: " + ", ".join(f"{count:,} {status}" for status, count in fits.most_common()))
    if given.keep is None:
        shutil.rmtree(project.root)


if __name__ == "__main__":
    main()
