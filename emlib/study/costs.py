"""What a study costs: core-seconds of all of it, and what a cluster is asked for one block.

The cost model is stated with every estimate. An E-step on n rows, d columns and K components is
taken to cost a constant plus a rate times n K d^2, one of an image or a video a constant plus a
rate times the entries of its covariances; a fit to take a fixed number of E-steps. Where fits of an
earlier run of the study have been timed, their total calibrates the estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emlib.errors import EmlibError
from emlib.study import grid
from emlib.study.paths import StudyPaths

E_STEPS_PER_FIT = 250
"""Start, climb and polish; the studies of this repository take 160 to 550."""
SECONDS_PER_E_STEP = 2e-4
SECONDS_PER_UNIT = 2e-9
"""Seconds for one row, one component and one squared column."""
SECONDS_PER_ENTRY = 2e-7
"""Seconds for one entry of a covariance of visibilities, or of a frame's states. Seen at 167 to 661
visibilities, and at 40 to 140 states of 10 to 50 frames: 1.5e-7 to 3.5e-7."""
SECONDS_PER_CERTIFICATE = 0.1
"""Beside a fit: it climbs to its optimum once more."""
SECONDS_PER_JOB = 2.0

SAFETY = 3.0
"""Times the estimated seconds is what a block may take on a cluster."""
START_MINUTES = 10
"""On top: a slow file system, kernels to compile for another processor."""
BASE_MB = 1000
"""A block of small data was seen at 600: Snakemake twice, the supervisor, the worker."""
ARRAYS = 16
"""An allowance: so many copies of rows x (columns + components) numbers, or of the covariances of
an image or a video, beside that."""

Group = tuple[str, str, str]
"""Dataset, missingness and model."""


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
            f"a fit and {SECONDS_PER_CERTIFICATE:g} s a certificate (one a data set and model), "
            f"{SECONDS_PER_JOB:g} s a job"
        )
        if self.calibrated_on:
            return f"from {self.calibrated_on} timed fits of an earlier run, {rest}"
        return (
            f"assuming {E_STEPS_PER_FIT} E-steps a fit, each {1e6 * SECONDS_PER_E_STEP:g} us + "
            f"{1e9 * SECONDS_PER_UNIT:g} ns x rows x components x columns^2, of images + "
            f"{1e9 * SECONDS_PER_ENTRY:g} ns x visibilities^2, of videos + "
            f"{1e9 * SECONDS_PER_ENTRY:g} ns x frames x states^2, {rest}"
        )


def estimate(
    study: Mapping[str, Any],
    cells: list[grid.Entry],
    blocks: list[grid.Block],
    paths: StudyPaths,
) -> Estimate:
    """Core-seconds that a study would take if nothing of it were in the store."""
    starts = _starts(cells)
    seconds = {group: _fit_seconds(study, group) for group in starts}
    replicates, searches = study["replicates"], study["reference"]["starts"]
    fits = replicates * sum(number * seconds[group] for group, number in starts.items())
    references = replicates * searches * sum(seconds.values())
    factor, timed = _calibration(paths, seconds)
    certificates = replicates * sum(
        SECONDS_PER_CERTIFICATE + factor * fit for fit in seconds.values()
    )
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
        group: _climbs(study, starts) * _fit_seconds(study, group)
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


def _starts(cells: list[grid.Entry]) -> Counter[Group]:
    """Fits of one replicate of each dataset, missingness and model."""
    fits: Counter[Group] = Counter()
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
    for group, starts in _starts(cells).items():
        climbing = _climbs(study, starts) * _fit_seconds(study, group)
        seconds = max(seconds, size * (climbing + SECONDS_PER_CERTIFICATE))
        megabytes = max(megabytes, 8e-6 * _e_step(study, group)[1] * ARRAYS)
    return {
        "runtime": START_MINUTES + math.ceil(SAFETY * seconds / 60.0),
        "mem_mb": BASE_MB + math.ceil(megabytes),
    }


def _climbs(study: Mapping[str, Any], starts: int) -> int:
    """Of one replicate: fits, the reference search, a certificate."""
    return starts + int(study["reference"]["starts"]) + 1


def _fit_seconds(study: Mapping[str, Any], group: Group) -> float:
    return E_STEPS_PER_FIT * _e_step(study, group)[0]


def _e_step(study: Mapping[str, Any], group: Group) -> tuple[float, float]:
    """Seconds of an E-step, and the numbers of which memory holds ``ARRAYS`` copies."""
    from emlib.datasets import describe_dataset
    from emlib.models import make_model
    from emlib.models.imaging import GaussianImageModel, RotatingVideoModel

    dataset, missingness, name = group
    info, spec = describe_dataset(study["datasets"][dataset]), study["models"][name]
    model = make_model(spec["family"], spec["settings"])
    if isinstance(model, RotatingVideoModel):  # whatever is dropped, each frame has its states
        entries = float(info.n_frames * model.n_states**2)
    elif isinstance(model, GaussianImageModel):
        entries = (info.n * (1.0 - study["missingness"][missingness]["rate"])) ** 2
    else:
        n, d, k = info.n, info.d, model.n_components
        return SECONDS_PER_E_STEP + SECONDS_PER_UNIT * n * d**2 * k, n * (d + k)
    return SECONDS_PER_E_STEP + SECONDS_PER_ENTRY * entries, entries


def _calibration(paths: StudyPaths, seconds: Mapping[Group, float]) -> tuple[float, int]:
    """Measured over estimated seconds of the fits that have been timed, and their number."""
    import pyarrow.compute as pc

    from emlib.study.files import read_table

    measured, expected, timed = 0.0, 0.0, 0
    for path in sorted((paths.root / "timings").glob("*/*/*/*.parquet")):
        dataset, missingness, model, _ = path.parts[-4:]
        if (dataset, missingness, model) not in seconds:
            continue
        try:
            table = read_table(path, ["seconds_init", "seconds_climb", "seconds_polish"])
        except EmlibError:
            continue
        columns = [pc.fill_null(pc.if_else(pc.is_nan(c), 0.0, c), 0.0) for c in table.columns]
        measured += sum(pc.sum(column).as_py() or 0.0 for column in columns)
        expected += table.num_rows * seconds[dataset, missingness, model]
        timed += table.num_rows
    return (measured / expected, timed) if timed and measured > 0 else (1.0, 0)
