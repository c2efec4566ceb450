"""Rings in still images: every replicate's, of each init's best start and of the truth.

An image is recomputed from the parameters that the study keeps, and measured by ``fit_ring``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, fields
from typing import Any

import numpy as np
import pandas as pd

from emlib.errors import InvalidData
from emlib.inference.ring import Ring, fit_ring
from emlib.report.load import Results
from emlib.report.pictures import kept_fits, params_of
from emlib.report.schemas import TABLES
from emlib.report.statistics import mean_and_error
from emlib.study import grid
from emlib.study.case import Case

TRUTH = "(truth)"
SETTING = ["dataset", "missingness", "model"]
SHOWN = ("diameter", "diameter_spread", "width", "orientation", "asymmetry", "central_brightness")


def ring_table(results: Results, replicates: pd.DataFrame) -> pd.DataFrame:
    """One row a cell of a still image and replicate, and one a dataset of its true image.

    `chosen` marks the init with the highest objective on a replicate's data: the loglik's choice.
    Images whose ring `fit_ring` cannot measure have NaN.
    """
    fits = results.fits.iloc[replicates["best"].to_numpy()].set_index("fit_id")
    rows: list[dict[str, Any]] = []
    for block in grid.planned_blocks(results.paths.root):
        axes = {name: getattr(block, name) for name in SETTING}
        cases, kept = kept_fits(results, block, "bands")
        kept = [row for row in kept if row["fit_id"] in fits.index]
        for row in kept:
            fit = fits.loc[row["fit_id"]]
            case = cases[int(fit["replicate"])]
            image = case.model.image(params_of(case, row["final"]), case.data)[0]
            ring = _measured(image, case.model.field_of_view)
            about = {"init": fit["init"], "oracle": bool(fit["oracle"])}
            about |= {name: fit[name] for name in ("replicate", "data_id", "objective")}
            rows.append({**axes, **about, **ring})
        if kept and block.first == 0:
            rows.extend(_true(cases[0], axes))
    table = pd.DataFrame(rows, columns=[n for n in TABLES["rings"].names if n != "chosen"])
    rivals = table["objective"].where(~table["oracle"].astype(bool))
    highest = rivals.groupby([table[name] for name in (*SETTING, "replicate")]).transform("max")
    return table.assign(chosen=(rivals == highest).to_numpy(bool))


def _measured(image: Any, field_of_view: float) -> dict[str, float]:
    try:
        return asdict(fit_ring(np.asarray(image), field_of_view))
    except InvalidData:
        return {field.name: np.nan for field in fields(Ring)}


def _true(case: Case, axes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if case.truth is not None and "image" in case.truth:
        ring = _measured(case.truth["image"], float(case.truth["field_of_view"]))
        about = {"init": TRUTH, "oracle": True, "replicate": 0, "data_id": "", "objective": np.nan}
        yield {**axes, **about, **ring}


def ring_rows(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of the page: the truth, then what the loglik chose, mean and error over replicates.

    Replicates of one data set are no sample of data: their mean has no error.
    """
    out = []
    for setting, rows in table.groupby(SETTING, sort=False):
        name = " · ".join(dict.fromkeys(map(str, setting)))
        for title, part in (
            ("truth", rows[rows["init"] == TRUTH]),
            ("highest loglik", rows[rows["chosen"]].drop_duplicates("replicate")),
        ):
            if len(part):
                inits = part["init"].value_counts()
                chosen = ", ".join(f"{init} {n}" for init, n in inits.items() if init != TRUTH)
                one = len(part) > 1 and part["data_id"].nunique() == 1
                values = [_cell(part[column].to_numpy(float), column, one) for column in SHOWN]
                row = {"setting": name, "what": title, "values": values, "inits": chosen}
                number = f"{len(part)} of one data set" if one else str(len(part))
                out.append(row | {"replicates": number})
    return out


def _cell(values: np.ndarray, column: str, one_data_set: bool) -> str:
    """Mean and standard error of images with a ring; of angles, around their mean direction."""
    values = values[~np.isnan(values)]
    if not len(values):
        return "none"
    if column == "orientation":
        middle = np.degrees(np.angle(np.exp(1j * np.radians(values)).mean())) % 360.0
        values = middle + (values - middle + 180.0) % 360.0 - 180.0
    mean, error, count = mean_and_error(values)
    digits = 2 if column in ("asymmetry", "central_brightness") else 1
    alone = count < 2 or one_data_set
    text = f"{mean:.{digits}f}" if alone else f"{mean:.{digits}f} ± {error:.{digits}f}"
    return text.replace("-", "−")
