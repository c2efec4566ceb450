"""The promises of the top-level files: the README runs as it stands, every dependency is pinned."""

import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text()
PINS = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line[0] != "#"]


def pinned() -> dict[str, str]:
    pairs = (pin.split("==") for pin in PINS)
    return {canonicalize_name(name): version for name, version in pairs}


def test_the_library_example_of_the_readme_runs():
    code = re.search(r"```python\n(.*?)```", README, re.DOTALL)
    assert code is not None
    subprocess.run([sys.executable, "-c", code[1]], check=True, cwd=ROOT)


def test_the_readme_has_one_block_that_ci_runs_and_it_sets_up_and_tests():
    blocks = re.findall(r"<!-- [^>]*\.ci/run[^>]* -->\s*```sh\n(.*?)```", README, re.DOTALL)
    assert len(blocks) == 1
    assert "-m venv" in blocks[0]
    assert "-c constraints.txt" in blocks[0]
    assert blocks[0].rstrip().endswith("-m pytest")


def test_the_readme_names_only_files_that_exist():
    links = re.findall(r"\]\((?!https?:)([^)#]+)\)", README)
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_the_page_on_reliability_names_only_tests_that_exist():
    named = re.findall(r"`(tests/[\w/.]+)::(\w+)`", (ROOT / "docs" / "reliability.md").read_text())
    assert len(named) > 15
    missing = [name for file, name in named if f"def {name}(" not in (ROOT / file).read_text()]
    assert missing == []


def test_constraints_are_sorted_exact_pins_without_addresses_or_paths():
    assert all(re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!+-]+", pin) for pin in PINS)
    assert sorted(PINS, key=str.lower) == PINS
    assert "emlib" not in pinned()


@pytest.mark.parametrize("extra", ["", "test", "check"])
def test_every_dependency_that_is_installed_is_pinned(extra: str):
    found, waiting = set(), [("emlib", extra)]
    while waiting:
        name, wanted = waiting.pop()
        try:
            lines = requires(name) or []
        except PackageNotFoundError:
            continue
        for requirement in map(Requirement, lines):
            here = requirement.marker is None or requirement.marker.evaluate({"extra": wanted})
            if here and requirement.name not in found:
                found.add(requirement.name)
                waiting += [(requirement.name, each) for each in ("", *requirement.extras)]
    others = found - {"emlib"}  # one of its extras takes in another
    assert {name for name in others if canonicalize_name(name) not in pinned()} == set()


def test_the_pins_satisfy_what_the_project_asks_for():
    others = [r for r in map(Requirement, requires("emlib") or []) if r.name != "emlib"]
    for requirement in others:
        version = pinned()[canonicalize_name(requirement.name)]
        assert requirement.specifier.contains(version), requirement
