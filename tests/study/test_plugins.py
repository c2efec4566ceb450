"""Files of one's own in a config: known everywhere, and part of the identity of their fits."""

import shutil
from pathlib import Path

import pytest

from emlib.errors import ConfigError, EmlibError
from emlib.inits import INITS
from emlib.study.grid import load_study, planned_blocks
from emlib.study.plugins import load_plugins
from emlib.study.prepare import prepare
from emlib.study.tasks import BlockWork
from tests.study.small_study import planned_study

EXAMPLE = Path(__file__).parents[2] / "examples" / "own_init.py"


@pytest.fixture
def own(tmp_path):
    file = tmp_path / "own_init.py"
    shutil.copy(EXAMPLE, file)
    yield file
    INITS.pop("slices", None)


def planned(folder, own):
    inits = {"random": None, "slices": None}
    return planned_study(folder, plugins=[str(own)], inits=inits)


def fingerprints(paths):
    study = load_study(paths.root)
    block = planned_blocks(paths.root)[0]
    work = BlockWork(paths.root, study, block)
    fits = [job for job in work.climbs if job.task.kind == "fit"]
    return {(job.task.row["init"], job.task.row["start"]): job.task.identity for job in fits}, fits


def test_a_study_runs_an_init_of_ones_own(tmp_path, own):
    paths = planned(tmp_path / "a", own)
    _, fits = fingerprints(paths)
    rows = [job.run()["fit"] for job in fits if job.task.row["init"] == "slices"]
    assert {row["status"] for row in rows} == {"converged"}
    assert {row["e_steps_init"] for row in rows} == {1.0}


def test_its_code_is_part_of_the_identity_of_its_own_fits_alone(tmp_path, own, monkeypatch):
    from emlib.study import fingerprint

    before, _ = fingerprints(planned(tmp_path / "a", own))
    own.write_text(own.read_text().replace("0.5 * np.diff", "0.4 * np.diff"))
    for cached in (fingerprint.numerics_fingerprint, fingerprint.component_digest):
        cached.cache_clear()
    fingerprint._imports.cache_clear()
    after, _ = fingerprints(planned(tmp_path / "b", own))
    assert before.keys() == after.keys()
    changed = {init for init, start in before if before[init, start] != after[init, start]}
    assert changed == {"slices"}


def test_every_mistake_names_the_file_and_the_line(tmp_path, own):
    own.write_text(own.read_text().replace("import numpy as np", "import nump as np"))
    with pytest.raises(EmlibError, match=r"own_init.py: line 10: ModuleNotFoundError"):
        load_plugins([own])
    own.write_text("def f(:\n")
    with pytest.raises(EmlibError, match=r"own_init\.py: line 1: SyntaxError"):
        load_plugins([own])
    own.write_text("import sys\nsys.exit(3)\n")
    with pytest.raises(EmlibError, match=r"own_init\.py: line 2: SystemExit: 3"):
        load_plugins([own])
    own.write_text("x = 1\n")
    with pytest.raises(EmlibError, match="defines no class that derives from Init"):
        load_plugins([own])
    with pytest.raises(EmlibError, match=r"none.py: no such file \(relative to"):
        load_plugins([tmp_path / "none.py"])


def test_a_name_that_exists_is_refused(own):
    own.write_text(own.read_text().replace('= "slices"', '= "kmeans"'))
    with pytest.raises(EmlibError, match=r"'kmeans', which emlib\.inits\.centres\.KMeans has"):
        load_plugins([own])
    assert INITS["kmeans"].__module__ == "emlib.inits.centres"


def test_a_plugin_that_cannot_be_read_is_one_of_the_config_s_mistakes(tmp_path):
    config = tmp_path / "config.yaml"
    config.write_text(
        "study: s\nseed: 1\nplugins: [none.py]\n"
        "datasets: {f: {table: faithful}}\n"
        "models: {m: {family: gaussian_mixture, n_components: 2}}\n"
        "inits: {random: , kmean: }\n"
    )
    with pytest.raises(ConfigError) as error:
        prepare(config, results=tmp_path)
    text = str(error.value)
    assert "plugins[0]: none.py: no such file" in text
    assert "'kmean'" in text
