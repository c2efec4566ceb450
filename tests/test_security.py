"""The whole repository: data is read as data, and code runs from nowhere but allowed plugins."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "emlib").rglob("*.py"))
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")), ROOT / "results" / "README.md"]
FORBIDDEN = {
    *("eval", "exec", "__import__", "pickle.load", "pickle.loads", "pickle.dump", "joblib.load"),
    *("yaml.load", "yaml.unsafe_load", "yaml.full_load", "yaml.load_all", "os.system", "os.popen"),
    *("subprocess.getoutput", "subprocess.getstatusoutput", "marshal.loads", "shelve.open"),
    *("pd.read_pickle", "pandas.read_pickle", "runpy.run_path", "tempfile.mktemp", "os.execv"),
    *("os.execvp", "os.execve", "os.execvpe", "spec.loader.exec_module"),
}
ALLOWED = {
    ("emlib/study/plugins.py", "exec"),  # what require_allowed() has passed
    ("emlib/study/arraytask.py", "os.execv"),  # Snakemake's own command for this job
}


def calls(path):
    """Name and node of each call in a file, as written there."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func), node


def keywords(node):
    return {word.arg: ast.unparse(word.value) for word in node.keywords}


def test_nothing_is_unpickled_evaluated_or_loaded_as_more_than_data():
    found = {
        (str(path.relative_to(ROOT)), name)
        for path in SOURCES
        for name, _ in calls(path)
        if name in FORBIDDEN
    }
    assert found - ALLOWED == set()
    assert ("emlib/study/plugins.py", "exec") in found


def test_arrays_are_loaded_without_pickle():
    loads = [node for path in SOURCES for name, node in calls(path) if name in ("np.load",)]
    assert loads
    assert {keywords(node).get("allow_pickle", "False") for node in loads} == {"False"}


def test_no_command_goes_through_a_shell():
    commands = [
        node
        for path in SOURCES
        for name, node in calls(path)
        if name.startswith(("subprocess.", "asyncio.create_subprocess"))
    ]
    assert commands
    assert [node for node in commands if "shell" in keywords(node)] == []


def test_the_yaml_reader_is_made_of_the_safe_one():
    from emlib.study.yamlfile import _Loader

    tags = {str(tag).removeprefix("tag:yaml.org,2002:") for tag in _Loader.yaml_constructors}
    assert tags == {"bool", "int", "float", "null", "str", "seq", "map", "None"}
    assert _Loader.yaml_multi_constructors == {}


def test_templates_escape_and_mark_nothing_safe():
    pages = (ROOT / "emlib" / "report" / "pages.py").read_text()
    assert "autoescape=True" in pages
    for template in (ROOT / "emlib" / "report" / "templates").iterdir():
        text = template.read_text()
        assert not re.search(r"\|\s*safe\b|autoescape", text), template.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mlflow_s_interface_is_for_this_machine_alone(page):
    lines = re.findall(r"^.*\bmlflow (?:ui|server)\b.*--.*$", page.read_text(), re.MULTILINE)
    assert [line for line in lines if "--host 127.0.0.1" not in line] == []
    assert bool(lines) == (
        page.name in ("README.md", "mlflow.md") and page.parent.name != "results"
    )
