"""Hidden Markov models for practitioners; NaN means missing, whole time steps included."""

from dataclasses import KW_ONLY, dataclass
from typing import Any, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emlib.data import Sequences
from emlib.errors import InvalidData
from emlib.estimators.sequences import SequenceEstimator
from emlib.models.base import Model
from emlib.models.hmm import (
    CategoricalHMMModel,
    GaussianHMMModel,
    MixtureHMMModel,
    PoissonHMMModel,
)
from emlib.models.hmm.stationary import stationary_distribution

Array = NDArray[np.float64]
Self = TypeVar("Self", bound="HiddenMarkovModel")


@dataclass(kw_only=True, eq=False, repr=False)
class HiddenMarkovModel(SequenceEstimator):
    """What all hidden Markov models have.

    Parameters
    ----------
    startprob : {"free", "stationary"}, default="free"
        Whether the first state of each sequence has probabilities of its own, shared by all
        sequences, or is drawn from where the chain settles, so that it is tied to ``transmat_``
        (Zucchini and MacDonald 2009).
    init_params, n_init, algorithm, tol, max_iter, random_state
        How to start, climb and stop: see ``EMEstimator``.  A dict of starting values may leave out
        ``startprob`` where it is tied.

    Attributes
    ----------
    startprob_ : ndarray of shape (n_states,)
    transmat_ : ndarray of shape (n_states, n_states)
        Probabilities of the next state, a line for each state.
    loglik_, n_parameters_, status_, flags_, history_, starts_ and others
        How the fit went: see ``EMEstimator``.
    """

    startprob: str = "free"

    def predict(self, X: ArrayLike, lengths: ArrayLike | None = None) -> NDArray[np.int64]:
        """Most probable sequence of states (Viterbi), shape (sum of lengths,)."""
        return self.decode(X, lengths)[1]

    def decode(
        self, X: ArrayLike, lengths: ArrayLike | None = None
    ) -> tuple[float, NDArray[np.int64]]:
        """Most probable sequence of states (Viterbi).

        Returns
        -------
        float, ndarray of shape (sum of lengths,)
            Joint log density of the data and these states, summed over sequences; the states.

        Raises
        ------
        InvalidData
            If a sequence has probability zero.
        """
        self._check_fitted()
        model: Any = self._model
        path, best = model.decode(self.params_, self._view(X, lengths))
        return float(best.sum()), path

    def predict_proba(self, X: ArrayLike, lengths: ArrayLike | None = None) -> Array:
        """Smoothed probabilities of the states given the whole sequence.

        Returns
        -------
        ndarray of shape (sum of lengths, n_states)

        Raises
        ------
        InvalidData
            If a sequence has probability zero.
        """
        self._check_fitted()
        data = self._view(X, lengths)
        posterior = self._model.posterior(self.params_, data)
        _require_possible(posterior.loglik)
        return np.asarray(posterior.responsibilities)

    def fit_predict(
        self,
        X: ArrayLike,
        lengths: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> NDArray[np.int64]:
        """Fit and return the most probable sequence of states, shape (sum of lengths,)."""
        return self.fit(X, lengths, sample_weight).predict(X, lengths)

    def _impute(self, data: Any, n_draws: int | None, proper: bool | str) -> Array:
        _require_possible(self._model.posterior(self.params_, data).loglik)
        return super()._impute(data, n_draws, proper)

    def _any_start(self, model: Model, data: Any) -> Any:
        return super()._any_start(model, model.view(data.values[:1]))

    def _starting_values(self, model: Model) -> dict[str, Any]:
        given = super()._starting_values(model)
        if self.startprob != "stationary" or "transmat" not in given:
            return given
        transmat = np.asarray(given["transmat"], dtype=np.float64)
        if transmat.shape != (model.n_components, model.n_components):
            return given
        tied = stationary_distribution(transmat)
        if not np.allclose(given.get("startprob", tied), tied, atol=1e-6):
            raise ValueError(
                f"init_params['startprob']: is tied to transmat, whose stationary distribution "
                f"is {tied}; leave it out"
            )
        return {**given, "startprob": tied}


def _require_possible(logliks: Array) -> None:
    impossible = np.flatnonzero(np.isneginf(logliks))
    if len(impossible):
        raise InvalidData(
            f"sequence {impossible[0]} has probability zero under the fitted parameters: nothing "
            "is known of its states"
        )


def _check_covariances(model: Any, params: Any) -> None:
    emission = model.emission
    flat = params if params.means.ndim == 2 else emission.flat(params)
    normals = emission if params.means.ndim == 2 else emission.components
    for k, matrix in enumerate(normals.full_covariances(flat)):
        if not np.allclose(matrix, matrix.T, rtol=1e-8, atol=0):
            raise ValueError("init_params['covars']: not symmetric")
        if np.linalg.eigvalsh(matrix).min() <= 0:
            raise ValueError(f"init_params['covars']: number {k} is not positive definite")


@dataclass(eq=False, repr=False)
class GaussianHMM(HiddenMarkovModel):
    """Hidden Markov model with one normal a state, by Baum-Welch, missing cells integrated out.

    Parameters
    ----------
    n_states : int, default=1
    covariance_type : {"diag", "full", "tied", "spherical"}, default="diag"
        Maximum likelihood, with no hidden floor or prior.
    startprob : {"free", "stationary"}, default="free"
    init_params : str, Init or dict, default="kmeans"
        Or starting values ``dict(startprob=, transmat=, means=, covars=)``.

    Attributes
    ----------
    startprob_, transmat_ : ndarray of shape (n_states,) and (n_states, n_states)
    means_ : ndarray of shape (n_states, n_features)
    covars_ : ndarray
        Shape (n_states, n_features) diag, (n_states, n_features, n_features) full,
        (n_features, n_features) tied, (n_states,) spherical.
    loglik_, n_parameters_, status_ and others
        See ``HiddenMarkovModel`` and ``EMEstimator``.

    References
    ----------
    Baum, Petrie, Soules and Weiss (1970), Ann. Math. Stat. 41, 164-171; Rabiner (1989), Proc.
    IEEE 77, 257-286; Zucchini and MacDonald (2009), Hidden Markov Models for Time Series.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import GaussianHMM
    >>> X = np.array([[0.1], [0.3], [np.nan], [-0.2], [5.1], [4.8], [5.3], [5.0]])
    >>> model = GaussianHMM(2, random_state=0).fit(X)
    >>> states = model.predict(X)
    >>> bool((states[:4] == states[0]).all() and (states[4:] == states[7]).all())
    True
    """

    n_states: int = 1
    _: KW_ONLY
    covariance_type: str = "diag"

    def _make_model(self) -> GaussianHMMModel:
        return GaussianHMMModel(self.n_states, self.covariance_type, startprob=self.startprob)

    def _check_start(self, params: Any, model: Any, data: Sequences) -> None:
        _check_covariances(model, params)


@dataclass(eq=False, repr=False)
class PoissonHMM(HiddenMarkovModel):
    """Hidden Markov model of counts, columns independent Poisson given the state.

    Parameters
    ----------
    n_states : int, default=1
    startprob : {"free", "stationary"}, default="free"
    init_params : str, Init or dict, default="segments"
        Or starting values ``dict(startprob=, transmat=, rates=)``.

    Attributes
    ----------
    startprob_, transmat_ : ndarray of shape (n_states,) and (n_states, n_states)
    rates_ : ndarray of shape (n_states, n_features)
        hmmlearn's ``lambdas_``.
    loglik_, n_parameters_, status_ and others
        See ``HiddenMarkovModel`` and ``EMEstimator``.

    References
    ----------
    Zucchini and MacDonald (2009), Hidden Markov Models for Time Series, chapters 3 and 4.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import PoissonHMM
    >>> X = np.array([[1], [0], [2], [np.nan], [1], [14], [17], [12], [15], [13]])
    >>> model = PoissonHMM(2, startprob="stationary", random_state=0).fit(X)
    >>> bool(np.allclose(model.startprob_ @ model.transmat_, model.startprob_))
    True
    """

    n_states: int = 1
    _: KW_ONLY
    init_params: Any = "segments"

    def _make_model(self) -> PoissonHMMModel:
        return PoissonHMMModel(self.n_states, startprob=self.startprob)

    def _check_start(self, params: Any, model: Any, data: Sequences) -> None:
        if (params.rates < 0).any():
            raise ValueError("init_params['rates']: not all are >= 0")


@dataclass(eq=False, repr=False)
class CategoricalHMM(HiddenMarkovModel):
    """Hidden Markov model of one column of symbols 0, 1, ...

    Parameters
    ----------
    n_states : int, default=1
    n_symbols : int, optional
        By default the largest symbol that the data show, plus 1.
    startprob : {"free", "stationary"}, default="free"
    init_params : str, Init or dict, default="segments"
        Or starting values ``dict(startprob=, transmat=, emissionprob=)``; a probability of zero
        stays zero.

    Attributes
    ----------
    startprob_, transmat_ : ndarray of shape (n_states,) and (n_states, n_states)
    emissionprob_ : ndarray of shape (n_states, n_symbols)
    loglik_, n_parameters_, status_ and others
        See ``HiddenMarkovModel`` and ``EMEstimator``.

    References
    ----------
    Rabiner (1989), Proc. IEEE 77, 257-286.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import CategoricalHMM
    >>> X = np.array([0, 0, 1, 0, 0, 2, 2, np.nan, 2, 1, 2, 2])[:, None]
    >>> model = CategoricalHMM(2, random_state=0).fit(X)
    >>> bool(np.allclose(model.emissionprob_.sum(axis=1), 1.0))
    True
    """

    n_states: int = 1
    _: KW_ONLY
    n_symbols: int | None = None
    init_params: Any = "segments"

    def _make_model(self) -> CategoricalHMMModel:
        return CategoricalHMMModel(self.n_states, self.n_symbols, startprob=self.startprob)


@dataclass(eq=False, repr=False)
class MixtureHMM(HiddenMarkovModel):
    """Hidden Markov model with a Gaussian mixture a state, missing cells integrated out.

    Parameters
    ----------
    n_states : int, default=1
    n_mix : int, default=1
        Components a state.
    covariance_type : {"diag", "full", "tied", "spherical"}, default="diag"
        ``tied`` is one matrix for all components of all states.
    startprob : {"free", "stationary"}, default="free"
    init_params : str, Init or dict, default="kmeans"
        Or starting values ``dict(startprob=, transmat=, weights=, means=, covars=)``.

    Attributes
    ----------
    startprob_, transmat_ : ndarray of shape (n_states,) and (n_states, n_states)
    weights_ : ndarray of shape (n_states, n_mix)
    means_ : ndarray of shape (n_states, n_mix, n_features)
    covars_ : ndarray
        Shape (n_states, n_mix, n_features) diag, (n_states, n_mix, n_features, n_features) full,
        (n_features, n_features) tied, (n_states, n_mix) spherical.
    loglik_, n_parameters_, status_ and others
        See ``HiddenMarkovModel`` and ``EMEstimator``.

    References
    ----------
    Rabiner (1989), Proc. IEEE 77, 257-286, section IV.A; Juang (1985), AT&T Tech. J. 64,
    1235-1249.

    Examples
    --------
    >>> import numpy as np
    >>> from emlib import MixtureHMM
    >>> rng = np.random.default_rng(0)
    >>> X = np.concatenate([rng.normal(size=(50, 1)), rng.normal(6.0, 1.0, size=(50, 1))])
    >>> MixtureHMM(2, n_mix=2, covariance_type="tied", random_state=0).fit(X).weights_.shape
    (2, 2)
    """

    n_states: int = 1
    _: KW_ONLY
    n_mix: int = 1
    covariance_type: str = "diag"

    def _make_model(self) -> MixtureHMMModel:
        return MixtureHMMModel(
            self.n_states, self.n_mix, self.covariance_type, startprob=self.startprob
        )

    def _check_start(self, params: Any, model: Any, data: Sequences) -> None:
        _check_covariances(model, params)
