"""The config file: what is accepted, and the message of every mistake."""

import json
from pathlib import Path

import jsonschema
import pytest
import yaml

from emlib.errors import ConfigError
from emlib.study.checks import checked_study
from emlib.study.config import load_config, parse_overrides
from emlib.study.schema import config_schema, schema_text

REPOSITORY = Path(__file__).resolve().parents[2]
SMALL = {
    "study": "small",
    "seed": 1,
    "datasets": {
        "faithful": {"table": "faithful"},
        "drawn": {
            "generator": "gaussian_mixture",
            "n": 50,
            "d": 2,
            "n_components": 2,
            "overlap": {"mean": 0.01},
        },
    },
    "missingness": [{"mechanism": "none"}, {"mechanism": "mcar", "rate": [0.1, 0.3]}],
    "models": {"two": {"family": "gaussian_mixture", "n_components": 2}},
    "inits": {"random": None, "kmeans": None, "truth": None},
}


@pytest.fixture
def write(tmp_path, monkeypatch):
    """Writes config.yaml in the working folder, from text or from changes to a small study."""
    monkeypatch.chdir(tmp_path)

    def write(text=None, **changes):
        path = Path("config.yaml")
        path.write_text(text if text is not None else yaml.safe_dump({**SMALL, **changes}))
        return path

    return write


def message(path, overrides=None):
    with pytest.raises(ConfigError) as caught:
        checked_study(path, overrides)
    return str(caught.value)


def test_every_default_is_filled_in(write):
    study = load_config(write()).resolved()
    assert study["missingness"] == {
        "none": {"mechanism": "none", "rate": 0.0, "settings": {}},
        "mcar-0.1": {"mechanism": "mcar", "rate": 0.1, "settings": {}},
        "mcar-0.3": {"mechanism": "mcar", "rate": 0.3, "settings": {}},
    }
    assert study["models"]["two"]["settings"]["covariance_type"] == "full"
    assert study["inits"]["truth"]["oracle"]
    assert study["inits"]["truth"]["deterministic"]
    assert not study["inits"]["kmeans"]["oracle"]
    assert study["algorithms"] == {"em": {"algorithm": "em", "settings": {}}}
    given = {name: value for name, value in study["stopping"].items() if value is not None}
    assert given == {"tol": 1e-3, "max_iter": 1000, "combine": "any"}
    json.dumps(study, allow_nan=False)


def test_an_id_may_name_another_strategy(write):
    inits = {"random": None, "em30": {"init": "short_em", "tries": 30}}
    resolved = load_config(write(inits=inits)).resolved()["inits"]["em30"]
    assert resolved["init"] == "short_em"
    assert resolved["settings"] == {"tries": 30, "iterations": 5, "base": None}


def test_a_number_in_exponent_form_is_the_number(write):
    text = yaml.safe_dump(SMALL) + "stopping: {tol: 1e-6}\nhit_tolerance: 1E-2\n"
    config = load_config(write(text))
    assert config.stopping.tol == 1e-6
    assert config.hit_tolerance == 1e-2


def test_a_number_in_quotes_is_refused_as_the_text_it_is(write):
    text = yaml.safe_dump(SMALL) + "stopping: {tol: '1e-6'}\n"
    expected = "stopping.tol: '1e-6' is not a number but text; write it without quotes"
    assert expected in message(write(text))


def test_a_whole_number_where_any_number_may_stand_is_the_same_study(write):
    assert load_config(write(budget={"e_steps": 10})) == load_config(
        write(budget={"e_steps": 10.0})
    )


def test_excluding_a_mechanism_excludes_all_its_rates(write):
    path = write(exclude=[{"missingness": "mcar", "dataset": "drawn"}])
    line = load_config(path).resolved()["exclude"][0]
    assert line == {"missingness": ["mcar-0.1", "mcar-0.3"], "dataset": ["drawn"]}


def test_the_truth_is_planned_for_synthetic_data_alone_without_an_error(write):
    assert checked_study(write())["truths"] == {"drawn": ["two"]}


def test_values_on_the_command_line_are_read_as_the_file_is(write):
    overrides = parse_overrides(["stopping={tol: 1e-5}", "replicates=3", "strict=true"])
    config = load_config(write(stopping={"max_iter": 9}), overrides)
    assert config.stopping.tol == 1e-5
    assert config.stopping.max_iter == 9
    assert config.replicates == 3
    assert config.strict


