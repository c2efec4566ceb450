"""Images for the report: what each cell's best start makes of its first replicate's visibilities.

Posterior means and standard deviations are computed once more from the parameters that the study
keeps, and written beside the tables; the page reads that file alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from emlib.errors import EmlibError
from emlib.report.load import Results, rows_of
from emlib.study import files, grid
from emlib.study.arrays import load_npz, save_npz
from emlib.study.case import Case
from emlib.study.tasks import cases_of

Array = NDArray[np.float64]

QUALITY = ("cell_id", "loss", "nrmse")


@dataclass(frozen=True, eq=False)
class Picture:
    """One cell's image or video.

    Attributes
    ----------
    cell_id : str
    frames, deviations : ndarray of shape (n_frames, pixels, pixels)
        Posterior mean and standard deviation, Jy a pixel; one frame of a still image.
    field_of_view : float
        Microarcseconds.
    """

    cell_id: str
    frames: Array
    deviations: Array
    field_of_view: float


@dataclass(frozen=True, eq=False)
class Pictures:
    """All that the pages of images show.

    Attributes
    ----------
    cells : dict of str to Picture
        By ``cell_id``.
    truths : dict of str to Picture
        By dataset; finer pixels, no deviations.
    planes : dict of (str, str) to tuple
        By dataset and missingness: baselines (n, 2) in wavelengths, and which are dropped (n,).
    quality : DataFrame
        One row a fit of an image: ``cell_id``, ``loss`` in nats and ``nrmse``.
    """

    cells: dict[str, Picture]
    truths: dict[str, Picture]
    planes: dict[tuple[str, str], tuple[Array, NDArray[np.bool_]]]
    quality: pd.DataFrame


def has_images(study: Mapping[str, Any]) -> bool:
    """Whether one of the study's models makes images."""
    return any("image" in traits_of(spec) for spec in study["models"].values())


def traits_of(spec: Mapping[str, Any]) -> frozenset[str]:
    """Of a model's family."""
    from emlib.models import FAMILIES

    return frozenset(FAMILIES[spec["family"]].traits)


def kept_fits(
    results: Results, block: grid.Block, trait: str
) -> tuple[dict[int, Case], list[dict[str, Any]]]:
    """What a block's fits saw, by replicate, and the parameters that are kept of them.

    Nothing where the model lacks the trait, or a file cannot be read: the report is built from what
    there is.
    """
    paths, spec = results.paths, results.study["models"][block.model]
    file = paths.block("params", block.dataset, block.missingness, block.model, block.block)
    if trait not in traits_of(spec) or not file.is_file():
        return {}, []
    try:
        return cases_of(paths, spec, block), files.read_table(file).to_pylist()
    except EmlibError:
        return {}, []


def params_of(case: Case, final: Any) -> Any:
    """Kept parameters, as the model reads them."""
    around = case.model.start(case.data, np.ones((case.data.n, 1)))
    return case.model.unheld.unpack(np.array(final), around, "natural")


def write_pictures(results: Results, tables: Mapping[str, pd.DataFrame]) -> None:
    """Write ``tables/pictures.npz``, of the best starts in the table ``replicates``."""
    paths, replicates = results.paths, tables["replicates"]
    wanted = {
        str(row.best_fit): (str(row.cell_id), int(row.replicate)) for row in rows_of(replicates)
    }
    arrays: dict[str, NDArray[Any]] = {}
    for block in grid.planned_blocks(paths.root):
        if block.first != 0:
            continue
        cases, kept = kept_fits(results, block, "image")
        here = [row for row in kept if wanted.get(row["fit_id"], ("", -1))[1] == block.first]
        if not here:
            continue
        case = cases[block.first]
        plane = f"plane/{block.dataset}/{block.missingness}"
        arrays[f"{plane}/uv"] = np.asarray(case.extras["uv"])
        arrays[f"{plane}/dropped"] = np.asarray((np.isnan(case.values) | case.hidden).any(axis=1))
        if case.truth is not None and _truth(case.truth) is not None:
            arrays[f"truth/{block.dataset}/frames"] = _single(_truth(case.truth))
            arrays[f"truth/{block.dataset}/view"] = np.asarray(case.truth["field_of_view"])
        for row in here:
            name = f"cell/{wanted[row['fit_id']][0]}"
            frames, deviations = case.model.pictures(params_of(case, row["final"]), case.data)
            arrays[f"{name}/frames"] = _single(frames)
            arrays[f"{name}/deviations"] = _single(deviations)
            arrays[f"{name}/view"] = np.asarray(case.model.field_of_view)
    save_npz(paths.pictures, arrays | _quality(results, tables["hits"]))


def read_pictures(path: Path) -> Pictures:
    """What ``write_pictures`` wrote."""
    arrays = load_npz(path)
    cells: dict[str, Picture] = {}
    truths: dict[str, Picture] = {}
    planes = {}
    for kind, *names in _entries(arrays):
        stem = "/".join([kind, *names])
        if kind == "plane":
            planes[names[0], names[1]] = arrays[f"{stem}/uv"], arrays[f"{stem}/dropped"]
            continue
        frames = arrays[f"{stem}/frames"].astype(float)
        deviations = arrays.get(f"{stem}/deviations", np.zeros((0, 0, 0))).astype(float)
        picture = Picture(names[0], frames, deviations, float(arrays[f"{stem}/view"]))
        (truths if kind == "truth" else cells)[names[0]] = picture
    columns = {name: arrays[f"quality/{name}"] for name in QUALITY}
    return Pictures(cells, truths, planes, pd.DataFrame(columns))


def _quality(results: Results, hits: pd.DataFrame) -> dict[str, NDArray[Any]]:
    fits = results.fits
    models = results.study["models"]
    models = [name for name, spec in models.items() if "image" in traits_of(spec)]
    chosen = fits["model"].isin(models).to_numpy()
    return {
        "quality/cell_id": fits["cell_id"].astype(str).to_numpy(dtype=np.str_)[chosen],
        "quality/loss": hits["loss"].to_numpy(float)[chosen],
        "quality/nrmse": fits["nrmse"].to_numpy(float)[chosen],
    }


def _entries(arrays: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    stems = {tuple(name.split("/")[:-1]) for name in arrays}
    return iter(sorted(stem for stem in stems if len(stem) > 1))


def _single(numbers: Any) -> NDArray[np.float32]:
    return np.asarray(numbers, dtype=np.float32)


def _truth(truth: Mapping[str, Any]) -> Array | None:
    if "frames" in truth:
        return np.asarray(truth["frames"])
    return np.asarray(truth["image"])[None] if "image" in truth else None
