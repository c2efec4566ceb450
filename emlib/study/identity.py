"""Identity and randomness: canonical digests, seed paths and fit identities.

A draw is named by the path of typed names that leads to it, never by counters, so results do not
depend on the order of the grid, on cores, or on what else the study holds.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from json.encoder import encode_basestring_ascii as _quoted
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np

DIGEST_BYTES = 16


class Canonical(NamedTuple):
    """The text of a value that its digest is made of, for what is digested again and again."""

    text: str

    @classmethod
    def of(cls, obj: object) -> Canonical:
        return cls(_text(obj))


def digest(obj: object) -> str:
    """Digest of a value by content and type.

    Parameters
    ----------
    obj : None, bool, int, float, str, bytes, list, tuple, dict with text keys, or array
        Nested as deep as wanted. The order of a mapping's keys does not matter; ``1``, ``1.0``,
        ``True`` and ``"1"`` differ; every NaN is the same; tuples and lists are the same.

    Returns
    -------
    str
        32 hexadecimal digits (BLAKE2b, 16 bytes).

    Raises
    ------
    TypeError
        If a value has no canonical form.
    """
    return hashlib.blake2b(_text(obj).encode("ascii"), digest_size=DIGEST_BYTES).hexdigest()


def _text(obj: Any) -> str:
    """A value as JSON, with a letter for its type where JSON knows none, and keys in order."""
    if isinstance(obj, Canonical):
        return obj.text
    if isinstance(obj, str):
        return _quoted(obj)
    if obj is None or isinstance(obj, bool):
        return {None: "null", True: "true", False: "false"}[obj]
    if isinstance(obj, int):
        return int.__repr__(obj)
    if isinstance(obj, float):
        return f'["f","{float(obj).hex()}"]'
    if isinstance(obj, bytes):
        return f'["b","{hashlib.blake2b(obj, digest_size=DIGEST_BYTES).hexdigest()}"]'
    if isinstance(obj, list | tuple):
        return f'["l",[{",".join(map(_text, obj))}]]'
    if isinstance(obj, Mapping):
        if not all(isinstance(key, str) for key in obj):
            raise TypeError("only mappings with text keys have a digest")
        items = (f"{_quoted(key)}:{_text(obj[key])}" for key in sorted(obj))
        return f'["d",{{{",".join(items)}}}]'
    if hasattr(obj, "__array__"):
        return _array_text(obj)
    raise TypeError(f"a {type(obj).__name__} has no digest")


def _array_text(obj: Any) -> str:
    import numpy as np

    array = np.asarray(obj)
    if array.ndim == 0:
        return _text(array.item())
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), np.array(np.nan, array.dtype), array)
    elif array.dtype.kind not in "biuU":
        raise TypeError(f"an array of {array.dtype} has no digest")
    array = np.ascontiguousarray(array.astype(array.dtype.newbyteorder("<")))
    shape = ",".join(map(str, array.shape))
    return f'["a",{_quoted(array.dtype.str)},[{shape}],{_text(array.tobytes())}]'


# --- randomness is a path -------------------------------------------------------------------------


def seed_sequence(study_seed: int, *path: object) -> np.random.SeedSequence:
    """Seed sequence of one draw, from the study's seed and the names on the draw's path."""
    import numpy as np

    return np.random.SeedSequence(int(digest(["seed", study_seed, list(path)]), 16))


def rng(study_seed: int, *path: object) -> np.random.Generator:
    """Generator of one draw: PCG64 on ``seed_sequence(study_seed, *path)``."""
    import numpy as np

    return np.random.Generator(np.random.PCG64(seed_sequence(study_seed, *path)))


def parameter_path(dataset: Mapping[str, Any]) -> tuple[object, ...]:
    """Path of a generator's parameters: the same mixture for every replicate."""
    return ("dataset", digest(dataset), "parameters")


def row_path(dataset: Mapping[str, Any], replicate: int) -> tuple[object, ...]:
    """Path of one replicate's rows."""
    return ("dataset", digest(dataset), "rows", replicate)


def mask_path(
    dataset: Mapping[str, Any], replicate: int, missingness: Mapping[str, Any]
) -> tuple[object, ...]:
    """Path of one replicate's holes, without the rate: holes are nested across rates."""
    mechanism = [missingness["mechanism"], missingness["settings"]]
    return ("mask", digest(dataset), replicate, digest(mechanism))


def start_path(
    dataset: Mapping[str, Any],
    missingness: Mapping[str, Any],
    model: Mapping[str, Any],
    init: Mapping[str, Any],
    replicate: int,
    start: int,
) -> tuple[object, ...]:
    """Path of one start; neither algorithm nor engine is on it: all of them get the same starts."""
    return (
        "start",
        digest(dataset),
        digest(missingness),
        digest(started(model)),
        digest({"init": init["init"], "settings": init["settings"]}),
        replicate,
        start,
    )


def started(model: Mapping[str, Any]) -> dict[str, Any]:
    """What a start depends on of a model: all but its engine."""
    return {key: value for key, value in model.items() if key != "engine"}


# --- what makes two fits the same fit -------------------------------------------------------------


def fit_settings(
    model: Mapping[str, Any],
    init: Mapping[str, Any],
    algorithm: Mapping[str, Any],
    stopping: Mapping[str, Any],
    budget: Mapping[str, Any],
    numerics: str,
) -> dict[str, Canonical]:
    """What decides the numbers of a cell's fits beside data and seeds, brought to its form once.

    Parameters
    ----------
    model, init, algorithm : mapping
        As in ``study.json``: the name and its full settings, and of a model its engine, which
        decides the order of sums.
    stopping, budget : mapping
        ``hard_seconds`` is left out: a fit that it ends is never reused.
    numerics : str
        ``fingerprint.numerics_fingerprint(family, inits, algorithm)``.
    """
    settings = {
        "model": dict(model),
        "init": {"init": init["init"], "settings": init["settings"]},
        "algorithm": dict(algorithm),
        "stopping": dict(stopping),
        "budget": {key: budget[key] for key in sorted(budget) if key != "hard_seconds"},
        "numerics": numerics,
    }
    return {name: Canonical.of(value) for name, value in settings.items()}


def fit_id(data_id: str, settings: Mapping[str, Canonical], seed_path: tuple[object, ...]) -> str:
    """Identity of a fit: a digest of everything that decides its numbers.

    Parameters
    ----------
    data_id : str
        Digest of the replicate's values, holes applied.
    settings : mapping
        ``fit_settings(...)``.
    seed_path : tuple
        ``(study_seed, *start_path(...))``.

    Returns
    -------
    str
        32 hexadecimal digits.
    """
    return digest({"data": data_id, "seed": list(seed_path), **settings})


def replay_line(fit_id: str) -> str:
    """The command that runs one fit again."""
    return f"emlib replay {fit_id}"


def cell_id(
    seed: int,
    dataset: Mapping[str, Any],
    missingness: Mapping[str, Any],
    model: Mapping[str, Any],
    init: Mapping[str, Any],
    algorithm: Mapping[str, Any],
) -> str:
    """Short identity (16 digits) of a cell: full settings of its five axes and the study's seed."""
    init = {"init": init["init"], "settings": init["settings"]}
    axes = [dict(axis) for axis in (dataset, missingness, model, init, algorithm)]
    return digest(["cell", seed, axes])[:16]
