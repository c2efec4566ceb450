"""The shares of cells that a study's masks really hide, from the files that are there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emlib.errors import StoreError
from emlib.study import grid
from emlib.study.arrays import load_npz
from emlib.study.paths import StudyPaths


@dataclass(frozen=True)
class RealizedRate:
    """Means over the replicates whose masks are there.

    Parameters
    ----------
    dataset, missingness : str
        Ids of the study.
    asked : float
        The rate of the config, or of the mask file.
    rate : float
        Share of the observed cells that is hidden.
    columns : dict of str to float
        The same for each column.
    """

    dataset: str
    missingness: str
    asked: float
    rate: float
    columns: dict[str, float]


def realized_rates(study_dir: Path) -> list[RealizedRate]:
    """Realized rates of each dataset and missingness that hides anything, in the plan's order."""
    paths = StudyPaths(study_dir)
    study = grid.load_study(study_dir)
    blocks: dict[tuple[str, str], set[int]] = {}
    for block in grid.planned_blocks(study_dir):
        if study["missingness"][block.missingness]["mechanism"] != "none":
            blocks.setdefault((block.dataset, block.missingness), set()).add(block.block)
    found = []
    for (dataset, missingness), numbers in sorted(blocks.items()):
        whole: list[float] = []
        columns: list[np.ndarray] = []
        names: list[str] = []
        for number in sorted(numbers):
            try:
                masks = load_npz(paths.mask(dataset, missingness, number))
                names = [str(name) for name in load_npz(paths.data(dataset, number))["columns"]]
            except (OSError, StoreError):
                continue
            whole += [float(masks[key]) for key in masks if key.startswith("rate_")]
            columns += [masks[key] for key in masks if key.startswith("rates_")]
        if whole:
            means = np.mean(columns, axis=0)
            found.append(
                RealizedRate(
                    dataset,
                    missingness,
                    float(study["missingness"][missingness]["rate"]),
                    float(np.mean(whole)),
                    dict(zip(names, map(float, means), strict=True)),
                )
            )
    return found
