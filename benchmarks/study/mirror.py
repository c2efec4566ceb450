"""``python -m benchmarks.study.mirror``: runs a second that the mirror writes into SQLite.

A run has a fit's parameters, numbers and a curve of 100 points. Counted are CPU seconds of the
writing alone, between two databases: one with a run a cell, one with a run a fit besides.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.study.project import Project
from benchmarks.study.synthetic import write_study

REPLICATES = 10
FITS = 40 * REPLICATES
"""The best start of each of 40 cells on each replicate."""


def main() -> None:
    """Print one line."""
    spent = {}
    for runs in ("none", "best"):
        with tempfile.TemporaryDirectory() as folder:
            project = Project(Path(folder))
            write_study(project.root / "results", REPLICATES, REPLICATES, runs, iterations=150.0)
            project.emlib("tables", "results/synthetic")
            spent[runs] = project.emlib("mirror", "results/synthetic").cpu
    seconds = spent["best"] - spent["none"]
    print(f"{FITS} runs in {seconds:.1f} CPU s, {FITS / seconds:.0f} runs/s")
    print(f"start-up, database and 40 runs of cells: {spent['none']:.1f} CPU s")


if __name__ == "__main__":
    main()
