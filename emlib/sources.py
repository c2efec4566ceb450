"""Digests of source code by syntax tree, and what it imports; comments and layout do not count.

Taking trees apart costs a second in each of a study's many processes, so what was found is kept
in a file beside the compiled kernels, by content: a text that changed is another text.
"""

from __future__ import annotations

import ast
import atexit
import hashlib
import json
import os
import sys
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import NamedTuple

MOST_KEPT = 2000
PACKAGE = Path(__file__).resolve().parent


class Imported(NamedTuple):
    """One import: ``from module import name as known_as``, with ``level`` leading dots."""

    module: str
    name: str | None
    level: int
    known_as: str | None


class Source(NamedTuple):
    """What is known of a Python file."""

    digest: str
    imports: tuple[Imported, ...]


def syntax_digest(*paths: Path) -> str:
    """Digest (32 hexadecimal digits) of the code in some Python files, by name and content.

    The folder of a plugin does not count: another user, or another cluster, has another one.
    """
    total = hashlib.blake2b(digest_size=16)
    for place, path in sorted((_place(path), path) for path in paths):
        total.update(f"{place[2]} {source_of(path).digest}\n".encode())
    return total.hexdigest()


def _place(path: Path) -> tuple[bool, Path, str]:
    """Where a file comes among others, those outside of the package last; and its name there."""
    full = path.resolve()
    if full.is_relative_to(PACKAGE):
        return False, full.relative_to(PACKAGE), f"{full.parent.name}/{full.name}"
    return True, Path(full.name), full.name


def source_of(path: Path) -> Source:
    """A file's digest and its imports, in the order of the text."""
    return _source(path.read_text(encoding="utf-8"))


@cache
def _source(text: str) -> Source:
    kept, key = _kept(_file()), hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    if key not in kept:
        tree = ast.parse(text)
        imports = list(_imports(tree))
        code = hashlib.blake2b(ast.dump(_without_docstrings(tree)).encode(), digest_size=16)
        kept[key] = [code.hexdigest(), imports]
    digest, imports = kept[key]
    return Source(digest, tuple(Imported(*one) for one in imports))


def _imports(tree: ast.Module) -> list[Imported]:
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [Imported(alias.name, None, 0, alias.asname) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            found += [
                Imported(node.module or "", alias.name, node.level, alias.asname or alias.name)
                for alias in node.names
            ]
    return found


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        first = node.body[0] if node.body else None
        if (
            isinstance(first, ast.Expr)
            and isinstance(first.value, ast.Constant)
            and isinstance(first.value.value, str)
        ):
            node.body = node.body[1:] or [ast.Pass()]
    return tree


# --- what is kept from one process to the next ----------------------------------------------------


@cache
def _kept(file: Path) -> dict[str, list]:
    """By digest of the text, what was found in it; whatever is new is written at exit."""
    kept: dict[str, list] = {}
    with suppress(OSError, ValueError):
        read = json.loads(file.read_text(encoding="utf-8"))
        if len(read) <= MOST_KEPT:
            kept = read
    atexit.register(_write, file, kept, len(kept))
    return kept


@cache
def _file() -> Path:
    """Trees differ between versions of Python, and what is found may with this file."""
    from emlib.kernels.cache import cache_base  # imports this module itself

    own = hashlib.blake2b(Path(__file__).read_bytes(), digest_size=4).hexdigest()
    python = f"{sys.implementation.cache_tag}-{sys.version_info.micro}"
    return cache_base() / f"sources-{python}-{own}.json"


def _write(file: Path, kept: dict[str, list], read: int) -> None:
    if len(kept) == read:
        return
    temporary = file.with_name(f".{file.name}.{os.getpid()}.tmp")
    with suppress(OSError):  # only time is lost
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(kept), encoding="utf-8")
        os.replace(temporary, file)
