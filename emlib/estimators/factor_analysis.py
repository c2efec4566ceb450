"""FactorAnalysis, with isotropic noise probabilistic PCA; NaN means missing."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

from numpy.typing import ArrayLike

from emlib.data import Table
from emlib.estimators.table import FactorMethods, TableEstimator
from emlib.models.factor_analysis import FactorAnalysisModel


@dataclass(eq=False, repr=False)
class FactorAnalysis(FactorMethods, TableEstimator):
    """Maximum-likelihood factor analysis by exact EM, missing cells (NaN) integrated out.

    A row is ``mean_ + loadings_ @ factors + noise`` with independent standard normal factors and
    independent noise.  EM is slow here: hundreds to many thousands of cheap iterations, which for
    patterns with many rows do not depend on how many.

    Where a noise variance goes to zero (a Heywood case) the likelihood stays bounded, and the fit
    is flagged ``boundary``; EM then nears the maximum ever more slowly.  Where columns are
    linearly dependent in the data, few enough for the factors to explain them without noise, the
    likelihood is unbounded and the fit ends as ``degenerate``.

    Parameters
    ----------
    n_factors : int, default=1
        At most n_features.
    noise : {"diagonal", "isotropic"}, default="diagonal"
        One noise variance a column; or one for all, which is probabilistic PCA.
    loadings_mask : array-like of shape (n_features, n_factors), optional
        False where a loading is held at zero.  Only factors with the same free loadings can then
        be rotated into each other.
    init_params : str, Init or dict, default="pca"
        ``pca`` (deterministic), ``random`` loadings (for ``n_init`` starts), an init object, or
        starting values ``dict(mean=, loadings=, noise_variance=)`` in the shapes of the fitted
        attributes; a loading that starts at zero everywhere in a column stays there.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    mean_ : ndarray of shape (n_features,)
    loadings_ : ndarray of shape (n_features, n_factors)
        Rotated so that ``loadings_.T @ diag(1 / noise_variance_) @ loadings_`` is diagonal and
        descending, among factors with the same free loadings; a factor's largest loading is
        positive.
    noise_variance_ : ndarray of shape (n_features,) or ()
        Of the uniquenesses, in the columns' squared units.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Notes
    -----
    ``standard_errors()`` has ``communalities`` and ``uniquenesses`` too, the shares of each
    column's variance that factors and noise explain; unrotated loadings have none.

    References
    ----------
    Rubin and Thayer (1982), Psychometrika 47, 69-76; Tipping and Bishop (1999), JRSS B 61,
    611-622; Lawley and Maxwell (1971), Factor Analysis as a Statistical Method; Robertson and
    Symons (2007), JMVA 98, 813-828 (when the likelihood is bounded).

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import FactorAnalysis
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(200, 1)) * [1.0, 2.0, -1.0, 0.5] + rng.normal(size=(200, 4))
    >>> X[rng.random(X.shape) < 0.1] = np.nan
    >>> model = FactorAnalysis(n_factors=1).fit(X)
    >>> np.sign(model.loadings_[:, 0])
    array([ 1.,  1., -1.,  1.])
    >>> model.transform(X).shape
    (200, 1)
    """

    n_factors: int = 1
    _: KW_ONLY
    noise: str = "diagonal"
    loadings_mask: ArrayLike | None = None
    init_params: Any = "pca"

    def _make_model(self) -> FactorAnalysisModel:
        return FactorAnalysisModel(self.n_factors, self.noise, self.loadings_mask)  # type: ignore[arg-type]

    def _publish(self, params: Any) -> None:
        self.params_ = self._make_model().canonical(params)
        super()._publish(self.params_)

    def _check_start(self, params: Any, model: Any, data: Table) -> None:
        check_factors(params.loadings, params.noise_variance, "noise_variance", model, data.d)


def check_factors(loadings: Any, noise: Any, name: str, model: Any, d: int) -> None:
    """Refuse noise that is not positive, and loadings that the mask holds at zero.

    Raises
    ------
    ValueError
    """
    if not (noise > 0).all():
        raise ValueError(f"init_params[{name!r}]: not all are positive")
    if (loadings[..., ~model.mask(d)] != 0).any():
        raise ValueError("init_params['loadings']: not zero where loadings_mask is False")
