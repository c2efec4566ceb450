"""``emlib.fit_distributed``: an estimator fitted to rows that no single machine holds."""

from functools import partial
from typing import Any, TypeVar

from sklearn.base import clone

from emlib.distributed.model import DistributedModel
from emlib.distributed.partitions import Partitions
from emlib.distributed.source import blocks_of, tables_of
from emlib.distributed.survey import surveyed
from emlib.errors import EmlibError
from emlib.estimators.base import EMEstimator
from emlib.inits import Init
from emlib.inits.base import Start

Estimator = TypeVar("Estimator", bound=EMEstimator)


def fit_distributed(
    estimator: Estimator,
    X: Any,
    y: Any = None,
    *,
    sample_weight: Any = None,
    client: Any = None,
    **extras: Any,
) -> Estimator:
    """Fit an estimator to a Dask collection; the E-steps run where its partitions are.

    From the same start the loglik is that of a fit in memory, but for rounding, and the bits depend
    on how the rows are cut into partitions, not on the workers.  Inits see 10,000 rows, the same
    ones each time, and some more that a sample may miss; all rows where there are no more, and then
    the start is the same as in memory.

    Parameters
    ----------
    estimator : estimator of independent rows
    X : dask.array.Array or dask.dataframe.DataFrame of shape (n_samples, n_features)
        As in the estimator's ``fit``, each partition small enough for a worker's memory.
    y : dask collection, optional
        Responses, for the estimators whose ``fit`` takes them.
    sample_weight : dask collection of shape (n_samples,), optional
    client : distributed.Client, optional
        The current one by default.
    **extras
        What else the estimator's ``fit`` takes, such as ``covariates``; cut as ``X`` is.

    Returns
    -------
    estimator
        Itself, fitted.  It does not hold the data: what needs them, such as standard errors, is
        not to be had.

    Raises
    ------
    ImportError
        Without Dask, which the extra ``dask`` installs.
    TypeError
        If the estimator is not one of independent rows.
    InvalidData
        If the collections, or their cells, cannot be taken.
    NotImplementedError
        If the algorithm looks at single rows.
    EmlibError
        If there is no client.
    """
    if not isinstance(estimator, EMEstimator) or not estimator._make_model().rows:
        raise TypeError(
            f"{type(estimator).__name__} is not an estimator of independent rows: those of a "
            "sequence or an image depend on each other, and stay on one machine"
        )
    client = client_or_current(client)
    collections = {"X": X, "y": y, "sample_weight": sample_weight, **extras}
    given = {name: value for name, value in collections.items() if value is not None}
    blocks = blocks_of(given)
    model = estimator._make_model()
    tables = tables_of(client, blocks, partial(_viewed, clone(estimator)))
    data = surveyed(client, tables, model)
    _shape(client, estimator, blocks)
    return fit_partitions(estimator, DistributedModel(model).prepare(data), data)


def fit_partitions(estimator: Estimator, model: DistributedModel, data: Partitions) -> Estimator:
    """Climb from all starts, and leave the data where they are."""
    init = OnSample(estimator._init(model.inner, data.sample))
    try:
        estimator._fit_from(model, data, init)  # type: ignore[arg-type]
    except NotImplementedError as error:
        raise NotImplementedError(f"algorithm: {estimator.algorithm!r}: {error}") from None
    estimator._model, estimator._data = model.inner, None
    return estimator


class OnSample:
    """An init that looks at the sample alone; its cost is what that is of all rows."""

    def __init__(self, init: Init) -> None:
        self.init, self.deterministic = init, init.deterministic

    def __call__(self, model: DistributedModel, data: Partitions, rng: Any) -> Start:
        start = self.init(model.inner, data.sample, rng)
        return Start(start.params, data.share * start.e_steps)


def client_or_current(client: Any = None) -> Any:
    """The client itself, or the current one.

    Raises
    ------
    ImportError
        Without Dask.
    EmlibError
        If there is none.
    """
    require_dask()
    if client is not None:
        return client
    from distributed import default_client

    try:
        return default_client()
    except ValueError:
        raise EmlibError(
            "there is no client of Dask: distributed.Client() starts workers on this machine, "
            "distributed.Client(address) takes those of a cluster"
        ) from None


def require_dask() -> None:
    """Raise ``ImportError`` where Dask is not installed, and say which extra has it."""
    try:
        import dask.dataframe  # noqa: F401
        import distributed  # noqa: F401
    except ImportError as error:
        raise ImportError(f"fits on Dask need the extra 'dask' of emlib ({error})") from None


def _viewed(estimator: Any, **blocks: Any) -> Any:
    return estimator._view(reset=True, **blocks)


def _shape(client: Any, estimator: Any, blocks: list[dict[str, Any]]) -> None:
    """Let the estimator see one row, from which it knows the names and number of columns."""
    from dask import delayed

    for parts in blocks:
        seen = {name: block for name, block in parts.items() if name != "sample_weight"}
        rows = client.compute(delayed({name: delayed(_head)(b) for name, b in seen.items()}))
        head = rows.result()
        if len(head["X"]):
            estimator._view(reset=True, **head)
            return


def _head(block: Any) -> Any:
    return block[:1]
