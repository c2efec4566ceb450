"""``python -m benchmarks.study``: run the reference study, and say where its CPU seconds went."""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.study.accounting import accounts
from benchmarks.study.project import Project

CONFIG = Path(__file__).with_name("reference.yaml")
FITS_A_REPLICATE = 8 * 5 * 5


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument("--replicates", type=int, default=100, help="200 fits each")
    parser.add_argument("--keep", type=Path, help="run in this folder and leave it there")
    given = parser.parse_args()
    root = given.keep or Path(tempfile.mkdtemp(prefix="study-"))
    project = Project(root)
    warm = ("--config", "study=warm", "replicates=1", "--until", "kernels")
    project.snakemake("--configfile", str(CONFIG), *warm)
    cost = project.snakemake(
        "--configfile", str(CONFIG), "--config", f"replicates={given.replicates}", accounted=True
    )
    parts = accounts(project, "reference", cost.cpu)
    print(f"{given.replicates * FITS_A_REPLICATE:,} fits: {cost.cpu:.1f} CPU s, {cost.wall:.1f} s")
    for kind, seconds in parts.items():
        print(f"{kind}: {sum(seconds.values()):.1f}")
        for name, value in sorted(seconds.items(), key=lambda item: -item[1]):
            print(f"    {value:8.2f}  {name}")
    if given.keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
