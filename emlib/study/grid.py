"""The grid: a resolved study -> cells (entries), blocks, and the fits of a block. Standard library.

Everything here is sorted by id, so that the order in which the config lists things changes nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from emlib.errors import ConfigError
from emlib.study import identity
from emlib.study.atomic import read_json
from emlib.study.paths import StudyPaths, block_name

Study = Mapping[str, Any]
AXES = ("dataset", "missingness", "model", "init", "algorithm")
MOST_BLOCKS = 1_000_000
"""Each is a job; a plan of more is a slip of the pen, and would fill the memory."""
EARLIER_PLAN = "of an earlier plan"
"""What is said of a block whose files ``planned_digests`` does not know."""


@dataclass(frozen=True)
class Entry:
    """A cell of the grid: the fits that share dataset, missingness, model, init and algorithm."""

    dataset: str
    missingness: str
    model: str
    init: str
    algorithm: str
    starts: int
    cell_id: str
    oracle: bool = False


@dataclass(frozen=True, order=True)
class Block:
    """The replicates ``first <= r < last`` of dataset x missingness x model: one job."""

    dataset: str
    missingness: str
    model: str
    block: int
    first: int
    last: int

    @property
    def replicates(self) -> range:
        return range(self.first, self.last)

    @property
    def key(self) -> str:
        """Its place below each kind's folder."""
        return "/".join((self.dataset, self.missingness, self.model, block_name(self.block)))


class PlannedFit(NamedTuple):
    """One fit of a block."""

    entry: Entry
    replicate: int
    start: int


def load_study(study_dir: Path) -> dict[str, Any]:
    """The resolved study that the head wrote: what every job reads instead of the config file."""
    return read_json(StudyPaths(study_dir).study)


def entries(study: Study) -> list[Entry]:
    """Cells of the study, sorted by id: excluded ones and impossible oracles left out."""
    return [
        _entry(study, dataset, missingness, model, init, algorithm)
        for dataset in sorted(study["datasets"])
        for missingness in sorted(study["missingness"])
        for model in sorted(study["models"])
        for init in sorted(study["inits"])
        for algorithm in sorted(study["algorithms"])
        if not excluded(study, dataset, missingness, model, init, algorithm)
        and not (study["inits"][init]["oracle"] and model not in study["truths"].get(dataset, ()))
    ]


def _entry(
    study: Study, dataset: str, missingness: str, model: str, init: str, algorithm: str
) -> Entry:
    strategy = study["inits"][init]
    return Entry(
        dataset,
        missingness,
        model,
        init,
        algorithm,
        starts=1 if strategy["deterministic"] else study["restarts"],
        oracle=strategy["oracle"],
        cell_id=identity.cell_id(
            study["seed"],
            study["datasets"][dataset],
            study["missingness"][missingness],
            study["models"][model],
            strategy,
            study["algorithms"][algorithm],
        ),
    )


def excluded(study: Study, *ids: str) -> bool:
    """Whether a line of ``exclude`` covers these ids, given in the order of ``AXES``."""
    names = dict(zip(AXES, ids, strict=True))
    return any(
        all(names[axis] in allowed for axis, allowed in line.items()) for line in study["exclude"]
    )


def is_generated(dataset: Mapping[str, Any]) -> bool:
    """Whether a dataset's settings name a generator rather than a table."""
    return "generator" in dataset


def one_data_set(dataset: Mapping[str, Any], mechanism: str) -> bool:
    """Whether all replicates are the same data: a table in which no mechanism hides anything."""
    return mechanism == "none" and not is_generated(dataset)


def blocks(study: Study, block_size: int) -> list[Block]:
    """Blocks of the study: block k holds replicates k B up to (k + 1) B.

    Raises
    ------
    ConfigError
        If there are too many.
    """
    groups = sorted({(entry.dataset, entry.missingness, entry.model) for entry in entries(study)})
    replicates = study["replicates"]
    per_group = -(-replicates // block_size)
    if len(groups) * per_group > MOST_BLOCKS:
        raise ConfigError(
            f"replicates: {replicates:,} in blocks of {block_size:,} are {per_group:,} blocks for "
            f"each of {len(groups)} combinations of dataset, missingness and model; a study has at "
            f"most {MOST_BLOCKS:,} blocks, each a job: see block_size"
        )
    return [
        Block(*group, k, k * block_size, min((k + 1) * block_size, replicates))
        for group in groups
        for k in range(per_group)
    ]


def frozen_block_size(paths: StudyPaths) -> int | None:
    """Block size of the study's first plan; None before it."""
    return int(read_json(paths.blocks)["block_size"]) if paths.blocks.is_file() else None


def planned_blocks(study_dir: Path) -> list[Block]:
    """Blocks of a study that has been planned. Files of other blocks are leftovers: not read."""
    paths = StudyPaths(study_dir)
    study = load_study(study_dir)
    return blocks(study, frozen_block_size(paths) or study["block_size"])


def planned_digests(study_dir: Path) -> dict[str, str]:
    """By the blocks' keys, what their files are planned as; empty before the study's first run.

    Files that were planned otherwise are of an earlier plan, and count as missing.
    """
    with suppress(FileNotFoundError):
        jobs = read_json(StudyPaths(study_dir).jobs)
        return {key: job["fits"] for key, job in jobs["blocks"].items()}
    return {}


def block_cells(study: Study, block: Block) -> list[Entry]:
    """Cells whose fits a block holds."""
    group = (block.dataset, block.missingness, block.model)
    return [e for e in entries(study) if (e.dataset, e.missingness, e.model) == group]


def block_fits(study: Study, block: Block) -> list[PlannedFit]:
    """Fits of a block in plan order: by replicate, then init, then algorithm, then start."""
    cells = block_cells(study, block)
    return [
        PlannedFit(entry, replicate, start)
        for replicate in block.replicates
        for entry in cells
        for start in range(entry.starts)
    ]
