"""What all estimators share: several starts, the best climb, how it is reported, what follows.

Constructor parameters are dataclass fields, so each is written once.
"""

import math
import warnings
from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from emlib.algorithms import Algorithm, Climb, Stopping, climb, make_algorithm
from emlib.errors import InvalidData, require_count
from emlib.estimators.starting import as_init, entropy, given_params
from emlib.inference import (
    Certificate,
    Imputer,
    StandardErrors,
    bootstrap_errors,
    certify,
    information_errors,
)
from emlib.inits import Given, Init
from emlib.models import Degenerate, Model
from emlib.models.records import Posteriors
from emlib.parallel import threads

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="EMEstimator")

Measured = tuple[float, float, Callable[[], float]]
"""Total loglik, total weight, and the classification entropy when it is asked for."""

SHOWN_UNITS = 1000
"""Units that a start is made of where only the shapes of its arrays matter."""


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


@dataclass(kw_only=True, eq=False, repr=False)
class EMEstimator(BaseEstimator):
    """Starts, climbs and what is known after them; every estimator has these.

    Parameters
    ----------
    init_params : str, Init or dict
        Name of an initialization, an init object such as ``emlib.inits.ShortEM(tries=20)``, or
        starting values: a dict with the names of the fitted attributes, without underscore.
    n_init : int, default=1
        Number of starts; the best end is kept.  One failed start never ends a fit.
    algorithm : str or algorithm, default="em"
    tol : float, default=1e-3
        Stop when the predicted remaining gain of the objective is below this many nats, in
        total and not per row; 0 runs all of ``max_iter``.
    max_iter : int, default=1000
    random_state : int, Generator, RandomState or None, default=None
    n_threads : int, default=1
        Threads that share the rows of an E-step, in chunks of up to 32,768; the result does not
        depend on it.  Sequences are not shared.

    Attributes
    ----------
    loglik_ : float
        Observed-data log-likelihood at the returned parameters: total, natural log.
    objective_ : float
        ``loglik_`` plus the log prior, where one is declared.
    n_parameters_ : int
    n_iter_ : int
    status_ : str
        ``converged``, ``max_iter``, ``degenerate`` or ``decreased``.
    converged_ : bool
    flags_ : tuple of str
        What is suspicious about the end: ``spurious``, ``boundary``, ``slow_tail``.
    history_ : History
        Objective, loglik, E-steps and seconds of each iteration.
    starts_ : list of StartRecord
        How each start ended.
    params_ : record
        The fitted parameters as the model object has them.
    n_features_in_ : int
    """

    init_params: Any = "kmeans"
    n_init: int = 1
    algorithm: Any = "em"
    tol: float = 1e-3
    max_iter: int = 1000
    random_state: Any = None
    n_threads: int = 1

    _fitted_names: ClassVar[dict[str, str]] = {}
    """Attribute of each array of the parameters' record, where it is not name + underscore."""

    @abstractmethod
    def _make_model(self) -> Model:
        """The model object that the constructor's parameters describe."""

    def _check_start(self, params: Any, model: Model, data: Any) -> None:
        """Refuse starting values (shapes and finiteness are checked) that no climb can take.

        Raises
        ------
        ValueError
        """

    def _starting_values(self, model: Any) -> dict[str, Any]:
        """Starting values as the record has them, those that the settings decide included."""
        return dict(self.init_params)

    @property
    def model_(self) -> Model:
        """The model object under the estimator: its E-step and M-step, for ``params_``."""
        self._check_fitted()
        return self._model

    def _fit(self: Self, data: Any) -> Self:
        model = self._make_model().prepare(data)
        return self._fit_from(model, data, self._init(model, data))

    def _fit_from(self: Self, model: Model, data: Any, init: Init) -> Self:
        with threads(self.n_threads):
            best = self._climb_all(model, data, init)
        self._model, self._data = model, data
        self.n_parameters_ = model.n_parameters(data)
        self._total_weight: float = data.total_weight
        self._fitted_entropy: float | None = None
        self._publish(best.params)
        return self

    def _publish(self, params: Any) -> None:
        """Set the fitted attributes from the parameters' record."""
        for field in fields(params):
            name = self._fitted_names.get(field.name, f"{field.name}_")
            setattr(self, name, getattr(params, field.name))

    def _init(self, model: Model, data: Any) -> Init:
        if not isinstance(self.init_params, dict):
            init = as_init(self.init_params)
            lacking = init.lacks(model)
            if lacking:
                raise ValueError(
                    f"init_params: {init.name!r} needs {' and '.join(lacking)}, which "
                    f"{type(self).__name__} does not have"
                )
            return init
        params = given_params(self._starting_values(model), self._any_start(model, data))
        self._check_start(params, model, data)
        return Given(params)

    def _any_start(self, model: Model, data: Any) -> Any:
        """Parameters that show which arrays the family has, and of which shapes."""
        few = data.part(np.flatnonzero(data.unit_weights > 0)[:SHOWN_UNITS])
        return model.start(few, np.full((few.n, model.n_components), 1.0 / model.n_components))

    def _climb_all(self, model: Model, data: Any, init: Init) -> Climb:
        """Climb from every start and keep the best; sets the attributes all families share.

        Sound ends come before ``spurious`` ones, these before ``degenerate`` ones, then the
        objective decides.
        """
        require_count("n_init", self.n_init)
        algorithm = self.algorithm
        if isinstance(algorithm, str):
            algorithm = make_algorithm(algorithm)
        elif not isinstance(algorithm, Algorithm):
            raise ValueError(f"algorithm: {algorithm!r} is neither a name nor an algorithm")
        unable = algorithm.unable(model)
        if unable:
            raise ValueError(f"algorithm: {algorithm.name!r} cannot climb this model: {unable}")
        stopping = Stopping(self.tol, self.max_iter)
        seeds = entropy(self.random_state)
        records: list[StartRecord] = []
        best: Climb | None = None
        error: Exception | None = None
        for number in range(1 if init.deterministic else self.n_init):
            rng = np.random.default_rng([*seeds, number])
            try:
                start = init(model, data, rng)
                end = climb(model, data, start.params, algorithm, stopping, rng=rng)
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
                stacklevel=5,
            )

    def standard_errors(
        self, method: str = "information", n_resamples: int = 200
    ) -> StandardErrors:
        """Standard errors of the fitted attributes.

        Parameters
        ----------
        method : {"information", "bootstrap"}
            From the observed information at the optimum (Oakes 1999), mapped by the delta method;
            or from refits to bootstrap samples, each climbing from the fitted parameters.
        n_resamples : int
            Bootstrap samples.

        Returns
        -------
        StandardErrors
            ``errors`` and ``reasons`` by name; NaN where a quantity has no standard error.
        """
        data = self._fitted_data("standard_errors")
        require_count("n_resamples", n_resamples)
        if not (self.converged_ or (self.tol == 0 and self.status_ == "max_iter")):
            warnings.warn(
                f"the fit ended as {self.status_!r}: its parameters need not be an optimum, which "
                "standard errors are about",
                ConvergenceWarning,
                stacklevel=2,
            )
        if method == "information":
            return information_errors(self._model, data, self.params_)
        if method == "bootstrap":
            rng = np.random.default_rng(entropy(self.random_state))
            stopping = Stopping(self.tol, self.max_iter)
            return bootstrap_errors(self._model, data, self.params_, rng, n_resamples, stopping)
        raise ValueError(f"method: {method!r} is not information or bootstrap")

    def certificate(self) -> Certificate:
        """What the end of the fit is: a maximum, a saddle, a ridge, or not stationary.

        Returns
        -------
        Certificate
            ``verdict`` with its ``reason``, and the numbers behind it.
        """
        return certify(self._model, self._fitted_data("certificate"), self.params_)

    def aic(self) -> float:
        """Akaike's criterion on the fitted data; lower is better."""
        return -2.0 * self._measured()[0] + 2.0 * self.n_parameters_

    def bic(self) -> float:
        """Schwarz's criterion on the fitted data, n being the sum of the weights of the rows with
        an observed cell."""
        loglik, total_weight, _ = self._measured()
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight))

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows, one sequence of them where the model is of sequences.

        Returns
        -------
        ndarray of shape (n_samples, n_features), ndarray of shape (n_samples,)
            The rows, and their components or states (None where the family has none).
        """
        self._check_fitted()
        require_count("n_samples", n_samples)
        rng = np.random.default_rng(entropy(self.random_state))
        return self._model.sample(self.params_, n_samples, rng)

    def _impute(self, data: Any, n_draws: int | None, proper: bool | str) -> Array:
        if n_draws is None:
            if proper:
                raise ValueError("proper: means something with n_draws only")
            return self._model.posterior(self.params_, data).completed
        fitted = self._fitted_data("proper imputation") if proper else data
        rng = np.random.default_rng(entropy(self.random_state))
        stopping = Stopping(self.tol, self.max_iter)
        return Imputer(self._model, fitted, self.params_, stopping).draw(data, n_draws, proper, rng)

    def _fitted_data(self, what: str) -> Any:
        self._check_fitted()
        if self._data is None:
            raise ValueError(
                f"{what} needs the data of the fit, which are not pickled, and stay with the "
                "workers of fit_distributed: fit again"
            )
        return self._data

    def __getstate__(self) -> dict[str, Any]:
        state = dict(super().__getstate__())
        if state.get("_data") is not None:
            if hasattr(self, "icl"):
                state["_fitted_entropy"] = self._entropy()
            state["_data"] = None
        return state

    def _measured(self, data: Any = None) -> Measured:
        """Total loglik, total weight and classification entropy; of the fitted data by default."""
        self._check_fitted()
        if data is None:
            return self.loglik_, self._total_weight, self._entropy
        posterior = self._model.posterior(self.params_, data)
        live = data.unit_weights > 0  # a unit that does not count may be impossible
        loglik = float(data.unit_weights[live] @ posterior.loglik[live])
        return loglik, data.total_weight, lambda: _entropy_of(posterior, data)

    def _entropy(self) -> float:
        """Classification entropy of the fitted data; a pass over them, so only when asked for."""
        if self._fitted_entropy is None:
            data = self._fitted_data("the entropy of the classification")
            self._fitted_entropy = _entropy_of(self._model.posterior(self.params_, data), data)
        return self._fitted_entropy

    def _check_fitted(self) -> None:
        check_is_fitted(self, "params_")


def _entropy_of(posterior: Posteriors, data: Any) -> float:
    r = posterior.responsibilities
    if r is None:
        return 0.0
    entropies = -(r * np.log(np.where(r > 0, r, 1.0))).sum(axis=1)
    return float((data.weights * data.informative) @ entropies)


def _rank(end: Climb) -> tuple[bool, bool, float]:
    return (end.status != "degenerate", "spurious" not in end.flags, end.objective)
