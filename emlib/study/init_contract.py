"""What every init is held to, ours and others': each broken promise is one line of text.

``emlib check FILE`` prints them for a plugin; the tests ask for them of every registered init.
"""

from __future__ import annotations

import dataclasses
import math
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emlib.errors import EmlibError, InvalidData
from emlib.inits import Init, Start
from emlib.models import Degenerate
from emlib.study.identity import rng as draws
from emlib.study.plugins import load_plugins
from emlib.study.small_problems import Problem, families_of, problem, sizes_of

HOLES = ("native", "adapted", "no")
SEEDS = (0, 1)
SMALL, LARGE = 1000, 4000
SLOWEST = 1.5 * (LARGE / SMALL) ** 2
"""Largest ratio of the seconds at the two sizes: n squared, and a half for the noise of clocks."""

SHORT = 0.05
"""Seconds below which a start at the large size is fast enough, however they grow."""


def check_file(file: Path) -> bool:
    """Check every init of a plugin, print what is broken, and say whether nothing is."""
    inits = [own for own in load_plugins([file], asked=True) if issubclass(own, Init)]
    if not inits:
        raise EmlibError(f"{file}: defines no class that derives from Init")
    sound = True
    for kind in inits:
        name = str(kind.name)
        broken = list(broken_promises(kind))
        for text in broken:
            print(f"{name}: {text}")
        if not broken:
            families = ", ".join(families_of(kind()))
            print(f"{name}: keeps every promise (holes: {kind.holes}; families: {families})")
        sound = sound and not broken
    return sound


def broken_promises(kind: type[Init], **settings: Any) -> Iterator[str]:
    """Check an init on every family that it claims, with and without holes.

    Parameters
    ----------
    kind : type
        The class; ``settings`` are what it is made with.

    Yields
    ------
    str
        One broken promise.
    """
    yield from _declarations(kind)
    try:
        init = kind(**settings)
    except Exception as error:
        yield f"cannot be made with its default settings: {_told(error)}"
        return
    if init.oracle:
        return
    families = families_of(init)
    if not families:
        yield f"needs {sorted(init.needs)}, which no family has"
    for family in families:
        for holes in (False, True) if init.holes != "no" else (False,):
            where = f"{family}, {'with' if holes else 'without'} holes"
            for text in _on(init, problem(family, holes, **sizes_of(init))):
                yield f"{where}: {text}"
        for text in _tiny(init, family):
            yield f"{family}: {text}"
    if families:
        yield from _growth(init, families[0])


def _declarations(kind: type[Init]) -> Iterator[str]:
    holes = getattr(kind, "holes", None)
    if holes not in HOLES:
        yield f"holes: {holes!r} is not one of {', '.join(HOLES)}"
    if not (kind.__doc__ or "").strip():
        yield "has no docstring: it must say where it comes from, and what it costs"
    if not dataclasses.is_dataclass(kind):
        yield "is not a dataclass, so that a config cannot name its settings"


def _on(init: Init, case: Problem) -> Iterator[str]:
    data = case.view()
    model = case.model(data)
    values = data.values.copy()
    work = _Counted(model, data)
    first: dict[int, Start] = {}
    for seed in SEEDS:
        try:
            with work:
                first[seed] = init(model, data, np.random.default_rng(seed))
        except Exception as error:
            yield f"raises {_told(error)}"
            return
        wrong = list(_sound(first[seed], model, data))
        if wrong:
            yield from wrong
            return
    if not np.array_equal(values, data.values, equal_nan=True):
        yield "changes the data"
        return
    declared = sum(start.e_steps for start in first.values())
    if not declared >= work.e_steps - 1e-9:
        yield f"says it costs {declared:g} E-steps, and took {work.e_steps:g}"
    globally = _global_state()  # only now: what was imported above may have drawn too
    for seed, start in first.items():
        again = init(model, data, np.random.default_rng(seed))
        if _vector(model, again) != _vector(model, start):
            yield f"gives two different starts for one seed ({seed})"
            return
    if _global_state() != globally:
        yield "draws from a global generator (numpy.random or random) instead of its rng"
    if init.deterministic and _vector(model, first[0]) != _vector(model, first[1]):
        yield "says it draws nothing, and starts elsewhere with another seed"
    if init.deterministic and init.draws_by_row(model):
        yield "says it draws nothing, and something for each row"
    if not init.draws_by_row(model):
        yield from _indifferent(init, case, first[SEEDS[0]])


