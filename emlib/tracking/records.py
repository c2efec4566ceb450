"""What one run in MLflow says: plain values, before MLflow is asked anything."""

import hashlib
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

PARAM_LENGTH = 6000
TAG_LENGTH = 5000


@dataclass
class RunRecord:
    """One run: a cell (a parent) or a fit (a child).

    Attributes
    ----------
    kind : {"cell", "fit"}
    identity : str
        The cell_id or the fit_id.
    parent : str or None
        A fit's cell_id.
    name : str
        What the interface shows.
    start, end : int
        Milliseconds since 1970, from the study's files.
    tags, params : dict of str
    metrics : list of (name, value, step)
        Finite values only; what is not finite stands in `tags`.
    """

    kind: str
    identity: str
    parent: str | None
    name: str
    start: int
    end: int
    tags: dict[str, str] = field(default_factory=dict)
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[tuple[str, float, int]] = field(default_factory=list)

    @property
    def key(self) -> tuple[str, str]:
        """What the run is of, whatever it says."""
        return self.kind, self.identity

    def tag(self, name: str, value: object) -> None:
        """Set the tag ``emlib.<name>``; empty text is no tag."""
        text = _text(value)[:TAG_LENGTH]
        if text:
            self.tags[f"emlib.{name}"] = text

    def param(self, name: str, value: object) -> None:
        """Set a parameter; a mapping sets one for each of its leaves, ``name.key``.

        The level ``settings``, where there is one, is left out of the names.
        """
        for key, leaf in _leaves(name, value):
            self.params[key] = _text(leaf)[:PARAM_LENGTH]

    def metric(self, name: str, value: float, step: int = 0) -> None:
        """Set a number; one that is not finite becomes the tag ``emlib.nonfinite.<name>``."""
        value = float(value)
        if math.isfinite(value):
            self.metrics.append((name, value, step))
        else:
            self.tag(f"nonfinite.{name}", repr(value))

    def curve(self, name: str, steps: Iterable[int], values: Iterable[float]) -> None:
        """Set a number for each step; the points that are not finite are counted in a tag."""
        points = [
            (name, float(value), int(step)) for step, value in zip(steps, values, strict=True)
        ]
        finite = [point for point in points if math.isfinite(point[1])]
        self.metrics.extend(finite)
        if len(finite) < len(points):
            kinds = sorted({repr(value) for _, value, _ in points if not math.isfinite(value)})
            lost = len(points) - len(finite)
            self.tag(f"nonfinite.{name}", f"{lost} of {len(points)} points: {', '.join(kinds)}")

    def content(self) -> str:
        """A digest of everything that the run shows."""
        shown = [self.name, self.start, self.end, self.tags, self.params, self.metrics]
        text = json.dumps(shown, sort_keys=True, allow_nan=False)
        return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()


def _leaves(name: str, value: object) -> Iterable[tuple[str, object]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _leaves(name if key == "settings" else f"{name}.{key}", inner)
    else:
        yield name, value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, (list, tuple)):
        return json.dumps(value)
    if isinstance(value, bool) or value is None:
        return json.dumps(value)
    return repr(value) if isinstance(value, float) else str(value)
