"""Every registered init keeps its promises on every family that it claims; breaches are found."""

import textwrap

import pytest
from click.testing import CliRunner

from emlib.cli import main
from emlib.inits import INITS
from emlib.study import small_problems
from emlib.study.init_contract import broken_promises
from emlib.study.small_problems import families_of

# What each line breaks, and the words that `emlib check` has for it.
BREACHES = {
    "np.random.rand()": "draws from a global generator",
    "data.values[:] = np.nan_to_num(data.values)": "changes the data",
    "rng = np.random.default_rng()": "gives two different starts for one seed",
    "params.means[0, 0] = np.nan": "gives parameters that are NaN",
    "params.covariances[:] = 0.0": "gives parameters without an E-step: Degenerate",
    "params.means[0] = data.values[0]": "depends on the order of the rows",
    "e_steps = 0.0": "costs 0.0 E-steps, not a positive number",
    "[model.e_step(params, data) for _ in range(2)]": "says it costs 2 E-steps, and took 4",
    "raise KeyError('k')": "raises KeyError: 'k'",
    "return params": "returns GaussianMixtureParams, not a Start",
}

OWN = '''
"""One init, with one line that breaks a promise."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from emlib.inits import Init, Start, make_init


@dataclass(frozen=True)
class Own(Init):
    """K rows, as points takes them."""

    name: ClassVar[str] = "own"
    holes: ClassVar[str] = "{holes}"
    needs: ClassVar[frozenset[str]] = frozenset({{"classes", "distances"}})

    def __call__(self, model, data, rng):
        if "rng" in "{line}":
            {line}
        params, e_steps = make_init("points")(model, data, rng).params, 1.0
        {line}
        return Start(params, e_steps)
'''


@pytest.fixture
def check(tmp_path, monkeypatch):
    only = {"gaussian_mixture": small_problems.FAMILIES["gaussian_mixture"]}
    monkeypatch.setattr(small_problems, "FAMILIES", only)

    def check(line, holes="adapted"):
        file = tmp_path / "own.py"
        file.write_text(textwrap.dedent(OWN.format(line=line, holes=holes)))
        ran = CliRunner().invoke(main, ["check", str(file)])
        return ran.exit_code, ran.output

    yield check
    INITS.pop("own", None)


BRIEF = {
    "short_em": {"tries": 2, "iterations": 2},
    "best_of": {"tries": 3},
    "cem": {"iterations": 4},
    "sem": {"iterations": 4},
    "hierarchical": {"subset": 300},
    "spectral": {"subset": 300},
}
"""Settings that keep the tests short."""


@pytest.mark.parametrize("name", [name for name in INITS if name != "truth"])
def test_every_init_keeps_its_promises_on_every_family_that_it_claims(name):
    settings = BRIEF.get(name, {})
    assert families_of(INITS[name](**settings))
    assert list(broken_promises(INITS[name], **settings)) == []


@pytest.mark.parametrize("line", BREACHES)
def test_a_broken_promise_is_found_and_told(check, line):
    code, output = check(line)
    assert code == 1
    assert BREACHES[line] in output


def test_a_sound_init_is_told_to_be_one(check):
    code, output = check("pass")
    assert code == 0
    assert output.startswith("own: keeps every promise (holes: adapted; families: gaussian_mixture")


def test_a_wrong_declaration_is_told(check):
    assert "holes: 'maybe' is not one of native, adapted, no" in check("pass", holes="maybe")[1]


def test_an_init_that_grows_faster_than_the_square_of_the_rows_is_told(check):
    line = "sum(range(int(6e4 * (data.n / 1000) ** 4)))"
    assert "slower than n^2" in check(line)[1]


def test_a_file_without_an_init_is_an_error(tmp_path):
    file = tmp_path / "empty.py"
    file.write_text("x = 1\n")
    ran = CliRunner().invoke(main, ["check", str(file)])
    assert ran.exit_code == 1
