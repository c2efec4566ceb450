"""What every model gives: an E-step, an M-step, and a few words about itself.

A model is an immutable record of fixed settings.  It never knows which algorithm climbs it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import field, fields, replace
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.data import Table
from emlib.models.posterior import EXACT, Posterior
from emlib.models.records import Chunk, Diagnosis, Posteriors, Stats, Step
from emlib.models.simplex import log

Array = NDArray[np.float64]

TRAITS = {
    "classes": "latent classes that rows can be assigned to",
    "distances": "columns of numbers whose distances mean something",
    "factors": "latent factors",
    "order": "time steps in their order",
    "symbols": "steps that show one of a few symbols",
    "image": "a latent image of the sky",
    "bands": "a variance for each band of frequency",
    "motion": "a rotation from frame to frame",
    "hard": "a hard posterior of its latent classes",
    "sampled": "a posterior of its latent classes to draw from",
}
"""What a family may have that an init builds on: its ``traits``, and two of its ``posteriors``."""


SHARES = frozenset({"weights", "startprob", "transmat", "emissionprob"})
NOT_NEGATIVE = SHARES | {
    "probabilities", "theta", "inflation", "rates", "scales", "dofs", "noise_variance",
    "noise_variances", "band_variances", "static_variance", "moving_variance", "noise_scale",
    "noise_weights", "gain_amplitudes",
}  # fmt: skip
"""Parameters, by their names in the records, that are probabilities or sizes."""


def prepared(default: Any) -> Any:
    """A field that ``prepare`` finds in the data: of a model's record, and no setting."""
    return field(default=default, metadata={"prepared": True})


