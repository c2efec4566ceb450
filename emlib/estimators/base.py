"""What all estimators share: several starts, the best climb, and how it is reported."""

import math
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from emlib.algorithms import Climb, Stopping, climb, make_algorithm
from emlib.algorithms.em import EM
from emlib.errors import InvalidData
from emlib.inits import Init, make_init
from emlib.models import Degenerate, Model


@dataclass(frozen=True)
class StartRecord:
    """How one start fared: a line of the attribute ``starts_``."""

    status: str
    flags: tuple[str, ...]
    loglik: float
    objective: float
    n_iter: int
    e_steps: float
    message: str


class EMEstimator(BaseEstimator):
    """Parameters ``init_params, n_init, algorithm, tol, max_iter, random_state`` and the fit."""

    init_params: Any
    n_init: int
    algorithm: Any
    tol: float
    max_iter: int
    random_state: Any

    def _climb_all(self, model: Model, data: Any, init: Init) -> Climb:
        """Climb from every start and keep the best; sets the attributes all families share.

        Sound ends come before ``spurious`` ones, these before ``degenerate`` ones, then the
        objective decides.
        """
        if not isinstance(self.n_init, int | np.integer) or self.n_init < 1:
            raise ValueError(f"n_init: {self.n_init!r} is not a positive integer")
        algorithm = self.algorithm
        if isinstance(algorithm, str):
            algorithm = make_algorithm(algorithm, {})
        elif not isinstance(algorithm, EM):
            raise ValueError(f"algorithm: {algorithm!r} is neither a name nor an algorithm")
        stopping = Stopping(self.tol, self.max_iter)
        entropy = _entropy(self.random_state)
        records: list[StartRecord] = []
        best: Climb | None = None
        error: Exception | None = None
        for number in range(1 if init.deterministic else self.n_init):
            rng = np.random.default_rng([*entropy, number])
            try:
                start = init(model, data, rng)
                end = climb(model, data, start.params, algorithm, stopping)
            except Degenerate as collapse:
                message = str(collapse)
                records.append(StartRecord("degenerate", (), math.nan, math.nan, 0, 0.0, message))
                continue
            except (ArithmeticError, ValueError, np.linalg.LinAlgError) as failure:
                error = failure
                message = f"{type(failure).__name__}: {failure}"
                records.append(StartRecord("failed", (), math.nan, math.nan, 0, 0.0, message))
                continue
            records.append(
                StartRecord(
                    end.status, end.flags, end.loglik, end.objective, end.n_iter,
                    start.e_steps + end.e_steps, end.message,
                )
            )  # fmt: skip
            if end.params is not None and (best is None or _rank(end) > _rank(best)):
                best = end
        if best is None:
            if error is not None:
                raise error
            raise InvalidData(f"every start is degenerate: {records[-1].message}")
        self.starts_ = records
        self.params_ = best.params
        self.loglik_, self.objective_ = best.loglik, best.objective
        self.n_iter_, self.status_, self.flags_ = best.n_iter, best.status, best.flags
        self.converged_ = best.status == "converged"
        self.history_ = best.history
        self._warn(best)
        return best

    def _warn(self, best: Climb) -> None:
        wanted_all = self.tol == 0 and best.status == "max_iter"
        if best.status != "converged" and not wanted_all:
            reason = f" ({best.message})" if best.message else ""
            warnings.warn(
                f"the best of {len(self.starts_)} starts ended as {best.status!r}{reason} after "
                f"{best.n_iter} iterations; predicted remaining gain {best.predicted_gain:.3g} "
                "nats. Raise max_iter or n_init, or choose another model.",
                ConvergenceWarning,
                stacklevel=4,
            )

    def _check_fitted(self) -> None:
        check_is_fitted(self, "params_")


def as_init(init_params: Any) -> Init:
    """The init that a name or an init object means.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(init_params, str):
        if init_params == "truth":
            raise ValueError("init_params: 'truth' is known in studies of synthetic data only")
        return make_init(init_params)
    if isinstance(init_params, Init):
        return init_params
    raise ValueError(
        f"init_params: {init_params!r} is not a name, an init, or a dict of starting values"
    )


def _rank(end: Climb) -> tuple[bool, bool, float]:
    return (end.status != "degenerate", "spurious" not in end.flags, end.objective)


def _entropy(random_state: Any) -> Sequence[int]:
    """Integers that seed all starts: drawn once, so start k is the same whatever n_init."""
    if random_state is None:
        return [int(word) for word in np.random.SeedSequence().generate_state(4)]
    if isinstance(random_state, np.random.Generator):
        return [int(random_state.integers(2**63))]
    if isinstance(random_state, np.random.RandomState):
        return [int(random_state.randint(2**31 - 1))]
    if isinstance(random_state, int | np.integer) and random_state >= 0:
        return [int(random_state)]
    raise ValueError(
        f"random_state: {random_state!r} is not None, an integer >= 0, a Generator or a RandomState"
    )
