"""BernoulliMixture: binary columns, independent given the class."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from emlib.estimators.table import ClassMethods, TableEstimator
from emlib.models.bernoulli_mixture import BernoulliMixtureModel


@dataclass(eq=False, repr=False)
class BernoulliMixture(ClassMethods, TableEstimator):
    """Mixture of binary columns fitted by exact EM, missing cells (NaN) integrated out.

    In each component the columns are independent; latent class analysis of binary items.

    Parameters
    ----------
    n_components : int, default=1
    init_params : str, Init or dict, default="short_em"
        Name of an initialization (``short_em``, ``points``, ``kmeans``, ``kmeans++``, ``random``),
        an init object such as ``emlib.inits.ShortEM(tries=20)``, or starting values
        ``dict(weights=, probabilities=)``.  A probability of zero or one stays what it is.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    probabilities_ : ndarray of shape (n_components, n_features)
        Probabilities of a one.  Zero or one is a maximum on the boundary: flagged ``boundary``.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Raises
    ------
    InvalidData
        By ``fit``, if a cell is neither 0 nor 1.

    References
    ----------
    Lazarsfeld and Henry (1968), Latent Structure Analysis; McLachlan and Peel (2000), Finite
    Mixture Models.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import BernoulliMixture
    >>> X = np.repeat([[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1], [0, np.nan, 1, 1]], 10, axis=0)
    >>> model = BernoulliMixture(2, random_state=0).fit(X)
    >>> labels = model.predict(X)
    >>> bool(labels[0] == labels[10] != labels[20] == labels[30])
    True
    """

    n_components: int = 1
    _: KW_ONLY
    init_params: Any = "short_em"

    def _make_model(self) -> BernoulliMixtureModel:
        return BernoulliMixtureModel(self.n_components)

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        if not ((params.probabilities >= 0) & (params.probabilities <= 1)).all():
            raise ValueError("init_params['probabilities']: not all are from 0 to 1")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
