"""The `data` and `masks` jobs: one block's replicates of a dataset, and which of its cells hide.

Each replicate is drawn from a seed path of its own, so a block's files depend on nothing else.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from emlib.datasets import draw_dataset, draw_mask, draw_truth
from emlib.errors import EmlibError
from emlib.study import grid, identity
from emlib.study.files import load_npz, save_npz
from emlib.study.paths import StudyPaths, block_name


def make_data(study_dir: Path, dataset: str, block: int) -> Path:
    """Draw a block's replicates of a dataset.

    Writes ``values_<r>`` (n, d), ``labels_<r>`` (n,) where known, ``columns`` (d,), and for
    generators ``truth_weights`` (K,), ``truth_means`` (K, d), ``truth_covariances`` (K, d, d).

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EmlibError
        If the study has no such block, or the data cannot be drawn.
    """
    study = grid.load_study(study_dir)
    spec = study["datasets"].get(dataset)
    arrays: dict[str, np.ndarray] = {}
    truth = draw_truth(spec, identity.rng(study["seed"], *identity.parameter_path(spec)))
    for replicate in _replicates(study_dir, dataset, block):
        rng = identity.rng(study["seed"], *identity.row_path(spec, replicate))
        drawn = draw_dataset(spec, row_rng=rng, truth=truth)
        arrays[f"values_{replicate}"] = drawn.values
        if drawn.labels is not None:
            arrays[f"labels_{replicate}"] = drawn.labels
        arrays["columns"] = np.array(drawn.columns, dtype=np.str_)
        for name, value in (drawn.truth or {}).items():
            arrays[f"truth_{name}"] = value
    path = StudyPaths(study_dir).data(dataset, block)
    save_npz(path, arrays)
    return path


def make_masks(study_dir: Path, dataset: str, missingness: str, block: int) -> Path:
    """Draw which cells of a block's replicates are hidden: ``hidden_<r>`` (n, d) of bool.

    Raises
    ------
    EmlibError
        If the study has no such block, or the mechanism cannot hide that share of these data.
    """
    study = grid.load_study(study_dir)
    paths = StudyPaths(study_dir)
    replicates = _replicates(study_dir, dataset, block, missingness)
    spec, holes = study["datasets"][dataset], study["missingness"][missingness]
    data = load_npz(paths.data(dataset, block))
    arrays = {}
    for replicate in replicates:
        arrays[f"hidden_{replicate}"] = draw_mask(
            holes["mechanism"],
            holes["settings"],
            holes["rate"],
            data[f"values_{replicate}"],
            identity.rng(study["seed"], *identity.mask_path(spec, replicate, holes)),
            columns=[str(column) for column in data["columns"]],
        )
    path = paths.mask(dataset, missingness, block)
    save_npz(path, arrays)
    return path


def _replicates(study_dir: Path, dataset: str, block: int, missingness: str | None = None) -> range:
    for planned in grid.planned_blocks(study_dir):
        if (planned.dataset, planned.block) == (dataset, block) and (
            missingness is None or planned.missingness == missingness
        ):
            return planned.replicates
    names: list[Any] = [name for name in (dataset, missingness) if name is not None]
    raise EmlibError(f"{'/'.join([*names, block_name(block)])} is not in the plan of {study_dir}")
