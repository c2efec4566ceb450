"""GaussianMixture: the estimator that practitioners use; NaN means missing."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin
from sklearn.utils.validation import _check_sample_weight, validate_data

from emlib.data import Table
from emlib.estimators.base import EMEstimator, as_init
from emlib.inits import Given, Init
from emlib.models.base import Posteriors
from emlib.models.gaussian_mixture import GaussianMixtureModel, GaussianMixtureParams

Array = NDArray[np.float64]


class GaussianMixture(DensityMixin, EMEstimator):
    """Gaussian mixture fitted by exact EM, missing cells (NaN) integrated out.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : {"full", "tied", "diag", "spherical"}, default="full"
    init_params : str, Init or dict, default="kmeans"
        Name of an initialization (``random``, ``points``, ``kmeans``, ``kmeans++``,
        ``short_em``), an init object such as ``emlib.inits.ShortEM(tries=20)``, or starting
        values ``dict(weights=, means=, covariances=)`` in the shapes of the fitted attributes.
    n_init : int, default=1
        Number of starts; the best end is kept.  One failed start never ends a fit.
    algorithm : str or algorithm, default="em"
    tol : float, default=1e-3
        Stop when the predicted remaining gain of the objective is below this many nats, in
        total and not per row; 0 runs all of ``max_iter``.
    max_iter : int, default=1000
    prior : {None, "fraley_raftery"}, default=None
        None is maximum likelihood, with no hidden floor on covariances; a named prior (Fraley
        and Raftery 2007) is declared in the objective.
    random_state : int, Generator, RandomState or None, default=None

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
    covariances_ : ndarray
        Shape (K, d, d) full, (d, d) tied, (K, d) diag, (K,) spherical.
    loglik_ : float
        Observed-data log-likelihood at the returned parameters: total, natural log.
    objective_ : float
        ``loglik_`` plus the log prior, where one is declared.
    n_iter_ : int
    status_ : str
        ``converged``, ``max_iter``, ``degenerate`` or ``decreased``.
    flags_ : tuple of str
        ``spurious`` (fewer than 2 d effective rows, or a relative eigenvalue below 1e-4),
        ``slow_tail``.
    history_ : History
        Objective, loglik, E-steps and seconds of each iteration.
    starts_ : list of StartRecord
        How each start ended.
    n_parameters_ : int
    n_features_in_ : int

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39, 1-38; Ghahramani and Jordan (1994), NIPS 6;
    McLachlan and Peel (2000), Finite Mixture Models.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import GaussianMixture
    >>> X = np.array([[1.0, 2.1], [1.2, np.nan], [0.8, 1.8], [np.nan, 7.9], [6.1, 8.3], [5.7, 8.0]])
    >>> model = GaussianMixture(2, covariance_type="tied", random_state=0).fit(X)
    >>> model.predict(X)[:3] == model.predict(X)[0]
    array([ True,  True,  True])
    """

    def __init__(
        self,
        n_components: int = 1,
        *,
        covariance_type: str = "full",
        init_params: Any = "kmeans",
        n_init: int = 1,
        algorithm: Any = "em",
        tol: float = 1e-3,
        max_iter: int = 1000,
        prior: str | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_components = n_components
        self.covariance_type = covariance_type
        self.init_params = init_params
        self.n_init = n_init
        self.algorithm = algorithm
        self.tol = tol
        self.max_iter = max_iter
        self.prior = prior
        self.random_state = random_state

    def fit(
        self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> "GaussianMixture":
        """Fit the mixture.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks a missing cell.
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
        data = self._table(X, reset=True, sample_weight=sample_weight)
        model = GaussianMixtureModel(self.n_components, self.covariance_type, self.prior)
        model = model.prepare(data)
        best = self._climb_all(model, data, self._init(model, data.d))
        self._model = model
        self.weights_, self.means_ = best.params.weights, best.params.means
        self.covariances_ = best.params.covariances
        self.n_parameters_ = model.n_parameters(data)
        self._fitted = (self.loglik_, *self._measure(data)[1:])
        return self

    def predict(self, X: ArrayLike) -> NDArray[np.int64]:
        """Most probable component of each row, shape (n_samples,)."""
        return self._posterior(X).responsibilities.argmax(axis=1)

    def fit_predict(
        self, X: ArrayLike, y: None = None, sample_weight: ArrayLike | None = None
    ) -> NDArray[np.int64]:
        """Fit and return the most probable component of each row, shape (n_samples,)."""
        return self.fit(X, sample_weight=sample_weight).predict(X)

    def predict_proba(self, X: ArrayLike) -> Array:
        """Posterior probabilities of the components, shape (n_samples, n_components)."""
        return self._posterior(X).responsibilities

    def score_samples(self, X: ArrayLike) -> Array:
        """Log density of each row's observed cells, nats, shape (n_samples,)."""
        return self._posterior(X).loglik

    def score(self, X: ArrayLike, y: None = None) -> float:
        """Mean of ``score_samples(X)``, as scikit-learn has it."""
        return float(self.score_samples(X).mean())

    def impute(self, X: ArrayLike) -> Array:
        """X with each missing cell at its conditional expectation, shape of X."""
        return self._posterior(X).completed

    def sample(self, n_samples: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows (n_samples, n_features) and their components (n_samples,)."""
        self._check_fitted()
        if n_samples < 1:
            raise ValueError(f"n_samples: {n_samples!r} is not positive")
        rng = np.random.default_rng(self.random_state)
        return self._model.sample(self.params_, n_samples, rng)

    def aic(self, X: ArrayLike | None = None) -> float:
        """Akaike's criterion on X, on the fitted data by default; lower is better."""
        return -2.0 * self._measured(X)[0] + 2.0 * self.n_parameters_

    def bic(self, X: ArrayLike | None = None) -> float:
        """Schwarz's criterion, n being the sum of the weights of rows with an observed cell."""
        loglik, total_weight, _ = self._measured(X)
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight))

    def icl(self, X: ArrayLike | None = None) -> float:
        """BIC plus twice the entropy of the classification (Biernacki et al. 2000)."""
        loglik, total_weight, entropy = self._measured(X)
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight)) + 2.0 * entropy

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    def _table(self, X: ArrayLike, reset: bool, sample_weight: ArrayLike | None = None) -> Table:
        X = validate_data(self, X, reset=reset, dtype=np.float64, ensure_all_finite="allow-nan")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, X, dtype=np.float64)
        return Table.from_array(X, sample_weight)

    def _init(self, model: GaussianMixtureModel, d: int) -> Init:
        if isinstance(self.init_params, dict):
            return Given(_starting_values(self.init_params, model, d))
        return as_init(self.init_params)

    def _posterior(self, X: ArrayLike) -> Posteriors:
        self._check_fitted()
        return self._model.posterior(self.params_, self._table(X, reset=False))

    def _measured(self, X: ArrayLike | None) -> tuple[float, float, float]:
        """Total loglik, total weight and classification entropy; of the fitted data by default."""
        self._check_fitted()
        return self._fitted if X is None else self._measure(self._table(X, reset=False))

    def _measure(self, data: Table) -> tuple[float, float, float]:
        loglik, responsibilities, _ = self._model.posterior(self.params_, data)
        safe = np.where(responsibilities > 0, responsibilities, 1.0)
        entropies = -(responsibilities * np.log(safe)).sum(axis=1)
        weights = data.weights * data.informative
        return float(weights @ loglik), data.total_weight, float(weights @ entropies)


