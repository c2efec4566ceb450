"""Estimators of independent rows, and what those with latent classes add."""

from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassNamePrefixFeaturesOutMixin, DensityMixin, TransformerMixin
from sklearn.utils.validation import _check_sample_weight, validate_data

from emlib.data.mapped import is_dataset, mapped
from emlib.estimators.base import EMEstimator, Measured
from emlib.models.records import Posteriors

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="TableEstimator")


@dataclass(kw_only=True, eq=False, repr=False)
class TableEstimator(DensityMixin, EMEstimator):
    """An estimator of independent rows; NaN marks a missing cell.

    Families that read more than X take it as further keyword arguments of every method: see
    their ``fit``.
    """

    _extras: ClassVar[tuple[str, ...]] = ()

    def fit(
        self: Self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks a missing cell.  Data larger than memory are a memory-mapped array of
            float64, which is read in its place, or a ``pyarrow.dataset.Dataset`` of columns of
            numbers (Parquet files, say), which is copied once to a temporary file.
        y : ignored
        sample_weight : array-like of shape (n_samples,), optional
            An integer weight equals that many copies of the row.

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If the model cannot take the data; it is a ``ValueError``.
        """
        return self._fit(self._view(X, reset=True, sample_weight=sample_weight))

    def score_samples(self, X: ArrayLike, **extras: Any) -> Array:
        """Log density of each row's observed cells, nats, shape (n_samples,)."""
        return self._posterior(X, **extras).loglik

    def score(self, X: ArrayLike, y: None = None, **extras: Any) -> float:
        """Mean of ``score_samples(X)``, as scikit-learn has it."""
        return float(self.score_samples(X, **extras).mean())

    def aic(self, X: ArrayLike | None = None, **extras: Any) -> float:
        """Akaike's criterion on X, on the fitted data by default; lower is better."""
        return -2.0 * self._measured_on(X, **extras)[0] + 2.0 * self.n_parameters_

    def bic(self, X: ArrayLike | None = None, **extras: Any) -> float:
        """Schwarz's criterion, n being the sum of the weights of rows with an observed cell."""
        loglik, total_weight, _ = self._measured_on(X, **extras)
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight))

    def impute(
        self,
        X: ArrayLike,
        n_draws: int | None = None,
        proper: bool | str = False,
        **extras: Any,
    ) -> Array:
        """Fill the missing cells.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        n_draws : int, optional
            Without it missing cells take their conditional expectations; with it they are drawn
            that many times given the observed cells.
        proper : {False, True, "bootstrap", "normal"}
            Whether each draw first draws the parameters, so that Rubin's rules hold (Little and
            Rubin 2019, section 10.2): by a refit to a bootstrap sample (True), or from the normal
            approximation, where the observed information is positive definite.

        Returns
        -------
        ndarray of shape (n_samples, n_features), or (n_draws, n_samples, n_features)
        """
        self._check_fitted()
        return self._impute(self._view(X, reset=False, **extras), n_draws, proper)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _view(
        self, X: ArrayLike, reset: bool, sample_weight: ArrayLike | None = None, **extras: Any
    ) -> Any:
        self._check_extras(extras)
        X = mapped(X) if is_dataset(X) else X
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return self._make_model().view(X, sample_weight, **extras)

    def _check_extras(self, extras: dict[str, Any]) -> None:
        unknown = set(extras) - set(self._extras)
        if unknown:
            allowed = ", ".join(self._extras) or "nothing"
            raise TypeError(
                f"{sorted(unknown)[0]!r}: {type(self).__name__} reads {allowed} beside X"
            )

    def _posterior(self, X: ArrayLike, **extras: Any) -> Posteriors:
        self._check_fitted()
        return self._model.posterior(self.params_, self._view(X, reset=False, **extras))

    def _measured_on(self, X: ArrayLike | None, **extras: Any) -> Measured:
        self._check_fitted()
        return self._measured(None if X is None else self._view(X, reset=False, **extras))


class ClassMethods:
    """What latent classes add to an estimator of rows."""

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Most probable component of each row, shape (n_samples,)."""
        return self.predict_proba(X).argmax(axis=1)

    def fit_predict(
        self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit and return the most probable component of each row, shape (n_samples,)."""
        return self.fit(X, sample_weight=sample_weight).predict(X)  # type: ignore[attr-defined]

    def predict_proba(self, X: ArrayLike) -> Array:
        """Posterior probabilities of the components, shape (n_samples, n_components)."""
        return self._posterior(X).responsibilities  # type: ignore[attr-defined]

    def icl(self, X: ArrayLike | None = None) -> float:
        """BIC plus twice the entropy of the classification (Biernacki et al. 2000)."""
        loglik, total_weight, entropy = self._measured_on(X)  # type: ignore[attr-defined]
        penalty = self.n_parameters_ * float(np.log(total_weight))  # type: ignore[attr-defined]
        return -2.0 * loglik + penalty + 2.0 * entropy()


class FactorMethods(ClassNamePrefixFeaturesOutMixin, TransformerMixin):
    """What continuous latent variables add to an estimator of rows."""

    def transform(self, X: ArrayLike) -> Array:
        """Posterior means of the factors (regression scores), shape (n_samples, n_factors)."""
        return self._posterior(X).latent

    def fit_transform(
        self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> Array:
        """Fit and return the factor scores of X, shape (n_samples, n_factors)."""
        return self.fit(X, sample_weight=sample_weight).transform(X)

    @property
    def _n_features_out(self) -> int:
        return int(self.loadings_.shape[-1])
