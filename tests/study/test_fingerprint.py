"""Fingerprints of numerical code: what changes them, and what must not."""

import inspect
from pathlib import Path

import pytest

from emlib.algorithms import Climb, Stopping, climb
from emlib.inits import INITS
from emlib.models import Model
from emlib.sources import syntax_digest
from emlib.study import fingerprint
from emlib.study.case import Case
from emlib.study.fingerprint import component_digest, init_parts, numerics_fingerprint
from emlib.study.fitting import run_fit
from emlib.study.polish import polish
from emlib.study.reference import run_start
from emlib.study.scores import HiddenCells

CODE = '"""Doc."""\n\n\ndef f(x):\n    """Doc."""\n    return x + 1\n'


@pytest.fixture
def digest_of(tmp_path):
    def digest_of(code):
        path = tmp_path / "module.py"
        path.write_text(code)
        return syntax_digest(path)

    return digest_of


def test_comments_docstrings_and_layout_do_not_count(digest_of):
    other = "# A comment.\ndef f(x):\n    '''Another doc.'''\n\n    return (x\n            + 1)\n"
    assert digest_of(CODE) == digest_of(other)


@pytest.mark.parametrize("code", [CODE.replace("+ 1", "+ 2"), CODE.replace("f(", "g("), ""])
def test_code_counts(digest_of, code):
    assert digest_of(CODE) != digest_of(code)


def files_of(folder, *names):
    modules = fingerprint._closure(fingerprint._modules(folder, *names))
    return {str(path.relative_to(fingerprint.PACKAGE)) for path in modules}


def test_a_family_counts_the_modules_that_it_imports_and_theirs():
    files = files_of("models", "gaussian_mixture")
    wanted = {
        "models/gaussian_mixture.py",
        "models/base.py",
        "kernels/gaussian.py",
        "data/table.py",
    }
    assert wanted <= files


def test_a_registry_does_not_draw_in_every_component():
    files = files_of("inits", "random")
    assert "inits/random.py" in files
    assert not {"inits/__init__.py", "inits/centres.py", "inits/short_em.py"} & files


def test_an_init_that_holds_another_counts_that_one_and_no_third():
    held = init_parts("short_em", {"tries": 5, "base": "segments"})
    assert held == ("segments", "short_em")
    assert "inits/segments.py" in files_of("inits", *held)
    assert "inits/segments.py" not in files_of("inits", *init_parts("short_em"))


def test_the_folder_of_a_plugin_does_not_count(tmp_path):
    places = [tmp_path / "a" / "mine.py", tmp_path / "z" / "mine.py"]
    for path in places:
        path.parent.mkdir()
        path.write_text(CODE)
    inside = fingerprint.PACKAGE / "sources.py"
    assert syntax_digest(inside, places[0]) == syntax_digest(inside, places[1])


def test_an_init_counts_those_that_it_falls_back_on():
    assert init_parts("short_em") == ("short_em",)
    assert {"inits/centres.py", "inits/random.py"} <= files_of("inits", "short_em")


def test_a_new_init_changes_no_other(monkeypatch):
    class Own(INITS["random"]):
        name = "own"

    before = numerics_fingerprint("gaussian_mixture", init_parts("short_em"), "em")
    numerics_fingerprint.cache_clear()
    monkeypatch.setitem(INITS, "own", Own)
    assert numerics_fingerprint("gaussian_mixture", init_parts("short_em"), "em") == before
    assert numerics_fingerprint("gaussian_mixture", init_parts("own"), "em") != before


def test_an_algorithm_counts_those_that_it_is_made_of():
    assert {"algorithms/em.py", "algorithms/incremental.py"} <= files_of("algorithms", "online")
    assert "algorithms/classification.py" in files_of("algorithms", "annealing")
    assert "algorithms/annealing.py" not in files_of("algorithms", "online")
    assert "algorithms/split_merge.py" not in files_of("algorithms", "em")


def test_each_component_has_a_fingerprint_of_its_own():
    assert component_digest("inits", "random") != component_digest("inits", "kmeans")
    family = numerics_fingerprint("gaussian_mixture")
    assert family == numerics_fingerprint("gaussian_mixture")
    assert family != numerics_fingerprint("gaussian_mixture", ("random",), "em")


def test_the_code_that_runs_a_fit_counts_wherever_it_stands(monkeypatch):
    counted = []
    numerics_fingerprint.cache_clear()
    monkeypatch.setattr(fingerprint, "syntax_digest", lambda *paths: counted.extend(paths) or "")
    try:
        numerics_fingerprint("gaussian_mixture")
    finally:
        numerics_fingerprint.cache_clear()
    runs = (Case, HiddenCells, Climb, Stopping, Model, climb, run_fit, polish, run_start)
    assert {Path(inspect.getfile(one)) for one in runs} <= set(counted)


def test_library_versions_count(monkeypatch):
    before = numerics_fingerprint("gaussian_mixture")
    numerics_fingerprint.cache_clear()
    monkeypatch.setattr(fingerprint, "library_versions", lambda: {"numpy": "0"})
    try:
        assert numerics_fingerprint("gaussian_mixture") != before
    finally:
        numerics_fingerprint.cache_clear()
