"""Standard errors of reported quantities by the delta method, where they exist."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emlib.inference.information import Information, observed_information
from emlib.models.base import Model
from emlib.models.differences import jacobian

Array = NDArray[np.float64]

MOVES = 1e-6
"""A quantity whose gradient has a smaller share in a direction does not move along it."""


@dataclass(frozen=True, eq=False)
class StandardErrors:
    """Standard errors by the names of the fitted quantities.

    Attributes
    ----------
    estimates, errors : dict of str to ndarray
        Of the same shapes; an error is NaN where there is none.
    reasons : dict of str to ndarray of str
        Why an error is NaN: ``boundary``, ``not_identified``, ``saddle``; empty else.
    null_dimension : int
        Dimension of the space of parameters that the data say nothing about.
    missing_fractions : ndarray
        Fractions of missing information, descending.
    rate : float
        The largest of them: EM's linear rate of convergence.
    n_failed : int
        Bootstrap refits that came to no sound end and are left out.
    """

    estimates: dict[str, Array]
    errors: dict[str, Array]
    reasons: dict[str, NDArray[np.str_]]
    null_dimension: int = 0
    missing_fractions: Array | None = None
    rate: float = float("nan")
    n_failed: int = 0

    def __getitem__(self, name: str) -> Array:
        return self.errors[name]


def information_errors(model: Model, data: Any, params: Any) -> StandardErrors:
    """Standard errors from the observed information at ``params``."""
    estimates = model.functionals(params)
    stats = model.e_step(params, data)
    at_boundary = marked(model, params, model.at_boundary(params, stats))
    params = model.settled(params, stats)
    try:
        information = observed_information(model, data, params)
    except np.linalg.LinAlgError:  # a covariance is singular to rounding: there is no chart
        return _none(estimates, "boundary")
    flat, shapes = flatten(model.functionals(params))

    def reported(vector: Array) -> Array:
        there = model.unpack(vector, params, "unconstrained")
        return flatten(model.functionals(there))[0]

    steps = np.where(information.free, 1e-3 / np.sqrt(np.maximum(_scale(information), 1e-300)), 0.0)
    with np.errstate(invalid="ignore"):  # an infinite quantity lies on the boundary, and stays
        slopes = jacobian(reported, information.at, steps)
    slopes[~np.isfinite(flat)] = 0.0
    variances = np.einsum("ij,jk,ik->i", slopes, information.covariance, slopes)
    reasons = _reasons(information, slopes, flat, model, params)
    reasons[marked(model, params, model.not_identified(params))] = "not_identified"
    reasons[at_boundary] = "boundary"
    errors = np.where(reasons == "", np.sqrt(np.maximum(variances, 0.0)), np.nan)
    return StandardErrors(
        estimates, unflatten(errors, shapes), unflatten(reasons, shapes),
        information.null_dimension, information.missing_fractions, information.rate,
    )  # fmt: skip


def _none(estimates: dict[str, Array], reason: str) -> StandardErrors:
    flat, shapes = flatten(estimates)
    reasons = np.full(len(flat), reason, dtype="<U16")
    errors = np.full(len(flat), np.nan)
    return StandardErrors(estimates, unflatten(errors, shapes), unflatten(reasons, shapes))


def _scale(information: Information) -> Array:
    return np.abs(np.diagonal(information.complete))


def marked(model: Model, params: Any, entries: dict[str, NDArray[np.bool_]]) -> NDArray[np.bool_]:
    """Entries of reported quantities, flattened with all others, which are not marked."""
    marks = {
        name: np.zeros_like(flatten({name: value})[0])
        for name, value in model.functionals(params).items()
    }
    marks |= {name: np.ravel(own) for name, own in entries.items()}
    return flatten(marks)[0] != 0


def _reasons(
    information: Information, slopes: Array, flat: Array, model: Model, params: Any
) -> NDArray[np.str_]:
    reasons = np.full(len(flat), "", dtype="<U16")
    if not information.is_maximum:
        reasons[:] = "saddle"
        return reasons
    scale = 1.0 / np.sqrt(np.maximum(_scale(information), 1e-300))
    sizes = np.linalg.norm(slopes * scale, axis=1)
    null = information.unidentified
    lengths = np.linalg.norm(null / np.where(scale > 0, scale, 1.0)[:, None], axis=0)
    along = np.abs(slopes @ null) / np.where(lengths > 0, lengths, 1.0)
    if null.shape[1]:
        reasons[along.max(axis=1) > MOVES * sizes] = "not_identified"
    frozen = ~information.free
    if frozen.any():
        still = sizes == 0.0
        reasons[_touched(model, params, information.at, frozen, still)] = "boundary"
    return reasons


def _touched(
    model: Model, params: Any, at: Array, frozen: NDArray[np.bool_], still: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Reported quantities that lie on the boundary themselves.

    They come off it when a boundary coordinate comes inside, or move so and in no other way, as a
    probability of one; others move a little, such as those that sum to one with them.
    """
    here = flatten(model.functionals(params))[0]
    inside = at.copy()
    inside[frozen] = np.sign(np.nan_to_num(at[frozen], nan=-1.0, posinf=1.0, neginf=-1.0)) * 20.0
    there = flatten(model.functionals(model.unpack(inside, params, "unconstrained")))[0]
    finite = np.where(np.isfinite(here), here, 0.0)
    share = np.abs(there - finite) / np.maximum(np.abs(finite), 1e-12)
    return np.asarray((share > MOVES) | (still & (share > 1e-12)) | ~np.isfinite(here))


def flatten(named: dict[str, Any]) -> tuple[Array, dict[str, Any]]:
    """All numbers in one vector, and the shapes to undo it; a value may be a list of arrays."""
    shapes: dict[str, Any] = {}
    parts: list[Array] = []
    for name, value in named.items():
        arrays = value if isinstance(value, list) else [value]
        parts.extend(np.ravel(np.asarray(array, dtype=np.float64)) for array in arrays)
        sizes = [np.shape(array) for array in arrays]
        shapes[name] = sizes if isinstance(value, list) else sizes[0]
    return np.concatenate(parts), shapes


def unflatten(flat: Any, shapes: dict[str, Any]) -> dict[str, Any]:
    """Inverse of ``flatten``."""
    result: dict[str, Any] = {}
    at = 0
    for name, shape in shapes.items():
        arrays = []
        for each in shape if isinstance(shape, list) else [shape]:
            size = int(np.prod(each))
            arrays.append(flat[at : at + size].reshape(each))
            at += size
        result[name] = arrays if isinstance(shape, list) else arrays[0]
    return result
