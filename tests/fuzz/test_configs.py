"""Whatever a config says, its study is checked and resolved, or every mistake is told."""

import copy
import json
from contextlib import suppress

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from emlib.errors import ConfigError
from emlib.study.checks import checked_study
from emlib.study.config import parse_overrides
from tests.study.small_study import CONFIG, DRAWN

START = {
    **CONFIG,
    "datasets": {
        "drawn": {**DRAWN, "n": 40},
        "faithful": {"table": "faithful"},
        "own": {"csv": "own.csv", "label": "kind"},
    },
    "missingness": [{"mechanism": "none"}, {"mechanism": "mcar", "rate": [0.1, 0.2], "id": "few"}],
    "inits": {"random": None, "short": {"init": "short_em", "base": "kmeans"}, "truth": None},
    "algorithms": {"em": None, "squarem": None},
    "exclude": [{"dataset": "own", "init": ["short"]}],
    "stopping": {"tol": 1e-3, "gradient": 0.1, "combine": "any"},
    "budget": {"e_steps": 100.0},
    "tracking": {"uri": "https://me:$PASSWORD@host", "runs": "best"},
    "plugins": [],
}
WORDS = [
    *(
        "mcar",
        "mar",
        "mnar",
        "steps",
        "kmeans",
        "short_em",
        "truth",
        "em",
        "squarem",
        "drawn",
        "own",
    ),
    *("faithful", "iris", "gaussian_mixture", "poisson_mixture", "gaussian_hmm", "quadratic"),
    *("full", "diag", "own.csv", "../..", "/", ".", "a\nb", "é", "x" * 200, "1e-3", "", "-"),
]
KEYS = [
    *(*START, "table", "csv", "generator", "family", "init", "base", "algorithm", "mechanism"),
    *("rate", "id", "columns", "label", "covariates", "upper", "sequence", "n", "d", "overlap"),
    *("n_components", "covariance_type", "prior", "settings", "tries", "seconds", "starts", "x.y"),
]
NUMBERS = (
    st.integers(-3, 60)
    | st.floats(-3, 3)
    | st.sampled_from([2**63, -(2**63), 10**400, 1e300, float("inf"), float("nan"), 5e-324])
)
SCALARS = st.none() | st.booleans() | NUMBERS | st.sampled_from(WORDS)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS + WORDS), inner, max_size=3)
    ),
    max_leaves=5,
)


@st.composite
def documents(draw):
    """The study above with one to three places of it replaced, removed, added or moved."""
    document = copy.deepcopy(START)
    for _ in range(draw(st.integers(1, 3))):
        places = [document, *_containers(document)]
        place = draw(st.sampled_from(places))
        if isinstance(place, list):
            key = draw(st.integers(0, len(place)))
            place[key : key + draw(st.integers(0, 1))] = [draw(VALUES)]
        else:
            new = not place or draw(st.integers(0, 4)) == 0
            key = draw(st.sampled_from(KEYS if new else list(place)))
            kind = draw(st.sampled_from(["set", "set", "set", "remove", "copy"]))
            if kind == "remove":
                place.pop(key, None)
            elif kind == "copy":
                place[key] = copy.deepcopy(draw(st.sampled_from(places)))
            else:
                place[key] = draw(SCALARS | VALUES)
    return document


def _containers(value):
    for inner in value.values() if isinstance(value, dict) else value:
        if isinstance(inner, (dict, list)):
            yield inner
            yield from _containers(inner)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("fuzz")
    rows = "".join(f"{i % 7},{i * i % 11},{i % 2}\n" for i in range(30))
    (folder / "own.csv").write_text("a,b,kind\n" + rows)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        yield folder


def resolved(path):
    """The study as its jobs read it, or None; every line of what is wrong names the file."""
    try:
        study = checked_study(path)
    except ConfigError as error:
        wrong = str(error).splitlines()
    else:
        return json.loads(json.dumps(study, allow_nan=False))
    assert [line for line in wrong if not line.startswith("config.yaml: ")] == []
    return None


@pytest.mark.parametrize("number", [2**63, 10**13, 10**400], ids=["2^63", "10^13", "10^400"])
@pytest.mark.parametrize("key", ["n", "d", "n_components"])
def test_a_size_that_nothing_can_hold_is_a_config_error(folder, key, number):
    drawn = {**START["datasets"]["drawn"], key: number}
    document = {**START, "datasets": {**START["datasets"], "drawn": drawn}}
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    assert resolved(folder / "config.yaml") is None


@pytest.mark.parametrize("wrong", [{"a": 1}, ["mcar"], 3, True, 10**39])
def test_a_mechanism_that_is_no_text_is_a_config_error(folder, wrong):
    document = {**START, "missingness": [{"mechanism": wrong, "rate": 0.1}]}
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    assert resolved(folder / "config.yaml") is None


def test_what_the_documents_start_from_is_a_study(folder):
    (folder / "config.yaml").write_text(yaml.safe_dump(START))
    assert set(resolved(folder / "config.yaml")["datasets"]) == {"drawn", "faithful", "own"}


@settings(max_examples=150, deadline=None)
@given(documents())
def test_a_study_with_anything_changed_is_resolved_or_a_config_error(folder, document):
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    resolved(folder / "config.yaml")


@settings(max_examples=100, deadline=None)
@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=6))
def test_any_document_is_resolved_or_a_config_error(folder, document):
    (folder / "config.yaml").write_text(yaml.safe_dump(document))
    resolved(folder / "config.yaml")


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.text(max_size=10) | st.sampled_from(["a={b: 1}", "a=[", "a={b: 2}"]), max_size=3)
)
def test_any_override_is_a_value_or_a_config_error(arguments):
    with suppress(ConfigError):
        assert isinstance(parse_overrides(arguments), dict)
