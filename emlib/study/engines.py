"""Engines: where the E-steps of a model's climbs run, in the block's process or on Dask's workers.

Inits, scores and draws of random numbers stay where they are, so that both engines get the same
starts; only the order differs in which an E-step's sums are added.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from emlib.errors import EmlibError

if TYPE_CHECKING:
    from emlib.study.grid import Entry
    from emlib.study.mistakes import Mistakes

MEMORY, DASK = "memory", "dask"
ENGINES = (MEMORY, DASK)


def engine_of(model: Mapping[str, Any]) -> str:
    """The engine of a model, as its config or the study has it; the default may be left out."""
    return str(model.get("engine", MEMORY))


def check_engines(study: Mapping[str, Any], cells: Iterable[Entry], mistakes: Mistakes) -> None:
    """What Dask cannot climb, and that it is installed where a model wants it."""
    from emlib.algorithms import ALGORITHMS
    from emlib.models import FAMILIES

    wanted = [key for key, model in study["models"].items() if engine_of(model) == DASK]
    methods = {key: ALGORITHMS[one["algorithm"]] for key, one in study["algorithms"].items()}
    able = [key for key, method in methods.items() if not method.by_unit]
    for name in wanted:
        place, family = ("models", name, "engine"), study["models"][name]["family"]
        if not FAMILIES[family].rows:
            mistakes.add(
                place,
                f"'dask' cuts data between rows, and those of {family} depend on each other; "
                f"allowed: {MEMORY}",
            )
    for key, name in sorted({(cell.algorithm, cell.model) for cell in cells}):
        if name in wanted and methods[key].by_unit:
            mistakes.add(
                ("algorithms", key),
                f"{methods[key].name} looks at single rows or parts of them, and engine 'dask' of "
                f"model {name!r} gives sums over all rows; algorithms that need no more: "
                f"{', '.join(able) or 'none of this study'} (see exclude)",
            )
    lacking = _lacking() if wanted else ""
    for name in wanted if lacking else ():
        mistakes.add(("models", name, "engine"), lacking)


def _lacking() -> str:
    from emlib.distributed.fit import require_dask

    try:
        require_dask()
    except ImportError as error:
        return f"{error}: pip install 'emlib[dask]'"
    return ""


def client_of(model: Mapping[str, Any], threads: int) -> Any:
    """A client of the cluster that a model's climbs run on; None where they stay in memory.

    Parameters
    ----------
    model : mapping
        One of the study's ``models``.
    threads : int
        Of the cluster that is started in this process where Dask's own configuration names no
        scheduler (``scheduler-address``, which the variable DASK_SCHEDULER_ADDRESS sets).

    Raises
    ------
    EmlibError
        If the scheduler does not answer, or a worker there has other code or libraries.
    """
    if engine_of(model) != DASK:
        return None
    import dask
    from distributed import Client, LocalCluster

    address = dask.config.get("scheduler-address", None)
    if address is None:
        options = {"n_workers": 1, "threads_per_worker": threads, "processes": False}
        return Client(LocalCluster(**options, dashboard_address=None, memory_limit=0))
    try:
        client = Client(address)
    except (OSError, ValueError) as error:
        raise EmlibError(
            f"no scheduler of Dask at {address} ({error}); DASK_SCHEDULER_ADDRESS, or "
            "scheduler-address in Dask's configuration, names it; without it the job starts one"
        ) from None
    require_workers(client)
    require_same_workers(client, model["family"])
    return client


def require_workers(client: Any, seconds: float = 60.0) -> None:
    """Wait for the first worker: without any, the first E-step would wait for ever."""
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise EmlibError(
            f"the scheduler of Dask at {client.scheduler.address} has had no worker for "
            f"{seconds:g} s; start some with: dask worker {client.scheduler.address}"
        ) from None


def require_same_workers(client: Any, family: str) -> None:
    """Numbers are those of the workers: refuse any that computes with something else."""
    from emlib.study.fingerprint import numerics_fingerprint

    own = numerics_fingerprint(family, engine=DASK)
    found = client.run(numerics_fingerprint, family, engine=DASK, on_error="return")
    for worker, code in found.items():
        if code != own:
            raise EmlibError(
                f"worker {worker} of Dask does not have the code and libraries of this job "
                f"({code!r} there, {own!r} here): install the same versions of emlib, numpy, scipy "
                "and numba there; families of your own are not known there"
            )


def is_of_cluster(error: BaseException | None) -> bool:
    """Whether Dask itself failed, its workers lost say, and not what they were asked for."""
    return type(error).__module__.partition(".")[0] == "distributed"
