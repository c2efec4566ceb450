"""Degrees of freedom of Student's t, and how they are found.

Written in tails, 1 / dof, the likelihood is smooth down to 0, the normal distribution; so where it
rises all the way there, as it does for light-tailed data, that end is a maximum like any other:
dof infinite, on the boundary.  Steps are taken in log(1 + tail), a tail where it is small and its
log where it is large.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.models.special import digamma, gammaln, polygamma

Array = NDArray[np.float64]

STARTING_DOF = 1.0
"""Outliers that a start mistakes for spread lose their weight in the first step."""

NORMAL_TAIL = 1e-6
"""A tail below this on its way down is 0: nothing is left to tell it from the normal."""

SMALLEST = 1e-20
"""Stands for a tail of 0 where dofs are called for: all digits are those of the limit."""

ROUNDS = 10
ENOUGH = 1e-6
"""A Newton step expected to gain fewer nats is the last of its maximization."""

_STIRLING = (1 / 12, -1 / 360, 1 / 1260, -1 / 1680, 1 / 1188)


def check_dofs(dofs: Any, n_components: int) -> str | tuple[float, ...]:
    """The setting ``dofs``: "each", "common", or one given number a component; "normal" is inf.

    Raises
    ------
    ValueError
        If it is none of these.
    """
    if isinstance(dofs, str) and dofs == "normal":  # files of studies hold no inf
        dofs = np.inf
    if isinstance(dofs, str):
        if dofs not in ("each", "common"):
            allowed = "normal, each, common, a number or a list of them"
            raise ValueError(f"dofs: {dofs!r} is not {allowed}")
        return dofs
    given = np.asarray(dofs, dtype=np.float64)
    if given.shape not in ((), (n_components,)):
        raise ValueError(f"dofs: shape {given.shape} is neither a number nor ({n_components},)")
    if not (given > 0).all():
        raise ValueError(f"dofs: {dofs!r} are not positive (inf is the normal)")
    return tuple(np.broadcast_to(given, n_components).tolist())


class DofSetting:
    """What a model with a checked ``dofs`` setting says of its degrees of freedom."""

    dofs: Any
    n_components: int

    def with_components(self, n_components: int) -> Any:
        """See ``Model.with_components``; of given dofs the first ones stay."""
        dofs = self.dofs if self.estimates_dofs else self.dofs[:n_components]
        return replace(self, n_components=n_components, dofs=dofs)  # type: ignore[type-var]

    @property
    def estimates_dofs(self) -> bool:
        """Whether degrees of freedom are estimated."""
        return isinstance(self.dofs, str)

    @property
    def n_dofs(self) -> int:
        """Free parameters among the degrees of freedom."""
        return {"each": self.n_components, "common": 1}.get(self.dofs, 0)

    def observed_step(self, params: Any, data: Any, free: frozenset[str]) -> tuple[Any, float]:
        """Degrees of freedom, by Newton's method on the observed loglik."""
        return self.raised(params, self.tail_passes(params, data))

    def raised(self, params: Any, evaluate: "Evaluate") -> tuple[Any, float]:
        """``observed_step``, given the passes over the data."""
        dofs, passes = raise_loglik(evaluate, params.dofs, self.dofs == "common")
        return replace(params, dofs=dofs), float(passes)

    def tail_passes(self, params: Any, data: Any) -> "Evaluate":
        """The observed loglik of ``data`` as a function of the tails (K,), all else fixed."""
        raise NotImplementedError

    @property
    def starting_dofs(self) -> Array:
        """Degrees of freedom of a start, shape (K,)."""
        given = STARTING_DOF if self.estimates_dofs else self.dofs
        return np.array(np.broadcast_to(given, self.n_components), dtype=np.float64)

    def pack_dofs(self, dofs: Array, unconstrained: bool) -> Array:
        """Tails, or minus the logs of the dofs: finite, or -inf, where a dof is infinite."""
        free = dofs[: self.n_dofs]
        return -np.log(free) if unconstrained else 1.0 / free

    def unpack_dofs(self, vector: Array, around: Array, unconstrained: bool) -> Array:
        """Inverse of ``pack_dofs``; what is given is as in ``around``."""
        if not self.estimates_dofs:
            return around
        with np.errstate(divide="ignore"):
            free = np.exp(-vector) if unconstrained else 1.0 / vector
        return np.array(np.broadcast_to(free, self.n_components))

    def dofs_of_gamma(self, counts: Array, precisions: Array, log_precisions: Array) -> Array:
        """The dofs that maximize Q; sums by component, of E[u] and of E[log u]."""
        if self.dofs == "common":
            counts, precisions, log_precisions = (
                np.full(len(a), a.sum()) for a in (counts, precisions, log_precisions)
            )
        return gamma_dofs((precisions - log_precisions) / counts - 1.0)


