"""Which model: a grid of estimators fitted to the same data and ranked, as mclustBIC does."""

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from emlib.errors import InvalidData

if TYPE_CHECKING:
    import pandas as pd

CRITERIA = ("bic", "aic", "icl")

SOUND, SPURIOUS, FALLEN, FAILED = range(4)


def select(
    model_grid: Mapping[str, Any] | Iterable[Any], X: Any, criterion: str = "bic", **fit_params: Any
) -> "pd.DataFrame":
    """Fit every estimator of a grid to the same data and rank them.

    Parameters
    ----------
    model_grid : iterable of estimators, or dict of them by name
        Of any families; they are cloned, so the grid stays unfitted.  An end that is not
        converged yet (``max_iter``) is ranked by what it reached; its status says so.
    X : array-like of shape (n_samples, n_features)
        NaN marks a missing cell.
    criterion : {"bic", "aic", "icl"}
        Lower is better; the sign is the opposite of mclust's.
    **fit_params
        What else ``fit`` takes: ``y``, ``sample_weight``, ``lengths``.

    Returns
    -------
    DataFrame
        A line an estimator, the best first: ``model``, the constructor parameters that differ in
        the grid, the criterion, ``loglik``, ``n_parameters``, ``status``, ``flags``, ``reason``
        and the fitted ``estimator``.  Spurious ends come after sound ones, whatever their
        criterion; fits that collapsed or failed come last, without a criterion but with the
        reason.

    Raises
    ------
    ValueError
        If the criterion is unknown or the grid is empty.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import GaussianMixture, select
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(60, 2)), rng.normal(5.0, 0.5, size=(60, 2))])
    >>> grid = [
    ...     GaussianMixture(k, covariance_type=code, n_init=5, random_state=0)
    ...     for k in (1, 2, 3)
    ...     for code in ("EII", "VII", "VVV")
    ... ]
    >>> table = select(grid, X)
    >>> print(table.n_components[0], table.covariance_type[0])
    2 VII
    """
    import pandas as pd
    from sklearn.base import clone

    if not isinstance(criterion, str) or criterion not in CRITERIA:
        what = repr(criterion) if isinstance(criterion, str) else type(criterion).__name__
        raise ValueError(f"criterion: {what} is not one of {', '.join(CRITERIA)}")
    if isinstance(model_grid, Mapping):
        named = list(model_grid.items())
    else:
        listed = [model_grid] if hasattr(model_grid, "get_params") else list(model_grid)
        named = [(type(estimator).__name__, estimator) for estimator in listed]
    if not named:
        raise ValueError("model_grid: has no estimator")
    for _, estimator in named:
        if isinstance(estimator, type) or not hasattr(estimator, "get_params"):
            raise ValueError(f"model_grid: {estimator!r} is not an estimator")
    varying = _varying([estimator for _, estimator in named])
    lines = []
    for (name, estimator), settings in zip(named, varying, strict=True):
        fitted = _fitted(clone(estimator), X, criterion, fit_params)
        lines.append({"model": name, **settings, **fitted})
    table = pd.DataFrame(lines).sort_values(["order", criterion], kind="stable", ignore_index=True)
    return table.drop(columns="order")


def _fitted(estimator: Any, X: Any, criterion: str, fit_params: dict[str, Any]) -> dict[str, Any]:
    from sklearn.exceptions import ConvergenceWarning

    line = {
        "order": FAILED, criterion: np.nan, "loglik": np.nan, "n_parameters": np.nan,
        "status": "failed", "flags": (), "reason": "", "estimator": None,
    }  # fmt: skip
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # the status says it
            estimator.fit(X, **fit_params)
        value = getattr(estimator, criterion)()
    except InvalidData as refusal:
        return line | {"status": "invalid", "reason": str(refusal)}
    except AttributeError as lack:
        if hasattr(estimator, criterion):
            raise
        return line | {"reason": f"{type(estimator).__name__} has no {criterion}: {lack}"}
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as failure:
        return line | {"reason": f"{type(failure).__name__}: {failure}"}
    fallen = estimator.status_ in ("degenerate", "decreased")
    spurious = SPURIOUS if "spurious" in estimator.flags_ else SOUND
    messages = [start.message for start in estimator.starts_ if start.status == estimator.status_]
    return line | {
        "order": FALLEN if fallen else spurious,
        criterion: np.nan if fallen else value,
        "loglik": estimator.loglik_,
        "n_parameters": estimator.n_parameters_,
        "status": estimator.status_,
        "flags": estimator.flags_,
        "reason": messages[0] if messages else "",
        "estimator": estimator,
    }


def _varying(estimators: list[Any]) -> list[dict[str, Any]]:
    """The constructor parameters of each estimator that are not the same in all."""
    settings = [estimator.get_params(deep=False) for estimator in estimators]
    names = dict.fromkeys(name for one in settings for name in one)
    shown = [name for name in names if len({repr(one.get(name)) for one in settings}) > 1]
    return [{name: one.get(name) for name in shown} for one in settings]
