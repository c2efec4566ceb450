"""`emlib plan`: what a config would run, how long that may take, and how many replicates tell.

The cost model is stated with every estimate. An E-step on n rows, d columns and K components is
taken to cost a constant plus a rate times n K d^2; a fit to take a fixed number of E-steps. Where
fits of an earlier run of the study have been timed, their total calibrates the estimate.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study import components, grid
from emlib.study.atomic import write_json
from emlib.study.checks import checked_study
from emlib.study.config import parse_overrides
from emlib.study.locks import FileLock, LockHeld
from emlib.study.paths import StudyPaths
from emlib.study.prepare import RESULTS, block_size_of, check_writable

E_STEPS_PER_FIT = 250
"""Start, climb and polish; the studies of this repository take 160 to 550."""
SECONDS_PER_E_STEP = 2e-4
SECONDS_PER_UNIT = 2e-9
"""Seconds for one row, one component and one squared column."""
SECONDS_PER_CERTIFICATE = 0.1
SECONDS_PER_JOB = 2.0
HALF_WIDTH = 0.05
Z = 1.959964


@dataclass(frozen=True)
class Estimate:
    """Core-seconds of a study, and what the figure rests on."""

    fits: float
    references: float
    certificates: float
    jobs: float
    calibrated_on: int

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
            f"{1e9 * SECONDS_PER_UNIT:g} ns x rows x components x columns^2, {rest}"
        )


def show_plan(config: Path, values: Iterable[str] = (), resize: bool = False) -> None:
    """Print what a config would run.

    Raises
    ------
    ConfigError
        If the config cannot be used; the text lists every mistake.
    """
    from rich.console import Console

    study = checked_study(config, parse_overrides(list(values)))
    paths = StudyPaths(RESULTS / study["study"])
    check_writable(paths.root)
    if resize:
        freeze_block_size(paths, study["block_size"])
    size, notes = block_size_of(study, paths)
    blocks = grid.blocks(study, size)
    cells = grid.entries(study)
    console = Console(highlight=False, soft_wrap=True)
    for note in notes:
        console.print(note, markup=False)
    _print_axes(console, study, cells)
    _print_totals(console, study, cells, blocks, estimate(study, cells, blocks, paths))


def freeze_block_size(paths: StudyPaths, size: int) -> None:
    """Freeze another block size; the next run assembles the new blocks from the store.

    Raises
    ------
    EmlibError
        If a run of the study is alive.
    """
    lock = FileLock(paths.lock)
    try:
        lock.acquire()
        write_json(paths.blocks, {"block_size": size})
    except LockHeld as error:
        raise EmlibError(
            f"{paths.blocks}: not changed, since the study is running ({error})"
        ) from None


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
    jobs = SECONDS_PER_JOB * n_jobs(blocks)
    return Estimate(factor * fits, factor * references, certificates, jobs, timed)


def n_jobs(blocks: list[grid.Block]) -> int:
    """Jobs of a first run: data, masks, blocks, and kernels, tables, report and mirror."""
    data = {(block.dataset, block.block) for block in blocks}
    masks = {(block.dataset, block.missingness, block.block) for block in blocks}
    return len(data) + len(masks) + len(blocks) + 4


def _fit_seconds(study: Mapping[str, Any], dataset: str, model: str) -> float:
    from emlib.datasets import describe_dataset
    from emlib.models import make_model

    info = describe_dataset(study["datasets"][dataset])
    spec = study["models"][model]
    units = info.n * info.d**2 * make_model(spec["family"], spec["settings"]).n_components
    return E_STEPS_PER_FIT * (SECONDS_PER_E_STEP + SECONDS_PER_UNIT * units)


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


def replicates_needed(half_width: float = HALF_WIDTH, p: float = 0.5) -> int:
    """Replicates for a 95% interval of so many points about a hit probability ``p``."""
    return math.ceil(p * (1.0 - p) * (Z / half_width) ** 2)


def half_width(replicates: int, p: float = 0.5) -> float:
    """Half width of Wilson's 95% interval at ``p`` (Wilson 1927)."""
    spread = math.sqrt(p * (1 - p) / replicates + Z**2 / (4 * replicates**2))
    return Z * spread / (1 + Z**2 / replicates)


def _print_axes(console: Any, study: Mapping[str, Any], cells: list[grid.Entry]) -> None:
    from rich.table import Table

    table = Table(title=f"study {study['study']}: cells on each axis", title_justify="left")
    for name, justify in (("axis", "left"), ("id", "left"), ("cells", "right"), ("fits", "right")):
        table.add_column(name, justify=justify)  # type: ignore[arg-type]
    for axis in grid.AXES:
        count = Counter(getattr(cell, axis) for cell in cells)
        fits: Counter[str] = Counter()
        for cell in cells:
            fits[getattr(cell, axis)] += cell.starts * study["replicates"]
        listed = [key for key in study[components.SECTIONS[axis]] if key in count]
        for i, key in enumerate(listed):
            table.add_row(axis if i == 0 else "", key, str(count[key]), str(fits[key]))
        table.add_section()
    console.print(table)
    oracles = [key for key, init in study["inits"].items() if init["oracle"]]
    planned = {cell.dataset for cell in cells if cell.oracle}
    left_out = [key for key in study["datasets"] if key not in planned]
    if oracles and left_out:
        console.print(
            f"{', '.join(oracles)}: not planned for {', '.join(left_out)}, whose truth is not "
            "known or is no start of a model",
            markup=False,
        )


def _print_totals(
    console: Any,
    study: Mapping[str, Any],
    cells: list[grid.Entry],
    blocks: list[grid.Block],
    cost: Estimate,
) -> None:
    replicates = study["replicates"]
    fits = sum(cell.starts for cell in cells) * replicates
    lines = [
        f"cells       {len(cells)}",
        f"fits        {fits}  ({replicates} replicates, {study['restarts']} restarts)",
        f"jobs        {n_jobs(blocks)}, of which {len(blocks)} blocks of fits",
        f"core-time   about {cost.minutes:.1f} minutes: fits {cost.fits / 60:.1f}, reference "
        f"searches {cost.references / 60:.1f}, certificates {cost.certificates / 60:.1f}, starting "
        f"jobs {cost.jobs / 60:.1f}",
        f"            {cost.basis}",
        f"replicates  {replicates_needed()} would give every hit probability to +-5 points (95%, "
        f"at worst, p = 1/2); {replicates} give +-{100 * half_width(replicates):.0f} points",
        "            Replicates are what counts: restarts of one replicate share its data, and a "
        "real table without holes is one data set, whose replicates differ in their starts alone.",
    ]
    for line in lines:
        console.print(line, markup=False)
