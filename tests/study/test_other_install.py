"""A node whose install is not the head's refuses the job, and leaves no file and no fit behind."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import emlib
from emlib.study.atomic import write_json
from emlib.study.paths import StudyPaths
from emlib.study.prepare import prepare
from tests.study.small_study import CONFIG

BLOCK = ("drawn", "mcar-0.2", "two", "0")


@pytest.fixture(scope="module")
def head(tmp_path_factory):
    """A study as the head planned it, and its jobs."""
    folder = tmp_path_factory.mktemp("head")
    (folder / "config.yaml").write_text(yaml.safe_dump(CONFIG))
    prepared = prepare(folder / "config.yaml", results=folder / "results")
    paths = StudyPaths(Path(prepared["root"]))
    write_json(paths.study, prepared["study"])
    write_json(paths.blocks, prepared["blocks"])
    return paths, prepared["jobs"]


def other_numpy(folder):
    info = folder / "numpy-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy\nVersion: 0.0.1\n")
    return folder


def other_emlib(folder):
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(emlib.__file__).parent, folder / "emlib", ignore=ignored)
    return folder


def edited(file, old, new):
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


def job(paths, install, *arguments):
    """Run one of Snakemake's jobs with another install before this one's."""
    path = "" if install is None else str(install)
    return subprocess.run(
        [sys.executable, "-m", "emlib", arguments[0], str(paths.root), *arguments[1:]],
        cwd=install or paths.root,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )


def draw(paths, jobs, install=None):
    fingerprint = ("--fingerprint", jobs["drawing"]["drawn"])
    yield job(paths, install, "data", "drawn", "0", *fingerprint)
    yield job(paths, install, "masks", "drawn", "mcar-0.2", "0", *fingerprint)


def fit(paths, jobs, install=None):
    planned = jobs["blocks"]["drawn/mcar-0.2/two/0000"]["fingerprint"]
    return job(paths, install, "block", *BLOCK, "--fingerprint", planned)


def refused(ran):
    assert ran.returncode == 1
    assert "the code or its libraries are not those that the run was planned with" in ran.stderr
    assert "Traceback" not in ran.stderr


def test_other_libraries_and_other_code_of_any_component_are_refused(head, tmp_path):
    paths, jobs = head
    numpy = other_numpy(tmp_path / "numpy")
    for ran in draw(paths, jobs, numpy):
        refused(ran)
        assert "numpy 0.0.1" in ran.stderr
    assert not (paths.root / "data").exists()
    for ran in draw(paths, jobs):
        assert ran.returncode == 0, ran.stderr
    refused(fit(paths, jobs, numpy))
    install = other_emlib(tmp_path / "emlib")
    edited(install / "emlib" / "inits" / "centres.py", "import math", "SPARE = 1\nimport math")
    ran = fit(paths, jobs, install)
    refused(ran)
    assert str(install) in ran.stderr
    assert not list(paths.store.glob("*/*/*.journal"))
    assert not (paths.root / "fits").exists()
