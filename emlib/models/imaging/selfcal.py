"""Self-calibration: station gains that raise the likelihood itself, the image integrated out.

Given the image, which follows the gains, EM hardly moves them; so this is ECME (Liu and Rubin
1994), by a step of Newton in log amplitudes and phases, shortened until the likelihood rises.  With
S the covariance of the calibrated data z = y / (g_k conj g_l), where noise has variances D, r their
deviations and w = S^-1 r, a visibility's log size s = log |g_k g_l| and turn d = arg g_k - arg g_l
move z by -z and -i z, and D by -2 D, so that the loglik's curvature in them is

    -v_i' S^-1 v_j + 2 D_i D_j (S^-1)_ij^2 - [i = j] (2 D_i ((S^-1)_ii - w_i^2) + w_i z_i''),

where v is how z moves, plus 2 D w where D does.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.models.imaging.measurement import Measurements

Array = NDArray[np.float64]

DAMPINGS = (0.0, 0.1, 1.0, 10.0, 100.0)
"""Shares of Gauss and Newton's curvature added to the exact one, until a step is better."""

FARTHEST = 1.0
"""No step moves a phase by more radians, or an amplitude by a larger power of e."""


def gain_steps(
    params: Any, seen: Measurements, law: Any, moving: NDArray[np.bool_], spread: float
) -> Iterator[Any]:
    """Parameters with other gains, the boldest first.

    Parameters
    ----------
    params : Params
    seen : Measurements
    law : Marginal
        At ``params``.
    moving : ndarray of shape (2 n_gains,), bool
        Log amplitudes, then phases, that are free.
    spread : float
        Of the amplitudes' prior.
    """
    from scipy.linalg import cho_solve

    slopes, exact, positive = derivatives(params, seen, law, spread)
    slopes, chosen = slopes[moving], np.ix_(moving, moving)
    for damping in DAMPINGS:
        curvature = exact[chosen] + damping * positive[chosen]
        try:
            factor = np.linalg.cholesky(curvature)
        except np.linalg.LinAlgError:  # not a hill there
            continue
        step = np.zeros(len(moving))
        step[moving] = cho_solve((factor, True), slopes)
        step *= min(1.0, FARTHEST / max(np.abs(step).max(initial=0.0), FARTHEST))
        amplitude, phase = step.reshape(2, -1)
        yield replace(
            params,
            gain_amplitudes=params.gain_amplitudes * np.exp(amplitude),
            gain_phases=np.pi - (np.pi - params.gain_phases - phase) % (2.0 * np.pi),
        )


def derivatives(
    params: Any, seen: Measurements, law: Any, spread: float
) -> tuple[Array, Array, Array]:
    """Of the penalized loglik, in log amplitudes and then phases.

    Returns
    -------
    slopes : ndarray of shape (2 n_gains,)
    exact, positive : ndarray of shape (2 n_gains, 2 n_gains)
        Minus the second derivatives; and those of Gauss and Newton, which are never negative.
    """
    from scipy.sparse import csr_array

    n, n_gains = len(seen.values), seen.n_gains
    inverse = law.inverse.reshape(2, n, 2, n)
    w = law.weighted(params.flux)[0].reshape(2, n)
    noise, z = law.variances.reshape(2, n), law.values.reshape(2, n)
    own = np.diagonal(law.inverse).reshape(2, n)
    size, turn = -z, np.stack([z[1], -z[0]])

    lost = (noise * (own - w**2)).sum(axis=0)
    slopes = np.stack([lost - 2.0 - (w * size).sum(axis=0), -(w * turn).sum(axis=0)])

    def between(left: Array, right: Array) -> Array:
        return np.asarray((left[:, :, None, None] * inverse * right).sum(axis=(0, 2)))

    moved = size + 2.0 * noise * w
    along, across = (w * z).sum(axis=0), w[1] * z[0] - w[0] * z[1]
    exact = np.empty((2, 2, n, n))
    exact[0, 0] = between(moved, moved) - 2.0 * np.einsum(
        "aibj,ai,bj->ij", inverse**2, noise, noise
    )
    exact[0, 0].flat[:: n + 1] += 2.0 * lost + along
    exact[0, 1] = between(moved, turn)
    exact[0, 1].flat[:: n + 1] += across
    exact[1, 0] = exact[0, 1].T
    positive = np.empty_like(exact)
    positive[0, 0], positive[0, 1] = between(size, size), between(size, turn)
    positive[1, 0], positive[1, 1] = positive[0, 1].T, between(turn, turn)
    exact[1, 1] = positive[1, 1]
    exact[1, 1].flat[:: n + 1] -= along

    ones, each = np.ones(n), np.arange(n)
    first = csr_array((ones, (seen.gain1, each)), shape=(n_gains, n))
    second = csr_array((ones, (seen.gain2, each)), shape=(n_gains, n))
    maps = first + second, first - second
    whole = np.concatenate([maps[k] @ slopes[k] for k in range(2)])
    curvatures = [
        np.block([[maps[j] @ (maps[k] @ part[j, k].T).T for k in range(2)] for j in range(2)])
        for part in (exact, positive)
    ]
    amplitudes, prior = params.gain_amplitudes, 1.0 / spread**2
    whole[:n_gains] -= prior * amplitudes * (amplitudes - 1.0)
    diagonal = np.arange(n_gains)
    curvatures[0][diagonal, diagonal] += prior * amplitudes * (2.0 * amplitudes - 1.0)
    curvatures[1][diagonal, diagonal] += prior * amplitudes**2
    return whole, curvatures[0], curvatures[1]


def first_better(
    steps: Iterator[Any], objective: Callable[[Any], float], best: Any, value: float
) -> tuple[Any, int]:
    """The first parameters with a higher objective, or ``best``; and how many were tried."""
    tried = 0
    for params in steps:
        tried += 1
        if objective(params) > value:
            return params, tried
    return best, tried
