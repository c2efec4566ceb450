"""MultivariateNormal: mean and covariance of data with missing cells (NaN)."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from emlib.data import Table
from emlib.estimators.table import TableEstimator
from emlib.models.multivariate_normal import MultivariateNormalModel


@dataclass(eq=False, repr=False)
class MultivariateNormal(TableEstimator):
    """Mean and covariance of one normal by exact EM, missing cells (NaN) integrated out.

    Without missing cells these are the sample mean and the covariance with divisor n, reached in
    one step.  Where the likelihood is unbounded, because some combination of columns is constant
    in the rows that show it, the fit ends as ``degenerate``; a prior bounds it.

    Parameters
    ----------
    prior : {None, "fraley_raftery"}, default=None
        None is maximum likelihood; a named prior (Fraley and Raftery 2007) is declared in the
        objective.
    init_params : str, Init or dict, default="random"
        Every named initialization is the same here: available-case moments, shrunk a little
        towards independent columns so that they are sound.  Or starting values
        ``dict(mean=, covariance=)``.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    covariance_ : ndarray of shape (n_features, n_features)
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39, 1-38; Little and Rubin (2019), Statistical
    Analysis with Missing Data, section 11.2; Schafer (1997), Analysis of Incomplete Multivariate
    Data, section 5.3.

    Examples
    --------
    The apple crops and wormy fruits of Little and Rubin (2019), example 7.1:

    >>> import numpy as np
    >>> from emlib import MultivariateNormal
    >>> crop = [8, 6, 11, 22, 14, 17, 18, 24, 19, 23, 26, 40, 4, 4, 5, 6, 8, 10]
    >>> wormy = [59, 58, 56, 53, 50, 45, 43, 42, 39, 38, 30, 27] + 6 * [np.nan]
    >>> model = MultivariateNormal(tol=1e-9).fit(np.column_stack([crop, wormy]))
    >>> model.mean_.round(2)
    array([14.72, 49.33])
    """

    _: KW_ONLY
    prior: str | None = None
    init_params: Any = "random"

    def _make_model(self) -> MultivariateNormalModel:
        return MultivariateNormalModel(self.prior)

    def _check_start(self, params: Any, model: Any, data: Table) -> None:
        matrix = params.covariance
        if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
            raise ValueError("init_params['covariance']: not symmetric")
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError("init_params['covariance']: not positive definite")