class Model(ABC):
    """A family with its fixed settings.

    A new family is one class: settings as dataclass fields, parameters as an immutable record of
    arrays, and the methods below.  What has a body here may be left as it is.
    """

    family: ClassVar[str]
    """The name in configs."""
    needs: ClassVar[tuple[str, ...]] = ()
    """Arrays beside the values that its view is made of, such as ``covariates``."""
    traits: ClassVar[frozenset[str]] = frozenset({"classes", "distances"})
    """What an init may build on, of ``TRAITS``."""
    search: ClassVar[tuple[str, ...]] = ("kmeans", "points", "kmeans++", "short_em", "random")
    """Inits whose starts a study's reference search takes in turn."""
    posteriors: ClassVar[frozenset[str]] = frozenset({"tempered", "hard", "sampled"})
    """Posteriors of the latent classes that the E-step can take beside the exact one."""
    sums: ClassVar[frozenset[str]] = frozenset({"mixed", "scaled"})
    """What its stats allow beside the sum of one E-step's: ``mixed``, to add those of E-steps at
    different parameters, an M-step then raises Q; ``scaled``, to weigh them by a factor."""
    rows: ClassVar[bool] = True
    """Whether its units are rows; those of a sequence or an image depend on each other."""
    levels: ClassVar[bool] = False
    """Whether cells are levels without an order; a missing one is then completed by the most
    probable level, not by an expectation."""
    n_components: int
    """Latent classes (or states) that responsibilities range over; 1 where there are none."""

    @property
    @abstractmethod
    def cycle(self) -> tuple[Step, ...]:
        """The conditional M-steps of one iteration; plain EM has one that moves everything."""

    @classmethod
    def view(cls, values: Any, weights: Any = None, **extras: Any) -> Any:
        """What the model reads, made from plain arrays.

        Parameters
        ----------
        values : array-like of shape (n, d)
            NaN marks a missing cell.
        weights : array-like of shape (n_units,), optional
        **extras
            What else the data set has: ``lengths`` of sequences, ``covariates`` (n, p), ``upper``
            ends (n, d) of censored cells.  A family ignores what it does not read.
        """
        return Table.from_array(values, weights)

    def e_step_size(self, n: int, d: int) -> float:
        """How large an E-step on n rows and d columns is, for estimates of a study's cost.

        In cells times columns times classes; whose work grows otherwise says what takes as long.
        """
        return float(n * d**2 * self.n_components)

    def e_step_numbers(self, n: int, d: int) -> float:
        """How many numbers the largest array of an E-step has, for estimates of its memory."""
        return float(n * (d + self.n_components))

    def with_components(self, n_components: int) -> "Model":
        """The same model with fewer latent classes: what a start grows from."""
        return replace(self, n_components=n_components)  # type: ignore[type-var]

    def check_cells(self, data: Any) -> None:  # noqa: B027
        """Raise ``InvalidData`` where a cell is none of the family's values, such as a count -1."""

    def prepare(self, data: Any) -> "Model":
        """Check that the model can take the data and resolve what depends on them.

        Raises
        ------
        InvalidData
            With the reason, when no fit of these data makes sense.
        """
        return self

    @abstractmethod
    def e_step(self, params: Any, data: Any, posterior: Posterior = EXACT) -> Stats:
        """Expected sufficient statistics, with the observed-data loglik at ``params``.

        Raises
        ------
        Degenerate
            When the density at ``params`` does not exist.
        """

    @abstractmethod
    def m_step(self, stats: Any, params: Any, free: frozenset[str] | None = None) -> Any:
        """Maximize Q over the ``free`` parameters (all by default), the others as in ``params``.

        Raises
        ------
        Degenerate
            When the maximizer lies where the likelihood is unbounded.
        """

    def observed_step(self, params: Any, data: Any, free: frozenset[str]) -> tuple[Any, float]:
        """Maximize the observed loglik over ``free``, or at least raise it.

        Returns
        -------
        params, float
            And the cost in E-step equivalents.
        """
        raise NotImplementedError(f"{self.family} has no step on the observed likelihood")

    def free_energy(self, params: Any, data: Any, beta: float) -> float:
        """What E-steps with the posterior ``tempered(beta)`` and M-steps ascend.

        The largest value over posteriors of the expected log joint density plus 1/beta times their
        entropy (Ueda and Nakano 1998; Neal and Hinton 1998): the sum over rows of
        1/beta log sum_k (pi_k f_k)^beta.  The loglik for beta 1; the classification loglik
        (Celeux and Govaert 1992) where ``beta`` is infinite.  Costs one E-step.
        """
        posterior = self.posterior(params, data)
        shares = posterior.responsibilities
        if shares is None:
            raise NotImplementedError(f"{self.family} has no latent classes to temper")
        seen = data.informative
        logs = log(shares[seen])
        peak = logs.max(axis=1)
        inner = peak
        if beta != np.inf:
            inner = peak + np.log(np.exp(beta * (logs - peak[:, None])).sum(axis=1)) / beta
        return float(data.weights[seen] @ (posterior.loglik[seen] + inner))

    def inside(self, params: Any) -> bool:
        """Whether parameters that no M-step gave lie in their space.

        Only what an E-step would not notice needs a look: a number that may not be negative.
        """
        for f in fields(params):
            value = getattr(params, f.name)
            arrays = value if isinstance(value, list | tuple) else [value]
            for array in arrays:
                if np.isnan(array).any() or (f.name in NOT_NEGATIVE and (array < 0).any()):
                    return False
                if f.name in SHARES and (array.sum(axis=-1) > 1.0 + 1e-9).any():
                    return False
        return True

    def q(self, stats: Any, params: Any) -> float:
        """Expected complete-data loglik of ``params`` given ``stats``, up to a constant.

        The constant may depend on the stats, never on ``params``.  By Fisher's identity the
        gradient at the parameters of the E-step is that of the observed loglik.
        """
        raise NotImplementedError(f"{self.family} does not give Q")

    def q_in_chart(self, stats: Any, around: Any) -> Callable[[Array], float]:
        """Q plus the log prior as a function of unconstrained coordinates around ``around``."""

        def objective(vector: Array) -> float:
            there = self.unpack(vector, around, "unconstrained")
            return self.q(stats, there) + self.log_prior(there)

        return objective

    def em_chunk(self, params: Any, stats: Any, data: Any, n_steps: int) -> Chunk | None:
        """At most ``n_steps`` steps of EM at once, where a model has them compiled; else None.

        Bit for bit what its M-step and E-step give in turn; it ends before a step that collapses.
        """
        return None

    def log_prior(self, params: Any) -> float:
        """Log density of the declared prior, normalized; 0 for maximum likelihood."""
        return 0.0

    @property
    def penalized(self) -> bool:
        """Whether a prior is declared, so that EM ascends the penalized loglik."""
        return False

    @abstractmethod
    def start(self, data: Any, responsibilities: Array) -> Any:
        """Parameters from responsibilities: a start only, never part of the objective."""

    def random_start(self, data: Any, rng: np.random.Generator) -> Any:
        """A start of the init ``random``: uniform responsibilities, divided by their sum."""
        responsibilities = rng.random((data.n, self.n_components))
        responsibilities /= responsibilities.sum(axis=1, keepdims=True)
        return self.start(data, responsibilities)

    def accepts_truth(self, truth: dict[str, Any]) -> bool:
        """Whether a generator's parameters are parameters of this model."""
        return False

    def from_truth(self, truth: dict[str, Any]) -> Any:
        """A generator's parameters as this model's, where ``accepts_truth`` says so."""
        raise NotImplementedError(f"{self.family} has no start from a truth")

    def diagnose(self, params: Any, stats: Any) -> Diagnosis:
        """Flags for the end of a climb."""
        return Diagnosis()

    def settled(self, params: Any, stats: Any) -> Any:
        """The parameters with what is on its way to the boundary there already.

        Standard errors treat as ``boundary`` what ``diagnose`` flags: a climb takes for ever to
        get there.
        """
        return params

    def is_comparable(self, truth: dict[str, Any]) -> bool:
        """Whether ``parameter_error`` knows what to make of a generator's parameters."""
        return self.accepts_truth(truth)

    def parameter_error(self, params: Any, truth: dict[str, Any]) -> float:
        """Distance from a generator's parameters, labels matched; NaN where none is defined."""
        return float("nan")

    @abstractmethod
    def pack(self, params: Any, coordinates: str = "natural", around: Any = None) -> Array:
        """Vector of ``n_coordinates`` numbers in the chart around ``around`` (``params`` itself).

        ``coordinates`` is natural or unconstrained.  Gauges are fixed.  An unconstrained
        coordinate that is not finite says that the parameter lies on the boundary.
        """

    @abstractmethod
    def unpack(self, vector: Array, around: Any, coordinates: str = "natural") -> Any:
        """Inverse of ``pack`` in the chart around the parameters ``around``."""

    def functionals(self, params: Any) -> dict[str, Array]:
        """Reported quantities that get standard errors: by default the record's arrays."""
        return {f.name: np.asarray(getattr(params, f.name)) for f in fields(params)}

    def at_boundary(self, params: Any, stats: Any) -> dict[str, NDArray[np.bool_]]:
        """Entries of ``functionals`` that lie on the boundary where no coordinate says so."""
        return {}

    def not_identified(self, params: Any) -> dict[str, NDArray[np.bool_]]:
        """Entries of ``functionals`` that a gauge leaves open, so that they have no error."""
        return {}

    @property
    def unheld(self) -> "Model":
        """This model with nothing held at its start: ``pack`` then has every parameter."""
        return self

    @abstractmethod
    def n_parameters(self, data: Any) -> int:
        """Number of free parameters for these data."""

    def n_coordinates(self, data: Any) -> int:
        """Length of ``pack``: the free parameters, and what is latent but climbed like them."""
        return self.n_parameters(data)

    @abstractmethod
    def posterior(self, params: Any, data: Any) -> Posteriors:
        """What the parameters say of each unit."""

    def complete(self, params: Any, data: Any, rng: np.random.Generator) -> Array:
        """Draw the missing cells from their distribution given the observed ones, shape (n, d)."""
        raise NotImplementedError(f"{self.family} has no conditional simulation")

    def bootstrapped(self, params: Any, data: Any, rng: np.random.Generator) -> Any:
        """A bootstrap sample of the data: units drawn with replacement, as weights.

        Families whose units are dependent or few draw from ``params`` instead.
        """
        total = data.unit_weights.sum()
        draws = rng.multinomial(round(float(total)), data.unit_weights / total)
        return data.reweighted(draws.astype(np.float64))

    @abstractmethod
    def sample(self, params: Any, n: int, rng: np.random.Generator) -> tuple[Any, Any]:
        """Draw n rows (one sequence of n steps); returns them and their latent classes."""


def is_unconstrained(coordinates: str) -> bool:
    """Whether ``coordinates`` are the unconstrained ones.

    Raises
    ------
    ValueError
        If they are neither these nor the natural ones.
    """
    if coordinates not in ("natural", "unconstrained"):
        raise ValueError(f"coordinates: {coordinates!r} is not natural or unconstrained")
    return coordinates == "unconstrained"