def q_of_dofs(dofs: Array, counts: Array, precisions: Array, log_precisions: Array) -> float:
    """Expected log density of the precisions u ~ gamma(dof / 2, dof / 2), up to a constant."""
    finite = np.isfinite(dofs)
    half = 0.5 * dofs[finite]
    # Less log Stirling's leading term, or large dofs would leave no digits.
    excess = (precisions - log_precisions - counts)[finite]
    return float((counts[finite] * gamma_size(half) - half * excess).sum())


def gamma_size(half: Array) -> Array:
    """x log x - x - log Gamma(x), without loss where x is large."""
    large = half > 20.0
    x = np.where(large, half, 20.0)
    series = 0.5 * np.log(x / (2.0 * np.pi)) - _stirling(x)
    small = np.where(large, 1.0, half)
    return np.where(large, series, small * np.log(small) - small - gammaln(small))


def gamma_dofs(excess: Array) -> Array:
    """Solve log(dof / 2) - digamma(dof / 2) = excess: the shape of a gamma with mean 1."""
    sound = excess > 1e-15
    target = np.where(sound, excess, 1.0)
    # Minka (2002): within 1.5 per cent, so a few steps of Newton's method on log x end it.
    x = (3.0 - target + np.sqrt((target - 3.0) ** 2 + 24.0 * target)) / (12.0 * target)
    for _ in range(6):
        slope = 1.0 - x * polygamma(1, x)
        x = x * np.exp(np.clip((target - np.log(x) + digamma(x)) / slope, -2.0, 2.0))
    return np.where(sound, 2.0 * x, np.inf)


def log_excess(tails: Array, m: Array) -> Array:
    """Log norm of the t in m dimensions minus that of the normal; ``tails`` and ``m`` broadcast.

    log Gamma(x + a) - log Gamma(x) - a log x with x = dof / 2 and a = m / 2, to all digits also
    where x is large.
    """
    a, x = 0.5 * m, 0.5 / np.maximum(tails, SMALLEST)
    large = x > 20.0
    far = np.where(large, x, 20.0)
    series = (far + a - 0.5) * np.log1p(a / far) - a + _stirling(far + a) - _stirling(far)
    near = np.where(large, 20.0, x)
    direct = gammaln(near + a) - gammaln(near) - a * np.log(near)
    return np.where(m > 0, np.where(large, series, direct), 0.0)


def log_precision(tails: Array, m: Array) -> Array:
    """digamma((dof + m) / 2) - log(dof / 2): E[log u] where the distance is 0."""
    a, x = 0.5 * m, 0.5 / np.maximum(tails, SMALLEST)
    large = x > 1e6
    far, near = np.where(large, x, 1e6), np.where(large, 1.0, x)
    return np.where(large, (a - 0.5) / far, digamma(near + a) - np.log(near))


