"""GaussianMixture: the estimator that practitioners use; NaN means missing."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from emlib.data import Table
from emlib.estimators.table import ClassMethods, TableEstimator
from emlib.models.covariance import Covariance
from emlib.models.gaussian_mixture import GaussianMixtureModel


@dataclass(eq=False, repr=False)
class GaussianMixture(ClassMethods, TableEstimator):
    """Gaussian mixture fitted by exact EM, missing cells (NaN) integrated out.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : str, default="full"
        "full", "tied", "diag", "spherical", or one of mclust's fourteen codes (Celeux and Govaert
        1995): EII VII EEI VEI EVI VVI EEE VEE EVE VVE EEV VEV EVV VVV - volume, shape and
        orientation of the components equal (E), varying (V), or without axes of their own (I) -
        or E, V for one column.  VVV is full, EEE tied, VVI diag, VII spherical.
    prior : {None, "fraley_raftery"}, default=None
        None is maximum likelihood, with no hidden floor on covariances; a named prior (Fraley
        and Raftery 2007) is declared in the objective, for the structures that have a conjugate
        one: the four of scikit-learn, EII and EEI.
    init_params : str, Init or dict, default="kmeans"
        Name of an initialization (``random``, ``points``, ``kmeans``, ``kmeans++``,
        ``short_em``), an init object such as ``emlib.inits.ShortEM(tries=20)``, or starting
        values ``dict(weights=, means=, covariances=)`` in the shapes of the fitted attributes.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        Shape (d, d) tied and EEE; (K,) spherical, VII and EII (E and V); (K, d) diag, VVI, EEI,
        VEI and EVI; (K, d, d) full, VVV and all others.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39, 1-38; Ghahramani and Jordan (1994), NIPS 6;
    McLachlan and Peel (2000), Finite Mixture Models; Celeux and Govaert (1995), Pattern
    Recognition 28, 781-793; Scrucca et al. (2016), R Journal 8, 289-317 (mclust's codes).

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import GaussianMixture
    >>> X = np.array([[1.0, 2.1], [1.2, np.nan], [0.8, 1.8], [np.nan, 7.9], [6.1, 8.3], [5.7, 8.0]])
    >>> model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    >>> model.predict(X)[:3] == model.predict(X)[0]
    array([ True,  True,  True])
    """

    n_components: int = 1
    _: KW_ONLY
    covariance_type: str = "full"
    prior: str | None = None

    def _make_model(self) -> GaussianMixtureModel:
        return GaussianMixtureModel(self.n_components, self.covariance_type, self.prior)

    def _check_start(self, params: Any, model: Any, data: Table) -> None:
        check_covariances(params, model.structure)


def check_covariances(params: Any, structure: Covariance) -> None:
    """Refuse starting values whose covariances are none, or not of their structure.

    Raises
    ------
    ValueError
    """
    matrices = structure.full(params.covariances, *params.means.shape)
    if not np.allclose(matrices, matrices.transpose(0, 2, 1), rtol=1e-8, atol=0):
        raise ValueError("init_params['covariances']: not symmetric")
    for k, matrix in enumerate(matrices):
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError(
                f"init_params['covariances']: that of component {k} is not positive definite"
            )
    nearest = structure.from_full(params.weights, matrices)
    if not np.allclose(params.covariances, nearest, rtol=1e-6, atol=1e-6 * abs(matrices).min()):
        raise ValueError(
            f"init_params['covariances']: are not of the structure {structure.name}; "
            "the nearest that are: emlib.models.covariance.COVARIANCES"
            f"[{structure.name!r}].from_full(weights, matrices)"
        )