def _sound(start: Any, model: Any, data: Any) -> Iterator[str]:
    if not isinstance(start, Start):
        yield f"returns {type(start).__name__}, not a Start"
        return
    if not (math.isfinite(start.e_steps) and start.e_steps > 0):
        yield f"costs {start.e_steps!r} E-steps, not a positive number"
    if not model.inside(start.params):
        yield "gives parameters that are NaN, negative or do not sum to one"
        return
    try:
        loglik = model.e_step(start.params, data).loglik
    except Exception as error:
        yield f"gives parameters without an E-step: {_told(error)}"
        return
    if not math.isfinite(loglik):
        yield f"gives parameters whose loglik is {loglik!r}"


def _indifferent(init: Init, case: Problem, start: Start) -> Iterator[str]:
    """Order of the units, and weights as copies."""
    n = len(case.view().unit_weights)
    if n == 1:  # an image
        return
    source = draws(0, "contract", "order")
    weights = source.integers(0, 3, n)
    weights[0] = max(weights[0], 1)
    pairs = {
        "depends on the order of the rows": (
            case.view(source.permutation(n)),
            None,
        ),
        "takes an integer weight for something else than copies": (
            case.view(np.repeat(np.arange(n), weights)),
            case.view(None, weights.astype(float)),
        ),
    }
    for text, (one, other) in pairs.items():
        try:
            there = init(case.model(one), one, np.random.default_rng(SEEDS[0]))
            if other is not None:
                start = init(case.model(other), other, np.random.default_rng(SEEDS[0]))
        except (InvalidData, Degenerate):
            continue
        model = case.model(one)
        a, b = (model.e_step(params, one).loglik for params in (start.params, there.params))
        if not math.isclose(a, b, rel_tol=1e-7, abs_tol=1e-7):
            yield f"{text} (loglik {a:.6g} and {b:.6g})"


def _tiny(init: Init, family: str) -> Iterator[str]:
    """One, two, three units: a start, or one of two errors."""
    case = problem(family, holes=False, n_sequences=3, length=3, **sizes_of(init))
    units = len(case.view().unit_weights)
    for n in (1, 2, 3) if units > 1 else ():
        data = case.view(np.arange(n))
        try:
            model = case.model(data)
        except InvalidData:
            continue
        try:
            init(model, data, np.random.default_rng(0))
        except (InvalidData, Degenerate):
            continue
        except Exception as error:
            yield f"{n} units: raises {_told(error)} instead of InvalidData or Degenerate"


def _growth(init: Init, family: str) -> Iterator[str]:
    seconds = []  # of this thread, so that other work on the machine does not count
    for n in (SMALL, LARGE):
        case = problem(family, holes=False, n=n, length=n, n_sequences=1, **sizes_of(init))
        data = case.view()
        model = case.model(data)
        best = math.inf
        for _ in range(5):
            begin = time.thread_time()
            try:
                init(model, data, np.random.default_rng(0))
            except Exception:  # told already, or its right
                return
            best = min(best, time.thread_time() - begin)
        seconds.append(best)
    if seconds[1] > SHORT and seconds[1] > SLOWEST * seconds[0]:
        ratio = seconds[1] / seconds[0]
        yield (
            f"{family}: {LARGE // SMALL} times the rows take {ratio:.0f} times the seconds "
            f"({seconds[0]:.2g} and {seconds[1]:.2g}): slower than n^2"
        )


class _Counted:
    """Counts a model's E-steps and posteriors while it is entered, parts of the data as parts."""

    def __init__(self, model: Any, data: Any) -> None:
        self.kind, self.n = type(model), data.n
        self.e_steps, self.depth = 0.0, 0

    def __enter__(self) -> None:
        self.kept = {name: getattr(self.kind, name) for name in ("e_step", "posterior")}
        self.own = {name for name in self.kept if name in vars(self.kind)}
        for name, method in self.kept.items():
            setattr(self.kind, name, self._counting(method))

    def __exit__(self, *_: object) -> None:
        for name, method in self.kept.items():
            if name in self.own:
                setattr(self.kind, name, method)
            else:
                delattr(self.kind, name)

    def _counting(self, method: Any) -> Any:
        def counted(model: Any, params: Any, data: Any, *more: Any) -> Any:
            self.depth += 1
            try:
                return method(model, params, data, *more)
            finally:
                self.depth -= 1
                self.e_steps += 0.0 if self.depth else data.n / self.n

        return counted


def _vector(model: Any, start: Start) -> bytes:
    return np.asarray(model.pack(start.params)).tobytes()


def _global_state() -> tuple[Any, ...]:
    _, keys, place, *_ = np.random.get_state()  # noqa: NPY002 - what an init must not touch
    return np.asarray(keys).tobytes(), place, random.getstate()


def _told(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
