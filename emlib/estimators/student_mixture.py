"""StudentMixture: clusters with heavy tails; NaN means missing."""

from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.estimators.gaussian_mixture import check_covariances
from emlib.estimators.table import ClassMethods, TableEstimator
from emlib.models.dofs import DofSetting
from emlib.models.student_mixture import StudentMixtureModel

Array = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class StudentMixture(ClassMethods, TableEstimator):
    """Mixture of multivariate t distributions by exact EM, missing cells (NaN) integrated out.

    Rows far from their component weigh less, so outliers neither widen nor displace it.  With
    one component and given degrees of freedom it is a robust mean and scatter matrix.

    Parameters
    ----------
    n_components : int, default=1
    covariance_type : str, default="full"
        Structure of the scatter matrices, as in ``GaussianMixture``.
    dofs : {"each", "common"}, float or array-like of shape (n_components,), default="each"
        Degrees of freedom: estimated, one a component or one for all; or given.  The likelihood
        often has no maximum in finite degrees of freedom: it rises all the way to the normal.
        Then they are infinite, the component is normal, and the fit is flagged ``boundary``.
    init_params : str, Init or dict, default="short_em"
        Name of an initialization, an init object, or starting values ``dict(weights=, means=,
        covariances=, dofs=)`` in the shapes of the fitted attributes.  ``kmeans`` is cheaper, but
        takes far outliers for clusters of their own.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    means_ : ndarray of shape (n_components, n_features)
        Locations: the means where degrees of freedom are above 1.
    covariances_ : ndarray
        Scatter matrices, in the shapes of ``GaussianMixture``: the covariance matrices are
        ``dof / (dof - 2)`` times these where degrees of freedom are above 2.
    dofs_ : ndarray of shape (n_components,)
        Degrees of freedom, estimated or given.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    References
    ----------
    Peel and McLachlan (2000), Statistics and Computing 10, 339-348; McLachlan and Peel (2000),
    Finite Mixture Models, chapter 7; Lange, Little and Taylor (1989), JASA 84, 881-896; Liu and
    Rubin (1994), Biometrika 81, 633-648 (ECME).

    Examples
    --------
    Determinations of copper in wholemeal flour (Analytical Methods Committee 1989), one of them
    with its decimal point misplaced:

    >>> import numpy as np
    >>> from emlib import StudentMixture
    >>> copper = [2.9, 3.1, 3.4, 3.4, 3.7, 3.7, 2.8, 2.5, 2.4, 2.4, 2.7, 2.2,
    ...           5.28, 3.37, 3.03, 3.03, 28.95, 3.77, 3.4, 2.2, 3.5, 3.6, 3.7, 3.7]
    >>> model = StudentMixture(tol=1e-9).fit(np.array(copper)[:, None])
    >>> model.means_.round(2), model.dofs_.round(2)
    (array([[3.25]]), array([1.37]))
    """

    n_components: int = 1
    _: KW_ONLY
    covariance_type: str = "full"
    dofs: Any = "each"
    init_params: Any = "short_em"

    def _make_model(self) -> StudentMixtureModel:
        return StudentMixtureModel(self.n_components, self.covariance_type, self.dofs)

    def _starting_values(self, model: StudentMixtureModel) -> dict[str, Any]:
        given = {} if model.estimates_dofs else {"dofs": model.starting_dofs}
        return given | self.init_params

    def _check_start(self, params: Any, model: Any, data: Table) -> None:
        check_covariances(params, model.structure)
        check_starting_dofs(params.dofs, model)


def check_starting_dofs(dofs: Array, model: DofSetting) -> None:
    """Refuse degrees of freedom that are not positive, or not as the settings have them.

    Raises
    ------
    ValueError
    """
    if not (dofs > 0).all():
        raise ValueError(f"init_params['dofs']: {dofs} are not positive")
    if not model.estimates_dofs and (dofs != model.starting_dofs).any():
        raise ValueError(f"init_params['dofs']: {dofs} are not those given, {model.dofs}")
    if model.dofs == "common" and len(set(dofs)) > 1:
        raise ValueError(f"init_params['dofs']: {dofs} are not one common number")
