"""Images of a real, tiny study: what the report keeps of them, and draws."""

import base64
import io
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from matplotlib.image import imread

from emlib.report.build import build_report
from emlib.report.load import load_results
from emlib.report.picture_figures import FIGURES, draw_pictures
from emlib.report.pictures import Picture, Pictures, kept_fits, params_of, read_pictures
from emlib.report.tables import build_tables
from emlib.report.theme import Look, panel_names
from emlib.study.atomic import write_bytes
from emlib.study.grid import load_study, planned_blocks
from emlib.study.paths import StudyPaths
from emlib.study.prepare import prepare
from emlib.study.supervisor import run_block
from tests.report.test_report import Widths
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
    assert [len(name) > 0 for name in tables["rings"]["data_id"]] == [True, False]
    assert np.isnan(tables["rings"]["diameter"].iloc[1])  # too wide to be measured
    look = Look.of(load_study(study.root), tables["cells"])
    drawn = draw_pictures(found, tables["cells"], look, study.figures)
    assert [name for name, svg in drawn.items() if "<svg" in svg] == list(FIGURES)


@pytest.mark.usefixtures("plain")
def test_measures_of_images_have_headings_and_values(study: StudyPaths) -> None:
    text = build_report(study.root).read_text()
    assert all(len(set(widths)) == 1 for widths in Widths(text).tables)
    for words in ("image error (NRMSE)", "image correlation (NCC)", "error of the spot"):
        assert text.count(f'<th scope="col">{words}') >= 1, words
    assert '<th scope="col">ARI' not in text


def made_up(settings: list[tuple[str, str, str, float]]) -> tuple[Pictures, pd.DataFrame, Look]:
    """Flat images of one init: dataset, algorithm, missingness, Jy in all; `sky` has a truth."""
    names = ["dataset", "algorithm", "missingness", "flux"]
    cells = pd.DataFrame(settings, columns=names).assign(model="image", init="a")
    cells["cell_id"] = [f"c{k}" for k in range(len(cells))]
    shown = {
        f"c{k}": Picture(f"c{k}", *2 * [np.full((2, 4, 4), flux / 16)], 100.0)
        for k, flux in enumerate(cells["flux"])
    }
    truth = Picture("sky", np.full((2, 8, 8), 1 / 64), np.zeros((0, 0, 0)), 100.0)
    rows, columns = (list(dict.fromkeys(n)) for n in (panel_names(cells), cells["missingness"]))
    look = Look(["a"], set(), rows, columns, "a", 1e-3)
    quality = pd.DataFrame({"cell_id": [], "loss": [], "nrmse": []})
    return Pictures(shown, {"sky": truth}, {}, quality), cells, look


def texts(svg: str) -> list[str]:
    """Texts of a figure, in the order of drawing."""
    return re.findall(r"<text[^>]*>([^<]*)</text>", svg)


def test_every_row_says_which_setting_it_is_of(tmp_path: Path) -> None:
    settings = [
        ("sky", "em", "none", 1.0),
        ("sky", "em", "half", 1.0),
        ("sky", "squarem", "none", 1.0),
        ("real", "em", "none", 1.0),
    ]
    drawn = draw_pictures(*made_up(settings), tmp_path)
    for name in ("images", "image_deviations", "video_frames"):
        found = texts(drawn[name])
        counts = {text: found.count(text) for text in ("sky", "real", "squarem", "half")}
        above = name == "video_frames"  # the truth has a row of its own
        assert counts == {"sky": 3 + above, "real": 1, "squarem": 1, "half": 1}, name
    assert "truth not known" in texts(drawn["images"])


def brightness(svg: str) -> list[float]:
    """Of the images of one colour in a figure, in order; 0 is black, 1 is white."""
    inlined = re.findall(r"data:image/png;base64,([^\"]+)", svg)
    images = [imread(io.BytesIO(base64.b64decode(text)))[..., :3] for text in inlined]
    return [float(image[0, 0].mean()) for image in images if np.ptp(image, axis=(0, 1)).max() == 0]


def test_images_of_a_dataset_are_on_one_scale_of_colours(tmp_path: Path) -> None:
    settings = [("sky", "em", "none", 2.0), ("sky", "em", "half", 0.5), ("dim", "em", "none", 0.1)]
    drawn = draw_pictures(*made_up(settings), tmp_path)
    truth, most, again, least, other = brightness(drawn["images"])
    assert 0 < least < truth == again < most == other == 1
    most, least, other = brightness(drawn["image_deviations"])
    assert 0 < least < most == other == 1
    frames = brightness(drawn["video_frames"])
    assert frames == 2 * [truth] + 2 * [1.0] + 2 * [least] + 2 * [1.0]


@pytest.mark.parametrize("loss", [[0.0, np.inf], [np.inf, np.inf]])
def test_infinite_losses_stand_at_the_far_edge(tmp_path: Path, loss: list[float]) -> None:
    pictures, cells, look = made_up([("sky", "em", "none", 1.0)])
    quality = pd.DataFrame({"cell_id": "c0", "loss": loss, "nrmse": [0.2, 0.5]})
    drawn = draw_pictures(replace(pictures, quality=quality), cells, look, tmp_path)
    assert "∞" in texts(drawn["quality"])


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