def excess_slopes(tails: Array, m: Array) -> tuple[Array, Array]:
    """First and second derivative of ``log_excess`` in the tail."""
    a, x = 0.5 * m, 0.5 / np.maximum(tails, SMALLEST)
    large = x > 1e2 * (1.0 + a) ** 2
    near = np.where(large, 1.0, x)
    first = digamma(near + a) - digamma(near) - a / near
    second = polygamma(1, near + a) - polygamma(1, near) + a / near**2
    slope, curvature = -2.0 * near**2 * first, 4.0 * near**4 * second + 8.0 * near**3 * first
    # Bernoulli's series in t = 1 / x = 2 tail
    t = 2.0 * tails
    b2, b3, b4 = a * (a - 1) / 2, a * (a - 0.5) * (a - 1) / 6, (a * (a - 1)) ** 2 / 12
    b5 = a * (a - 0.5) * (a - 1) * (a**2 - a - 1 / 3) / 20
    series = 2.0 * (b2 - 2.0 * b3 * t + 3.0 * b4 * t**2 - 4.0 * b5 * t**3)
    bend = 4.0 * (-2.0 * b3 + 6.0 * b4 * t - 12.0 * b5 * t**2)
    return np.where(large, series, slope), np.where(large, bend, curvature)


def _stirling(x: Array) -> Array:
    total = np.zeros_like(x)
    for power, coefficient in enumerate(_STIRLING):
        total = total + coefficient / x ** (2 * power + 1)
    return total


@dataclass(frozen=True, eq=False)
class TailPass:
    """The observed loglik with its derivatives in the tails: a pass over the data."""

    loglik: float
    magnitude: float
    gradient: Array
    hessian: Array

    def __add__(self, other: "TailPass") -> "TailPass":
        return TailPass(
            self.loglik + other.loglik, self.magnitude + other.magnitude,
            self.gradient + other.gradient, self.hessian + other.hessian,
        )  # fmt: skip


Evaluate = Callable[[Array], TailPass]


def raise_loglik(evaluate: Evaluate, dofs: Array, common: bool) -> tuple[Array, int]:
    """Maximize the observed loglik over the degrees of freedom, by a safeguarded Newton method.

    Parameters
    ----------
    evaluate : callable
        Tails (K,) to ``TailPass``.
    dofs : ndarray of shape (K,)
    common : bool
        Whether all are one.

    Returns
    -------
    dofs, int
        With a loglik that is not lower, and the number of passes.
    """
    spread = np.ones((len(dofs), 1)) if common else np.eye(len(dofs))
    at = np.log1p(1.0 / dofs)[: spread.shape[1]]
    here, passes = evaluate(np.expm1(spread @ at)), 1
    for _ in range(ROUNDS):
        step, gain = _newton_step(here, at, spread)
        if gain == 0.0:
            break
        for _ in range(30):
            moved = np.maximum(at + step, 0.0)
            moved[(moved < NORMAL_TAIL) & (moved < at)] = 0.0
            there = evaluate(np.expm1(spread @ moved))
            passes += 1
            if there.loglik >= here.loglik - 4.0 * np.finfo(float).eps * here.magnitude:
                break
            step = 0.5 * step
        else:
            break
        at, here = moved, there
        if gain < ENOUGH:
            break
    with np.errstate(divide="ignore"):
        return 1.0 / np.expm1(spread @ at), passes


def _newton_step(here: TailPass, at: Array, spread: Array) -> tuple[Array, float]:
    """A step up in log(1 + tail), at most 1 long, and the nats that it is expected to gain."""
    stretch = np.exp(spread @ at)
    slopes = stretch * here.gradient
    bends = stretch[:, None] * here.hessian * stretch + np.diag(slopes)
    gradient, hessian = spread.T @ slopes, spread.T @ bends @ spread
    step, free = np.zeros(len(at)), (at > 0.0) | (gradient > 0.0)
    if not free.any():
        return step, 0.0
    values, vectors = np.linalg.eigh(hessian[np.ix_(free, free)])
    along = vectors.T @ gradient[free]
    # Where the loglik bends upwards Newton's step would lead down: its mirror image leads up.
    sizes = np.maximum(np.abs(values), 1e-10 * max(np.abs(values).max(), 1e-300))
    step[free] = vectors @ (along / sizes)
    step = step / max(1.0, np.abs(step).max())
    return step, float(gradient @ step)
