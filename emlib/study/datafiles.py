"""The `data` and `masks` jobs: one block's replicates of a dataset, and which of its cells hide.

Each replicate is drawn from a seed path of its own, so a block's files depend on nothing else.
A lock a file is held from reading the study to writing the file: a job that outlived its Snakemake
cannot put what an older study asked for in the place of what the new one does.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from emlib.datasets import Dataset, draw_dataset, draw_mask, draw_truth
from emlib.datasets.dataset import EXTRAS, Truth
from emlib.errors import EmlibError
from emlib.study import grid, identity
from emlib.study.arrays import load_npz, save_npz
from emlib.study.fingerprint import data_fingerprint, require_same
from emlib.study.locks import awaited
from emlib.study.paths import StudyPaths, block_name


def make_data(study_dir: Path, dataset: str, block: int, fingerprint: str | None = None) -> Path:
    """Draw a block's replicates of a dataset.

    Writes ``values_<r>`` (n, d), ``labels_<r>`` (n,) where known, ``columns`` (d,), extras such as
    ``lengths_<r>`` where the dataset has them, and for generators the parameters of their family:
    ``truth_<name>``, or ``truth_<name>.<i>`` where one is a list of arrays.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    EmlibError
        If the study has no such block, the data cannot be drawn, or the code that draws is not
        that of the `fingerprint`.
    """
    paths = StudyPaths(study_dir)
    with awaited(paths.data_lock(dataset, block), f"data {dataset} {block_name(block)}"):
        arrays = _data(study_dir, dataset, block, fingerprint)
        path = paths.data(dataset, block)
        save_npz(path, arrays)
    return path


def _data(
    study_dir: Path, dataset: str, block: int, fingerprint: str | None
) -> dict[str, np.ndarray]:
    study = grid.load_study(study_dir)
    spec = study["datasets"].get(dataset)
    replicates = _replicates(study_dir, dataset, block)
    require_same(data_fingerprint(spec.get("generator")), fingerprint)
    arrays: dict[str, np.ndarray] = {}
    truth = study_truth(study["seed"], spec)
    for replicate in replicates:
        drawn = draw_replicate(study["seed"], spec, replicate, truth)
        arrays[f"values_{replicate}"] = drawn.values
        if drawn.labels is not None:
            arrays[f"labels_{replicate}"] = drawn.labels
        arrays["columns"] = np.array(drawn.columns, dtype=np.str_)
        for name, value in drawn.extras.items():
            arrays[f"{name}_{replicate}"] = value
    return arrays | _truth_arrays(truth or {})


def study_truth(seed: int, spec: Mapping[str, Any]) -> Truth | None:
    """A generator's parameters, the same for all replicates of a study; None for a real table."""
    return draw_truth(spec, identity.rng(seed, *identity.parameter_path(spec)))


def draw_replicate(
    seed: int, spec: Mapping[str, Any], replicate: int, truth: Truth | None
) -> Dataset:
    """One replicate of a study's dataset."""
    return draw_dataset(
        spec, row_rng=identity.rng(seed, *identity.row_path(spec, replicate)), truth=truth
    )


def _truth_arrays(truth: Truth) -> dict[str, np.ndarray]:
    arrays: dict[str, np.ndarray] = {}
    for name, value in truth.items():
        if isinstance(value, list | tuple):
            arrays |= {f"truth_{name}.{i}": np.asarray(item) for i, item in enumerate(value)}
        else:
            arrays[f"truth_{name}"] = np.asarray(value)
    return arrays


def truth_of(arrays: Mapping[str, np.ndarray]) -> Truth | None:
    """The truth that a data file holds; None for a real table."""
    truth: Truth = {}
    for key, array in arrays.items():
        if key.startswith("truth_"):
            name, _, item = key.removeprefix("truth_").partition(".")
            if item:  # in the order in which they were written
                truth.setdefault(name, []).append(array)
            else:
                truth[name] = array
    return truth or None


def extras_of(arrays: Mapping[str, np.ndarray], replicate: int) -> dict[str, np.ndarray]:
    """The extras of a replicate in a data file."""
    keys = {name: f"{name}_{replicate}" for name in EXTRAS}
    return {name: arrays[key] for name, key in keys.items() if key in arrays}


def make_masks(
    study_dir: Path, dataset: str, missingness: str, block: int, fingerprint: str | None = None
) -> Path:
    """Draw which cells of a block's replicates are hidden.

    Writes ``hidden_<r>`` (n, d) of bool, ``rates_<r>`` (d,): the share of each column's observed
    cells that it hides (NaN for a column without any), and ``rate_<r>``, the share of all.

    Raises
    ------
    EmlibError
        If the study has no such block, the mechanism cannot hide that share of these data, or the
        code that draws is not that of the `fingerprint`.
    """
    paths = StudyPaths(study_dir)
    name = f"masks {dataset} {missingness} {block_name(block)}"
    with awaited(paths.mask_lock(dataset, missingness, block), name):
        arrays = _masks(study_dir, dataset, missingness, block, fingerprint)
        path = paths.mask(dataset, missingness, block)
        save_npz(path, arrays)
    return path


def _masks(
    study_dir: Path, dataset: str, missingness: str, block: int, fingerprint: str | None
) -> dict[str, np.ndarray]:
    study = grid.load_study(study_dir)
    replicates = _replicates(study_dir, dataset, block, missingness)
    spec, holes = study["datasets"][dataset], study["missingness"][missingness]
    require_same(data_fingerprint(spec.get("generator")), fingerprint)
    data = load_npz(StudyPaths(study_dir).data(dataset, block))
    arrays = {}
    for replicate in replicates:
        values = data[f"values_{replicate}"]
        hidden = draw_mask(
            holes["mechanism"],
            holes["settings"],
            holes["rate"],
            values,
            identity.rng(study["seed"], *identity.mask_path(spec, replicate, holes)),
            columns=[str(column) for column in data["columns"]],
            extras=extras_of(data, replicate),
        )
        arrays[f"hidden_{replicate}"] = hidden
        observed = (~np.isnan(values)).sum(axis=0)
        shares = hidden.sum(axis=0) / np.maximum(observed, 1)
        arrays[f"rates_{replicate}"] = np.where(observed > 0, shares, np.nan)
        arrays[f"rate_{replicate}"] = np.array(hidden.sum() / max(1, observed.sum()))
    return arrays


def _replicates(study_dir: Path, dataset: str, block: int, missingness: str | None = None) -> range:
    for planned in grid.planned_blocks(study_dir):
        if (planned.dataset, planned.block) == (dataset, block) and (
            missingness is None or planned.missingness == missingness
        ):
            return planned.replicates
    names: list[Any] = [name for name in (dataset, missingness) if name is not None]
    raise EmlibError(f"{'/'.join([*names, block_name(block)])} is not in the plan of {study_dir}")
