"""What the end of a climb is: a maximum, a saddle, a ridge, or no stationary point at all.

Near a stationary point EM moves a deviation by the Jacobian of its own step (Dempster, Laird and
Rubin 1977, section 4).  Its eigenvalues are the fractions of missing information, one minus the
observed share of the complete information: the same in all coordinates.  All below one, the end is
a maximum; above one, EM itself leads away along that direction; at one, the data say nothing.  For
a cycle of several M-steps (ECM) they are those of the cycle (Meng 1994), with the same three
answers.  The Jacobian costs steps of EM alone (Meng and Rubin 1991), by central differences.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.algorithms.em import em_map
from emlib.inference.information import NULL
from emlib.models.base import Model
from emlib.models.differences import jacobian, natural_slopes
from emlib.models.records import COLLAPSES

Array = NDArray[np.float64]

STATIONARY = 0.01
"""Most nats that may be left to the top of the quadratic approximation: 0.14 standard errors."""

DRIFT = 0.1
"""How much the observed share of a direction may change over a standard error: the end being that
far off, smaller shares have no sign."""

INSIDE = 20.0
"""Unconstrained coordinate of a point just inside the boundary: a probability of 2e-9."""


@dataclass(frozen=True, eq=False)
class Certificate:
    """What the end of a climb is, and the numbers that say so; none depends on units.

    Attributes
    ----------
    verdict : str
        ``maximum``; ``boundary``, a maximum with parameters at the end of their range;
        ``saddle``; ``not_identified``, a ridge; or ``uncertified``.
    reason : str
        What was found, where the verdict is not ``maximum``.
    newton_decrement : float
        Nats that a Newton step would gain, g' I^-1 g / 2 with the gradient g and the observed
        information I.  A direction that leads up counts with the size of its curvature.
    gradient_norm : float
        Length of the gradient in standard errors of the complete data, (g' Ic^-1 g)^(1/2).
    eigenvalues : ndarray of shape (p,)
        Of EM's Jacobian, descending, without coordinates on the boundary.
    n_boundary : int
        Coordinates on the boundary.
    """

    verdict: str
    reason: str
    newton_decrement: float = float("nan")
    gradient_norm: float = float("nan")
    eigenvalues: Array | None = None
    n_boundary: int = 0

    @property
    def null_dimension(self) -> int:
        """Dimension of the space of directions that the data say nothing about."""
        return 0 if self.eigenvalues is None else int((abs(1 - self.eigenvalues) <= NULL).sum())

    @property
    def smallest_share(self) -> float:
        """Smallest eigenvalue of the observed information relative to the complete one; NaN if
        there is none. Negative at a saddle, 0 on a ridge."""
        known = self.eigenvalues is not None and len(self.eigenvalues) > 0
        return float(1.0 - self.eigenvalues[0]) if known else float("nan")  # type: ignore[index]

    @property
    def rate(self) -> float:
        """Linear rate of EM here, null directions left out: what each step leaves of the way to
        the optimum. Of the gain that is left it leaves the square, ``Climb.linear_rate``."""
        if self.eigenvalues is None:
            return float("nan")
        sloped = self.eigenvalues[abs(1 - self.eigenvalues) > NULL]
        return float(sloped[0]) if len(sloped) else float("nan")


def certify(model: Model, data: Any, params: Any) -> Certificate:
    """Say what the parameters at the end of a climb are.

    Costs four steps of EM a parameter, and some gradients of Q.

    Parameters
    ----------
    model : Model
        Prepared for the data.
    data : Table or another view
    params : Params
        Best climbed on to a small gain first: the eigenvalues are those at this very point.

    Returns
    -------
    Certificate
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # far coordinates: refused as collapses
            return _certify(model, data, params)
    except COLLAPSES as error:
        return Certificate("uncertified", f"no step of EM from beside it: {error}")


def _certify(model: Model, data: Any, params: Any) -> Certificate:
    params = model.settled(params, model.e_step(params, data))
    stats = model.e_step(params, data)
    at = model.pack(params, "unconstrained")
    steps, slopes = natural_slopes(model.q_in_chart(stats, params), at)
    free = np.isfinite(at) & (steps > 0)

    def em(vector: Array) -> Array:
        there = model.unpack(vector, params, "unconstrained")
        end, _ = em_map(model, data, there, model.e_step(there, data))
        return model.pack(end, "unconstrained", params)

    size = steps[free]
    moved = (em(at)[free] - at[free]) / size
    slope = slopes[free] * size
    turned = jacobian(lambda vector: em(vector)[free], at, np.where(free, steps, 0.0))[:, free]
    values, vectors = np.linalg.eig(turned * (size / size[:, None]))
    along = ((slope @ vectors) * np.linalg.solve(vectors, moved)).real
    left = along / np.maximum(abs(1.0 - values), NULL)
    falls = values.real < 1.0 - NULL  # equal eigenvalues share vectors that are not orthogonal
    decrement = 0.5 * float(abs(left[falls].sum()) + abs(left[~falls]).sum())
    eigenvalues = np.sort(values.real)[::-1]
    leaving = [i for i in np.flatnonzero(~free).tolist() if _leads_inside(em, at, i)]
    verdict, reason = _judge(decrement, eigenvalues, int((~free).sum()), len(leaving))
    norm = float(np.sqrt(max(float(slope @ moved), 0.0)))
    return Certificate(verdict, reason, decrement, norm, eigenvalues, int((~free).sum()))


def _leads_inside(em: Callable[[Array], Array], at: Array, i: int) -> bool:
    """Whether EM from a point just inside the boundary in coordinate ``i`` leads away from it."""
    side = -1.0 if np.isnan(at[i]) else float(np.sign(at[i]))
    inside = at.copy()
    inside[i] = side * INSIDE
    after = em(inside)[i]
    return bool(side * (after - inside[i]) < -NULL)


def _judge(
    decrement: float, eigenvalues: Array, n_boundary: int, n_leaving: int
) -> tuple[str, str]:
    if not np.isfinite(decrement):
        return "uncertified", f"the Newton decrement is {decrement}"
    if decrement > STATIONARY:
        return "uncertified", f"not stationary: a Newton step would gain {decrement:.2g} nats"
    unclear = DRIFT * np.sqrt(2.0 * decrement)
    rising = int((eigenvalues > 1.0 + max(NULL, unclear)).sum())
    if rising:
        return "saddle", f"the objective rises along {rising} of {len(eigenvalues)} directions"
    if n_leaving:
        return "saddle", f"the objective rises from {n_leaving} of {n_boundary} boundaries inwards"
    shares = abs(1.0 - eigenvalues)
    if ((shares > NULL) & (shares < unclear)).any():
        return "uncertified", f"{decrement:.2g} nats off, a share below {unclear:.2g} has no sign"
    flat = int((shares <= NULL).sum())
    if flat:
        where = f"{flat} of {len(eigenvalues)} directions"
        return "not_identified", f"the data say nothing along {where}"
    if n_boundary:
        return "boundary", f"{n_boundary} coordinates lie at the end of their range"
    return "maximum", ""
