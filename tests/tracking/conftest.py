"""Fixtures of the mirror's tests."""

import shutil
from pathlib import Path

import pytest
from mlflow import MlflowClient

from tests.tracking.tiny import Tiny


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow's tables, made once: they take a second and a half."""
    path = tmp_path_factory.mktemp("mlflow") / "mlflow.db"
    MlflowClient(f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture
def fresh(tmp_path: Path) -> Tiny:
    """A study that has not been written yet, and no database: change it, then call `write`."""
    return Tiny(tmp_path / "results")


@pytest.fixture
def tiny(fresh: Tiny, empty_database: Path) -> Tiny:
    """The same beside a database without runs."""
    fresh.root.parent.mkdir()
    shutil.copy(empty_database, fresh.root.parent / "mlflow.db")
    return fresh
