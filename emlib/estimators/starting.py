"""Where an estimator starts: a user's values as parameters, an init by its name, seeds."""

from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from emlib.inits import Init, make_init


def given_params(values: dict[str, Any], like: Any) -> Any:
    """A user's starting values as a record of parameters with the fields and shapes of ``like``.

    Raises
    ------
    ValueError
        If a name is missing or unknown, a shape differs, a number is not finite, or
        probabilities do not sum to one.
    """
    templates = {field.name: getattr(like, field.name) for field in fields(like)}
    needed = {name for name, template in templates.items() if _size(template)}
    if not needed <= set(values) <= set(templates):
        raise ValueError(f"init_params: keys {sorted(values)}; needed are {sorted(needed)}")
    arrays = {
        name: _checked_start(name, values.get(name, template), template)
        for name, template in templates.items()
    }
    return type(like)(**arrays)


def _size(template: Any) -> int:
    arrays = template if isinstance(template, list | tuple) else [template]
    return sum(np.size(array) for array in arrays)


def _checked_start(name: str, value: ArrayLike, template: Any) -> Any:
    if isinstance(template, list | tuple):
        if not isinstance(value, list | tuple) or len(value) != len(template):
            raise ValueError(f"init_params[{name!r}]: is not a list of {len(template)} arrays")
        pairs = zip(value, template, strict=True)
        return type(template)(_checked_start(name, v, t) for v, t in pairs)
    array = np.array(value, dtype=np.float64)
    if array.shape != np.shape(template):
        raise ValueError(f"init_params[{name!r}]: shape {array.shape} is not {np.shape(template)}")
    if not (np.isfinite(array) | (array == template)).all():
        raise ValueError(f"init_params[{name!r}]: not all values are finite")
    if name in ("weights", "startprob", "transmat", "emissionprob") and (
        (array < 0).any() or (abs(array.sum(axis=-1) - 1.0) > 1e-8).any()
    ):
        raise ValueError(f"init_params[{name!r}]: {array} are not probabilities that sum to 1")
    return array


def as_init(init_params: Any) -> Init:
    """The init that a name or an init object means.

    Raises
    ------
    ValueError
        If it is neither.
    """
    if isinstance(init_params, str):
        if init_params == "truth":
            raise ValueError("init_params: 'truth' is known in studies of synthetic data only")
        return make_init(init_params)
    if isinstance(init_params, Init):
        return init_params
    raise ValueError(
        f"init_params: {init_params!r} is not a name, an init, or a dict of starting values"
    )


def entropy(random_state: Any) -> Sequence[int]:
    """Integers that seed all starts: drawn once, so start k is the same whatever n_init."""
    if random_state is None:
        return [int(word) for word in np.random.SeedSequence().generate_state(4)]
    if isinstance(random_state, np.random.Generator):
        return [int(random_state.integers(2**63))]
    if isinstance(random_state, np.random.RandomState):
        return [int(random_state.randint(2**31 - 1))]
    if isinstance(random_state, int | np.integer) and random_state >= 0:
        return [int(random_state)]
    raise ValueError(
        f"random_state: {random_state!r} is not None, an integer >= 0, a Generator or a RandomState"
    )
