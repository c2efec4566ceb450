"""Fixtures: a throw-away project, and one whose tiny study has been run from end to end."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.project import Project, Ran

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder, so that `-m "not workflow"` leaves them out."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker(pytest.mark.workflow)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with the tiny study's config written and nothing run."""
    fresh = Project(tmp_path / "project")
    fresh.write()
    return fresh


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Ran]:
    """The tiny study after its first run, shared by all tests: look, do not touch."""
    shared = Project(tmp_path_factory.mktemp("finished") / "project")
    shared.write()
    return shared, shared.snakemake()


@pytest.fixture(scope="session")
def finished(first_run: tuple[Project, Ran]) -> Project:
    """The project of the finished tiny study: look, do not touch."""
    shared, ran = first_run
    assert ran.code == 0, ran.output
    return shared


@pytest.fixture
def finished_copy(finished: Project, tmp_path: Path) -> Callable[[], Project]:
    """Makes copies of the finished study, for tests that change something."""
    count = iter(range(1000))
    return lambda: finished.copy(tmp_path / f"copy-{next(count)}")