def _starting_values(
    values: dict[str, Any], model: GaussianMixtureModel, d: int
) -> GaussianMixtureParams:
    """Check user's starting values against the model's shapes."""
    shapes = {
        "weights": (model.n_components,),
        "means": (model.n_components, d),
        "covariances": model.structure.shape(model.n_components, d),
    }
    if set(values) != set(shapes):
        raise ValueError(f"init_params: keys {sorted(values)}; needed are {sorted(shapes)}")
    arrays = {name: np.array(value, dtype=np.float64) for name, value in values.items()}
    for name, shape in shapes.items():
        if arrays[name].shape != shape:
            raise ValueError(f"init_params[{name!r}]: shape {arrays[name].shape} is not {shape}")
        if not np.isfinite(arrays[name]).all():
            raise ValueError(f"init_params[{name!r}]: not all values are finite")
    weights = arrays["weights"]
    if (weights < 0).any() or abs(weights.sum() - 1.0) > 1e-8:
        raise ValueError(f"init_params['weights']: {weights} are not probabilities that sum to 1")
    params = GaussianMixtureParams(**arrays)
    matrices = model.full_covariances(params)
    if not np.allclose(matrices, matrices.transpose(0, 2, 1), rtol=1e-8, atol=0):
        raise ValueError("init_params['covariances']: not symmetric")
    for k, matrix in enumerate(matrices):
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError(
                f"init_params['covariances']: that of component {k} is not positive definite"
            )
    return params
