"""Components of one's own: Python files named in ``plugins:``, whose classes join the registries.

A file runs only if it was allowed (see permission.py), once a process. Its code is part of the
identity of the fits that use it, and of no others (see fingerprint.py).
"""

from __future__ import annotations

import hashlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError
from emlib.study.components import registry
from emlib.study.permission import read_plugin, require_allowed

PREFIX = "emlib_plugin_"

_loaded: dict[Path, tuple[str, list[type]]] = {}


def load_plugins(files: Iterable[str | Path], asked: bool = False) -> list[type]:
    """Read files and add their inits, models and algorithms to the registries.

    Parameters
    ----------
    files : iterable of str or Path
        From the working folder, as ``csv:`` paths are.
    asked : bool
        True if the user has named the files to run them, which is permission enough.

    Returns
    -------
    list of type
        All classes of the files.

    Raises
    ------
    NotAllowed
        Before anything of the file runs.
    EmlibError
        Naming the file, and the line of it that failed.
    """
    return [own for file in files for own in _load(Path(file), asked)]


def is_own(component: type) -> bool:
    """Whether a registered class comes from a plugin."""
    return component.__module__.startswith(PREFIX)


def _load(file: Path, asked: bool) -> list[type]:
    path, code = read_plugin(file)
    if not asked:
        require_allowed(file, path, code)
    version = hashlib.blake2b(code, digest_size=8).hexdigest()
    before, classes = _loaded.get(path, ("", []))
    if version == before:
        return classes
    _loaded.pop(path, None)
    for old in classes:  # the file has changed since: only a test or a notebook lives so long
        section, name = _place(old)
        registry(section).pop(name, None)  # type: ignore[attr-defined]
    classes = _classes(_run(file, path, code, version), file)
    for own in classes:
        section, name = _place(own)
        known: Any = registry(section)
        if name in known:
            raise EmlibError(
                f"{file}: {own.__name__} has the name {name!r}, which "
                f"{known[name].__module__}.{known[name].__name__} has already"
            )
        known[name] = own
    _loaded[path] = (version, classes)
    return classes


def _run(file: Path, path: Path, code: bytes, version: str) -> Any:
    """The file as a module: the very bytes that were allowed, whatever the file holds by now."""
    name = f"{PREFIX}{path.stem}_{version}"
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise EmlibError(f"{file}: a plugin is one Python file, whose name ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(code, path, "exec"), module.__dict__)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        del sys.modules[name]
        raise EmlibError(
            f"{file}: {_line_of(error, path)}{type(error).__name__}: {error}"
        ) from None
    return module


def _line_of(error: BaseException, path: Path) -> str:
    if isinstance(error, SyntaxError) and error.lineno:
        return f"line {error.lineno}: "
    own = [f for f in traceback.extract_tb(error.__traceback__) if Path(f.filename) == path]
    return f"line {own[-1].lineno}: " if own else ""


def _classes(module: Any, file: Path) -> list[type]:
    """Concrete components that the module defines, in its order."""
    found = []
    for own in vars(module).values():
        if not inspect.isclass(own) or own.__module__ != module.__name__ or inspect.isabstract(own):
            continue
        try:
            section, name = _place(own)
        except LookupError:
            continue
        if not isinstance(name, str) or not name:
            what = "family" if section == "models" else "name"
            raise EmlibError(f"{file}: class {own.__name__} has no `{what}` to be called by")
        found.append(own)
    if not found:
        raise EmlibError(f"{file}: defines no class that derives from Init, Model or Algorithm")
    return found


def _place(own: type) -> tuple[str, Any]:
    """Section of the registry, and the name in it."""
    from emlib.algorithms import Algorithm
    from emlib.inits import Init
    from emlib.models import Model

    kinds: Mapping[str, tuple[type, str]] = {
        "inits": (Init, "name"),
        "models": (Model, "family"),
        "algorithms": (Algorithm, "name"),
    }
    for section, (kind, attribute) in kinds.items():
        if issubclass(own, kind):
            return section, getattr(own, attribute, None)
    raise LookupError(own.__name__)
