"""Images of a real, tiny study: what the report keeps of them, and draws."""

import base64

import numpy as np
import pytest

from emlib.report.load import load_results
from emlib.report.picture_figures import FIGURES, draw_pictures
from emlib.report.pictures import kept_fits, params_of, read_pictures
from emlib.report.tables import build_tables
from emlib.report.theme import Look
from emlib.study.atomic import write_bytes
from emlib.study.grid import load_study, planned_blocks
from emlib.study.paths import StudyPaths
from emlib.study.prepare import prepare
from emlib.study.supervisor import run_block
from tests.study.small_study import planned_study

SHARED = {"pixels": 8, "hours": [2.0, 3.0]}
CONFIG = {
    "datasets": {
        "still": {
            "generator": "gaussian_image",
            "sky": "ring",
            "size": 110,
            "cadence": 30,
            **SHARED,
        },
        "orbit": {"generator": "rotating_video", "n_frames": 3, **SHARED},
    },
    "missingness": [{"mechanism": "dropped_visibilities", "rate": 0.2}],
    "models": {
        "image": {"family": "gaussian_image", "pixels": 8, "n_bands": 2},
        "video": {"family": "rotating_video", "pixels": 8, "n_states": 5, "held": ["rotation"]},
    },
    "inits": {"power_law": None, "motion": {"lowest": 12.0, "highest": 12.0}},
    "baseline": "power_law",
    "exclude": [
        {"dataset": "still", "model": "video"},
        {"dataset": "orbit", "model": "image"},
        {"model": "image", "init": "motion"},
        {"model": "video", "init": "power_law"},
    ],
    "replicates": 1,
    "restarts": 1,
    "stopping": {"tol": 0.1, "max_iter": 20},
    "reference": {"starts": 1, "e_steps": 20},
}


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> StudyPaths:
    folder = tmp_path_factory.mktemp("sky")
    paths = planned_study(folder, **CONFIG)
    prepared = prepare(folder / "config.yaml", results=folder / "results")
    write_bytes(paths.plan, base64.b64decode(prepared["plan"]))
    for block in planned_blocks(paths.root):
        run_block(paths.root, block.dataset, block.missingness, block.model, block.block)
    return paths


def test_the_report_has_every_cell_beside_its_truth_and_every_figure(study: StudyPaths) -> None:
    tables = build_tables(study.root)
    found = read_pictures(study.pictures)
    assert set(found.cells) == set(load_results(study.root).plan["cell_id"])
    shapes = sorted(picture.frames.shape for picture in found.cells.values())
    assert shapes == [(1, 8, 8), (3, 8, 8)]
    assert all((picture.deviations > 0).all() for picture in found.cells.values())
    assert {name: truth.frames.shape for name, truth in found.truths.items()} == {
        "still": (1, 32, 32), "orbit": (3, 32, 32),
    }  # fmt: skip
    dropped = np.concatenate([dropped for _, dropped in found.planes.values()])
    assert 0 < dropped.sum() < len(dropped)
    assert list(tables["rings"]["init"]) == ["power_law", "(truth)"]
    assert np.isnan(tables["rings"]["diameter"].iloc[1])  # too wide to be measured
    look = Look.of(load_study(study.root), tables["cells"])
    drawn = draw_pictures(found, tables["cells"], look, study.figures)
    assert [name for name, svg in drawn.items() if "<svg" in svg] == list(FIGURES)


def test_a_held_rotation_is_kept_for_the_report(study: StudyPaths) -> None:
    results = load_results(study.root)
    (block,) = [block for block in planned_blocks(study.root) if block.model == "video"]
    cases, (row,) = kept_fits(results, block, "motion")
    assert params_of(cases[0], row["final"]).rotation == 12.0


def test_a_damaged_data_file_costs_its_pictures_and_no_report(study: StudyPaths) -> None:
    file = study.data("still", 0)
    sound = file.read_bytes()
    file.write_bytes(sound[:-9])
    try:
        tables = build_tables(study.root)
    finally:
        file.write_bytes(sound)
    assert list(read_pictures(study.pictures).truths) == ["orbit"]
    assert tables["rings"].empty
