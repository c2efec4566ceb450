"""Where a chain settles, and the M-step of a chain whose first state is drawn from there.

Zucchini and MacDonald (2009), exercise 1.8 and section 4.2.4: with first states tied to the
transitions the M-step has no closed form.
"""

import numpy as np
from numpy.typing import NDArray

from emlib.models.records import Degenerate

Array = NDArray[np.float64]


def stationary_distribution(transmat: Array) -> Array:
    """The distribution that ``transmat`` (K, K) keeps, shape (K,).

    Raises
    ------
    Degenerate
        If there are several: the chain falls apart.
    """
    from emlib.kernels.stationary import settle

    share, only = settle(np.ascontiguousarray(transmat))
    if not only:
        raise Degenerate("the chain falls apart: it has more than one stationary distribution")
    return np.asarray(share)


def maximize_tied(initial: Array, transitions: Array, transmat: Array) -> Array:
    """Raise sum_i initial_i log d_i(A) + sum_ij transitions_ij log A_ij over A, where d = dA.

    With the fundamental matrix Z = (I - A + 1d')^-1 the first sum has the gradient d_i u_j at
    A_ij, where u = Z (initial / d) (Kemeny and Snell 1960, section 4.3; Schweitzer 1968).  At
    the maximum A_ij is in proportion to transitions_ij + A_ij d_i (u_j - min u).  These counts
    give a direction of ascent that keeps zeros, and halved steps never lower Q, so EM stays
    monotone even where the rounds end before the maximum (generalized EM).
    """
    from emlib.kernels import stationary

    return np.asarray(
        stationary.maximize_tied(initial, transitions, np.ascontiguousarray(transmat))
    )
