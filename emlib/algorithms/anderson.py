"""DAAREM: damped Anderson acceleration of EM with restarts and monotonicity control.

With x the parameters, f = F(x) - x the EM step, and dX, dF the last differences of both, the
climb goes to x + f - (dX + dF) g, where g minimizes |f - dF g|^2 + lambda |g|^2 (Henderson and
Varadhan 2019, section 3).
"""

import math
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.base import Algorithm, Position, em_position
from emlib.algorithms.chart import Chart
from emlib.algorithms.em import em_map
from emlib.models.base import Model, is_unconstrained

Array = NDArray[np.float64]

GROWTH, DELAY = 1.2, 25
"""Damping is relaxed as delta = 1 / (1 + 1.2^(25 - s)), s counting the proposals accepted."""


@dataclass(frozen=True, eq=False)
class AndersonPosition(Position):
    """And the chart, where the climb was and how it would have moved, and the damping's count."""

    chart: Chart | None = None
    points: tuple[Array, ...] = ()
    steps: tuple[Array, ...] = ()
    accepted: int = 0
    accepted_before: int = 0


@dataclass(frozen=True)
class Anderson(Algorithm):
    """DAAREM of Henderson and Varadhan (2019), held to plain monotonicity.

    A proposal that leaves the space or lowers the objective is replaced by the EM step.  After
    ``order`` steps all differences but the last are forgotten.  Cost of an iteration: one E-step, a
    second where the proposal fails.

    Parameters
    ----------
    order : int, optional
        Most differences kept; by default the smaller of 10 and half the number of parameters.
    coordinates : {"unconstrained", "natural"}
        Where to extrapolate.
    """

    name: ClassVar[str] = "anderson"
    accelerated: ClassVar[bool] = True

    order: int | None = None
    coordinates: str = "unconstrained"

    def __post_init__(self) -> None:
        is_unconstrained(self.coordinates)
        if self.order is not None and self.order < 1:
            raise ValueError(f"order: {self.order!r} is not a positive integer")

    def move(
        self, model: Model, data: Any, position: Position, rng: np.random.Generator
    ) -> Position:
        if not isinstance(position, AndersonPosition) or position.chart is None:
            chart = Chart(model, position.params, self.coordinates)
            here = AndersonPosition(
                position.params, position.stats, position.objective, 0.0,
                chart=chart,
            )  # fmt: skip
        else:
            here, chart = position, position.chart
        image, spent = em_map(model, data, here.params, here.stats)
        x, fx = chart.vector(here.params), chart.vector(image)
        with np.errstate(invalid="ignore"):
            f = fx - x
        points, steps = (*here.points, x), (*here.steps, f)
        order = self.order or max(1, min(10, math.ceil(len(x) / 2)))
        accepted, there = here.accepted, None
        if len(points) > 1:
            proposal = self._proposal(np.array(points), np.array(steps), accepted)
            proposal = np.where(np.isfinite(proposal), proposal, fx)
            there = chart.position(data, proposal, fx)
            spent += 1.0
            if there is not None and there.objective < here.objective:
                there = None
            accepted += there is not None
        if there is None:
            there = em_position(model, data, image)
            spent += 1.0
        accepted_before = here.accepted_before
        if len(points) > order:
            # The paper relaxes less where a cycle ends lower than it began, which none does here.
            if 2 * (accepted - accepted_before) < order:
                accepted = max(accepted_before - order, -2 * DELAY)
            accepted_before = accepted
            # A fresh chart: far from its centre coordinates bend, and boundaries may be new.
            chart = Chart(model, there.params, self.coordinates)
            x, fx = chart.vector(here.params), chart.vector(image)
            with np.errstate(invalid="ignore"):
                points, steps = (x,), (fx - x,)
        return AndersonPosition(
            there.params, there.stats, there.objective, spent, chart=chart, points=points,
            steps=steps, accepted=accepted, accepted_before=accepted_before,
        )  # fmt: skip

    def _proposal(self, points: Array, steps: Array, accepted: int) -> Array:
        """Where to go from the last of ``points`` (m + 1, p) with their EM ``steps``."""
        used = np.isfinite(points).all(axis=0) & np.isfinite(steps).all(axis=0)
        proposal = np.full(points.shape[1], np.nan)
        dx, df = np.diff(points[:, used], axis=0).T, np.diff(steps[:, used], axis=0).T
        damping = 1.0 / (1.0 + GROWTH ** (DELAY - accepted))
        g = damped_least_squares(df, steps[-1, used], damping)
        proposal[used] = points[-1, used] + steps[-1, used] - (dx + df) @ g
        return proposal


def damped_least_squares(matrix: Array, target: Array, damping: float) -> Array:
    """The ridge solution whose squared length is ``damping`` times that of least squares.

    Parameters
    ----------
    matrix : ndarray of shape (p, m)
    target : ndarray of shape (p,)
    damping : float
        In (0, 1].

    Returns
    -------
    ndarray of shape (m,)
    """
    from scipy.optimize import brentq  # half a second that most processes can spare

    u, d, vt = np.linalg.svd(matrix, full_matrices=False)
    kept = d > d.max(initial=0.0) * np.finfo(float).eps * max(matrix.shape)
    u, d, vt = u[:, kept], d[kept], vt[kept]
    if not len(d):
        return np.zeros(matrix.shape[1])
    along = u.T @ target
    full = float(((along / d) ** 2).sum())
    if full == 0.0 or damping >= 1.0:
        return np.asarray(vt.T @ (along / d))

    def excess(log_ridge: float) -> float:
        ridged = along * d / (d**2 + math.exp(log_ridge))
        return float((ridged**2).sum()) / full - damping

    low, high = 2.0 * math.log(d.min()) - 40.0, 2.0 * math.log(d.max()) + 40.0
    ridge = 0.0 if excess(low) <= 0 else math.exp(brentq(excess, low, high, xtol=1e-8))
    return np.asarray(vt.T @ (along * d / (d**2 + ridge)))
