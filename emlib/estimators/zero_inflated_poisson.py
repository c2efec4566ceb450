"""ZeroInflatedPoisson: counts with excess zeros."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.estimators.covariates import CovariateEstimator
from emlib.models.zero_inflated_poisson import ZeroInflatedPoissonModel

Array = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class ZeroInflatedPoisson(CovariateEstimator):
    """Counts that are structural zeros or Poisson, by EM; missing counts (NaN) take no part.

    Each column has its own probability of a structural zero and its own rate, whose logarithm is
    regressed on covariates where there are any; columns are independent given these.

    Parameters
    ----------
    init_params : {"random"} or dict
        One start, in which half of the zeros are structural (``random``); or starting values
        ``dict(inflation=, intercept=)``, with ``coef=`` beside covariates.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    inflation_ : ndarray of shape (n_features,)
        Probability that a cell is a structural zero: not that of a zero.
    intercept_ : ndarray of shape (n_features,)
        Log rates of the Poisson part, where the covariates are 0.
    coef_ : ndarray of shape (n_features, n_covariates)
    rates_ : ndarray of shape (n_features,)
        ``exp(intercept_)``.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``; ``boundary`` among the flags says that there are
        no more zeros than Poisson ones.

    References
    ----------
    Lambert (1992), Technometrics 34, 1-14.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import ZeroInflatedPoisson
    >>> X = np.repeat([[0.0], [1.0], [2.0], [3.0], [4.0], [np.nan]], [40, 9, 13, 9, 5, 4], axis=0)
    >>> model = ZeroInflatedPoisson(tol=1e-10).fit(X)
    >>> model.inflation_.round(3), model.rates_.round(3)
    (array([0.448]), array([1.955]))
    >>> model.predict_proba([[0.0], [2.0]]).round(3).ravel()
    array([0.852, 0.   ])
    """

    def fit(
        self,
        X: ArrayLike,
        y: None = None,
        sample_weight: ArrayLike | None = None,
        covariates: ArrayLike | None = None,
    ) -> "ZeroInflatedPoisson":
        """Fit the model; the other methods take ``covariates`` alike.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Counts, NaN where missing.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            An integer weight equals that many copies of the row.
        covariates : array-like of shape (n_samples, n_covariates), optional
            Without a column of ones and without missing cells.

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If a cell is negative or a column holds only zeros.
        """
        return self._fit(self._view(X, True, sample_weight, covariates=covariates))

    def predict_proba(self, X: ArrayLike, **extras: Any) -> Array:
        """Probability that each cell is a structural zero, shape (n_samples, n_features).

        0 where the count is positive, ``inflation_`` where it is missing.
        """
        self._check_fitted()
        view = self._view(X, False, **extras)
        return self._make_model().structural(self.params_, view)

    @property
    def rates_(self) -> Array:
        """Rates of the Poisson part, where the covariates are 0."""
        self._check_fitted()
        return np.exp(self.intercept_)

    def _make_model(self) -> ZeroInflatedPoissonModel:
        return ZeroInflatedPoissonModel()

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        if not ((params.inflation >= 0) & (params.inflation < 1)).all():
            raise ValueError(f"init_params['inflation']: {params.inflation} are not in [0, 1)")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
