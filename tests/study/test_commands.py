"""The command line: what it prints, how it fails, and how little it imports."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from emlib.cli import main
from emlib.errors import EmlibError
from emlib.study import costs, files, plan, status
from emlib.study.atomic import read_json, write_json
from emlib.study.grid import load_study, planned_blocks
from emlib.study.locks import FileLock
from emlib.study.state import reasons, study_state
from emlib.study.store import Store, Writer
from tests.study.small_study import CONFIG, planned_study, write_fits


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs ``emlib ...`` in a folder that holds a small study's config."""
    monkeypatch.chdir(tmp_path)
    Path("config.yaml").write_text(yaml.safe_dump(CONFIG))
    return lambda *arguments: CliRunner().invoke(main, list(arguments))


def test_plan_prints_cells_fits_jobs_time_and_replicates_and_writes_nothing(run):
    result = run("plan")
    assert result.exit_code == 0, result.output
    fits = 4 * (2 * 2 * 2 + 2 * 1 + 2 * 2 * 2)
    for part in ("mcar-0.2", "truth", f"fits        {fits}", "jobs        ", "core-time   about"):
        assert part in result.output
    assert "385 would give every hit probability to +-5 points" in result.output
    assert "truth: not planned for faithful" in result.output
    assert not Path("results").exists()


def test_plan_tells_every_mistake_and_fails(run):
    result = run("plan", "--set", "replicates=0", "--set", "baseline=x")
    assert result.exit_code == 1
    assert "config.yaml: replicates: 0 is not at least 1" in result.output
    assert "config.yaml: baseline: unknown init 'x'" in result.output
    assert "Traceback" not in result.output


def test_the_estimate_is_calibrated_on_timed_fits(tmp_path):
    paths = planned_study(tmp_path)
    study = load_study(paths.root)
    cells, blocks = plan.grid.entries(study), planned_blocks(paths.root)
    assumed = plan.estimate(study, cells, blocks, paths)
    assert assumed.calibrated_on == 0
    assert "assuming" in assumed.basis
    row = {
        "fit_id": "a",
        "cell_id": "c",
        "seconds_init": 1.0,
        "seconds_climb": 2.0,
        "seconds_polish": float("nan"),
        "started": 0.0,
        "ended": 3.0,
        "processor": "p",
    }
    files.write_table(paths.block("timings", "faithful", "none", "two", 0), [row] * 5, "timings")
    measured = plan.estimate(study, cells, blocks, paths)
    assert measured.calibrated_on == 5
    per_fit = costs._fit_seconds(study, "faithful", "two")
    assert measured.fits == pytest.approx(assumed.fits * 3.0 / per_fit)


def test_the_half_width_of_385_replicates_is_five_points():
    assert plan.half_width(plan.replicates_needed()) == pytest.approx(0.05, abs=5e-4)


def test_another_block_size_is_not_frozen_while_the_study_runs(run, tmp_path):
    paths = planned_study(tmp_path)
    with FileLock(paths.lock):
        refused = run("plan", "--set", "block_size=4", "--resize")
        assert refused.exit_code == 1
        assert "not changed, since the study is running" in refused.output
    assert run("plan", "--set", "block_size=4", "--resize").exit_code == 0
    assert {block.last - block.first for block in planned_blocks(paths.root)} == {4}


def test_status_counts_fits_by_status_and_names_missing_and_damaged_blocks(tmp_path):
    paths = planned_study(tmp_path)
    write_fits(paths, [("converged", ""), ("degenerate", "")])
    paths.block("curves", "faithful", "none", "two", 1).unlink()
    paths.block("fits", "drawn", "none", "two", 0).write_bytes(b"damaged")
    paths.block("params", "drawn", "none", "two", 1).write_bytes(b"damaged")
    state = study_state(paths.root)
    counts = state.counts["drawn", "mcar-0.2", "two"]
    assert counts == {"planned": 20, "converged": 10, "degenerate": 10}
    assert state.missing == {
        ("faithful", "none", "two"): ["0001"],
        ("drawn", "none", "two"): ["0000 (damaged)", "0001 (damaged)"],
    }


