"""PoissonMixture: counts, columns independent given the class."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from emlib.estimators.table import ClassMethods, TableEstimator
from emlib.models.poisson_mixture import PoissonMixtureModel


@dataclass(eq=False, repr=False)
class PoissonMixture(ClassMethods, TableEstimator):
    """Mixture of Poisson counts fitted by exact EM, missing cells (NaN) integrated out.

    In each component the columns are independent Poisson counts.

    Parameters
    ----------
    n_components : int, default=1
    init_params : str, Init or dict, default="short_em"
        Name of an initialization (``short_em``, ``points``, ``kmeans``, ``kmeans++``, ``random``),
        an init object such as ``emlib.inits.ShortEM(tries=20)``, or starting values
        ``dict(weights=, rates=)``.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    rates_ : ndarray of shape (n_components, n_features)
        Expected counts.  A rate of zero is a maximum on the boundary: flagged ``boundary``.
    loglik_ : float
        With the factorials of the counts.
    n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Raises
    ------
    InvalidData
        By ``fit``, if a cell is no count: 0, 1, 2, ...

    References
    ----------
    Hasselblad (1969), JASA 64, 1459-1471; McLachlan and Peel (2000), Finite Mixture Models.

    Examples
    --------
    Death notices of women over 80 in The Times, 1910-1912, by day (Hasselblad 1969): many days
    are alike, so their numbers are weights.

    >>> from emlib import PoissonMixture
    >>> notices = [[0], [1], [2], [3], [4], [5], [6], [7], [8], [9]]
    >>> days = [162, 267, 271, 185, 111, 61, 27, 8, 3, 1]
    >>> model = PoissonMixture(2, random_state=0, tol=1e-10, max_iter=10_000)
    >>> model = model.fit(notices, sample_weight=days)
    >>> round(model.loglik_, 4)
    -1989.9459
    """

    n_components: int = 1
    _: KW_ONLY
    init_params: Any = "short_em"

    def _make_model(self) -> PoissonMixtureModel:
        return PoissonMixtureModel(self.n_components)

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        if (params.rates < 0).any():
            raise ValueError("init_params['rates']: not all are at least 0")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
