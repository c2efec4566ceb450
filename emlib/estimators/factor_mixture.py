"""MixtureOfFactorAnalyzers: clusters with few factors each; NaN means missing."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from emlib.data import Table
from emlib.estimators.factor_analysis import check_factors
from emlib.estimators.table import ClassMethods, FactorMethods, TableEstimator
from emlib.models.factor_mixture import MixtureOfFactorAnalyzersModel


@dataclass(eq=False, repr=False)
class MixtureOfFactorAnalyzers(ClassMethods, FactorMethods, TableEstimator):
    """Mixture of factor analyzers by exact EM, missing cells (NaN) integrated out.

    A Gaussian mixture whose covariances are ``loadings @ loadings.T + noise``: between ``diag``
    and ``full``, with far fewer parameters than ``full`` in many dimensions.  With isotropic noise
    it is a mixture of probabilistic principal component analyzers.

    Parameters
    ----------
    n_components, n_factors : int, default=1
    noise : {"diagonal", "isotropic"}, default="diagonal"
        One noise variance a component and column; or one a component.
    init_params : str, Init or dict, default="kmeans"
        As in ``GaussianMixture``, each component then starting at its principal components; or
        starting values ``dict(weights=, means=, loadings=, noise_variances=)``.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    loadings_ : ndarray of shape (n_components, n_features, n_factors)
        Each component's rotated as in ``FactorAnalysis``.
    noise_variances_ : ndarray of shape (n_components, n_features) or (n_components,)
        Each component has its own (McLachlan and Peel; Ghahramani and Hinton have one for all).
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Notes
    -----
    ``transform`` gives the posterior mean of the factors, the components' scores weighted by
    their responsibilities; each component's are in its own rotation.

    References
    ----------
    Ghahramani and Hinton (1996), technical report CRG-TR-96-1; McLachlan and Peel (2000), Finite
    Mixture Models, chapter 8; Tipping and Bishop (1999), Neural Computation 11, 443-482.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import MixtureOfFactorAnalyzers
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(300, 1)) * [1.0, 2.0, 0.5, 1.0] + rng.normal(size=(300, 4))
    >>> X[:100] += 8.0
    >>> model = MixtureOfFactorAnalyzers(2, 1, random_state=0).fit(X)
    >>> sorted(np.bincount(model.predict(X)).tolist())
    [100, 200]
    """

    n_components: int = 1
    n_factors: int = 1
    _: KW_ONLY
    noise: str = "diagonal"

    def _make_model(self) -> MixtureOfFactorAnalyzersModel:
        return MixtureOfFactorAnalyzersModel(self.n_components, self.n_factors, self.noise)

    def _publish(self, params: Any) -> None:
        self.params_ = self._make_model().canonical(params)
        super()._publish(self.params_)

    def _check_start(self, params: Any, model: Any, data: Table) -> None:
        check_factors(params.loadings, params.noise_variances, "noise_variances", model, data.d)
