"""LatentClass: latent class analysis of categorical items."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np

from emlib.estimators.table import ClassMethods, TableEstimator
from emlib.models.latent_class import LatentClassModel


@dataclass(eq=False, repr=False)
class LatentClass(ClassMethods, TableEstimator):
    """Latent class analysis by exact EM, missing answers (NaN) integrated out.

    Each column of X is an item with levels coded by whole numbers; items are independent given
    the class, and each may have another number of levels.

    Parameters
    ----------
    n_components : int, default=1
        Latent classes.
    n_levels : int or sequence of int, optional
        Number of levels of all items, or of each, coded 0, 1, ..., n_levels - 1.  By default an
        item has the levels that occur in X, whatever whole numbers they are coded by (0, 1, ...
        as in StepMix, 1, 2, ... as in poLCA): only those are parameters.
    init_params : str, Init or dict, default="short_em"
        ``short_em`` (the best of many short climbs from random responsibilities), ``random``, an
        init object such as ``emlib.inits.ShortEM(tries=50)``, or starting values ``dict(weights=,
        probabilities=)``, the latter a list by item.  A probability of zero stays zero.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.  Latent class models have many local
        optima: use many starts.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
        Sizes of the classes.
    probabilities_ : list of ndarray of shape (n_components, n_levels of the item)
        For each item the probabilities of its levels; zeros are flagged ``boundary``.
    levels_ : list of ndarray of shape (n_levels of the item,)
        For each item the codes of its levels, in the order of ``probabilities_``.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Raises
    ------
    InvalidData
        By ``fit``, if a cell is no whole number >= 0; by all methods, if a level is unknown.

    Notes
    -----
    ``impute`` completes a missing answer by its most probable level, as levels have no mean;
    ``impute(X, n_draws=)`` draws it by its probabilities.

    References
    ----------
    Lazarsfeld and Henry (1968), Latent Structure Analysis; Goodman (1974), Biometrika 61, 215-231;
    Linzer and Lewis (2011), J. Stat. Softw. 42(10), 1-29.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import LatentClass
    >>> answers = [[1, 1, 3], [1, 1, 2], [2, 2, 1], [2, np.nan, 1]]
    >>> X = np.repeat(answers, 10, axis=0)
    >>> model = LatentClass(2, random_state=0).fit(X)
    >>> [codes.tolist() for codes in model.levels_]
    [[1.0, 2.0], [1.0, 2.0], [1.0, 2.0, 3.0]]
    >>> model.impute([[2, np.nan, np.nan]])
    array([[2., 2., 1.]])
    """

    n_components: int = 1
    _: KW_ONLY
    n_levels: Any = None
    init_params: Any = "short_em"

    def _make_model(self) -> LatentClassModel:
        n_levels = self.n_levels
        if isinstance(n_levels, np.ndarray):
            n_levels = n_levels.tolist()
        return LatentClassModel(self.n_components, n_levels)

    def _publish(self, params: Any) -> None:
        self.weights_ = params.weights
        self.probabilities_ = list(params.probabilities)
        self.levels_ = [np.array(codes) for codes in self._model.n_levels]  # type: ignore[attr-defined]

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        for j, item in enumerate(params.probabilities):
            if (item < 0).any() or (abs(item.sum(axis=1) - 1.0) > 1e-8).any():
                raise ValueError(
                    f"init_params['probabilities']: item {j}: {item} are not probabilities that "
                    "sum to 1"
                )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        tags.input_tags.categorical = True
        return tags
