"""Digests of source code by syntax tree: comments, docstrings and layout do not count."""

from __future__ import annotations

import ast
import hashlib
from functools import lru_cache
from pathlib import Path


def syntax_digest(*paths: Path) -> str:
    """Digest (32 hexadecimal digits) of the code in some Python files, by name and content."""
    total = hashlib.blake2b(digest_size=16)
    for path in sorted(paths):
        code = _file_digest(path.read_text(encoding="utf-8"))
        total.update(f"{path.parent.name}/{path.name} {code}\n".encode())
    return total.hexdigest()


@lru_cache(maxsize=1024)
def _file_digest(text: str) -> str:
    tree = _without_docstrings(ast.parse(text))
    return hashlib.blake2b(ast.dump(tree).encode(), digest_size=16).hexdigest()


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
