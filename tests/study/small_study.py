"""A small planned study with its data and masks written: what block jobs start from."""

from pathlib import Path
from typing import Any

import yaml

from emlib.study.atomic import write_json
from emlib.study.datafiles import make_data, make_masks
from emlib.study.grid import planned_blocks
from emlib.study.paths import StudyPaths
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
