"""What families with covariates share: lines intercept + covariates @ coef, one a column."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from emlib.models.records import Degenerate

Array = NDArray[np.float64]

SINGULAR = 1e-14
"""An eigenvalue of the scaled products of a design below this says that it is rank-deficient."""

HALVINGS = 40


def centred_design(covariates: Array, origin: Array) -> Array:
    """The design (1, covariates - origin), shape (n, 1 + p)."""
    return np.column_stack([np.ones(len(covariates)), covariates - origin])


def directions(free: frozenset[str], origin: Array) -> Array:
    """What may move, as columns in coordinates of the centred design, shape (1 + p, k)."""
    full = np.eye(1 + len(origin))
    if {"intercept", "coef"} <= free:
        return full
    if "coef" in free:
        full[0, 1:] = origin
        return full[:, 1:]
    return full[:, :1] if "intercept" in free else full[:, :0]


def sampled_covariates(covariates: Array | None, n: int, coef: Array) -> Array:
    """The covariates that n rows are drawn beside.

    Raises
    ------
    ValueError
        If there are none, or of another shape, where the model has coefficients.
    """
    p = coef.shape[1]
    if covariates is None and p == 0:
        return np.empty((n, 0))
    if covariates is None or np.shape(covariates) != (n, p):
        raise ValueError(f"covariates: drawing {n} rows needs them, of shape ({n}, {p})")
    return np.asarray(covariates, dtype=np.float64)


@dataclass(frozen=True, eq=False)
class LineSums:
    """Weighted sums of the residuals from lines, one a column, that can be taken to other lines.

    Attributes
    ----------
    intercept, coef : ndarray of shape (l,), (l, p)
        The lines that residuals are taken from.
    origin : ndarray of shape (p,)
        Covariates are taken from here, so that the sums keep their digits far from zero.
    gram : ndarray of shape (l, 1 + p, 1 + p)
        Products of the centred design.
    cross : ndarray of shape (l, 1 + p)
        Design times residuals.
    second : ndarray of shape (l,)
        Squared residuals.
    """

    intercept: Array
    coef: Array
    origin: Array
    gram: Array
    cross: Array
    second: Array

    def __add__(self, other: "LineSums") -> "LineSums":
        # (1, z - o') is this matrix times (1, z - o)
        turn = np.eye(len(self.origin) + 1)
        turn[1:, 0] = other.origin - self.origin
        turned = replace(
            other, origin=self.origin, gram=turn @ other.gram @ turn.T, cross=other.cross @ turn.T
        ).about(self.intercept, self.coef)
        return replace(
            self, gram=self.gram + turned.gram, cross=self.cross + turned.cross,
            second=self.second + turned.second,
        )  # fmt: skip

    def scaled(self, factor: float) -> "LineSums":
        """The sums with every unit weighted ``factor`` times as much."""
        return replace(
            self, gram=factor * self.gram, cross=factor * self.cross, second=factor * self.second
        )

    def about(self, intercept: Array, coef: Array) -> "LineSums":
        """The same sums of the residuals from other lines."""
        slopes = coef - self.coef
        move = np.column_stack([intercept - self.intercept + slopes @ self.origin, slopes])
        cross, second = moved_sums(self.gram, self.cross, self.second, move)
        return replace(self, intercept=intercept, coef=coef, cross=cross, second=second)

    def best(self, free: frozenset[str]) -> "LineSums":
        """The same sums about their least-squares lines, ``intercept`` and ``coef`` as free.

        Raises
        ------
        Degenerate
            If the weighted rows of a line do not determine it.
        """
        moving = directions(free, self.origin)
        if not moving.shape[1]:
            return self
        gram = moving.T @ self.gram @ moving
        sizes = np.sqrt(np.diagonal(gram, axis1=1, axis2=2))
        safe = np.where(sizes > 0, sizes, 1.0)
        scaled = gram / (safe[:, :, None] * safe[:, None, :])
        if not (sizes > 0).all() or np.linalg.eigvalsh(scaled).min() < SINGULAR:
            raise Degenerate("the rows of a line do not determine it")
        step = np.linalg.solve(scaled, (self.cross @ moving / sizes)[:, :, None])[:, :, 0] / sizes
        move = step @ moving.T
        intercept, coef = self.intercept, self.coef
        if "intercept" in free:
            intercept = intercept + move[:, 0] - move[:, 1:] @ self.origin
        if "coef" in free:
            coef = coef + move[:, 1:]
        return self.about(intercept, coef)


def moved_sums(gram: Array, cross: Array, second: Array, move: Array) -> tuple[Array, Array]:
    """``cross`` and ``second`` of ``LineSums`` after the lines moved, in the centred design."""
    moved = np.einsum("jab,jb->ja", gram, move)
    return cross - moved, second - (move * (2.0 * cross - moved)).sum(axis=1)


def poisson_step(
    totals: Array,
    cells: Array,
    design: Array,
    origin: Array,
    intercept: float,
    coef: Array,
    free: frozenset[str],
) -> tuple[float, Array]:
    """Intercept and coefficients after one Newton step of a Poisson regression.

    The step is halved until the loglik, ``totals`` times log rates minus ``cells`` times rates,
    is no lower; then the height of the line is the best there is, where it is free.

    Parameters
    ----------
    totals, cells : ndarray of shape (n,)
        Weighted sums of counts, and weights, at each row of the design.
    design : ndarray of shape (n, 1 + p)
        Centred at ``origin`` (p,).
    intercept, coef : float, ndarray of shape (p,)
    free : frozenset of str
        Of ``intercept`` and ``coef``.
    """
    moving = directions(free, origin)
    line = np.concatenate([[intercept + coef @ origin], coef])
    log_rates = design @ line
    expected = cells * np.exp(log_rates)
    before = totals @ log_rates - expected.sum()
    slope = moving.T @ ((totals - expected) @ design)
    curvature = moving.T @ ((design.T * expected) @ design) @ moving
    step = moving @ np.linalg.lstsq(curvature, slope, rcond=None)[0]
    total = expected.sum()
    for _ in range(HALVINGS):
        there = design @ (line + step)
        with np.errstate(over="ignore"):
            moved = cells @ np.exp(there)
        if totals @ there - moved >= before:
            line, total = line + step, moved
            break
        step = 0.5 * step
    if "coef" in free:
        coef = line[1:]
    if "intercept" in free:
        intercept = float(line[0] - coef @ origin + np.log(totals.sum() / total))
    return intercept, coef
