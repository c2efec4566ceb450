"""A YAML reader that refuses what YAML lets slip by: duplicate keys, and text that looks a number.

``1e-6`` is the number, ``no`` and ``on`` are text, only ``true`` and ``false`` are booleans (as in
YAML 1.2), and a key given twice is an error, not the last one's win.
"""

from __future__ import annotations

import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from emlib.errors import ConfigError

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars that remembers duplicate keys."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.mistakes: list[tuple[int, str]] = []

    def construct_decimal(self, node: yaml.ScalarNode) -> int:
        """A whole number; a leading zero does not make it octal."""
        return int(self.construct_scalar(node))

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Hashable, Any]:
        if not isinstance(node, yaml.MappingNode):
            return super().construct_mapping(node, deep=deep)
        lines: dict[Hashable, int] = {}
        for key_node, _ in node.value:
            if key_node.tag == "tag:yaml.org,2002:merge":
                continue
            key = self.construct_object(key_node, deep=True)
            line = key_node.start_mark.line + 1
            if not isinstance(key, str):
                problem = f"the key {key_node.value!s} is not text; write it in quotes"
                raise yaml.MarkedYAMLError(problem=problem, problem_mark=key_node.start_mark)
            if key in lines:
                self.mistakes.append((line, f"duplicate key {key!r}, first at line {lines[key]}"))
            else:
                lines[key] = line
        return super().construct_mapping(node, deep=deep)


_DIGITS = list("-+0123456789.")
for _tag, _pattern, _first in (
    ("bool", _BOOL, list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, _DIGITS),
    ("null", _NULL, ["~", "n", "N", ""]),
    ("merge", re.compile(r"^<<$"), ["<"]),
):
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", _pattern, _first)
_Loader.add_constructor("tag:yaml.org,2002:int", _Loader.construct_decimal)


def read_yaml(path: Path, name: str) -> tuple[dict[str, Any], list[str]]:
    """Read a config file.

    Parameters
    ----------
    path : Path
    name : str
        What errors call the file.

    Returns
    -------
    values : dict
    mistakes : list of str
        Keys that are given twice, each with its line.

    Raises
    ------
    ConfigError
        If there is no such file, or it is not YAML.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{name}: no such file") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{name}: cannot be read as UTF-8 text ({error})") from None
    value, mistakes = parse_yaml(text, name)
    if value is None:
        raise ConfigError(f"{name}: empty; a study needs at least datasets, models and inits")
    if not isinstance(value, dict):
        raise ConfigError(f"{name}: expected keys and values, found {type(value).__name__}")
    return value, mistakes


def parse_yaml(text: str, name: str) -> tuple[Any, list[str]]:
    """Parse one YAML document; mistakes and errors as in ``read_yaml``."""
    loader = None
    try:
        loader = _Loader(text)
        value = loader.get_single_data()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f" line {mark.line + 1}, column {mark.column + 1}:" if mark else ""
        problem = error.problem or error.context or "cannot be parsed"
        raise ConfigError(f"{name}:{place} not YAML: {problem}") from None
    except yaml.YAMLError as error:
        raise ConfigError(f"{name}: not YAML: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return value, [f"{name}: line {line}: {text}" for line, text in sorted(set(loader.mistakes))]
