"""What MLflow holds, read back with its own client."""

import json

from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

from emlib.tracking.server import PARENT

CELLS, FITS = 4, 8


def runs(uri: str, view: int = ViewType.ACTIVE_ONLY) -> list[Run]:
    client = MlflowClient(uri)
    experiment = client.get_experiment_by_name("tiny")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id], "", view, 1000))


def kind(uri: str, name: str) -> list[Run]:
    return [run for run in runs(uri) if run.data.tags["emlib.kind"] == name]


def shown(uri: str) -> list[dict]:
    """What a reader of MLflow sees, without MLflow's own run ids."""
    names = {run.info.run_id: run.data.tags["emlib.cell_id"] for run in runs(uri)}
    return sorted(
        (
            {
                "name": run.info.run_name,
                "status": run.info.status,
                "times": [run.info.start_time, run.info.end_time],
                "params": run.data.params,
                "metrics": run.data.metrics,
                "tags": run.data.tags | {PARENT: names.get(run.data.tags.get(PARENT, ""), "")},
            }
            for run in runs(uri)
        ),
        key=json.dumps,
    )


def history(uri: str, run: Run, name: str) -> list[tuple[int, float]]:
    points = MlflowClient(uri).get_metric_history(run.info.run_id, name)
    return sorted((point.step, point.value) for point in points)
