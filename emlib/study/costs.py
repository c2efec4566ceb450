"""What a study costs: core-seconds of all of it, and what a cluster is asked for one block.

The cost model is stated with every estimate. An E-step on n rows, d columns and K components is
taken to cost a constant plus a rate times n K d^2, or what its family says instead
(``e_step_size``); a fit to take a fixed number of E-steps. Where fits of an earlier run of the
study have been timed, their total calibrates the estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emlib.errors import EmlibError
from emlib.study import grid
from emlib.study.paths import StudyPaths

if TYPE_CHECKING:
    from emlib.models import Model

E_STEPS_PER_FIT = 250
"""Start, climb and polish; the studies of this repository take 160 to 550."""
SECONDS_PER_E_STEP = 2e-4
SECONDS_PER_UNIT = 2e-9
"""Seconds for one row, one component and one squared column."""
SECONDS_PER_CERTIFICATE = 0.1
SECONDS_PER_JOB = 2.0

SAFETY = 3.0
"""Times the estimated seconds is what a block may take on a cluster."""
START_MINUTES = 10
"""On top: a slow file system, kernels to compile for another processor."""
BASE_MB = 1000
"""A block of small data was seen at 600: Snakemake twice, the supervisor, the worker."""
ARRAYS = 16
"""An allowance: so many copies of a model's largest array beside that."""


@dataclass(frozen=True)
class Estimate:
    """Core-seconds of a study, and what the figure rests on."""

    fits: float
    references: float
    certificates: float
    jobs: float
    calibrated_on: int
    factor: float
    """Measured over assumed seconds of the fits that it was calibrated on; 1 without any."""

    @property
    def minutes(self) -> float:
        return (self.fits + self.references + self.certificates + self.jobs) / 60.0

    @property
    def basis(self) -> str:
        rest = (
            f"{SECONDS_PER_CERTIFICATE:g} s a certificate (one a data set and model), "
            f"{SECONDS_PER_JOB:g} s a job"
        )
        if self.calibrated_on:
            return f"from {self.calibrated_on} timed fits of an earlier run, {rest}"
        return (
            f"assuming {E_STEPS_PER_FIT} E-steps a fit, each {1e6 * SECONDS_PER_E_STEP:g} us + "
            f"{1e9 * SECONDS_PER_UNIT:g} ns x rows x components x columns^2 (or what an image "
            f"takes instead), {rest}"
        )


def estimate(
    study: Mapping[str, Any],
    cells: list[grid.Entry],
    blocks: list[grid.Block],
    paths: StudyPaths,
) -> Estimate:
    """Core-seconds that a study would take if nothing of it were in the store."""
    seconds = {
        (cell.dataset, cell.model): _fit_seconds(study, cell.dataset, cell.model) for cell in cells
    }
    fits = sum(
        cell.starts * study["replicates"] * seconds[cell.dataset, cell.model] for cell in cells
    )
    searches = {(cell.dataset, cell.missingness, cell.model) for cell in cells}
    starts = study["reference"]["starts"] * study["replicates"]
    certificates = SECONDS_PER_CERTIFICATE * len(searches) * study["replicates"]
    references = sum(starts * seconds[dataset, model] for dataset, _, model in searches)
    factor, timed = _calibration(paths, seconds)
    jobs = SECONDS_PER_JOB * (sum(jobs_by_rule(study, blocks).values()) - 1)  # `all` runs nothing
    return Estimate(factor * fits, factor * references, certificates, jobs, timed, factor)


def jobs_by_rule(study: Mapping[str, Any], blocks: list[grid.Block]) -> dict[str, int]:
    """Jobs of a first run, as ``snakemake --dry-run`` counts them."""
    counts = {
        "all": 1,
        "block": len(blocks),
        "data": len({(block.dataset, block.block) for block in blocks}),
        "kernels": len({study["models"][block.model]["family"] for block in blocks}),
        "masks": len({(block.dataset, block.missingness, block.block) for block in blocks}),
        "mirror": 1,
        "report": 1,
        "tables": 1,
    }
    return {**counts, "strict": 1} if study["strict"] else counts


