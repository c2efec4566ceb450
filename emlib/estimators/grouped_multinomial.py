"""GroupedMultinomial: cell probabilities that are sums of latent cells; linkage, blood groups."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.errors import require_count
from emlib.estimators.starting import entropy
from emlib.estimators.table import TableEstimator
from emlib.models.grouped_multinomial import GroupedMultinomialModel

Array = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class GroupedMultinomial(TableEstimator):
    """Multinomial counts in categories that are groups of latent cells, by exact EM.

    Latent cell j has the probability ``constants[j] * prod(theta ** exponents[j])``; a column of X
    counts all latent cells of its group.  Each row of X is a multinomial count of its own total,
    all at the same theta.  A missing count (NaN) is that of a category nobody looked at: the
    row's likelihood is that of its other counts given their total.  Without any specification
    each column has a free probability.

    Parameters
    ----------
    groups : sequence of int of length n_cells, optional
        Column of X, from 0, that each latent cell is counted in; each its own by default.
    constants : sequence of float of length n_cells, optional
        All 1 by default.
    exponents : sequence of shape (n_cells, n_parameters), optional
        The identity by default.
    blocks : sequence of int, optional
        Sizes of consecutive blocks of theta, each summing to one; one block by default.
    init_params : str, Init or dict, default="random"
        ``random`` splits counts among latent cells at random; or starting values ``dict(theta=)``.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    theta_ : ndarray of shape (n_parameters,)
    loglik_ : float
        With the multinomial coefficients.
    n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    Raises
    ------
    ValueError
        By ``fit``, if the latent cells' probabilities do not sum to 1 at every theta.

    References
    ----------
    Dempster, Laird and Rubin (1977), JRSS B 39, sections 1 and 4.2; Ceppellini, Siniscalco and
    Smith (1955), Ann. Hum. Genet. 20, 97-115.

    Examples
    --------
    Rao's linkage: 197 animals in categories of probabilities 1/2 + t/4, (1 - t)/4, (1 - t)/4, t/4,
    the first of which is a half and a t/4; theta is (t, 1 - t).

    >>> from emlib import GroupedMultinomial
    >>> linkage = GroupedMultinomial(
    ...     groups=[0, 0, 1, 2, 3],
    ...     constants=[1 / 2, 1 / 4, 1 / 4, 1 / 4, 1 / 4],
    ...     exponents=[[0, 0], [1, 0], [0, 1], [0, 1], [1, 0]],
    ...     tol=1e-12,
    ... ).fit([[125, 18, 20, 34]])
    >>> linkage.theta_.round(6)
    array([0.626821, 0.373179])
    >>> errors = linkage.standard_errors()
    >>> errors["theta"].round(6), round(errors.rate, 6)
    (array([0.051467, 0.051467]), 0.132779)

    Blood groups A, B, AB, O from genotypes AA AO, BB BO, AB, OO:

    >>> genes = GroupedMultinomial(
    ...     groups=[0, 0, 1, 1, 2, 3],
    ...     constants=[1, 2, 1, 2, 2, 1],
    ...     exponents=[[2, 0, 0], [1, 0, 1], [0, 2, 0], [0, 1, 1], [1, 1, 0], [0, 0, 2]],
    ...     tol=1e-12,
    ... ).fit([[186, 38, 13, 284]])
    >>> genes.theta_.round(4)
    array([0.2136, 0.0501, 0.7363])
    """

    groups: Any = None
    constants: Any = None
    exponents: Any = None
    blocks: Any = None
    _: KW_ONLY
    init_params: Any = "random"

    def sample(self, n_samples: int = 1, total: int = 1) -> tuple[Array, NDArray[np.int64]]:
        """Draw rows of ``total`` counts each.

        Returns
        -------
        ndarray of shape (n_samples, n_features), ndarray of shape (n_samples,)
            The rows, and the latent cell that most of each row's counts come from.
        """
        self._check_fitted()
        require_count("n_samples", n_samples)
        require_count("total", total)
        rng = np.random.default_rng(entropy(self.random_state))
        return self._model.sample(self.params_, n_samples, rng, total)  # type: ignore[call-arg]

    def _make_model(self) -> GroupedMultinomialModel:
        return GroupedMultinomialModel(self.groups, self.constants, self.exponents, self.blocks)

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        for block in model.cells.cut(params.theta):
            if (block < 0).any() or abs(block.sum() - 1.0) > 1e-8:
                raise ValueError(
                    f"init_params['theta']: {block} are not probabilities that sum to 1"
                )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.positive_only = True
        return tags
