"""The tracking URI: where it comes from, and what of it may be written down."""

from pathlib import Path

import pytest

from emlib.errors import ConfigError
from emlib.tracking.location import tracking_uri, without_secrets
from emlib.tracking.sqlite import sqlite_path, writer_lock

STUDY = Path("results/default")


def test_without_a_configured_uri_the_database_lies_beside_the_study():
    assert tracking_uri(STUDY, None) == "sqlite:///results/mlflow.db"


def test_environment_variables_in_the_uri_are_filled_in(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("TRACKER_PASSWORD", "pa$word")
    uri = tracking_uri(STUDY, "https://me:${TRACKER_PASSWORD}@mlflow.example.org")
    assert uri == "https://me:pa$word@mlflow.example.org"


def test_an_unset_variable_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("TRACKER_PASSWORD", raising=False)
    with pytest.raises(ConfigError, match="variable TRACKER_PASSWORD, which is not set"):
        tracking_uri(STUDY, "https://me:$TRACKER_PASSWORD@mlflow.example.org")


@pytest.mark.parametrize("uri", ["file:///srv/runs", "./mlruns", "results/mlflow.db"])
def test_a_folder_or_a_bare_path_is_refused_with_what_is_allowed(uri: str):
    with pytest.raises(ConfigError, match=r"allowed: sqlite:///path/to/mlflow\.db"):
        tracking_uri(STUDY, uri)


@pytest.mark.parametrize(
    ("uri", "bare"),
    [
        ("https://me:secret@host:5000/api?token=t#x", "https://host:5000/api"),
        ("https://me:se@c/r?e#t@host/api", "https://host/api"),
        ("postgresql+psycopg2://me:secret@host/db", "postgresql+psycopg2://host/db"),
        ("sqlite:////data/a@b/mlflow.db?timeout=3", "sqlite:////data/a@b/mlflow.db"),
        ("sqlite:///results/mlflow.db", "sqlite:///results/mlflow.db"),
        ("databricks", "databricks"),
    ],
)
def test_no_user_password_query_or_fragment_is_written_down(uri: str, bare: str):
    assert without_secrets(uri) == bare


@pytest.mark.parametrize(
    ("uri", "path"),
    [
        ("sqlite:///results/mlflow.db", Path("results/mlflow.db")),
        ("sqlite:////data/my runs#1.db?timeout=3", Path("/data/my runs#1.db")),
        ("sqlite://", None),
        ("https://host/mlflow.db", None),
    ],
)
def test_only_a_sqlite_uri_names_a_file(uri: str, path: Path | None):
    assert sqlite_path(uri) == path


def test_a_database_that_cannot_be_written_is_named(tmp_path: Path):
    (tmp_path / "folder.db").mkdir()
    with (
        pytest.raises(ConfigError, match=r"folder\.db cannot be written"),
        writer_lock(tmp_path / "folder.db"),
    ):
        pass
