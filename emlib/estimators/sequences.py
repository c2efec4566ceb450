"""Estimators of sequences: what hidden Markov and state-space models share."""

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import validate_data

from emlib.data import Sequences
from emlib.estimators.base import EMEstimator, Measured

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="SequenceEstimator")


@dataclass(kw_only=True, eq=False, repr=False)
class SequenceEstimator(EMEstimator):
    """An estimator of one or many sequences; NaN marks a missing cell of a time step."""

    def fit(
        self: Self,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model by the forward-backward or Kalman smoother and EM.

        Parameters
        ----------
        X : array-like of shape (sum of lengths, n_features)
            The sequences, one after the other; NaN marks a missing cell, a whole step included.
        lengths : array-like of shape (n_sequences,), optional
            One sequence by default.
        sample_weight : array-like of shape (n_sequences,), optional
            An integer weight equals that many copies of the whole sequence.

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If the model cannot take the data; it is a ``ValueError``.
        """
        return self._fit(self._view(X, lengths, reset=True, sample_weight=sample_weight))

    def score(self, X: ArrayLike, lengths: ArrayLike | None = None) -> float:
        """Total loglik of the sequences, as hmmlearn has it."""
        self._check_fitted()
        return float(self.score_sequences(X, lengths).sum())

    def score_sequences(self, X: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Loglik of each sequence, nats, shape (n_sequences,)."""
        self._check_fitted()
        return self._model.posterior(self.params_, self._view(X, lengths)).loglik

    def aic(self, X: ArrayLike | None = None, lengths: ArrayLike | None = None) -> float:
        """Akaike's criterion on X, on the fitted data by default; lower is better."""
        return -2.0 * self._measured_on(X, lengths)[0] + 2.0 * self.n_parameters_

    def bic(self, X: ArrayLike | None = None, lengths: ArrayLike | None = None) -> float:
        """Schwarz's criterion, n being the sum of the weights of steps with an observed cell."""
        loglik, total_weight, _ = self._measured_on(X, lengths)
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight))

    def _measured_on(self, X: ArrayLike | None, lengths: ArrayLike | None) -> Measured:
        self._check_fitted()
        return self._measured(None if X is None else self._view(X, lengths))

    def impute(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        n_draws: int | None = None,
        proper: bool | str = False,
    ) -> Array:
        """Fill the missing cells; arguments and result as ``TableEstimator.impute`` has them."""
        self._check_fitted()
        return self._impute(self._view(X, lengths), n_draws, proper)

    def _view(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        reset: bool = False,
        sample_weight: ArrayLike | None = None,
    ) -> Sequences:
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        return self._make_model().view(X, sample_weight, lengths=lengths)
