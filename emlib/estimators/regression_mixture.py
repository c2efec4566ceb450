"""RegressionMixture: several regressions in one data set; a missing response is NaN."""

from dataclasses import KW_ONLY, dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import DensityMixin
from sklearn.utils.validation import (
    _check_sample_weight,
    check_array,
    check_consistent_length,
    validate_data,
)

from emlib.data import Regression
from emlib.estimators.base import EMEstimator, Measured
from emlib.estimators.starting import entropy
from emlib.estimators.student_mixture import check_starting_dofs
from emlib.inference import StandardErrors
from emlib.models.poisson_regression_mixture import PoissonRegressionMixtureModel
from emlib.models.records import Posteriors
from emlib.models.regression_mixture import RegressionMixtureModel

Array = NDArray[np.float64]

BY_RESPONSE = ("intercept", "coef", "scales")
"""Arrays with an axis of responses, which one response alone does without."""


@dataclass(eq=False, repr=False)
class RegressionMixture(DensityMixin, EMEstimator):
    """Mixture of linear regressions of y on X by exact EM; missing responses are integrated out.

    Each row belongs to one of ``n_components`` unknown classes, and given its class each response
    follows that class's line.  Of several responses, some may be missing in a row: those seen
    still tell the class.

    Parameters
    ----------
    n_components : int, default=1
    response : {"normal", "student", "poisson"}, default="normal"
        Errors about the lines are normal, or t (robust to outliers); or responses are Poisson
        counts, the logs of whose rates are the lines.
    equal_scales : bool, default=False
        Whether the classes share the scale of each response.
    dofs : {"each", "common"}, float or array-like of shape (n_components,), optional
        Degrees of freedom of t errors: estimated, one a class (the default) or one for all; or
        given.  Infinite ones (flag ``boundary``) are normal errors.
    init_params : str, Init or dict, default="random"
        Name of an initialization, an init object, or starting values ``dict(weights=, intercept=,
        coef=, scales=)``, with ``dofs=`` where they are estimated, in the shapes of the fitted
        attributes.  Counts have no ``scales``.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    weights_ : ndarray of shape (n_components,)
    intercept_ : ndarray of shape (n_components,) or (n_components, n_responses)
        The second where y was fitted with two dimensions; so the following.
    coef_ : ndarray of shape (n_components, n_features) or (n_components, n_responses, n_features)
    scales_ : ndarray of shape (n_components,) or (n_components, n_responses)
        Standard deviations of normal errors, without correction for degrees of freedom; of t
        errors ``sqrt((dof - 2) / dof)`` times their standard deviations.  Counts have none.
    dofs_ : ndarray of shape (n_components,)
        Where errors are t.
    loglik_ : float
        Log density of the observed responses given X.
    n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.

    References
    ----------
    de Veaux (1989), Computational Statistics and Data Analysis 8, 227-245; Gruen and Leisch
    (2008), Journal of Statistical Software 28(4); Lange, Little and Taylor (1989), JASA 84,
    881-896 (t errors); Wedel, DeSarbo, Bult and Ramaswamy (1993), Journal of Applied Econometrics
    8, 397-411 (Poisson).

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import RegressionMixture
    >>> x = np.arange(12.0)
    >>> noise = 0.1 * np.array([1, -1, 1, 1, -1, -1, 1, 1, -1, -1, 1, -1])
    >>> y = np.where(np.arange(12) % 2, 1.0 + 2.0 * x, 20.0 - x) + noise
    >>> model = RegressionMixture(2, equal_scales=True, random_state=0).fit(x[:, None], y)
    >>> np.sort(model.coef_[:, 0]).round(1)
    array([-1.,  2.])
    >>> model.predict_proba(x[:, None], y).argmax(axis=1)[:4] == model.predict_proba(
    ...     x[:, None], y).argmax(axis=1)[0]
    array([ True, False,  True, False])
    """

    n_components: int = 1
    _: KW_ONLY
    response: str = "normal"
    equal_scales: bool = False
    dofs: Any = None
    init_params: Any = "random"

    def fit(
        self, X: ArrayLike, y: ArrayLike, sample_weight: ArrayLike | None = None
    ) -> "RegressionMixture":
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Without missing cells and without a column of ones.
        y : array-like of shape (n_samples,) or (n_samples, n_responses)
            NaN marks a missing response.
        sample_weight : array-like of shape (n_samples,), optional
            An integer weight equals that many copies of the row.

        Returns
        -------
        self

        Raises
        ------
        InvalidData
            If the design is rank-deficient, or a response lies on one line exactly.
        """
        return self._fit(self._view(X, y, True, sample_weight))

    def predict(self, X: ArrayLike) -> Array:
        """Expected responses given X alone: those of the classes, averaged by their weights.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_responses)
        """
        self._check_fitted()
        means = np.einsum("k,nk...->n...", self.params_.weights, self.predict_components(X))
        return np.asarray(means)

    def predict_components(self, X: ArrayLike) -> Array:
        """Expected responses in each class.

        Returns
        -------
        ndarray of shape (n_samples, n_components) or (n_samples, n_components, n_responses)
        """
        self._check_fitted()
        design = validate_data(self, X, reset=False, dtype=np.float64)
        means = self.model_.expected(self.params_, design)  # type: ignore[attr-defined]
        return means[:, :, 0] if self._single else means

    def predict_proba(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """Posterior probabilities of the classes given X and y, (n_samples, n_components).

        A row without any response has the classes' weights: X alone tells nothing of them.
        """
        return np.asarray(self._posterior(X, y).responsibilities)

    def score_samples(self, X: ArrayLike, y: ArrayLike | None = None) -> Array:
        """Log density of each row's observed responses given X, nats, shape (n_samples,).

        0 where there is no response: X alone has no likelihood.
        """
        return self._posterior(X, y).loglik

    def score(self, X: ArrayLike, y: ArrayLike | None = None) -> float:
        """Mean of ``score_samples(X, y)``."""
        _require_responses(y)
        return float(self.score_samples(X, y).mean())

    def impute(
        self,
        X: ArrayLike,
        y: ArrayLike,
        n_draws: int | None = None,
        proper: bool | str = False,
    ) -> Array:
        """Fill the missing responses: expectations or draws, given X and the observed ones.

        ``n_draws`` and ``proper`` are those of ``GaussianMixture.impute``.

        Returns
        -------
        ndarray of the shape of y, or (n_draws, *shape of y)
        """
        self._check_fitted()
        filled = self._impute(self._view(X, y, False), n_draws, proper)
        return filled[..., 0] if self._single else filled

    def sample(self, X: ArrayLike) -> tuple[Array, NDArray[np.int64]]:  # type: ignore[override]
        """Draw one response for each row of X.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_responses), ndarray of shape (n_samples,)
            The responses, and their classes.
        """
        self._check_fitted()
        design = validate_data(self, X, reset=False, dtype=np.float64)
        rng = np.random.default_rng(entropy(self.random_state))
        values, labels = self._model.sample(self.params_, len(design), rng, design)  # type: ignore[call-arg]
        return (values[:, 0] if self._single else values), labels

    def aic(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> float:
        """Akaike's criterion on (X, y), on the fitted data by default; lower is better."""
        return -2.0 * self._measured_on(X, y)[0] + 2.0 * self.n_parameters_

    def bic(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> float:
        """Schwarz's criterion, n being the sum of the weights of rows with a response."""
        loglik, total_weight, _ = self._measured_on(X, y)
        return -2.0 * loglik + self.n_parameters_ * float(np.log(total_weight))

    def icl(self, X: ArrayLike | None = None, y: ArrayLike | None = None) -> float:
        """BIC plus twice the entropy of the classification (Biernacki et al. 2000)."""
        return self.bic(X, y) + 2.0 * self._measured_on(X, y)[2]()

    def standard_errors(
        self, method: str = "information", n_resamples: int = 200
    ) -> StandardErrors:
        """As ``EMEstimator.standard_errors``, in the shapes of the fitted attributes."""
        errors = super().standard_errors(method, n_resamples)
        if not self._single:
            return errors
        return replace(
            errors,
            estimates=_single(errors.estimates),
            errors=_single(errors.errors),
            reasons=_single(errors.reasons),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        tags.target_tags.multi_output = True
        return tags

    def _make_model(self) -> RegressionMixtureModel | PoissonRegressionMixtureModel:
        if self.response not in ("normal", "student", "poisson"):
            raise ValueError(f"response: {self.response!r} is not normal, student or poisson")
        if self.response != "student" and self.dofs is not None:
            raise ValueError("dofs: is for response='student' only")
        if self.response == "poisson":
            if self.equal_scales:
                raise ValueError("equal_scales: counts have no scales")
            return PoissonRegressionMixtureModel(self.n_components)
        given = "each" if self.dofs is None else self.dofs
        dofs = given if self.response == "student" else np.inf
        return RegressionMixtureModel(self.n_components, self.equal_scales, dofs)

    def _starting_values(self, model: Any) -> dict[str, Any]:
        values = dict(self.init_params)
        if self._single:
            values |= {n: np.asarray(values[n])[:, None] for n in BY_RESPONSE if n in values}
        if self.response == "poisson" or model.estimates_dofs:
            return values
        return {"dofs": model.starting_dofs} | values

    def _check_start(self, params: Any, model: Any, data: Any) -> None:
        if self.response == "poisson":
            return
        if not (params.scales > 0).all():
            raise ValueError(f"init_params['scales']: {params.scales} are not positive")
        if self.equal_scales and (params.scales != params.scales[0]).any():
            raise ValueError(f"init_params['scales']: {params.scales} are not equal")
        check_starting_dofs(params.dofs, model)

    def _publish(self, params: Any) -> None:
        named = {field.name: getattr(params, field.name) for field in fields(params)}
        for name, array in (_single(named) if self._single else named).items():
            if name != "dofs" or self.response == "student":
                setattr(self, f"{name}_", array)

    def _view(
        self,
        X: ArrayLike,
        y: ArrayLike | None,
        reset: bool,
        sample_weight: ArrayLike | None = None,
    ) -> Regression:
        model = self._make_model()
        if y is None and reset:
            raise ValueError(
                f"{type(self).__name__} requires y to be passed, but the target y is None."
            )
        design = validate_data(self, X, reset=reset, dtype=np.float64)
        if y is None:
            values = np.full((len(design), self.params_.intercept.shape[1]), np.nan)
            return model.view(values, None, covariates=design)
        values = np.asarray(check_array(
            y, dtype=np.float64, ensure_2d=False, ensure_all_finite="allow-nan", input_name="y"
        ))  # fmt: skip
        check_consistent_length(design, values)
        if reset:
            self._single = values.ndim == 1
        elif self._single != (values.ndim == 1):
            raise ValueError(f"y of shape {values.shape}: has not the dimensions of the fitted one")
        values = values[:, None] if self._single else values
        if not reset and values.shape[1] != self.params_.intercept.shape[1]:
            raise ValueError(f"y has {values.shape[1]} responses; the fitted one had others")
        if sample_weight is not None:
            sample_weight = _check_sample_weight(sample_weight, design, dtype=np.float64)
        return model.view(values, sample_weight, covariates=design)

    def _posterior(self, X: ArrayLike, y: ArrayLike | None) -> Posteriors:
        self._check_fitted()
        return self._model.posterior(self.params_, self._view(X, y, reset=False))

    def _measured_on(self, X: ArrayLike | None, y: ArrayLike | None) -> Measured:
        self._check_fitted()
        if X is not None:
            _require_responses(y)
        return self._measured(None if X is None else self._view(X, y, reset=False))


def _require_responses(y: Any) -> None:
    if y is None:
        raise ValueError("y: missing; X alone has no likelihood, it is that of y given X")


def _single(named: dict[str, Any]) -> dict[str, Any]:
    """Arrays by name, those by response without their axis of responses."""
    return {name: array[:, 0] if name in BY_RESPONSE else array for name, array in named.items()}
