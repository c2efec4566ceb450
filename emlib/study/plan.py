"""`emlib plan`: what a config would run, how long that may take, and how many replicates tell."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study import components, grid
from emlib.study.atomic import write_json
from emlib.study.checks import checked_study
from emlib.study.config import parse_overrides
from emlib.study.costs import Estimate, block_seconds, estimate, job_limits, jobs_by_rule
from emlib.study.locks import FileLock, LockHeld
from emlib.study.paths import StudyPaths
from emlib.study.prepare import RESULTS, block_size_of, check_writable, mirror_notes
from emlib.study.sweep import read_profile, sweep_lines

HALF_WIDTH = 0.05
Z = 1.959964


def show_plan(
    config: Path,
    values: Iterable[str] = (),
    resize: bool = False,
    profile: Path | None = None,
) -> None:
    """Print what a config would run, and what that costs under a Snakemake profile.

    Raises
    ------
    ConfigError
        If the config cannot be used; the text lists every mistake.
    EmlibError
        If the profile cannot.
    """
    from rich.console import Console

    cluster = None if profile is None else read_profile(profile)
    study = checked_study(config, parse_overrides(list(values)))
    paths = StudyPaths(RESULTS / study["study"])
    check_writable(paths.root)
    if resize:
        freeze_block_size(paths, study["block_size"])
    size, notes = block_size_of(study, paths)
    notes += mirror_notes(study, paths)
    if paths.complete.is_file():
        notes.append(
            f"{paths.root} holds a whole study already; what follows is a run from nothing, and "
            "`snakemake -n` says what is left to do"
        )
    blocks = grid.blocks(study, size)
    cells = grid.entries(study)
    console = Console(highlight=False, soft_wrap=True)
    for note in notes:
        console.print(note, markup=False)
    _print_axes(console, study, cells)
    cost, limits = estimate(study, cells, blocks, paths), job_limits(study, cells, size)
    _print_totals(console, study, cells, blocks, cost, limits)
    if cluster is not None:
        seconds = block_seconds(study, cells, blocks, cost.factor)
        for line in sweep_lines(cluster, jobs_by_rule(study, blocks), seconds, limits):
            console.print(line, markup=False)


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
    limits: Mapping[str, int],
) -> None:
    replicates, jobs = study["replicates"], jobs_by_rule(study, blocks)
    fits = sum(cell.starts for cell in cells) * replicates
    lines = [
        f"cells       {len(cells)}",
        f"fits        {fits}  ({replicates} replicates, {study['restarts']} restarts)",
        f"jobs        {sum(jobs.values())}: {', '.join(f'{n} {rule}' for rule, n in jobs.items())}",
        f"core-time   about {cost.minutes:.1f} minutes: fits {cost.fits / 60:.1f}, reference "
        f"searches {cost.references / 60:.1f}, certificates {cost.certificates / 60:.1f}, starting "
        f"jobs {cost.jobs / 60:.1f}",
        f"            {cost.basis}",
        f"cluster     each block asks for {limits['runtime']} minutes and {limits['mem_mb']} MB, "
        "and for more when it is tried again",
        f"replicates  {replicates_needed()} would give every hit probability to +-5 points (95%, "
        f"at worst, p = 1/2); {replicates} give +-{100 * half_width(replicates):.0f} points",
        "            Replicates are what counts: restarts of one replicate share its data, and a "
        "real table without holes is one data set, whose replicates differ in their starts alone.",
    ]
    for line in lines:
        console.print(line, markup=False)
