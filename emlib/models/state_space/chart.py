"""Coordinates of state-space models: a chart around a point, across the gauge.

Another basis and origin of the state, x -> T x + s, change no likelihood.  What is held fixed
leaves some of these changes; their orbit's tangent at the centre is what the chart leaves out.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from emlib.models.covariance import COVARIANCES as STRUCTURES
from emlib.models.state_space.params import COVARIANCES, NAMES, StateSpaceParams

Array = NDArray[np.float64]

RANK = 1e-9
"""A singular value below this share of the largest is 0."""


@dataclass(frozen=True, eq=False)
class Chart:
    """Coordinates around ``centre``, orthogonal to the orbit of the gauge there.

    Attributes
    ----------
    centre : StateSpaceParams
    types : dict of str to str
        The parameters that move, in order; of covariances ``full`` or ``diag``, else empty.
    rank : int
        Dimension of the orbit.
    unconstrained : bool
        Covariances in log-Cholesky coordinates.
    """

    centre: StateSpaceParams
    types: dict[str, str]
    rank: int
    unconstrained: bool

    def pack(self, params: StateSpaceParams) -> Array:
        """Coordinates of ``params``, without their component along the orbit."""
        return self.basis.T @ coordinates(params, self.types, self.unconstrained)

    def unpack(self, vector: Array) -> StateSpaceParams:
        """Inverse of ``pack``."""
        here = coordinates(self.centre, self.types, self.unconstrained)
        there = here + self.basis @ (vector - self.basis.T @ here)
        return placed(there, self.centre, self.types, self.unconstrained)

    def along_orbit(self, step: float = 1e-4) -> list[tuple[StateSpaceParams, StateSpaceParams]]:
        """The centre moved to either side along each direction of the gauge."""
        moves = gauge_moves(self.centre, self.types) if self.rank else []
        above, below = (
            [
                replace(
                    self.centre,
                    **{name: getattr(self.centre, name) + h * move[name] for name in self.types},
                )
                for move in moves
            ]
            for h in (step, -step)
        )
        return list(zip(above, below, strict=True))

    @cached_property
    def basis(self) -> Array:
        """Orthonormal columns across the orbit, shape (free entries, n_parameters)."""
        if self.rank == 0:
            return np.eye(free_entries(self.centre, self.types))
        moves = gauge_moves(self.centre, self.types)
        tangent = [
            tangent_coordinates(self.centre, move, self.types, self.unconstrained) for move in moves
        ]
        left, _, _ = np.linalg.svd(np.column_stack(tangent), full_matrices=True)
        return np.asarray(left[:, self.rank :])


def block_size(params: StateSpaceParams, name: str, kind: str) -> int:
    """Number of free entries of a parameter."""
    array = getattr(params, name)
    if not kind:
        return int(array.size)
    return len(array) if kind == "diag" else len(array) * (len(array) + 1) // 2


def coordinates(params: StateSpaceParams, types: dict[str, str], unconstrained: bool) -> Array:
    """All free entries as one vector."""
    parts = [np.empty(0)]
    for name, kind in types.items():
        array = getattr(params, name)
        if kind == "diag":
            parts.append(STRUCTURES["diag"].pack(np.diagonal(array)[None], unconstrained))
        elif kind:
            parts.append(STRUCTURES["tied"].pack(array, unconstrained))
        else:
            parts.append(array.ravel())
    return np.concatenate(parts)


def placed(
    vector: Array, around: StateSpaceParams, types: dict[str, str], unconstrained: bool
) -> StateSpaceParams:
    """Inverse of ``coordinates``; what is not free is as in ``around``."""
    arrays, at = {}, 0
    for name, kind in types.items():
        shape = getattr(around, name).shape
        size = block_size(around, name, kind)
        part = vector[at : at + size]
        if kind == "diag":
            arrays[name] = np.diag(
                STRUCTURES["diag"].unpack(part, 1, shape[0], unconstrained).ravel()
            )
        elif kind:
            arrays[name] = STRUCTURES["tied"].unpack(part, 1, shape[0], unconstrained)
        else:
            arrays[name] = part.reshape(shape).copy()
        at += size
    return replace(around, **arrays)


def gauge_moves(params: StateSpaceParams, types: dict[str, str]) -> list[dict[str, Array]]:
    """Derivatives of the parameters along the changes of basis and origin that keep what is held.

    Returns
    -------
    list of dict
        One basis vector of the remaining gauge each; the entries that are held are 0.
    """
    generators = list(_generators(params))
    held = [np.concatenate([np.empty(0), *_held_parts(g, params, types)]) for g in generators]
    matrix = np.column_stack(held)
    if not matrix.size:
        return generators
    _, values, right = np.linalg.svd(matrix, full_matrices=True)
    rank = int((values > RANK * max(values.max(initial=0.0), 1e-300)).sum())
    return [
        {name: sum(c * g[name] for c, g in zip(line, generators, strict=True)) for name in NAMES}
        for line in right[rank:]
    ]


def _generators(params: StateSpaceParams) -> Iterator[dict[str, Array]]:
    """Derivatives along x -> x + G x and x -> x + s, for unit G and s."""
    p, k = params, len(params.initial_mean)
    zeros = {f.name: np.zeros_like(getattr(p, f.name)) for f in fields(p)}
    for i in range(k):
        for j in range(k):
            g = np.zeros((k, k))
            g[i, j] = 1.0
            yield zeros | {
                "transition": g @ p.transition - p.transition @ g,
                "transition_offset": g @ p.transition_offset,
                "transition_covariance": g @ p.transition_covariance
                + p.transition_covariance @ g.T,
                "observation": -p.observation @ g,
                "initial_mean": g @ p.initial_mean,
                "initial_covariance": g @ p.initial_covariance + p.initial_covariance @ g.T,
            }
    for s in np.eye(k):
        yield zeros | {
            "transition_offset": s - p.transition @ s,
            "observation_offset": -p.observation @ s,
            "initial_mean": s,
        }


def _held_parts(
    move: dict[str, Array], params: StateSpaceParams, types: dict[str, str]
) -> Iterator[Array]:
    """What a move does to entries that may not move, in parts of their sizes."""
    for name in NAMES:
        kind = types.get(name)
        if name not in types:
            size = float(np.abs(getattr(params, name)).max())
            yield move[name].ravel() / (size or 1.0)
        elif kind == "diag":
            scale = np.sqrt(np.diagonal(getattr(params, name)))
            yield (move[name] / np.outer(scale, scale))[~np.eye(len(scale), dtype=bool)]


def tangent_coordinates(
    params: StateSpaceParams, move: dict[str, Array], types: dict[str, str], unconstrained: bool
) -> Array:
    """A derivative of the parameters as one of the coordinates."""
    sizes = [
        np.abs(np.linalg.solve(getattr(params, name), move[name])).max()
        for name in COVARIANCES
        if name in types
    ]
    step = 1e-5 / max([1.0, *sizes])
    above, below = (
        coordinates(
            replace(params, **{name: getattr(params, name) + h * move[name] for name in types}),
            types, unconstrained,
        )
        for h in (step, -step)
    )  # fmt: skip
    return np.asarray((above - below) / (2.0 * step))


def gauge_rank(params: StateSpaceParams, types: dict[str, str]) -> int:
    """Dimension of the orbit at ``params``."""
    moves = gauge_moves(params, types)
    if not moves or not types:
        return 0
    tangent = np.column_stack([np.concatenate([m[n].ravel() for n in types]) for m in moves])
    return int(np.linalg.matrix_rank(tangent, rtol=RANK))


def free_entries(params: StateSpaceParams, types: dict[str, str]) -> int:
    """Number of free entries of all parameters."""
    return sum(block_size(params, name, kind) for name, kind in types.items())


def in_basis_of(params: StateSpaceParams, other: StateSpaceParams) -> Array:
    """The transition matrix in the basis of another's state, by observability matrices; NaN
    where the other's states cannot all be told from the observations.
    """
    k = len(params.initial_mean)
    ours, theirs = _observability(params), _observability(other)
    change = np.linalg.lstsq(theirs, ours, rcond=None)[0]
    if np.linalg.matrix_rank(theirs) < k or np.linalg.matrix_rank(change) < k:
        return np.full((k, k), np.nan)
    return np.asarray(change @ params.transition @ np.linalg.inv(change))


def _observability(params: StateSpaceParams) -> Array:
    blocks = [params.observation]
    for _ in range(len(params.initial_mean) - 1):
        blocks.append(blocks[-1] @ params.transition)
    return np.vstack(blocks)
