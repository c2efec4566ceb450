"""Plugins: nothing of a file runs before it was allowed, and what runs is what was allowed."""

import os
import subprocess
import sys

import pytest

from emlib.errors import ConfigError, EmlibError
from emlib.inits import INITS
from emlib.study import permission
from emlib.study.config import load_config
from emlib.study.grid import load_study, planned_blocks
from emlib.study.permission import NotAllowed, allow
from emlib.study.plugins import load_plugins
from emlib.study.tasks import BlockWork
from tests.study.small_study import planned_study

CODE = """\
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from emlib.inits import INITS, Init

Path("ran").touch()


@dataclass(frozen=True)
class Own(Init):
    name: ClassVar[str] = "own"
    holes: ClassVar[str] = "native"
    deterministic: ClassVar[bool] = False
    needs: ClassVar[frozenset[str]] = frozenset({"classes"})

    def __call__(self, model, data, rng):
        return INITS["random"]()(model, data, rng)
"""


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A working folder with a plugin and a config that names it; nothing is allowed."""
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "own one.py").write_text(CODE)
    (folder / "config.yaml").write_text(
        "study: s\nseed: 1\nplugins: [own one.py]\n"
        "datasets: {f: {table: faithful}}\n"
        "models: {m: {family: gaussian_mixture, n_components: 2}}\n"
        "inits: {random: , own: }\n"
    )
    monkeypatch.chdir(folder)
    monkeypatch.delenv(permission.VARIABLE)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    yield folder
    INITS.pop("own", None)


def emlib(*arguments, **environment):
    command = [sys.executable, "-m", "emlib", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}
    )


def test_a_config_runs_no_code_before_it_is_allowed_and_says_what_to_type(project):
    with pytest.raises(ConfigError) as error:
        load_config(project / "config.yaml")
    (line,) = str(error.value).splitlines()
    assert line.startswith("config.yaml: plugins[0]: own one.py: is code, and is not allowed")
    assert line.endswith("type: emlib allow 'own one.py'")
    assert not (project / "ran").exists()


def test_what_was_allowed_runs_in_every_process_until_it_changes(project):
    assert emlib("plan").returncode == 1
    assert not (project / "ran").exists()
    assert emlib("allow", "own one.py").returncode == 0
    assert emlib("plan").returncode == 0
    assert (project / "ran").exists()
    (project / "own one.py").write_text(CODE + "# changed\n")
    refused = emlib("plan")
    assert refused.returncode == 1
    assert "has changed since" in refused.stderr
    (project / "own one.py").write_text(CODE)
    assert emlib("plan").returncode == 0


def test_the_same_bytes_elsewhere_are_not_allowed_but_a_link_to_the_file_is(project):
    allow(project / "own one.py")
    (project / "copy.py").write_text(CODE)
    (project / "link.py").symlink_to("own one.py")
    with pytest.raises(NotAllowed, match=r"emlib allow copy\.py"):
        load_plugins(["copy.py"])
    assert [own.name for own in load_plugins(["link.py"])] == ["own"]


def test_the_record_lies_outside_the_project(project, tmp_path):
    before = {path.name for path in project.iterdir()}
    allow(project / "own one.py")
    assert {path.name for path in project.iterdir()} == before
    (record,) = (tmp_path / "home" / "emlib" / "allowed").iterdir()
    assert record.read_text() == f"{project / 'own one.py'}\n"


@pytest.mark.parametrize(("value", "code"), [("1", 0), ("0", 1), ("", 1)])
def test_the_environment_variable_allows_if_it_is_1(project, value, code):
    assert emlib("plan", **{permission.VARIABLE: value}).returncode == code
    assert (project / "ran").exists() == (code == 0)


def test_a_job_of_a_study_needs_the_permission_as_well(project):
    allow(project / "own one.py")
    paths = planned_study(project, plugins=["own one.py"], inits={"random": None, "own": None})
    block = planned_blocks(paths.root)[0]
    study = load_study(paths.root)
    BlockWork(paths.root, study, block)
    (project / "own one.py").write_text(CODE + "# changed\n")
    with pytest.raises(NotAllowed):
        BlockWork(paths.root, study, block)


def test_the_bytes_that_were_checked_are_the_bytes_that_run(project, monkeypatch):
    """A file that is swapped after the check, and a cached compilation that somebody left."""
    allow(project / "own one.py")
    checked = permission.require_allowed

    def swap(file, path, code):
        checked(file, path, code)
        path.write_text("raise SystemExit('swapped')\n")

    monkeypatch.setattr("emlib.study.plugins.require_allowed", swap)
    assert [own.name for own in load_plugins(["own one.py"])] == ["own"]
    assert not (project / "__pycache__").exists()


def test_naming_a_file_to_be_checked_is_permission_for_that_run_alone(project):
    load_plugins(["own one.py"], asked=True)
    INITS.pop("own")
    with pytest.raises(NotAllowed):
        load_plugins(["own one.py"])


def test_a_file_that_is_not_there_cannot_be_allowed(project):
    with pytest.raises(EmlibError, match=r"none\.py: no such file"):
        allow(project / "none.py")


def test_a_folder_that_cannot_hold_the_record_is_named(project, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "file"))
    with pytest.raises(EmlibError, match=r"allowed: cannot be written to .*EMLIB_ALLOW_PLUGINS=1"):
        allow(project / "own one.py")
