"""Fingerprints of the code and of the libraries that decide a fit's numbers."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import emlib
from emlib.errors import EmlibError
from emlib.sources import source_of, syntax_digest
from emlib.study import components
from emlib.study.engines import DASK, MEMORY, engine_of
from emlib.study.identity import digest

if TYPE_CHECKING:
    from emlib.study.grid import Entry

PACKAGE = Path(__file__).resolve().parent.parent
REGISTRIES = {"models": "FAMILIES", "inits": "INITS", "algorithms": "ALGORITHMS"}
NUMERIC_FOLDERS = ("data", "kernels", *REGISTRIES)


@cache
def numerics_fingerprint(
    family: str,
    inits: tuple[str, ...] = (),
    algorithm: str | None = None,
    engine: str = MEMORY,
) -> str:
    """Fingerprint of the numerical code behind a family, and of the libraries under it.

    Parameters
    ----------
    family : str
        Name of a model family.
    inits : tuple of str
        Names of a strategy and of those among its settings (``init_parts``), whose code then
        counts too. A new init changes no other's fingerprint.
    algorithm : str, optional
        Name of an algorithm, whose code then counts too.
    engine : str
        Where E-steps run; that of Dask has code of its own.

    Returns
    -------
    str
        32 hexadecimal digits. Comments, docstrings and layout do not count; modules that the code
        does not import do not count.
    """
    runner = [
        PACKAGE / "study" / f"{name}.py"
        for name in ("case", "fitting", "identity", "polish", "reference", "scores")
    ]
    roots = [*_modules("models", family), PACKAGE / "algorithms" / "climb.py", *runner]
    roots += _modules("inits", *inits)
    if algorithm is not None:
        roots += _modules("algorithms", algorithm)
    if engine == DASK:
        roots += sorted((PACKAGE / "distributed").glob("*.py"))
    return digest(["numerics", syntax_digest(*_closure(roots)), library_versions()])


@cache
def certificate_fingerprint() -> str:
    """Fingerprint of what a certificate is computed with, beyond what its fit is."""
    names = ("inference/certificate", "inference/information", "study/certificates")
    return syntax_digest(*_closure([PACKAGE / f"{name}.py" for name in names]))


def init_parts(init: str, settings: Mapping[str, Any] | None = None) -> tuple[str, ...]:
    """Names of an init and of those among its settings, to any depth."""
    from emlib.inits import INITS

    entry = INITS[init]
    given = settings or {}
    defaults = {key: default for key, (_, default) in components.settings_of(entry).items()}
    names = {init}
    for setting in components.bases_of(entry):
        base = given.get(setting, defaults[setting])
        if base is not None:
            names.update(init_parts(*components.base_settings(base)))
    return tuple(sorted(names))


@cache
def component_digest(folder: str, *names: str) -> str:
    """Digest of the code behind registered models, inits or algorithms."""
    return syntax_digest(*_closure(_modules(folder, *names)))


def block_fingerprint(study: Mapping[str, Any], cells: Iterable[Entry]) -> str:
    """Fingerprint of all the code, plugins too, and of the libraries behind a block's results.

    Parameters
    ----------
    study : mapping
        As in ``study.json``.
    cells : iterable of Entry
        Those of the block's dataset, missingness and model.
    """
    from emlib.models import FAMILIES

    own, methods, families = set(), set(), set[tuple[str, str]]()
    for cell in cells:
        init = study["inits"][cell.init]
        own.add(init_parts(init["init"], init["settings"]))
        methods.add(study["algorithms"][cell.algorithm]["algorithm"])
        model = study["models"][cell.model]
        families.add((model["family"], engine_of(model)))
    for family, _ in families:
        own.update(init_parts(name) for name in FAMILIES[family].search)
    parts = [
        [numerics_fingerprint(family, engine=engine) for family, engine in sorted(families)],
        [component_digest("inits", *names) for names in sorted(own)],
        [component_digest("algorithms", name) for name in sorted(methods)],
        certificate_fingerprint(),
    ]
    return digest(parts)


def require_same(found: str, planned: str | None) -> None:
    """Refuse to compute with other code or libraries than the run was planned with.

    Raises
    ------
    EmlibError
    """
    if planned not in (None, found):
        versions = ", ".join(f"{name} {version}" for name, version in library_versions().items())
        raise EmlibError(
            "the code or its libraries are not those that the run was planned with: fingerprint "
            f"{found} here, {planned} there; here are emlib {emlib.__version__} in {PACKAGE}, "
            f"{versions}; install the same versions in both places, or start Snakemake again"
        )


@cache
def data_fingerprint(generator: str | None = None) -> str:
    """Fingerprint of the code that draws data and holes, a generator's family's among it."""
    from emlib.datasets import GENERATORS
    from emlib.datasets.family import FamilyGenerator

    study = [PACKAGE / "study" / f"{name}.py" for name in ("datafiles", "identity")]
    files = {*(PACKAGE / "datasets").rglob("*.py"), *study}
    if generator is not None and isinstance(GENERATORS[generator], FamilyGenerator):
        files |= _closure(_modules("models", GENERATORS[generator].family))
    return digest(["data", syntax_digest(*files), version("numpy"), version("scipy")])


@cache
def library_versions() -> dict[str, str]:
    """Versions of numpy, scipy, numba and the BLAS below them."""
    import numpy as np

    blas = np.__config__.CONFIG["Build Dependencies"]["blas"]
    versions = {name: version(name) for name in ("numpy", "scipy", "numba")}
    return {**versions, "blas": f"{blas.get('name')} {blas.get('version')}"}


def _modules(folder: str, *names: str) -> list[Path]:
    """Files of registered classes."""
    registry = getattr(importlib.import_module(f"emlib.{folder}"), REGISTRIES[folder])
    return sorted({Path(inspect.getfile(registry[name])).resolve() for name in names})


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
    for module, name, level, _ in source_of(path).imports:
        if level:  # none in a plugin, which is one file
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts[:-level]
            module = ".".join([*parts, *([module] if module else [])])
        files.append(_resolve(module, name))
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
    for one in source_of(package).imports:
        if one.name is not None and one.module not in ("", module) and one.known_as == name:
            return _resolve(one.module, name)
    return None if len(parts) == 2 and parts[1] in REGISTRIES else package
