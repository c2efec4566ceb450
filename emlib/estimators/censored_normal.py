"""CensoredNormal: the estimator for detection limits, on one or both sides, and intervals."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import _check_sample_weight, validate_data

from emlib.data import Intervals
from emlib.estimators.covariates import CovariateEstimator
from emlib.models.censored_normal import CensoredNormalModel

Array = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class CensoredNormal(CovariateEstimator):
    """Normal columns with censored and missing cells, by exact EM; with covariates, tobit.

    Each column is normal about its own regression on the covariates (about its own mean without
    any), independent of the others.  Every cell is known exactly, within limits, or not at all.

    Parameters
    ----------
    lower_limit, upper_limit : float or array-like of shape (n_features,), optional
        Detection limits: a cell of X at or below the lower limit is only known to lie below it,
        one at or above the upper limit only to lie above it.  Limits of single cells are given
        to ``fit`` instead.
    init_params : {"random"} or dict
        There is one optimum and one start, least squares on the limits themselves (``random``);
        or starting values ``dict(intercept=, scales=)``, with ``coef=`` beside covariates.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    intercept_ : ndarray of shape (n_features,)
        Means of the columns, where the covariates are 0.
    coef_ : ndarray of shape (n_features, n_covariates)
    scales_ : ndarray of shape (n_features,)
        Standard deviations: maximum likelihood, without correction for degrees of freedom.
    loglik_ : float
        Log densities of exact cells plus log probabilities of the limits of censored ones.
    n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39, section 4.2; Schmee and Hahn (1979),
    Technometrics 21, 417-432; Aitkin (1981), Technometrics 23, 161-163; Tobin (1958).

    Examples
    --------
    Concentrations that an instrument reads from 0.5 upwards:

    >>> import numpy as np
    >>> from emlib import CensoredNormal
    >>> X = np.array([[0.5], [1.2], [0.5], [0.9], [2.1], [1.4], [0.7], [np.nan]])
    >>> model = CensoredNormal(lower_limit=0.5, tol=1e-9).fit(X)
    >>> model.intercept_.round(3), model.scales_.round(3)
    (array([0.919]), array([0.702]))

    Interval ends of single cells, an open end being infinite:

    >>> low = np.array([[1.0], [2.0], [-np.inf], [2.5]])
    >>> high = np.array([[1.0], [3.0], [4.0], [2.5]])
    >>> fitted = CensoredNormal().fit(low, upper=high)
    """

    lower_limit: Any = None
    upper_limit: Any = None
    _: KW_ONLY

    _extras: ClassVar[tuple[str, ...]] = ("upper", "covariates")

    def fit(
        self,
        X: ArrayLike,
        y: None = None,
        sample_weight: ArrayLike | None = None,
        upper: ArrayLike | None = None,
        covariates: ArrayLike | None = None,
    ) -> "CensoredNormal":
        """Fit the model; the other methods take ``upper`` and ``covariates`` alike.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            The values, NaN where missing; with ``upper``, the lower ends.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            An integer weight equals that many copies of the row.
        upper : array-like of shape (n_samples, n_features), optional
            Upper ends: equal to X where a cell is exact; -inf in X or inf here is an open end.
        covariates : array-like of shape (n_samples, n_covariates), optional
            Without a column of ones and without missing cells.

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If a column's likelihood has no maximum, or limits make no sense.
        """
        return self._fit(self._view(X, True, sample_weight, upper=upper, covariates=covariates))

    def _make_model(self) -> CensoredNormalModel:
        return CensoredNormalModel()

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        if not (params.scales > 0).all():
            raise ValueError(f"init_params['scales']: {params.scales} are not positive")

    def _view(
        self, X: ArrayLike, reset: bool, sample_weight: ArrayLike | None = None, **extras: Any
    ) -> Intervals:
        upper = extras.get("upper")
        if upper is None and self.lower_limit is None and self.upper_limit is None:
            return super()._view(X, reset, sample_weight, **extras)
        self._check_extras(extras)
        single = getattr(X, "dtype", None) == np.float32
        low = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite=False)
        high = low if upper is None else np.asarray(upper, dtype=np.float64)
        limits = self._limits(low.shape[1], np.float32 if single else np.float64)
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, low, dtype=np.float64)
        low, high = _limited(low, high, *limits)
        return Intervals.from_ends(low, high, extras.get("covariates"), sample_weight)

    def _limits(self, d: int, dtype: Any) -> list[Array]:
        """Lower and upper limits of the columns (d,), infinite where there are none.

        They are rounded as the data are, so that values that were set to a limit reach it.
        """
        limits = []
        for name, none in (("lower_limit", -np.inf), ("upper_limit", np.inf)):
            given = getattr(self, name)
            try:
                limit = np.asarray(none if given is None else given, dtype=np.float64)
            except (TypeError, ValueError):
                limit = np.array(np.nan)
            if limit.shape not in ((), (d,)) or np.isnan(limit).any():
                raise ValueError(
                    f"{name}: {given!r} is not a number, or one for each of {d} columns"
                )
            limits.append(np.broadcast_to(limit.astype(dtype).astype(np.float64), d))
        lower, upper = limits
        if (lower >= upper).any():
            raise ValueError(
                f"lower_limit: {self.lower_limit!r} is not below upper_limit: {self.upper_limit!r}"
            )
        return limits


def _limited(low: Array, high: Array, lower: Array, upper: Array) -> tuple[Array, Array]:
    """Open the intervals of the exact cells that reach a detection limit."""
    exact, values = low == high, low
    below, above = exact & (values <= lower), exact & (values >= upper)
    low, high = np.where(below, -np.inf, low), np.where(below, lower, high)
    return np.where(above, upper, low), np.where(above, np.inf, high)