def block_seconds(
    study: Mapping[str, Any], cells: list[grid.Entry], blocks: list[grid.Block], factor: float = 1.0
) -> list[float]:
    """Estimated seconds of each block's job; ``factor`` is that of the study's estimate."""
    replicate = {
        group: (starts + study["reference"]["starts"]) * _fit_seconds(study, group[0], group[2])
        for group, starts in _starts(cells).items()
    }
    return [
        SECONDS_PER_JOB
        + len(block.replicates)
        * (
            factor * replicate[block.dataset, block.missingness, block.model]
            + SECONDS_PER_CERTIFICATE
        )
        for block in blocks
    ]


def _starts(cells: list[grid.Entry]) -> Counter[tuple[str, str, str]]:
    """Fits of one replicate of each dataset, missingness and model."""
    fits: Counter[tuple[str, str, str]] = Counter()
    for cell in cells:
        fits[cell.dataset, cell.missingness, cell.model] += cell.starts
    return fits


def job_limits(
    study: Mapping[str, Any], cells: list[grid.Entry], block_size: int
) -> dict[str, int]:
    """What a cluster is asked for each block: ``runtime`` in minutes, ``mem_mb`` in megabytes.

    That of the costliest block for all of them: the tasks of one job array share their limits.
    """
    size = min(block_size, study["replicates"])
    seconds, megabytes = 0.0, 0.0
    for (dataset, _, model), starts in _starts(cells).items():
        n, d, made = _shape(study, dataset, model)
        climbs = (starts + study["reference"]["starts"]) * _fit_seconds(study, dataset, model)
        seconds = max(seconds, size * (climbs + SECONDS_PER_CERTIFICATE))
        megabytes = max(megabytes, 8e-6 * made.e_step_numbers(n, d) * ARRAYS)
    return {
        "runtime": START_MINUTES + math.ceil(SAFETY * seconds / 60.0),
        "mem_mb": BASE_MB + math.ceil(megabytes),
    }


def _fit_seconds(study: Mapping[str, Any], dataset: str, model: str) -> float:
    n, d, made = _shape(study, dataset, model)
    return E_STEPS_PER_FIT * (SECONDS_PER_E_STEP + SECONDS_PER_UNIT * made.e_step_size(n, d))


def _shape(study: Mapping[str, Any], dataset: str, model: str) -> tuple[int, int, Model]:
    """Rows, columns, and the model."""
    from emlib.datasets import describe_dataset
    from emlib.models import make_model

    info = describe_dataset(study["datasets"][dataset])
    spec = study["models"][model]
    return info.n, info.d, make_model(spec["family"], spec["settings"])


def _calibration(paths: StudyPaths, seconds: Mapping[tuple[str, str], float]) -> tuple[float, int]:
    """Measured over estimated seconds of the fits that have been timed, and their number."""
    import pyarrow.compute as pc

    from emlib.study.files import read_table

    measured, expected, timed = 0.0, 0.0, 0
    for path in sorted((paths.root / "timings").glob("*/*/*/*.parquet")):
        dataset, model = path.parts[-4], path.parts[-2]
        if (dataset, model) not in seconds:
            continue
        try:
            table = read_table(path, ["seconds_init", "seconds_climb", "seconds_polish"])
        except EmlibError:
            continue
        columns = [pc.fill_null(pc.if_else(pc.is_nan(c), 0.0, c), 0.0) for c in table.columns]
        measured += sum(pc.sum(column).as_py() or 0.0 for column in columns)
        expected += table.num_rows * seconds[dataset, model]
        timed += table.num_rows
    return (measured / expected, timed) if timed and measured > 0 else (1.0, 0)
