"""SQLite as the mirror's database: its file, the lock of its writers, and its first filling."""

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emlib.errors import ConfigError
from emlib.study.locks import flock


def sqlite_path(uri: str) -> Path | None:
    """The file of a SQLite URI (relative ones start at the working folder); None for others."""
    found = re.fullmatch(r"sqlite(?:\+\w+)?:///([^?]+)(?:\?.*)?", uri)
    return Path(found[1]) if found else None


@contextmanager
def writer_lock(database: Path) -> Iterator[None]:
    """Hold the lock of a database's writers, waiting for it.

    The lock is a file of its own beside the database: a lock on the database itself would meet
    SQLite's own. The kernel drops it when its holder dies.

    Raises
    ------
    ConfigError
        If the file or its folder cannot be written.
    """
    try:
        database.parent.mkdir(parents=True, exist_ok=True)
        if database.exists():
            database.open("r+b").close()
        handle = database.with_name(f"{database.name}.lock").open("a")
    except OSError as error:
        raise ConfigError(
            f"tracking.uri: {database} cannot be written ({error.strerror}); name a file that "
            "can, or another database"
        ) from error
    with handle:
        flock(handle.fileno(), fcntl.LOCK_EX, Path(handle.name))
        yield


@contextmanager
def first_filling(database: Path) -> Iterator[None]:
    """Fill a database that does not exist yet without waiting for the disk at every commit.

    MLflow commits six times a run, and SQLite waits for the disk two or three times a commit: a
    third of the mirror's time here, minutes on a spinning disk. A database that this mirroring
    makes holds nothing that the study's files do not, so it is synced once, at the end. One that
    exists may hold other people's runs and is written with SQLite's usual care.

    MLflow cannot go on with tables half made, so they are made under another name.
    """
    if database.exists():
        yield
        return
    from mlflow import MlflowClient
    from sqlalchemy import Engine, event

    new = database.with_name(f".{database.name}.new")
    new.unlink(missing_ok=True)

    def relax(connection: Any, _: Any) -> None:
        ours = (database.resolve(), new.resolve())
        if isinstance(connection, sqlite3.Connection) and _file(connection) in ours:
            connection.execute("PRAGMA synchronous = OFF")

    event.listen(Engine, "connect", relax)
    try:
        MlflowClient(f"sqlite:///{new}").search_experiments(max_results=1)
        new.replace(database)
        yield
    finally:
        new.unlink(missing_ok=True)
        event.remove(Engine, "connect", relax)
    with database.open("rb") as handle:
        os.fsync(handle)


def _file(connection: sqlite3.Connection) -> Path:
    return Path(connection.execute("PRAGMA database_list").fetchone()[2])
