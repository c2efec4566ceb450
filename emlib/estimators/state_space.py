"""LinearGaussianStateSpace: Kalman smoothing and EM for sequences with missing cells (NaN)."""

from collections.abc import Mapping, Sequence
from dataclasses import KW_ONLY, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.data import Sequences
from emlib.errors import require_count
from emlib.estimators.sequences import SequenceEstimator
from emlib.models.state_space import StateSpaceModel
from emlib.models.state_space.params import COVARIANCES, NAMES
from emlib.models.state_space.smoother import filtered

Array = NDArray[np.float64]


@dataclass(eq=False, repr=False)
class LinearGaussianStateSpace(SequenceEstimator):
    """Linear Gaussian state-space model (dynamic linear model) fitted by exact EM.

    ``x_t = A x_t-1 + b + w_t``, ``w_t ~ N(0, Q)``; ``y_t = C x_t + d + v_t``, ``v_t ~ N(0, R)``;
    the initial state is ``N(mu, P)``.  Any cells of a time step may be missing (NaN).

    A state has no basis of its own: where nothing ties it down, other parameters have the same
    likelihood.  ``n_parameters_`` does not count such directions, and what moves along them has
    no standard error (``not_identified``).

    Parameters
    ----------
    n_states : int, default=1
        Dimension of the state.
    transition_covariance_type, observation_covariance_type : {"full", "diag"}, default="full"
    initial_covariance_type : {"auto", "full", "diag", "zero"}, default="auto"
        ``zero``: the initial state is an unknown constant.  One sequence says nothing of the
        spread of initial states, so ``auto`` is ``zero`` there, and ``full`` else.
    offsets : {"observation", "transition", "both", "none"}, default="observation"
        Which offsets are estimated; the others are 0, or as ``fixed`` has them.
    initial_time : {0, 1}, default=0
        When the initial state is: 0 is one step before the first observation (Shumway and
        Stoffer), 1 at the first observation (pykalman, statsmodels).  With 1 and no more sequences
        than columns the likelihood is unbounded, like that of a mixture: an observation without
        error that starts where the data do.
    integrate_missing_steps : bool, default=False
        Steps without any observed cell say nothing of C, d and R.  True counts them there all
        the same, their y integrated out, as Shumway and Stoffer do: same optimum, more steps.
    fixed : mapping of str to array-like, or sequence of str, default=()
        What is held: values by name, or names whose values are in ``init_params``.  Names are
        those of the fitted attributes, without underscore.  A covariance may be held singular;
        with a singular ``initial_covariance`` the initial mean is estimated from the equations
        that the initial state stands in (Holmes 2013).
    init_params : str, Init or dict, default="pca"
        ``pca`` (principal components as states, regressions for the rest), ``random``, an
        init object, or starting values by name; what is held may be left out.
    n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.

    Attributes
    ----------
    transition_ : ndarray of shape (n_states, n_states)
        A.
    transition_offset_ : ndarray of shape (n_states,)
        b.
    transition_covariance_ : ndarray of shape (n_states, n_states)
        Q.
    observation_ : ndarray of shape (n_features, n_states)
        C.
    observation_offset_ : ndarray of shape (n_features,)
        d.
    observation_covariance_ : ndarray of shape (n_features, n_features)
        R.
    initial_mean_ : ndarray of shape (n_states,)
        mu.
    initial_covariance_ : ndarray of shape (n_states, n_states)
        P.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.  The flag ``boundary`` says that an estimated
        covariance has come to be singular.

    References
    ----------
    Shumway and Stoffer (1982), Journal of Time Series Analysis 3, 253-264, and (2017), Time
    Series Analysis and Its Applications, sections 6.3 and 6.4; Ghahramani and Hinton (1996),
    CRG-TR-96-2; Durbin and Koopman (2012), Time Series Analysis by State Space Methods; Holmes
    (2013), arXiv:1302.3919.

    Examples
    --------
    A level that is observed with noise, two days missing:

    >>> import numpy as np
    >>> from emlib import LinearGaussianStateSpace
    >>> y = np.array([[5.1, 4.7, 5.4, np.nan, np.nan, 7.0, 6.4, 7.3, 7.1, 6.6, 7.6, 8.1]]).T
    >>> level = LinearGaussianStateSpace(
    ...     offsets="none", fixed={"transition": [[1.0]], "observation": [[1.0]]}
    ... ).fit(y)
    >>> level.impute(y)[3:5].round(1).ravel()
    array([5.9, 6.3])
    """

    n_states: int = 1
    _: KW_ONLY
    transition_covariance_type: str = "full"
    observation_covariance_type: str = "full"
    initial_covariance_type: str = "auto"
    offsets: str = "observation"
    initial_time: int = 0
    integrate_missing_steps: bool = False
    fixed: Any = ()
    init_params: Any = "pca"

    def smooth(self, X: ArrayLike, lengths: ArrayLike | None = None) -> tuple[Array, Array]:
        """The states given all observations of their sequence.

        Returns
        -------
        means (n, n_states), covariances (n, n_states, n_states)
        """
        layout, run = self._space.smoothed(self.params_, self._view(X, lengths), keep=True)
        return run.means[layout.rows], run.covariances[layout.rows]

    def filter(self, X: ArrayLike, lengths: ArrayLike | None = None) -> tuple[Array, Array]:
        """The states given the past and the present; returns as ``smooth`` does."""
        return filtered(self.params_, self._space.layout(self._view(X, lengths)))

    def transform(self, X: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Smoothed state means, shape (n, n_states)."""
        return self.smooth(X, lengths)[0]

    def forecast(self, n_steps: int, X: ArrayLike | None = None) -> tuple[Array, Array]:
        """What comes after one sequence, X or by default the fitted one.

        Returns
        -------
        means (n_steps, n_features), covariances (n_steps, n_features, n_features)
            Of the observations, their own noise included.

        Raises
        ------
        ValueError
            If ``n_steps`` is not positive, or several sequences were fitted and none is given.
        """
        self._check_fitted()
        require_count("n_steps", n_steps)
        past = self._fitted_data("forecast without X") if X is None else self._view(X)
        if past.n_sequences > 1:
            raise ValueError(f"forecast: {past.n_sequences} sequences were fitted; give one as X")
        ahead = np.vstack([past.values, np.full((n_steps, past.d), np.nan)])
        layout, run = self._space.smoothed(self.params_, Sequences.from_arrays(ahead), keep=True)
        spread = run.covariances[layout.rows][-n_steps:]
        covariances = self.observation_ @ spread @ self.observation_.T
        return run.completed[-n_steps:], covariances + self.observation_covariance_

    def predict(self, X: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """One-step predictions: each step's expectation given those before it, shape (n, d)."""
        states = self._space.predicted_states(self.params_, self._view(X, lengths))
        return np.asarray(states @ self.observation_.T + self.observation_offset_)

    @property
    def _space(self) -> StateSpaceModel:
        return cast(StateSpaceModel, self.model_)

    def _make_model(self) -> StateSpaceModel:
        return StateSpaceModel(
            self.n_states,
            self.transition_covariance_type,
            self.observation_covariance_type,
            self.initial_covariance_type,
            self.offsets,
            self.initial_time,
            self.integrate_missing_steps,
            self._held(),
        )

    def _held(self) -> Mapping[str, Any]:
        if isinstance(self.fixed, Mapping):
            return self.fixed
        if isinstance(self.fixed, str) or not isinstance(self.fixed, Sequence):
            raise ValueError(f"fixed: {self.fixed!r} is neither a mapping nor a list of names")
        given = self.init_params if isinstance(self.init_params, dict) else {}
        for name in self.fixed:
            if name in NAMES and name not in given:
                raise ValueError(f"fixed: {name!r} has no value in init_params, which is no dict")
        return {name: given.get(name) for name in self.fixed}

    def _starting_values(self, model: StateSpaceModel) -> dict[str, Any]:
        return model.held(self.n_features_in_) | self.init_params

    def _check_start(self, params: Any, model: Any, data: Sequences) -> None:
        held = model.held(data.d)
        for name in NAMES:
            array = getattr(params, name)
            if name in held:
                if not np.array_equal(array, held[name]):
                    raise ValueError(f"init_params[{name!r}]: differs from the value it is held at")
                continue
            if name not in COVARIANCES:
                continue
            if not np.allclose(array, array.T, rtol=1e-8, atol=0):
                raise ValueError(f"init_params[{name!r}]: not symmetric")
            if np.linalg.eigvalsh(array).min() <= 0:
                raise ValueError(f"init_params[{name!r}]: not positive definite")
            if (
                getattr(model, f"{name}_type") == "diag"
                and (array != np.diag(np.diag(array))).any()
            ):
                raise ValueError(f"init_params[{name!r}]: not diagonal")