def test_files_of_an_earlier_plan_are_missing(tmp_path):
    paths = planned_study(tmp_path)
    write_fits(paths, [("converged", "")], planned_as="abc")
    digests = {block.key: {"fits": "abc"} for block in planned_blocks(paths.root)}
    write_json(paths.jobs, {"blocks": digests})
    assert study_state(paths.root).missing == {}
    write_json(paths.jobs, {"blocks": {**digests, "faithful/none/two/0001": {"fits": "def"}}})
    missing = study_state(paths.root).missing
    assert missing == {("faithful", "none", "two"): ["0001 (of an earlier plan)"]}


STEERING = "killed \x1b[2J\u202egnp"
"""A message that would clear a terminal and turn its line round."""


def test_status_groups_why_fits_did_not_converge_and_says_the_size_of_the_store(run, tmp_path):
    paths = planned_study(tmp_path)
    texts = [f"component {k} collapsed (ratio {k}.5e-11)" for k in range(7)]
    ends = [("converged", ""), *(("degenerate", text) for text in texts)]
    replay = "; replay: emlib replay 0123"
    write_fits(paths, [*ends, ("failed", f"ValueError: singular{replay}"), ("lost", STEERING)])
    found = reasons(study_state(paths.root).told)
    assert [(one.status, one.message) for one in found] == [
        ("lost", STEERING),
        ("failed", "ValueError: singular"),
        ("degenerate", texts[0]),
    ]
    total = study_state(paths.root).total
    assert [one.cells.total() for one in found] == [total[one.status] for one in found]
    with Writer(Store(paths.store)) as writer:
        writer.append("ab" * 16, ("a", bytes(3_000_000)))
    result = run("status", "small")
    assert result.exit_code == 0, result.output
    cell = "drawn/mcar-0.2/two/kmeans/em"
    shown = r"killed \x1b[2J\u202egnp"
    for part in ("ValueError: singular", cell, "and 7 more", "3.0 MB in 1 journals", shown):
        assert part in result.output
    assert not {"\x1b", "\u202e"} & set(result.output)
    assert (
        "cells: 0 with all fits converged, 10 with some that did not, 0 not yet whole"
        in result.output
    )


@pytest.mark.parametrize("end", ["timeout", "decreased", "failed", "invalid", "lost"])
def test_a_strict_study_fails_if_a_fit_failed(tmp_path, end):
    paths = planned_study(tmp_path)
    write_fits(paths, [("converged", ""), (end, ""), ("budget", "")])
    with pytest.raises(EmlibError, match=rf"strict: 24 of 72 fits failed \(24 {end}\)"):
        status.check_strict(paths.root, tmp_path / "strict.json")
    assert not (tmp_path / "strict.json").exists()


def test_a_strict_study_takes_fits_that_ran_out_or_ended_degenerate(tmp_path):
    paths = planned_study(tmp_path)
    write_fits(paths, [(end, "") for end in ("converged", "max_iter", "budget", "degenerate")])
    status.check_strict(paths.root, tmp_path / "strict.json")
    assert read_json(tmp_path / "strict.json") == {"fits": 72, "converged": 20}


def test_a_strict_study_fails_if_a_block_was_damaged_meanwhile(tmp_path):
    paths = planned_study(tmp_path)
    write_fits(paths, [("converged", "")])
    ids = ("drawn", "mcar-0.2", "two", 1)
    file = paths.block("curves", *ids)
    file.write_bytes(file.read_bytes()[:-1])
    words = r"strict: 62 of 72 fits are there \(missing: drawn/mcar-0\.2/two/0001 \(damaged\)\)"
    with pytest.raises(EmlibError, match=words):
        status.check_strict(paths.root, tmp_path / "strict.json")
    assert not (tmp_path / "strict.json").exists()


def test_an_unknown_study_is_told_with_those_that_exist(run, tmp_path):
    planned_study(tmp_path)
    result = run("status", "smal")
    assert result.exit_code == 1
    assert "neither smal/study.json nor results/smal/study.json exists" in result.output
    assert "studies here: small" in result.output


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("emlib.cli", ("numpy", "pandas", "numba", "mlflow", "snakemake", "pyarrow")),
        ("emlib.study.head", ("numpy", "pandas", "numba", "pydantic", "pyarrow", "yaml")),
        ("emlib.study.supervisor", ("numpy", "pandas", "numba", "pyarrow")),
        ("emlib.study.datafiles", ("pandas", "numba", "mlflow", "sklearn")),
    ],
)
def test_little_is_imported_before_it_is_needed(module, absent):
    code = f"import sys, {module}; print([m for m in {absent!r} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