IDENTIFIER = "must start with a letter or digit, and hold only letters, digits and _ . + -"
MISTAKES = {
    "unknown key": (
        {"replicats": 3},
        "replicats: unknown key 'replicats'; did you mean 'replicates'? (allowed: study,",
    ),
    "unknown key inside": (
        {"stopping": {"tols": 1}},
        "stopping.tols: unknown key 'tols'; did you mean 'tol'? (allowed: tol, max_iter, ",
    ),
    "unknown init": (
        {"inits": {"random": None, "kmean": None}},
        "inits.kmean: unknown init 'kmean'; did you mean 'kmeans'?",
    ),
    "unknown init by name": (
        {"inits": {"random": None, "x": {"init": "short_me"}}},
        "inits.x.init: unknown init 'short_me'; did you mean 'short_em'?",
    ),
    "unknown setting of an init": (
        {"inits": {"random": None, "short_em": {"trys": 3}}},
        "inits.short_em.trys: unknown key 'trys'; did you mean 'tries'?",
    ),
    "wrong type of a setting": (
        {"inits": {"random": None, "short_em": {"tries": "many"}}},
        "inits.short_em.tries: 'many' is not a whole number",
    ),
    "impossible value of a setting": (
        {"inits": {"random": None, "short_em": {"tries": 0}}},
        "inits.short_em: tries: 0 is not a positive integer",
    ),
    "unknown family": (
        {"models": {"m": {"family": "gaussian_mixtur", "n_components": 2}}},
        "models.m.family: unknown family 'gaussian_mixtur'; did you mean 'gaussian_mixture'?",
    ),
    "no family": ({"models": {"m": {"n_components": 2}}}, "models.m.family: missing"),
    "no number of components": (
        {"models": {"m": {"family": "gaussian_mixture"}}},
        "models.m.n_components: missing; it has no default",
    ),
    "unknown covariance type": (
        {
            "models": {
                "m": {"family": "gaussian_mixture", "n_components": 2, "covariance_type": "x"}
            }
        },
        "models.m: covariance_type: 'x' is not one of full, tied, diag, spherical",
    ),
    "unknown algorithm": (
        {"algorithms": {"me": None}},
        "algorithms.me: unknown algorithm 'me'; did you mean 'em'? (allowed: em, ",
    ),
    "unknown table": (
        {"datasets": {"x": {"table": "iriss"}}},
        "datasets.x.table: unknown table 'iriss'; did you mean 'iris'?",
    ),
    "no kind of dataset": ({"datasets": {"x": {}}}, "datasets.x: has none of the keys table, csv"),
    "unknown mechanism": (
        {"missingness": [{"mechanism": "mcra", "rate": 0.1}]},
        "missingness[0].mechanism: unknown mechanism 'mcra'; did you mean 'mcar'?",
    ),
    "no rate": ({"missingness": [{"mechanism": "mcar"}]}, "missingness[0].rate: missing"),
    "a rate of one": (
        {"missingness": [{"mechanism": "none"}, {"mechanism": "mcar", "rate": 1.0}]},
        "missingness[1].rate: 1.0 is not in [0, 1)",
    ),
    "one bad rate among good ones": (
        {"missingness": [{"mechanism": "mcar", "rate": [0.1, 1.3]}]},
        "missingness[0].rate[1]: 1.3 is not in [0, 1)",
    ),
    "the same holes twice": (
        {"missingness": [{"mechanism": "mcar", "rate": 0.1}] * 2},
        "missingness[1]: 'mcar-0.1' is already at missingness[0]; give it an `id:`",
    ),
    "the same init under two ids": (
        {"inits": {"random": None, "random_2": {"init": "random"}}},
        "inits.random_2: 'random' has the same settings",
    ),
    "the same holes under two ids": (
        {
            "missingness": [
                {"mechanism": "mcar", "rate": 0.1},
                {"mechanism": "mcar", "rate": 0.1, "id": "other"},
            ]
        },
        "missingness.other-0.1: 'mcar-0.1' has the same settings",
    ),
    "a mechanism that one column makes impossible": (
        {
            "datasets": {"g": {"table": "galaxies"}},
            "missingness": [{"mechanism": "mar", "rate": 0.1}],
        },
        "missingness[0].mechanism: dataset 'g': 'mar' needs at least two columns",
    ),
    "a rate out of reach of mar": (
        {"missingness": [{"mechanism": "mar", "rate": 0.9}]},
        "missingness[0].rate: dataset 'faithful': 0.9",
    ),
    "bursts in rows that are no sequences": (
        {"missingness": [{"mechanism": "blocks", "rate": 0.1}]},
        "missingness[0].mechanism: dataset 'faithful': 'blocks' needs sequences",
    ),
    "a pattern with a column that no dataset has": (
        {"missingness": [{"mechanism": "ampute", "rate": 0.1, "patterns": [["x3"]]}]},
        "missingness[0].patterns: dataset 'drawn': unknown column 'x3'",
    ),
    "a mask file that is not there": (
        {"missingness": [{"mechanism": "file", "path": "holes.csv"}]},
        "missingness[0].path: holes.csv: no such file",
    ),
    "an id with a slash": ({"models": {"a/b": SMALL["models"]["two"]}}, IDENTIFIER),
    "an id that climbs out": ({"study": ".."}, IDENTIFIER),
    "a name that results uses": ({"study": "store"}, "study: 'store' is a name that results/ uses"),
    "text for a number": (
        {"replicates": "three"},
        "replicates: 'three' is not a whole number",
    ),
    "too few": ({"replicates": 0}, "replicates: 0 is not at least 1"),
    "text for a boolean": ({"strict": "no"}, "strict: 'no' is not true or false"),
    "a word that is not among the words": (
        {"keep_params": "some"},
        "keep_params: 'some' is not one of 'best', 'all' or 'none'",
    ),
    "a list for a mapping": (
        {"inits": ["random"]},
        "inits: ['random'] is not a mapping of keys to values",
    ),
    "nothing at all": ({"datasets": {}}, "datasets: empty; at least one is needed"),
    "an unknown baseline": (
        {"baseline": "randon"},
        "baseline: unknown init 'randon'; did you mean 'random'?",
    ),
    "an oracle as baseline": ({"baseline": "truth"}, "baseline: 'truth' starts from the truth"),
    "an unknown axis to exclude": (
        {"exclude": [{"datasets": "faithful"}]},
        "exclude[0].datasets: unknown axis 'datasets'; did you mean 'dataset'?",
    ),
    "an unknown id to exclude": (
        {"exclude": [{"dataset": "faithfull"}]},
        "exclude[0].dataset: unknown dataset 'faithfull'; did you mean 'faithful'?",
    ),
    "everything excluded": (
        {"exclude": [{"model": "two"}]},
        "exclude: every combination is excluded; nothing is left to run",
    ),
    "an infinite setting": (
        {"models": {"t": {"family": "student_mixture", "n_components": 2, "dofs": float("inf")}}},
        "models.t.dofs: inf is not a finite number",
    ),
    "an algorithm that a model is unable to": (
        {"algorithms": {"em": None, "smem": {"algorithm": "split_merge"}}},
        "algorithms.smem: split_merge cannot climb model 'two' (gaussian_mixture): two classes are "
        "merged and a third split, and it has 2; algorithms that can: em (see exclude)",
    ),
    "an algorithm's setting out of range": (
        {"algorithms": {"o": {"algorithm": "online", "alpha": 0.5}}},
        "algorithms.o: alpha: 0.5 is not in (0.5, 1]",
    ),
    "more components than rows": (
        {"models": {"m": {"family": "gaussian_mixture", "n_components": 60}}},
        "models.m: cannot be fitted to dataset 'drawn':",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_what_is_allowed(write, name):
    changes, expected = MISTAKES[name]
    lines = message(write(**changes)).splitlines()
    assert [line for line in lines if line.startswith("config.yaml: ") and expected in line], lines


def test_every_mistake_is_told_at_once(write):
    path = write(
        replicats=3, seed=-1, baseline="x", study="a/b", models={"m": {"family": "x"}}, strict=2
    )
    places = {line.split(": ")[1] for line in message(path).splitlines()}
    assert places == {"replicats", "seed", "baseline", "study", "models.m.family", "strict"}


def test_a_table_that_cannot_be_used_is_told_beside_other_mistakes(write):
    path = write(datasets={"mine": {"csv": "mine.csv"}, "bad": {"csv": 3}}, replicats=3)
    places = {line.split(": ")[1] for line in message(path).splitlines()}
    assert places == {"replicats", "datasets.mine", "datasets.bad.csv"}


TABLES = {
    "no file": (None, "no such file"),
    "empty": ("", "is empty"),
    "header only": ("x,y\n", "no row"),
    "text in a numeric column": ("x,y\n1,2\n2,b\n3,5\n", "'b'"),
    "infinite": ("x,y\n1,2\n2,inf\n3,5\n", "inf"),
    "a constant column": ("x,y\n1,2\n1,3\n1,5\n", "x"),
    "an empty column": ("x,y\n,2\n,3\n,5\n", "x"),
    "fewer rows than components": ("x,y\n1,2\n2,3\n", "cannot be fitted"),
}


@pytest.mark.parametrize("name", TABLES)
def test_a_table_that_cannot_be_used_is_told_with_its_file(write, name):
    content, expected = TABLES[name]
    models = {"three": {"family": "gaussian_mixture", "n_components": 3}}
    path = write(datasets={"mine": {"csv": "mine.csv"}}, models=models)
    if content is not None:
        Path("mine.csv").write_text(content)
    lines = message(path).splitlines()
    assert [line for line in lines if "mine" in line and expected in line], lines


NOT_YAML = {
    "a duplicate key": (yaml.safe_dump(SMALL) + "seed: 2\n", "duplicate key 'seed', first at line"),
    "a duplicate key inside": (
        yaml.safe_dump(SMALL) + "budget: {e_steps: 1, e_steps: 2}\n",
        "duplicate key 'e_steps'",
    ),
    "not YAML": ("study: [x\nseed: 1\n", "line 2, column"),
    "tabs": ("study: x\n\tseed: 1\n", "line 2, column 1: not YAML"),
    "an empty file": ("", "config.yaml: empty"),
    "a list": ("- 1\n", "expected keys and values, found list"),
    "a number as key": ("models: {2: {family: x}}\n", "the key 2 is not text; write it in quotes"),
    "code": ("!!python/object/apply:os.getcwd []", "not YAML"),
}


@pytest.mark.parametrize("name", NOT_YAML)
def test_what_yaml_would_let_slip_by_is_told_with_its_line(write, name):
    text, expected = NOT_YAML[name]
    assert expected in message(write(text))


def test_yes_and_no_are_text_and_a_leading_zero_is_not_octal(write):
    path = write(yaml.safe_dump(SMALL) + "strict: no\nreplicates: 010\n")
    assert "strict: 'no' is not true or false" in message(path)
    assert load_config(write(yaml.safe_dump(SMALL) + "replicates: 010\n")).replicates == 10


def test_a_file_that_is_not_there_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert message(Path("config.yaml")) == "config.yaml: no such file"


def test_a_mask_file_has_the_rate_that_it_marks_and_no_rate_in_its_id(write):
    Path("holes.csv").write_text("waiting,eruptions\n" + 136 * "0,1\n" + 136 * "0,0\n")
    path = write(
        datasets={"faithful": {"table": "faithful"}},
        missingness=[{"mechanism": "file", "path": "holes.csv"}],
        inits={"random": None},
    )
    holes = {"mechanism": "file", "rate": 0.25, "settings": {"path": "holes.csv"}}
    assert checked_study(path)["missingness"] == {"file": holes}


def test_a_mechanism_that_the_grid_never_uses_on_a_dataset_need_not_suit_it(write):
    path = write(
        datasets={"galaxies": {"table": "galaxies"}, "faithful": {"table": "faithful"}},
        missingness=[{"mechanism": "none"}, {"mechanism": "mar", "rate": 0.1}],
        inits={"random": None},
        exclude=[{"dataset": "galaxies", "missingness": "mar"}],
    )
    assert set(checked_study(path)["missingness"]) == {"none", "mar-0.1"}


def test_the_committed_schema_is_current_and_accepts_the_default_study():
    committed = (REPOSITORY / "docs" / "config.schema.json").read_text()
    assert committed == schema_text(), "run: emlib schema > docs/config.schema.json"
    config = yaml.safe_load((REPOSITORY / "config.yaml").read_text())
    jsonschema.validate(config, json.loads(committed))
    first = (REPOSITORY / "config.yaml").read_text().splitlines()[0]
    assert first == "# yaml-language-server: $schema=docs/config.schema.json"


@pytest.mark.parametrize(
    "changes",
    [
        {"replicats": 3},
        {"inits": {"kmean": None}},
        {"inits": {"random": {"tries": 3}}},
        {"missingness": [{"mechanism": "mcar", "rate": 1.0}]},
        {"models": {"m": {"family": "gaussian_mixture"}}},
        {"datasets": {"x": {"table": "iriss"}}},
        {"models": {"m": {"family": "gaussian_image", "resolved": 3.0}}},
        {"models": {"m": {"family": "gaussian_image", "reference": [True]}}},
        {"models": {"m": {"family": "gaussian_image", "held": [1]}}},
    ],
)
def test_the_schema_refuses_what_the_config_refuses(changes, write):
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**SMALL, **changes}, config_schema())
    with pytest.raises(ConfigError):
        checked_study(write(**changes))


@pytest.mark.parametrize("study", ["black_hole", "m87"])
def test_the_schema_accepts_studies_of_images(study):
    config = yaml.safe_load((REPOSITORY / "studies" / f"{study}.yaml").read_text())
    jsonschema.validate(config, config_schema())


def test_the_default_study_is_sound_and_as_large_as_promised():
    study = checked_study(REPOSITORY / "config.yaml")
    kinds = [("table" in spec) for spec in study["datasets"].values()]
    assert kinds.count(True) >= 2
    assert kinds.count(False) >= 2
    assert {m["rate"] for m in study["missingness"].values()} == {0.0, 0.1, 0.3}
    assert set(study["inits"]) == {"random", "points", "kmeans", "kmeans++", "short_em", "truth"}
    assert study["replicates"] >= 20
    assert study["restarts"] > 1
