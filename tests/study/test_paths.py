"""Ids become folders: none of them leads out of the study's folder, and no two share one."""

import json

import pytest
import yaml

from emlib.errors import ConfigError, EmlibError
from emlib.study.config import load_config
from emlib.study.paths import StudyPaths
from emlib.study.replay import find_fit
from tests.study.small_study import CONFIG

ESCAPES = [
    *("..", ".", "", "../up", "a/../../up", "/etc", "a/b", "a\\b", "C:x", "~", "$HOME", "-rf"),
    *(".hidden", "a b", "a\nb", "a\0b", "\u0430", "x" * 101, "a\n", "<b>", "*"),
]  # fmt: skip


def written(folder, **changes):
    path = folder / "config.yaml"
    path.write_text(yaml.safe_dump({**CONFIG, **changes}))
    return path


def refused(folder, **changes):
    with pytest.raises(ConfigError) as error:
        load_config(written(folder, **changes))
    return str(error.value)


def test_no_config_holds_a_character_that_ends_a_path(tmp_path):
    assert "a character that no text may hold (NUL" in refused(tmp_path, study="a\0b")


@pytest.mark.parametrize("name", [name for name in ESCAPES if "\0" not in name], ids=repr)
def test_no_id_of_a_config_leads_elsewhere(tmp_path, name):
    assert "is not allowed: it must start with" in refused(tmp_path, study=name)
    for section in ("datasets", "models", "inits", "algorithms"):
        axis = CONFIG.get(section, {"em": None})
        text = refused(tmp_path, **{section: {**axis, name: next(iter(axis.values()))}})
        assert f"config.yaml: {section}: the id" in text
    holes = [{"mechanism": "none"}, {"mechanism": "mcar", "rate": 0.1, "id": name}]
    assert "config.yaml: missingness.1: the id" in refused(tmp_path, missingness=holes)


@pytest.mark.parametrize("name", ESCAPES, ids=repr)
def test_no_path_is_made_of_such_an_id(name):
    paths = StudyPaths("results/s")
    makers = [
        lambda: paths.data(name, 0),
        *(
            lambda make=make, ids=ids: make(*ids, 0)
            for make in (paths.lost, paths.block_lock, paths.log)
            for ids in ((name, "n", "m"), ("d", name, "m"), ("d", "n", name))
        ),
        lambda: paths.search_lock("d", "n", name),
        lambda: paths.mask("d", name, 0),
        lambda: paths.block("fits", "d", "n", name, 0),
    ]
    for make in makers:
        with pytest.raises(EmlibError, match="cannot be the name of a folder"):
            make()


def test_a_study_from_elsewhere_cannot_make_emlib_read_outside_it(tmp_path):
    root = tmp_path / "results" / "s"
    root.mkdir(parents=True)
    study = {**load_config(written(tmp_path)).resolved(), "truths": {}}
    study["datasets"] = {"../../../outside": study["datasets"]["drawn"]}
    (root / "study.json").write_text(json.dumps(study))
    (root / "blocks.json").write_text('{"block_size": 2}')
    with pytest.raises(EmlibError, match=r"outside' cannot be the name of a folder"):
        find_fit("a", tmp_path / "results")


@pytest.mark.parametrize("name", ["store", "Store", "MLflow.db", "mlflow-files", "readme.md"])
def test_names_that_results_uses_itself_are_no_study_s_in_any_case(tmp_path, name):
    assert "is a name that results/ uses itself" in refused(tmp_path, study=name)


def test_ids_that_differ_in_case_alone_would_share_a_folder_on_some_systems(tmp_path):
    models = {"Two": CONFIG["models"]["two"], "two": {**CONFIG["models"]["two"], "n_components": 3}}
    assert "models.two: differs from 'Two' in nothing but case" in refused(tmp_path, models=models)
    holes = [{"mechanism": "mcar", "rate": 0.1, "id": name} for name in ("a", "A")]
    assert "'A-0.1' is already at missingness[0]" in refused(tmp_path, missingness=holes)


def test_an_id_with_its_rate_is_no_longer_than_a_name_may_be(tmp_path):
    long = [{"mechanism": "mcar", "rate": 0.125, "id": "x" * 97}]
    assert "has 103 characters, of at most 100" in refused(tmp_path, missingness=long)
