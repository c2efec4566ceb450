"""A YAML reader that refuses what YAML lets slip by: duplicate keys, and text that looks a number.

``1e-6`` is the number, ``no`` and ``on`` are text, only ``true`` and ``false`` are booleans (as in
YAML 1.2), and a key given twice is an error, not the last one's win. A file is plain data of
bounded size: no tags but YAML's own plain ones, and aliases cannot unfold without end.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator
from pathlib import Path
from typing import Any, ClassVar, NoReturn

import yaml

from emlib.errors import ConfigError

_BOOL = re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$")
_INT = re.compile(r"^[-+]?[0-9]+$")
_FLOAT = re.compile(
    r"^(?:[-+]?(?:[0-9]+\.[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$"
)
_NULL = re.compile(r"^(?:~|null|Null|NULL|)$")
_UNFIT = re.compile("[\0\ud800-\udfff]")
BYTES, VALUES, DEPTH, DIGITS = 10_000_000, 1_000_000, 50, 40
"""Most bytes of a file, values and levels in it once its aliases are unfolded, digits of a whole
number (any of them fits a float)."""


class _Loader(yaml.SafeLoader):
    """SafeLoader with YAML 1.2 scalars that remembers duplicate keys."""

    yaml_implicit_resolvers: dict = {}  # noqa: RUF012
    yaml_constructors: ClassVar[dict] = {}

    def __init__(self, stream: Any) -> None:
        super().__init__(stream)
        self.mistakes: list[tuple[int, str]] = []
        self._extents: dict[yaml.Node, tuple[int, int]] = {}
        self._level = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """A node, its values and levels counted as if each alias were written out."""
        event = self.peek_event()
        mark = event.start_mark
        self._level += 1
        if self._level > DEPTH:
            _refuse(f"more than {DEPTH} levels deep", mark)
        node = super().compose_node(parent, index)
        self._level -= 1
        if node is None:
            return None
        if node not in self._extents:
            values, levels = 1, 1
            if isinstance(event, yaml.AliasEvent):
                _refuse("an alias of what it stands in", mark)
            for child in _children(node):
                values += self._extents[child][0]
                levels = max(levels, 1 + self._extents[child][1])
            if values > VALUES:
                _refuse(f"more than {VALUES} values, aliases written out", mark)
            if levels > DEPTH:
                _refuse(f"more than {DEPTH} levels deep, aliases written out", mark)
            self._extents[node] = values, levels
        return node

    def construct_scalar(self, node: Any) -> str:
        text = super().construct_scalar(node)
        if _UNFIT.search(text):
            _refuse("a character that no text may hold (NUL or half of a pair)", node.start_mark)
        return text

    def construct_plain(self, node: yaml.ScalarNode) -> Any:
        """A boolean, a number or nothing; a leading zero does not make a whole number octal."""
        text = self.construct_scalar(node)
        pattern, make = _PLAIN[node.tag]
        if not pattern.match(text):
            _refuse(f"{text!r} is no {node.tag.rpartition(':')[2]}", node.start_mark)
        if make is int and len(text) > DIGITS:
            _refuse(f"a whole number of more than {DIGITS} digits", node.start_mark)
        return make(text)

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
                found = key_node.value if isinstance(key_node, yaml.ScalarNode) else key_node.id
                _refuse(f"the key {found} is not text; write it in quotes", key_node.start_mark)
            if key in lines:
                self.mistakes.append((line, f"duplicate key {key!r}, first at line {lines[key]}"))
            else:
                lines[key] = line
        return super().construct_mapping(node, deep=deep)


def _refuse(problem: str, mark: Any) -> NoReturn:
    raise yaml.MarkedYAMLError(problem=problem, problem_mark=mark)


def _children(node: yaml.Node) -> Iterator[yaml.Node]:
    if isinstance(node, yaml.SequenceNode):
        yield from node.value
    elif isinstance(node, yaml.MappingNode):
        for pair in node.value:
            yield from pair


def _float(text: str) -> float:
    return float(text.replace(".inf", "inf").replace(".nan", "nan"))


_TAG = "tag:yaml.org,2002:"
_PLAIN: dict[str, tuple[re.Pattern[str], Callable[[str], Any]]] = {
    f"{_TAG}bool": (_BOOL, lambda text: text.lower() == "true"),
    f"{_TAG}int": (_INT, int),
    f"{_TAG}float": (_FLOAT, lambda text: _float(text.lower())),
    f"{_TAG}null": (_NULL, lambda text: None),
}
_FIRST = {"bool": "tTfF", "int": "-+0123456789", "float": "-+0123456789.", "null": "~nN"}
for _name, _letters in _FIRST.items():
    _tag = f"{_TAG}{_name}"
    _first = [*_letters, *([""] if _name == "null" else [])]
    _Loader.add_implicit_resolver(_tag, _PLAIN[_tag][0], _first)
    _Loader.add_constructor(_tag, _Loader.construct_plain)
_Loader.add_implicit_resolver(f"{_TAG}merge", re.compile(r"^<<$"), ["<"])
for _name in ("str", "seq", "map"):
    _Loader.add_constructor(f"{_TAG}{_name}", getattr(_Loader, f"construct_yaml_{_name}"))
_Loader.yaml_constructors[None] = _Loader.construct_undefined  # whatever else


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
        If there is no such file, it is too large, or it is not YAML.
    """
    try:
        with Path(path).open("rb") as file:
            content = file.read(BYTES + 1)
        if len(content) > BYTES:
            raise ConfigError(f"{name}: more than {BYTES} bytes; a config is smaller")
        text = content.decode("utf-8")
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
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # chr() of no character
        raise ConfigError(f"{name}: not YAML: {error}") from None
    finally:
        if loader is not None:
            loader.dispose()
    return value, [f"{name}: line {line}: {text}" for line, text in sorted(set(loader.mistakes))]
