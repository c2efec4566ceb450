"""A small planned study with its data and masks written: what block jobs start from."""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import yaml

from emlib.study import files
from emlib.study.atomic import write_json
from emlib.study.datafiles import make_data, make_masks
from emlib.study.grid import AXES, Block, block_fits, load_study, planned_blocks
from emlib.study.paths import BLOCK_KINDS, StudyPaths
from emlib.study.prepare import prepare

DRAWN: dict[str, Any] = {
    "generator": "gaussian_mixture",
    "n": 60,
    "d": 2,
    "n_components": 2,
    "overlap": {"mean": 0.01},
}

CONFIG: dict[str, Any] = {
    "study": "small",
    "seed": 11,
    "datasets": {
        "drawn": DRAWN,
        "faithful": {"table": "faithful"},
    },
    "missingness": [{"mechanism": "none"}, {"mechanism": "mcar", "rate": 0.2}],
    "models": {"two": {"family": "gaussian_mixture", "n_components": 2}},
    "inits": {"random": None, "kmeans": None, "truth": None},
    "replicates": 4,
    "restarts": 2,
    "block_size": 2,
    "reference": {"starts": 5, "e_steps": 1000},
}


def planned_study(folder: Path, **changes: Any) -> StudyPaths:
    """Plan the study above with changes, and draw its data and masks."""
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "config.yaml"
    config.write_text(yaml.safe_dump({**CONFIG, **changes}))
    prepared = prepare(config, results=folder / "results")
    paths = StudyPaths(Path(prepared["root"]))
    write_json(paths.study, prepared["study"])
    write_json(paths.blocks, prepared["blocks"])
    for block in planned_blocks(paths.root):
        make_data(paths.root, block.dataset, block.block)
        make_masks(paths.root, block.dataset, block.missingness, block.block)
    return paths


def write_fits(
    paths: StudyPaths,
    ends: Sequence[tuple[str, str]],
    blocks: Sequence[Block] | None = None,
    planned_as: str = "",
) -> None:
    """Files of a study's blocks (all by default): fits that ended with these statuses, messages.

    Over and over, in the order of the plan; all other numbers are zero.
    """
    study = load_study(paths.root)
    nothing = {field.name: "x" if field.type == "string" else 0 for field in files.SCHEMAS["fits"]}
    for block in planned_blocks(paths.root) if blocks is None else blocks:
        ids = (block.dataset, block.missingness, block.model, block.block)
        rows = [
            {
                **nothing,
                **{axis: getattr(fit.entry, axis) for axis in AXES},
                "status": status,
                "message": message,
            }
            for fit, (status, message) in zip(block_fits(study, block), cycle(ends), strict=False)
        ]
        files.write_table(paths.block("fits", *ids), rows, "fits", planned_as)
        for kind in BLOCK_KINDS[1:]:
            files.write_table(paths.block(kind, *ids), [], kind)
