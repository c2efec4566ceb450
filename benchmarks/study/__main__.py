"""``python -m benchmarks.study``: run the reference study, and say where its CPU seconds went.

``--grid peer`` runs the grid of ``by_hand.py`` instead.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from benchmarks.study.accounting import accounts
from benchmarks.study.project import Project

FITS_A_REPLICATE = {"reference": 8 * 5 * 5, "peer": 4 * 5}


def main() -> None:
    """Print one table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.study", description=__doc__)
    parser.add_argument("--replicates", type=int, default=100, help="200 fits each; peer: 20")
    parser.add_argument("--grid", choices=sorted(FITS_A_REPLICATE), default="reference")
    parser.add_argument("--keep", type=Path, help="run in this folder and leave it there")
    given = parser.parse_args()
    root = given.keep or Path(tempfile.mkdtemp(prefix="study-"))
    project = Project(root)
    config = str(Path(__file__).with_name(f"{given.grid}.yaml"))
    warm = ("--config", "study=warm", "replicates=1", "--until", "kernels")
    project.snakemake("--configfile", config, *warm)
    cost = project.snakemake(
        "--configfile", config, "--config", f"replicates={given.replicates}", accounted=True
    )
    parts = accounts(project, given.grid, cost.cpu)
    fits = given.replicates * FITS_A_REPLICATE[given.grid]
    print(f"{fits:,} fits: {cost.cpu:.1f} CPU s, {cost.wall:.1f} s")
    for kind, seconds in parts.items():
        print(f"{kind}: {sum(seconds.values()):.1f}")
        for name, value in sorted(seconds.items(), key=lambda item: -item[1]):
            print(f"    {value:8.2f}  {name}")
    if given.keep is None:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
