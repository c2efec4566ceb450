"""MLflow, as the mirror needs it: read the runs that are there, write, restore and delete runs.

Only MLflow's public client is used. A run costs three calls: creation with its tags, its parameters
and metrics at once (the client cuts them to the 1000 metrics and 100 parameters that a server takes
in one request), and its end.
"""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from emlib.errors import EmlibError
from emlib.tracking.location import hidden, without_secrets
from emlib.tracking.records import RunRecord

# Read by MLflow when it is imported: no usage statistics are sent, no progress is chatted, and a
# server that does not answer is given up after about half a minute instead of several.
for _name, _value in {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_LOGGING_LEVEL": "WARNING",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "4",
}.items():
    os.environ.setdefault(_name, _value)

from mlflow import MlflowClient  # noqa: E402
from mlflow.entities import Metric, Param, ViewType  # noqa: E402
from mlflow.exceptions import MlflowException  # noqa: E402
from sqlalchemy.exc import DBAPIError, SQLAlchemyError  # noqa: E402

PAGE = 1000
PARENT, USER = "mlflow.parentRunId", "mlflow.user"


class TrackingError(EmlibError):
    """MLflow cannot be read or written; what the study's files say is untouched."""


@dataclass
class StoredRun:
    """A run of ours that MLflow holds already."""

    run_id: str
    key: tuple[str, str]
    content: str
    parent_id: str | None
    finished: bool
    active: bool


@contextmanager
def tracking_errors(uri: str) -> Iterator[None]:
    """Turn what MLflow raises into one message that names the place, without secrets.

    ImportError is a database's driver that is not installed. The cause is not chained: its text
    may hold the URI.
    """
    try:
        yield
    except (MlflowException, SQLAlchemyError, ImportError) as error:
        reason = hidden(str(error.orig if isinstance(error, DBAPIError) else error), uri)
        cure = (
            " A damaged SQLite file can be deleted: the next mirroring writes it anew. Where a "
            "file system has no locks, SQLite cannot work (`disk I/O error`): let `tracking.uri` "
            "name a file elsewhere, or a server."
        )
        raise TrackingError(
            f"MLflow at {without_secrets(uri)}: {reason.strip()}\nThe study's files are "
            "untouched; `emlib mirror` brings MLflow up to date once this is cured."
            + (cure if uri.startswith("sqlite") else "")
        ) from None


class Experiment:
    """The experiment of one study, made or restored if need be.

    Parameters
    ----------
    uri : str
        MLflow's tracking URI.
    name : str
        The study's name.
    artifacts : str or None
        Where MLflow would put files of these runs (the mirror stores none); None leaves it to the
        server.

    Raises
    ------
    TrackingError
        If an experiment of that name exists that emlib did not make.
    """

    def __init__(self, uri: str, name: str, artifacts: str | None) -> None:
        self.client = MlflowClient(uri)
        found = self.client.get_experiment_by_name(name)
        if found is None:
            self.id = self.client.create_experiment(name, artifacts, tags={"emlib.study": name})
            return
        self.id = found.experiment_id
        if found.tags.get("emlib.study") != name:
            raise TrackingError(
                f"MLflow at {without_secrets(uri)}: experiment {name!r} exists and was not made "
                "by emlib; give the study another name (`study:` in the config)"
            )
        if found.lifecycle_stage == "deleted":
            self.client.restore_experiment(self.id)

    def stored(self) -> list[StoredRun]:
        """All runs of ours, deleted and unfinished ones too, in one reading."""
        token, runs = None, []
        while True:
            page = self.client.search_runs([self.id], "", ViewType.ALL, PAGE, page_token=token)
            runs.extend(page)
            token = page.token
            if not token:
                break
        return [
            StoredRun(
                run_id=run.info.run_id,
                key=(run.data.tags["emlib.kind"], _identity(run.data.tags)),
                content=run.data.tags.get("emlib.content", ""),
                parent_id=run.data.tags.get(PARENT),
                finished=run.info.status == "FINISHED",
                active=run.info.lifecycle_stage == "active",
            )
            for run in runs
            if "emlib.kind" in run.data.tags
        ]

    def write(self, record: RunRecord, content: str, parent_id: str | None) -> str:
        """Write a run; it is FINISHED only once everything in it is there. Returns its id."""
        tags = record.tags | {"emlib.kind": record.kind, "emlib.content": content, USER: "emlib"}
        tags["emlib.cell_id"] = record.identity if record.parent is None else record.parent
        if record.kind == "fit":
            tags["emlib.fit_id"] = record.identity
        if parent_id is not None:
            tags[PARENT] = parent_id
        run_id = self.client.create_run(self.id, record.start, tags, record.name).info.run_id
        self.client.log_batch(
            run_id,
            [Metric(name, value, record.end, step) for name, value, step in record.metrics],
            [Param(name, value) for name, value in record.params.items()],
        )
        self.client.set_terminated(run_id, "FINISHED", record.end)
        return run_id

    def move(self, run_id: str, parent_id: str) -> None:
        """Put a run under another parent."""
        self.client.set_tag(run_id, PARENT, parent_id)

    def restore(self, run_id: str) -> None:
        """Take back a deletion."""
        self.client.restore_run(run_id)

    def delete(self, run_id: str) -> None:
        """Delete a run (`mlflow gc` then frees its space)."""
        self.client.delete_run(run_id)


def _identity(tags: Mapping[str, str]) -> str:
    return tags.get("emlib.fit_id") or tags["emlib.cell_id"]
