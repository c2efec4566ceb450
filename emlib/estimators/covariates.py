"""Estimators whose columns may be regressed on covariates."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.errors import require_count
from emlib.estimators.starting import entropy
from emlib.estimators.table import TableEstimator

Array = NDArray[np.float64]


@dataclass(kw_only=True, eq=False, repr=False)
class CovariateEstimator(TableEstimator):
    """What covariates change.

    ``score_samples``, ``score``, ``aic``, ``bic`` and ``impute`` take ``covariates=`` as ``fit``
    does.
    """

    init_params: Any = "random"

    _extras: ClassVar[tuple[str, ...]] = ("covariates",)

    def sample(
        self, n_samples: int = 1, covariates: ArrayLike | None = None
    ) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows, beside ``covariates`` (n_samples, p) where the model was fitted with some.

        Returns
        -------
        ndarray of shape (n_samples, n_features), ndarray of shape (n_samples,)
            The rows, and zeros: there are no components.
        """
        self._check_fitted()
        require_count("n_samples", n_samples)
        rng = np.random.default_rng(entropy(self.random_state))
        return self._model.sample(self.params_, n_samples, rng, covariates)  # type: ignore[call-arg]
