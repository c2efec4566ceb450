"""One command: config file in; blocks, report, figures and MLflow runs out."""

import json
import sqlite3

from emlib.study.files import read_table
from emlib.study.grid import load_study, planned_blocks


def test_one_command_runs_a_study_with_the_default_profile(first_run):
    project, ran = first_run
    assert ran.code == 0, ran.output
    assert "profiles/default" in ran.output
    assert "Fits: 28 converged\nReport: results/tiny/report.html" in ran.output
    for name in ("report.html", "complete.json", "mlflow.json", "plan.parquet", "blocks.json"):
        assert (project.paths.root / name).is_file(), name
    figures = {path.name for path in project.paths.figures.iterdir()}
    assert {"hit_probability.svg", "hit_probability.pdf", "convergence.svg"} <= figures


def test_every_planned_fit_is_a_row(finished):
    plan = read_table(finished.paths.plan).to_pylist()
    rows = 0
    for block in planned_blocks(finished.paths.root):
        path = finished.paths.block(
            "fits", block.dataset, block.missingness, block.model, block.block
        )
        rows += read_table(path).num_rows
    assert rows == sum(cell["fits"] for cell in plan) == 2 * (2 * 5 + 4)
    assert {cell["dataset"] for cell in plan if cell["oracle"]} == {"drawn"}


def test_the_database_holds_one_run_a_cell(finished):
    cells = read_table(finished.paths.plan).num_rows
    with sqlite3.connect(finished.paths.database) as database:
        names = database.execute("select name from experiments").fetchall()
        tags = "select count(distinct value) from tags where key = 'emlib.cell_id'"
        (mirrored,) = database.execute(tags).fetchone()
    assert ("tiny",) in names
    assert mirrored >= cells


def test_a_second_run_has_nothing_to_do(finished):
    ran = finished.snakemake()
    assert ran.code == 0
    assert "Nothing to be done" in ran.output


def test_jobs_read_the_resolved_study_alone(finished):
    study = load_study(finished.paths.root)
    assert study["budget"] == {"e_steps": None, "seconds": None, "hard_seconds": 60.0}
    assert study["truths"] == {"drawn": ["two"]}
    json.dumps(study, allow_nan=False)


def test_status_counts_every_fit_by_how_it_ended(finished):
    ran = finished.emlib("status", "tiny")
    assert ran.code == 0, ran.output
    assert "converged" in ran.output
    assert [line for line in ran.output.splitlines() if "all" in line and "28" in line], ran.output


def test_deleting_the_database_brings_the_mirror_back(finished_copy):
    project = finished_copy()
    project.paths.database.unlink()
    ran = project.snakemake()
    assert ran.code == 0, ran.output
    assert "rule mirror" in ran.output
    assert "rule block" not in ran.output
    assert project.paths.database.is_file()


def test_snakemake_report_carries_the_figures_with_captions(finished):
    page = finished.root / "snakemake-report.html"
    ran = finished.snakemake("--report", page.name)
    assert ran.code == 0, ran.output
    text = page.read_text()
    assert "hit_probability.svg" in text
    assert "Wilson" in text


def test_a_job_that_parses_the_snakefile_again_reads_the_plan_alone(finished_copy):
    project = finished_copy()
    project.write_text("study: tiny\nnonsense: true\n")
    path = project.paths.data("drawn", 0)
    path.unlink()
    ran = project.snakemake(
        "--mode", "subprocess", "--no-hooks", str(path.relative_to(project.root))
    )
    assert ran.code == 0, ran.output
    assert path.is_file()
