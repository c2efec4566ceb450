"""A config that cannot be used: one clear message, a non-zero exit, earlier results untouched.

Here through real Snakemake; tests/study/test_config.py goes through every mistake.
"""

import pytest

TRACES = ("Traceback", "raise ", "CalledProcessError")


def refused(ran, *parts):
    """The run ended in one message with these parts, before any job."""
    assert ran.code != 0
    for part in parts:
        assert part in ran.output, ran.output
    assert "Error in rule" not in ran.output
    assert not [trace for trace in TRACES if trace in ran.output], ran.output


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_every_mistake_is_told_at_once_and_earlier_results_stay(finished_copy):
    project = finished_copy()
    before = contents(project.root / "results")
    project.write(
        replicats=3,
        baseline="kmean",
        missingness=[{"mechanism": "none"}, {"mechanism": "mcar", "rate": 1.0}],
        models={"a/b": {"family": "gaussian_mixture", "n_components": 2}},
    )
    ran = project.snakemake()
    refused(
        ran,
        "config.yaml: replicats: unknown key 'replicats'; did you mean 'replicates'?",
        "config.yaml: baseline: unknown init 'kmean'; did you mean 'kmeans'?",
        "config.yaml: missingness[1].rate: 1.0 is not in [0, 1)",
        "config.yaml: models: the id 'a/b' is not allowed",
    )
    assert contents(project.root / "results") == before


def test_a_config_that_is_not_yaml_is_named_with_its_line(project):
    project.write_text("study: [tiny\nseed: 1\n")
    refused(project.snakemake(), "config.yaml", "line 2")


def test_hooks_cannot_be_left_out(project):
    ran = project.snakemake("--no-hooks")
    assert ran.code == 1
    assert "--no-hooks is not allowed" in ran.output
    assert not project.paths.root.exists()


def test_two_configs_at_once_are_refused_however_they_are_given(project):
    project.write("second.yaml")
    both = project.snakemake("--configfile", "config.yaml", "second.yaml")
    refused(both, "exactly one config file is allowed", "config.yaml", "second.yaml")
    twice = project.snakemake("--configfile", "config.yaml", "--configfile", "second.yaml")
    refused(twice, "exactly one config file is allowed", "--configfile is given twice")


def test_a_config_given_by_name_replaces_the_default_one(project):
    project.write_text("nonsense: true\n")
    project.write("mine.yaml")
    ran = project.snakemake("--configfile", "mine.yaml", "--dry-run")
    assert ran.code == 0, ran.output


def test_values_on_the_command_line_are_checked_like_the_files(project):
    refused(
        project.snakemake("--config", "study=a/b", "replicates=none"),
        "config.yaml: study: the id 'a/b' is not allowed",
        "config.yaml: replicates: 'none' is not a whole number",
    )
    ran = project.snakemake("--config", "study=quick", "replicates=3", "--dry-run")
    assert ran.code == 0, ran.output
    assert "results/quick/fits/drawn/none/two/0002.parquet" in ran.output


def test_results_that_cannot_be_written_are_told_before_any_job(project):
    (project.root / "results").write_text("in the way")
    refused(project.snakemake(), "results: results go here, but it is not a folder")
    assert (project.root / "results").read_text() == "in the way"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is empty"),
        ("x,y\n", "no row"),
        ("x,y\n1,2\n1,two\n3,4\n5,6\n", "two"),
    ],
    ids=["empty", "header only", "text in a numeric column"],
)
def test_a_table_that_cannot_be_read_is_told_before_any_job(project, text, message):
    project.write_text(text, "mine.csv")
    project.write(datasets={"mine": {"csv": "mine.csv"}}, exclude=[])
    refused(project.snakemake(), "config.yaml: datasets.mine:", "mine.csv", message)


def test_a_dry_run_writes_nothing(project):
    ran = project.snakemake("--dry-run")
    assert ran.code == 0, ran.output
    assert not (project.root / "results").exists()
