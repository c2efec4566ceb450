"""Fingerprints of the code and of the libraries that decide a fit's numbers."""

from __future__ import annotations

import ast
import importlib
import inspect
from functools import cache
from importlib.metadata import version
from pathlib import Path

from emlib.sources import syntax_digest
from emlib.study import components
from emlib.study.identity import digest

PACKAGE = Path(__file__).resolve().parent.parent
REGISTRIES = {"models": "FAMILIES", "inits": "INITS", "algorithms": "ALGORITHMS"}
NUMERIC_FOLDERS = ("data", "kernels", *REGISTRIES)


@cache
def numerics_fingerprint(family: str, init: str | None = None, algorithm: str | None = None) -> str:
    """Fingerprint of the numerical code behind a family, and of the libraries under it.

    Parameters
    ----------
    family : str
        Name of a model family.
    init, algorithm : str, optional
        Names of a strategy and of an algorithm, whose code then counts too. A new init changes no
        other's fingerprint.

    Returns
    -------
    str
        32 hexadecimal digits. Comments, docstrings and layout do not count; modules that the code
        does not import do not count.
    """
    runner = [PACKAGE / "study" / f"{name}.py" for name in ("fitting", "reference", "scores")]
    roots = [*_modules("models", family), PACKAGE / "algorithms" / "climb.py", *runner]
    if init is not None:
        roots += _modules("inits", init)
    if algorithm is not None:
        roots += _modules("algorithms", algorithm)
    return digest(["numerics", syntax_digest(*_closure(roots)), library_versions()])


@cache
def component_digest(folder: str, name: str) -> str:
    """Digest of the code behind one registered model, init or algorithm."""
    return syntax_digest(*_closure(_modules(folder, name)))


@cache
def data_fingerprint() -> str:
    """Fingerprint of the code that draws data and holes."""
    files = [*(PACKAGE / "datasets").rglob("*.py"), PACKAGE / "study" / "datafiles.py"]
    return digest(["data", syntax_digest(*files), version("numpy"), version("scipy")])


@cache
def library_versions() -> dict[str, str]:
    """Versions of numpy, scipy, numba and the BLAS below them."""
    import numpy as np

    blas = np.__config__.CONFIG["Build Dependencies"]["blas"]
    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return {**versions, "blas": f"{blas.get('name')} {blas.get('version')}"}


def _modules(folder: str, name: str) -> list[Path]:
    """Files of a registered class, and of all its kind if another one may be among its settings."""
    registry = getattr(importlib.import_module(f"emlib.{folder}"), REGISTRIES[folder])
    nested = any(
        isinstance(value, str) and value in registry for value in _defaults(registry[name])
    )
    classes = list(registry.values()) if nested else [registry[name]]
    return sorted({Path(inspect.getfile(entry)).resolve() for entry in classes})


def _defaults(entry: type) -> list[object]:
    return [default for _, default in components.settings_of(entry).values()]


def _closure(roots: list[Path]) -> set[Path]:
    """Numerical modules that the roots import, and theirs, as files."""
    found: set[Path] = set()
    waiting = list(roots)
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imports(path))
    return found


@cache
def _imports(path: Path) -> tuple[Path, ...]:
    files: list[Path | None] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            files.extend(_resolve(alias.name, None) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            if node.level:
                parts = path.relative_to(PACKAGE.parent).with_suffix("").parts[: -node.level]
                module = ".".join([*parts, *([module] if module else [])])
            files.extend(_resolve(module, alias.name) for alias in node.names)
    return tuple(file for file in files if file is not None)


def _resolve(module: str, name: str | None) -> Path | None:
    """File that defines a name of a numerical module; a package's re-exports are followed.

    A registry itself decides no number, and would draw in every component: it is left out.
    """
    parts = module.split(".")
    if len(parts) < 2 or parts[0] != "emlib" or parts[1] not in NUMERIC_FOLDERS:
        return None
    base = PACKAGE.joinpath(*parts[1:])
    if base.with_suffix(".py").is_file():
        return base.with_suffix(".py")
    if name is not None and (base / f"{name}.py").is_file():
        return base / f"{name}.py"
    package = base / "__init__.py"
    if not package.is_file():
        return None
    for node in ast.parse(package.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module != module:
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return _resolve(node.module, alias.name)
    return None if parts[1] in REGISTRIES else package
