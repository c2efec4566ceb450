"""What the states of a video say of its motion, and the most likely rotation and correlation."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emlib.kernels.rotating_chain import ChainPosterior
from emlib.models.imaging.base import LARGEST_CORRELATION
from emlib.models.imaging.polar import PolarBasis

Array = NDArray[np.float64]


class Motion(NamedTuple):
    """Sums of expected products of states, turned back by the rotation of the E-step.

    Attributes
    ----------
    first, last, inner : float
        E|s_1|^2, E|s_T|^2, and the sum of the others'.
    along, across : ndarray of shape (largest order + 1,)
        E[s_t' R(d) s_t-1] summed over t is the sum over m of along cos(m d) + across sin(m d).
    rotation : float
        Degrees.
    n_frames, n_states : int
    """

    first: float
    last: float
    inner: float
    along: Array
    across: Array
    rotation: float
    n_frames: int
    n_states: int

    @classmethod
    def of(
        cls, law: ChainPosterior, means: Array, variance: float, rotation: float, basis: PolarBasis
    ) -> "Motion":
        """Those of a posterior of states in units of their standard deviations.

        Parameters
        ----------
        law : ChainPosterior
        means : ndarray of shape (T, k)
        variance : float
            Of the states.
        rotation : float
            Degrees.
        basis : PolarBasis
        """
        squares = variance * (means**2 + law.variances).sum(axis=1)
        later, earlier = means[1:], means[:-1]
        lagged = (later * earlier).sum(axis=0) + law.lagged
        crossed = (later * earlier[:, basis.partner]).sum(axis=0) + law.crossed
        crossed = np.where(basis.order == 0, 0.0, crossed)
        crossed = np.where(basis.second, crossed, -crossed)
        return cls(
            squares[0], squares[-1], float(squares[1:-1].sum()),
            np.asarray(variance * np.bincount(basis.order, lagged)),
            np.asarray(variance * np.bincount(basis.order, crossed)),
            rotation, *means.shape,
        )  # fmt: skip

    def overlap(self, rotation: float) -> float:
        """Sum over t of E[s_t' R(rotation) s_t-1]."""
        return float(trigonometric(self.along, self.across, np.deg2rad(rotation - self.rotation)))

    def shocks(self, correlation: float, rotation: float) -> float:
        """Sum of E|s_t|^2 at the start and of E|w_t|^2 / (1 - correlation^2) after it."""
        if self.n_frames == 1:
            return self.first
        before, after = self.first + self.inner, self.inner + self.last
        square = after - 2.0 * correlation * self.overlap(rotation) + correlation**2 * before
        return self.first + square / (1.0 - correlation**2)

    def log_density(self, variance: float, correlation: float, rotation: float) -> float:
        """Expected log density of all states."""
        steps = self.n_states * (self.n_frames - 1)
        total = self.n_states * self.n_frames * np.log(2.0 * np.pi * variance)
        total += steps * np.log(1.0 - correlation**2)
        return float(-0.5 * (total + self.shocks(correlation, rotation) / variance))


def trigonometric(along: Array, across: Array, angle: Any) -> Any:
    """Sum over m of along[m] cos(m angle) + across[m] sin(m angle)."""
    turns = np.multiply.outer(angle, np.arange(len(along)))
    return np.cos(turns) @ along + np.sin(turns) @ across


def best_rotation(motion: Motion, rotation: float) -> float:
    """Where the overlap of successive frames is largest: a global maximum, by a grid much finer
    than the highest order and Newton's steps; degrees, in (-180, 180]."""
    order = np.arange(len(motion.along))
    grid = np.linspace(-np.pi, np.pi, 32 * len(order) + 1)
    along, across = motion.along, motion.across
    angle = float(grid[np.argmax(trigonometric(along, across, grid))])
    for _ in range(8):
        slope = float(trigonometric(order * across, -order * along, angle))
        bend = float(trigonometric(-(order**2) * along, -(order**2) * across, angle))
        if bend >= 0 or slope == 0:
            break
        angle -= slope / bend
    found = motion.rotation + np.rad2deg(angle)
    found = 180.0 - (180.0 - found) % 360.0
    return found if motion.overlap(found) >= motion.overlap(rotation) else rotation


def best_correlation(motion: Motion, variance: float, current: float, rotation: float) -> float:
    """Stationary points of the expected log density are the roots of a cubic."""
    overlap = motion.overlap(rotation) / variance
    squares = (motion.first + 2.0 * motion.inner + motion.last) / variance
    steps = motion.n_states * (motion.n_frames - 1)
    roots = np.roots([-steps, overlap, steps - squares, overlap])
    real = roots.real[np.abs(roots.imag) < 1e-6 * np.abs(roots)]
    candidates = [current, 0.0, LARGEST_CORRELATION, *real[(real > 0) & (real < 1)].tolist()]
    candidates = [min(rho, LARGEST_CORRELATION) for rho in candidates]
    values = [motion.log_density(variance, rho, rotation) for rho in candidates]
    return float(candidates[int(np.argmax(values))])
