"""``emlib replay`` finds a fit by its identity, runs it again, and says whether it is the same."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from emlib.cli import main
from emlib.errors import EmlibError
from emlib.study.files import read_table, write_table
from emlib.study.paths import StudyPaths
from emlib.study.replay import find_fit, reference_of, replay_fit
from emlib.study.supervisor import run_block
from tests.study.small_study import planned_study

IDS = ("drawn", "mcar-0.2", "two", 0)


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> StudyPaths:
    paths = planned_study(tmp_path_factory.mktemp("done"))
    run_block(paths.root, *IDS)
    return paths


def fit_ids(paths: StudyPaths) -> list[str]:
    return read_table(paths.block("fits", *IDS)).column("fit_id").to_pylist()


def test_a_replayed_fit_is_the_stored_one_bit_for_bit(done: StudyPaths) -> None:
    for fit_id in fit_ids(done):
        lines: list[str] = []
        assert replay_fit(fit_id, done.results, lines.append)
        assert lines[-1] == "identical to the stored fit, bit for bit"


def test_a_replay_prints_the_climb(done: StudyPaths) -> None:
    fit_id = fit_ids(done)[-1]
    lines: list[str] = []
    replay_fit(fit_id[:12], done.results, lines.append)
    text = "\n".join(lines)
    assert f"fit {fit_id} of study small" in lines[0]
    assert lines[2].split() == ["iteration", "E-steps", "objective", "gain"]
    first, second = lines[3].split(), lines[4].split()
    assert first[0] == "0"
    gain = float(second[2]) - float(first[2])
    assert float(second[3]) == pytest.approx(gain, rel=1e-2)
    assert "status: converged" in text


def test_an_identity_may_be_shortened_while_it_means_one_fit(done: StudyPaths) -> None:
    fit_id = fit_ids(done)[0]
    assert find_fit(fit_id[:10], done.results).row["fit_id"] == fit_id
    with pytest.raises(EmlibError, match="10 fits begin so"):
        find_fit("", done.results)


def test_an_unknown_fit_is_an_error_that_says_where_to_look(done: StudyPaths) -> None:
    with pytest.raises(EmlibError, match=r"no finished fit begins so.*fit_id"):
        find_fit("zz", done.results)


def test_a_folder_without_studies_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(EmlibError, match="no finished fit"):
        find_fit("ab", tmp_path)


def test_a_replay_that_differs_says_in_what(tmp_path: Path) -> None:
    paths = planned_study(tmp_path)
    run_block(paths.root, *IDS)
    rows = read_table(paths.block("fits", *IDS)).to_pylist()
    rows[0]["loglik"] += 1e-9
    write_table(paths.block("fits", *IDS), rows, "fits")
    lines: list[str] = []
    assert not replay_fit(rows[0]["fit_id"], paths.results, lines.append)
    assert lines[-1] == "NOT identical to the stored fit"
    assert any(line.strip().startswith("loglik: ") for line in lines[-2:])


def test_a_replay_draws_the_climb_where_it_is_told(
    done: StudyPaths, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    fit_id = fit_ids(done)[0]
    command = ["replay", fit_id, "--results", str(done.results), "--plot"]
    for extra, name in (([], f"climb-{fit_id[:12]}.svg"), (["own.png"], "own.png")):
        result = CliRunner().invoke(main, [*command, *extra])
        assert result.exit_code == 0, result.output
        assert result.output.splitlines()[-1] == f"plot: {name}"
        assert (tmp_path / name).stat().st_size > 1000
    refused = CliRunner().invoke(main, [*command, "own.gif"])
    assert refused.exit_code == 1
    assert "iteration" not in refused.output  # before anything runs


def test_the_reference_of_a_fit_is_that_of_its_data(done: StudyPaths) -> None:
    references = read_table(done.block("references", *IDS)).to_pylist()
    for fit_id in fit_ids(done)[::3]:
        stored = find_fit(fit_id, done.results)
        (mine,) = [row for row in references if row["data_id"] == stored.row["data_id"]]
        assert reference_of(stored) == mine["loglik"]
