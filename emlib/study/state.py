"""What there is of a study: fits by status and cell, what they say of it, and what is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from emlib.errors import StoreError, some
from emlib.study import grid
from emlib.study.checksums import sound_bytes
from emlib.study.files import planned_as, read_table
from emlib.study.paths import BLOCK_KINDS, SHOWN_BLOCKS, StudyPaths, block_name

STATUSES = (
    "converged",
    "max_iter",
    "budget",
    "timeout",
    "degenerate",
    "decreased",
    "failed",
    "invalid",
    "lost",
)
FAILURES = ("timeout", "decreased", "failed", "invalid", "lost")  # no answers of a comparison

Group = tuple[str, str, str]


class Told(NamedTuple):
    """A fit that did not converge and says why."""

    cell: str
    status: str
    message: str
    fit_id: str


class Ends(NamedTuple):
    """How the fits of one block ended: number by cell and status, what they say of it, and the
    digest that the block was planned as."""

    counts: Counter[tuple[str, str]]
    told: list[Told]
    planned_as: str


@dataclass
class StudyState:
    """What there is of a study.

    Parameters
    ----------
    counts : dict
        Fits by status for each dataset x missingness x model; ``planned`` counts all of them.
    missing : dict
        Blocks of each that are missing: any of their six files is absent or damaged, or they are
        of an earlier plan.
    blocks : int
        Number of all blocks.
    cells : dict
        The same counts for each cell, named ``dataset/missingness/model/init/algorithm``.
    told : list of Told
        Fits that did not converge and say why.
    """

    counts: dict[Group, Counter[str]] = field(default_factory=dict)
    missing: dict[Group, list[str]] = field(default_factory=dict)
    blocks: int = 0
    cells: dict[str, Counter[str]] = field(default_factory=dict)
    told: list[Told] = field(default_factory=list)

    @property
    def total(self) -> Counter[str]:
        return sum(self.counts.values(), Counter())

    @property
    def done(self) -> int:
        """Fits that ended, in blocks that are there."""
        return ended(self.total)

    @property
    def blocks_missing(self) -> int:
        return sum(len(names) for names in self.missing.values())

    @property
    def missing_names(self) -> list[str]:
        """The missing blocks, each ``dataset/missingness/model/block``."""
        groups = sorted(self.missing.items())
        return ["/".join((*group, block)) for group, blocks in groups for block in blocks]


@dataclass(frozen=True)
class Reason:
    """Why some fits did not converge.

    Parameters
    ----------
    status : str
    message : str
        Of the first of them; the others' differ in numbers alone.
    cells : Counter
        Such fits by cell.
    fit_id : str
        Of the first of them.
    """

    status: str
    message: str
    cells: Counter[str]
    fit_id: str


def study_state(study_dir: Path) -> StudyState:
    """Count what there is of a study; files that have not changed since are not read again."""
    paths, state = StudyPaths(study_dir), StudyState()
    study = grid.load_study(study_dir)
    blocks = grid.planned_blocks(study_dir)
    replicates: Counter[Group] = Counter()
    for block in blocks:
        replicates[block.dataset, block.missingness, block.model] += len(block.replicates)
    for entry in grid.entries(study):
        group = (entry.dataset, entry.missingness, entry.model)
        planned = entry.starts * replicates[group]
        state.counts.setdefault(group, Counter())["planned"] += planned
        state.cells["/".join((*group, entry.init, entry.algorithm))] = Counter(planned=planned)
    state.blocks = len(blocks)
    digests = grid.planned_digests(study_dir)
    for block in blocks:
        group = (block.dataset, block.missingness, block.model)
        try:
            ends = _ends(*(_stamped(paths.block(k, *group, block.block)) for k in BLOCK_KINDS))
        except FileNotFoundError:
            state.missing.setdefault(group, []).append(block_name(block.block))
            continue
        except StoreError:
            state.missing.setdefault(group, []).append(f"{block_name(block.block)} (damaged)")
            continue
        if ends.planned_as != digests.get(block.key, ends.planned_as):
            name = f"{block_name(block.block)} ({grid.EARLIER_PLAN})"
            state.missing.setdefault(group, []).append(name)
            continue
        for (cell, status), number in ends.counts.items():
            state.counts[group][status] += number
            state.cells.setdefault(cell, Counter())[status] += number
        state.told += ends.told
    return state


def _stamped(path: Path) -> tuple[Path, int, int]:
    """A file and what tells whether it has changed."""
    stat = path.stat()
    return path, stat.st_mtime_ns, stat.st_size


@cache
def _ends(*files: tuple[Path, int, int]) -> Ends:
    """How the fits of a block ended, from its files in the order of ``BLOCK_KINDS``.

    Raises
    ------
    StoreError
        If one of them is damaged.
    FileNotFoundError
        If one is gone.
    """
    for path, *_ in files:
        sound_bytes(path)
    axes = ["dataset", "missingness", "model", "init", "algorithm"]
    rows = read_table(files[0][0], [*axes, "status", "message", "fit_id"]).to_pylist()
    ends = Ends(Counter(), [], planned_as(files[0][0]))
    for row in rows:
        cell = "/".join(row[axis] for axis in axes)
        ends.counts[cell, row["status"]] += 1
        if row["status"] != "converged" and row["message"]:
            message = row["message"].split("; replay: ")[0]
            ends.told.append(Told(cell, row["status"], message, row["fit_id"]))
    return ends


def ended(count: Counter[str]) -> int:
    """Fits that ended, among counts by status."""
    return count.total() - count["planned"]


def reasons(told: Iterable[Told]) -> list[Reason]:
    """Why fits did not converge; messages that differ in numbers alone are one reason.

    By status, worst first, and by number of fits.
    """
    groups: dict[tuple[str, str], list[Told]] = {}
    for one in told:
        alike = re.sub(r"\d+(\.\d+)?(e[+-]?\d+)?", "0", one.message)
        groups.setdefault((one.status, alike), []).append(one)
    found = [
        Reason(first.status, first.message, Counter(one.cell for one in members), first.fit_id)
        for members in groups.values()
        for first in members[:1]
    ]
    return sorted(found, key=lambda one: (-STATUSES.index(one.status), -one.cells.total()))


def strict_faults(state: StudyState) -> list[str]:
    """What `strict: true` fails a study for, in words."""
    total = state.total
    planned, faults = total["planned"], []
    failed = {status: total[status] for status in FAILURES if total[status]}
    if failed:
        what = ", ".join(f"{number} {status}" for status, number in failed.items())
        faults.append(f"{sum(failed.values())} of {planned} fits failed ({what})")
    if state.done != planned:
        lacking = some(state.missing_names, SHOWN_BLOCKS)
        blocks = f" (missing: {lacking})" if lacking else ""
        faults.append(f"{state.done} of {planned} fits are there{blocks}")
    return faults
