"""Every config under studies/ is sound, and runs to its report and its runs in MLflow."""

import json
import math
import re
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emlib.datasets.coverage import observe
from emlib.datasets.uvfile import HEADER
from emlib.models import FAMILIES
from emlib.study.checks import checked_study
from emlib.study.files import read_table
from emlib.study.grid import entries, load_study, planned_blocks
from emlib.study.yamlfile import read_yaml
from tests.workflow.project import REPOSITORY, Project

STUDIES = sorted((REPOSITORY / "studies").glob("*.yaml"))
FEW: dict[str, Any] = {
    "replicates": 1,
    "restarts": 1,
    "block_size": 1,
    "reference": {"starts": 2, "e_steps": 200},
    "stopping": {"tol": 1.0e-3, "max_iter": 200},
}
"""What a study is cut down to: everything in it once."""
WHOLE = ("black_hole_quick",)
"""Studies that are small enough as they are."""
SMALL: dict[str, dict[str, Any]] = {
    "gaussian_image": {"cadence": 120},
    "rotating_video": {"n_frames": 5},
}
"""Images of fewer visibilities, by generator; those of a file's coverage are few by themselves."""
SMALL_MODELS: dict[str, dict[str, Any]] = {"rotating_video": {"n_states": 12}}

README = (REPOSITORY / "studies" / "README.md").read_text()


EHT = "data/eht2017_m87"


def at_hand(path: Path, folder: Path) -> Path:
    """The config, or a copy of it that reads made-up visibilities in place of the user's own."""
    text = path.read_text()
    if EHT not in text:
        return path
    for file in re.findall(rf"{EHT}/(\S+)", text):
        (folder / file).write_text(made_up_visibilities())
    copy = folder / path.name
    copy.write_text(text.replace(EHT, str(folder)))
    return copy


def made_up_visibilities() -> str:
    """A file as the EHT's data release has them, of a Gaussian of 0.6 Jy."""
    seen = observe("m87", np.array([12.0, 14.0]))
    rows = [
        f"{time:.4f},{seen.stations[a]},{seen.stations[b]},{u:.1f},{v:.1f},"
        f"{0.6 * np.exp(-((u * u + v * v) / 9e18)):.5f},0.0,{sigma:.5f}"
        for time, (a, b), (u, v), sigma in zip(
            seen.times, seen.baselines, seen.uv, seen.sigmas, strict=True
        )
    ]
    return "\n".join(["#SRC:M87", HEADER, *rows]) + "\n"


def families(study: dict[str, Any]) -> set[str]:
    """Families that a resolved study really fits."""
    return {study["models"][cell.model]["family"] for cell in entries(study)}


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_is_named_after_its_file_and_is_sound(path, tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    study = checked_study(at_hand(path, tmp_path))
    assert study["study"] == path.stem
    assert families(study) == {model["family"] for model in study["models"].values()}
    (line,) = (line for line in README.splitlines() if f"({path.name})" in line)
    assert set(re.findall(r"`(\w+)`", line)) >= families(study) - {"gaussian_mixture"}


def test_every_family_is_in_a_study(tmp_path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    found = set().union(*(families(checked_study(at_hand(path, tmp_path))) for path in STUDIES))
    assert found == set(FAMILIES)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_a_study_runs_to_its_report_and_its_runs_in_mlflow(path: Path, tmp_path: Path, monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    project = Project(tmp_path / "project")
    found = at_hand(path, tmp_path)
    project.config = read_yaml(found, path.name)[0] if path.stem in WHOLE else thinned(found)
    project.write()
    ran = project.snakemake()
    assert ran.code == 0, ran.output

    paths = project.paths
    study = load_study(paths.root)
    rows = [row for block in planned_blocks(paths.root) for row in fits(paths, block)]
    assert {study["models"][row["model"]]["family"] for row in rows} == families(study)
    for row in rows:
        assert row["status"] in ("converged", "max_iter", "degenerate"), row
        assert row["n_parameters"] > 0
    assert json.loads(paths.complete.read_text())
    assert path.stem in paths.report.read_text()
    with sqlite3.connect(paths.database) as database:
        tags = "select count(distinct value) from tags where key = 'emlib.cell_id'"
        (mirrored,) = database.execute(tags).fetchone()
    assert mirrored >= len(entries(study))


def thinned(path: Path) -> dict[str, Any]:
    """A study's config, but for FEW, one dataset a model and the first rate of each mechanism;
    complete data only for a study with a model that takes no other.

    At high rates the two starts of a search may both collapse, which is no fault of the study.
    """
    config = {**read_yaml(path, path.name)[0], **FEW}
    whole = checked_study(path)
    pairs = list(dict.fromkeys((c.model, c.dataset) for c in entries(whole)))
    kept = {
        dataset for model in config["models"] for dataset in [d for m, d in pairs if m == model][:1]
    }
    config["datasets"] = {key: spec for key, spec in config["datasets"].items() if key in kept}
    for spec in config["datasets"].values():
        if "coverage" not in spec:
            spec |= SMALL.get(spec.get("generator"), {})
    for spec in config["models"].values():
        spec |= SMALL_MODELS.get(spec["family"], {})
    gone: set[str] = set()
    if {c.model for c in entries(whole) if c.missingness != "none"} == set(config["models"]):
        gone = {"none"}
        holes = [line for line in config["missingness"] if line["mechanism"] != "none"]
        config["missingness"] = holes
    for line in config.get("missingness", []):
        if isinstance(line.get("rate"), list):
            line["rate"], *others = line["rate"]
            gone |= {f"{line['mechanism']}-{rate:g}" for rate in others}
    assert gone <= set(whole["missingness"])
    excluded = []
    for line in config.get("exclude", []):
        if line.get("missingness") in gone:
            continue
        datasets = line.get("dataset", [])
        left = [d for d in ([datasets] if isinstance(datasets, str) else datasets) if d in kept]
        if left or "dataset" not in line:
            excluded.append({**line, "dataset": left} if left else line)
    return {**config, "exclude": excluded}


def fits(paths, block) -> list[dict[str, Any]]:
    """A block's rows of fits; each replicate has a reference optimum too."""
    where = (block.dataset, block.missingness, block.model, block.block)
    for search in read_table(paths.block("references", *where)).to_pylist():
        assert math.isfinite(search["loglik"]), where
    return read_table(paths.block("fits", *where)).to_pylist()
