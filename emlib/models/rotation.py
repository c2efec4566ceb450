"""Loadings up to rotation: which factors may be rotated into each other, a chart, a convention.

L and L R have the same likelihood for every orthogonal R that keeps the loadings held at zero
where they are.  Such R mix factors whose free loadings stand in the same columns, and no others:
a generator A of rotations keeps the zeros only if A_ba = 0 unless all columns that b loads on are
loaded on by a, and it is skew.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Block = tuple[NDArray[np.intp], NDArray[np.intp]]
"""Columns of the data and the factors that load on exactly these."""


def factor_blocks(mask: NDArray[np.bool_]) -> list[Block]:
    """Blocks of factors that may be rotated into each other.

    Parameters
    ----------
    mask : ndarray of shape (d, q), bool
        True where a loading is free.
    """
    blocks: list[Block] = []
    for a in range(mask.shape[1]):
        if all(a not in factors for _, factors in blocks):
            same = np.flatnonzero((mask == mask[:, [a]]).all(axis=0))
            blocks.append((np.flatnonzero(mask[:, a]), same))
    return blocks


def checked_mask(mask: Any, n_factors: int) -> NDArray[np.bool_]:
    """A user's mask of free loadings as an array.

    Raises
    ------
    ValueError
        If it is none, or holds factors that no data could tell apart.
    """
    array = np.asarray(mask)
    if array.ndim != 2 or array.shape[1] != n_factors or not np.isin(array, (0, 1)).all():
        raise ValueError(
            f"loadings_mask: of shape {array.shape}, needed is (n_features, {n_factors}) of "
            "true and false"
        )
    checked = array.astype(bool)
    for columns, factors in factor_blocks(checked):
        if len(columns) < len(factors):
            raise ValueError(
                f"loadings_mask: {len(factors)} factors on the same {len(columns)} columns"
            )
    return checked


def n_rotations(blocks: list[Block]) -> int:
    """Dimension of the group of rotations."""
    return sum(len(factors) * (len(factors) - 1) // 2 for _, factors in blocks)


def rotatable(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """True for the free loadings that a rotation moves, shape (d, q)."""
    free = np.zeros_like(mask)
    for columns, factors in factor_blocks(mask):
        free[np.ix_(columns, factors)] = len(factors) > 1
    return free


def canonical(loadings: Array, noise: Array, blocks: list[Block]) -> Array:
    """Rotate so that L' Psi^-1 L is diagonal and descending within each block.

    Lawley and Maxwell (1971), section 2.3; the largest loading of a factor is positive.

    Parameters
    ----------
    loadings : ndarray of shape (d, q)
    noise : ndarray of shape (d,)
    """
    rotated = loadings.copy()
    for columns, factors in blocks:
        block = loadings[np.ix_(columns, factors)]
        if len(factors) > 1:
            scaled = block / np.sqrt(noise[columns])[:, None]
            block = block @ np.linalg.svd(scaled, full_matrices=False)[2].T
        largest = np.abs(block).argmax(axis=0)
        signs = np.where(block[largest, np.arange(len(factors))] < 0, -1.0, 1.0)
        rotated[np.ix_(columns, factors)] = block * signs
    return rotated


def pack_loadings(loadings: Array, blocks: list[Block], around: Array) -> Array:
    """Coordinates of the loadings up to rotation, in the chart around ``around``.

    Each block is rotated so that its rows at the pivots, columns that tell the factors of
    ``around`` apart, are lower triangular with a positive diagonal.
    """
    parts = []
    for columns, factors in blocks:
        where = np.ix_(columns, factors)
        pivots = _pivots(around[where])
        triangular = loadings[where] @ _turn(loadings[where], pivots)
        parts.append(triangular[_kept(triangular.shape, pivots)])
    return np.concatenate(parts)


def unpack_loadings(vector: Array, blocks: list[Block], around: Array) -> Array:
    """Inverse of ``pack_loadings``, in the rotation of ``around``."""
    loadings = np.zeros_like(around)
    begin = 0
    for columns, factors in blocks:
        where = np.ix_(columns, factors)
        pivots = _pivots(around[where])
        triangular = np.zeros((len(columns), len(factors)))
        kept = _kept(triangular.shape, pivots)
        end = begin + int(kept.sum())
        triangular[kept] = vector[begin:end]
        loadings[where] = triangular @ _turn(around[where], pivots).T
        begin = end
    return loadings


def _pivots(block: Array) -> NDArray[np.intp]:
    """Rows that span the block best, as many as it has factors."""
    from scipy.linalg import qr

    return np.asarray(qr(block.T, mode="r", pivoting=True)[1][: block.shape[1]])


def _turn(block: Array, pivots: NDArray[np.intp]) -> Array:
    """The rotation R that makes the pivot rows of ``block`` R lower triangular."""
    turn, upper = np.linalg.qr(block[pivots].T)
    return np.asarray(turn * np.where(np.diagonal(upper) < 0, -1.0, 1.0))


def _kept(shape: tuple[int, ...], pivots: NDArray[np.intp]) -> NDArray[np.bool_]:
    kept = np.ones(shape, dtype=bool)
    kept[pivots] = np.tri(len(pivots), dtype=bool)
    return kept
