"""``emlib merge``: takes over what another results folder, a second cluster's say, has finished.

A fit's identity is all that decides its numbers, so two stores are simply united. Where both hold
one fit with other numbers (processors differ in last digits), the own stays and both are written
down. Records are only ever appended: a merge that is killed has lost nothing, and the next one
finishes it.
"""

from __future__ import annotations

import json
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from emlib.errors import EmlibError, StoreError
from emlib.study.atomic import write_text
from emlib.study.journal import MEASURED, decode, same_numbers
from emlib.study.store import Found, Store, Writer, writers_lock
from emlib.study.storekeeping import alone

CONFLICTS = "conflicts.jsonl"
SHOWN_CONFLICTS = 10
SHOWN_COLUMNS = 6
KINDS = ("fit", "reference", "certificate")
NAMES = ("dataset", "missingness", "model", "init", "algorithm", "replicate", "start")


@dataclass(frozen=True)
class Conflict:
    """One result that two stores hold with different numbers.

    Parameters
    ----------
    identity, data_id : str
        Of the result, and of the data that it is of.
    kind : str
        ``fit``, ``reference`` (a start of a reference search) or ``certificate``.
    columns : dict of str to tuple
        What differs, such as ``fit.loglik``: the own value and the other's.
    processors : tuple of str
        That computed the own and the other one; empty where none was recorded.
    other : str
        The results folder that holds the other one.
    """

    identity: str
    data_id: str
    kind: str
    columns: dict[str, tuple[Any, Any]]
    processors: tuple[str, str]
    other: str

    def line(self) -> str:
        """As it stands in the file of conflicts."""
        return json.dumps(vars(self), sort_keys=True)


@dataclass
class Merged:
    """What a merge came to.

    Parameters
    ----------
    added, known : int
        Records that were taken, and that were here already with the same numbers.
    processors : Counter
        That computed the fits which were taken.
    conflicts : list of Conflict
    faults : list of str
        Damaged parts of the stores, one line each.
    """

    added: int = 0
    known: int = 0
    processors: Counter[str] = field(default_factory=Counter)
    conflicts: list[Conflict] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


def merge(results: Path, others: Sequence[Path]) -> Merged:
    """Add to a store what the stores of other results folders hold beyond it.

    Parameters
    ----------
    results : Path
        Whose ``store`` grows; its ``conflicts.jsonl`` gets a line for each conflict not yet in it.
    others : sequence of Path
        Results folders; nothing in them is changed.

    Raises
    ------
    EmlibError
        If another folder has no store or is this one, or a job is writing to this store.
    StoreError
        If one of the stores contradicts itself, or this one cannot be written to.
    """
    own, merged = Store(results / "store"), Merged()
    for other in others:
        if not (other / "store").is_dir():
            raise EmlibError(f"{other}: no results to merge here ({other}/store is missing)")
        if own.root.exists() and own.root.samefile(other / "store"):
            raise EmlibError(f"{other}: is {results} itself")
    try:
        with alone(own.root), Writer(own, lock=False) as writer:
            for other in others:
                with _readable(Store(other / "store")) as store:
                    for data_id in store.shards():
                        _merge_shard(own, writer, store, data_id, merged)
    finally:
        _write_down(results / CONFLICTS, merged.conflicts)
    return merged


@contextmanager
def _readable(store: Store) -> Iterator[Store]:
    """Another store, kept from being rewritten meanwhile; its writers may go on."""
    if not os.access(store.root, os.W_OK):  # a copy to read only: nor can a lock be taken
        yield store
        return
    with writers_lock(store.root, shared=True):
        yield store


def _merge_shard(own: Store, writer: Writer, store: Store, data_id: str, merged: Merged) -> None:
    mine, damaged_here = own.read(data_id)
    theirs, damaged_there = store.read(data_id)
    merged.faults += [str(damage) for damage in (*damaged_here, *damaged_there)]
    for identity, found in theirs.items():
        here = mine.get(identity)
        try:
            record = decode(found.content)
        except StoreError as error:
            merged.faults.append(f"{found.path}: {identity}: {error}")
            continue
        if here is None:
            writer.append(data_id, (identity, found.content))
            merged.added += 1
            if "fit" in record:
                merged.processors[_processor(record)] += 1
        elif here.content == found.content or same_numbers(here.content, found.content):
            merged.known += 1
        else:
            name = str(store.root.parent)
            merged.conflicts.append(_conflict(identity, data_id, here, found, name))


def _conflict(identity: str, data_id: str, here: Found, there: Found, other: str) -> Conflict:
    a, b = decode(here.content), decode(there.content)
    kind = next((kind for kind in KINDS if kind in a), "")
    processors = (_processor(a), _processor(b))
    return Conflict(identity, data_id, kind, _differing(a, b), processors, other)


def _processor(record: dict[str, Any]) -> str:
    return str(record.get(MEASURED, {}).get("processor", ""))


def _differing(mine: dict[str, Any], theirs: dict[str, Any]) -> dict[str, tuple[Any, Any]]:
    """The columns in which two records differ, NaN being equal to NaN, with both values."""
    a, b = dict(_columns(mine)), dict(_columns(theirs))
    return {
        name: (a.get(name), b.get(name))
        for name in sorted(a.keys() | b.keys())
        if json.dumps(a.get(name)) != json.dumps(b.get(name))
    }


def _columns(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key in value.keys() - ({MEASURED} if not name else set()):
            yield from _columns(value[key], f"{name}.{key}" if name else key)
    else:
        yield name, list(value) if isinstance(value, array) else value


def _write_down(path: Path, conflicts: Iterable[Conflict]) -> None:
    """Add conflicts to a file, each once."""
    old = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    lines = list(dict.fromkeys([*old, *(conflict.line() for conflict in conflicts)]))
    if len(lines) > len(old):
        write_text(path, "\n".join(lines) + "\n")


# --- what the command prints ----------------------------------------------------------------------


def show_merged(merged: Merged, results: Path, others: Sequence[Path]) -> None:
    """Print what a merge came to; of conflicts the first few."""
    for fault in merged.faults:
        print(fault)
    for conflict, fit in _named(merged.conflicts[:SHOWN_CONFLICTS], results, others):
        print(f"{conflict.kind} {conflict.identity} {fit}".rstrip())
        own, other = conflict.processors
        print(f"  here on {own or 'unrecorded'}; in {conflict.other} on {other or 'unrecorded'}")
        for column, values in list(conflict.columns.items())[:SHOWN_COLUMNS]:
            print(f"  {column}: {_told(*values)}")
        if len(conflict.columns) > SHOWN_COLUMNS:
            print(f"  and {len(conflict.columns) - SHOWN_COLUMNS} columns more")
    by = ", ".join(
        f"{count} on {name or 'unrecorded'}" for name, count in merged.processors.most_common()
    )
    print(
        f"{merged.added} results added ({sum(merged.processors.values())} fits{': ' * bool(by)}"
        f"{by}), {merged.known} were here already; conflicts: {len(merged.conflicts)}"
    )
    if merged.conflicts:
        print(f"What was here stays; {results / CONFLICTS} has both values of every conflict.")


def _told(own: Any, other: Any) -> str:
    if isinstance(own, list) and isinstance(other, list) and len(own) == len(other):
        differing = [
            pair for pair in zip(own, other, strict=True) if repr(pair[0]) != repr(pair[1])
        ]
        first = f"{differing[0][0]!r} here, {differing[0][1]!r} there"
        return f"{len(differing)} of {len(own)} numbers, the first of them {first}"
    if isinstance(own, list) or isinstance(other, list):
        sizes = [
            f"{len(value)} numbers" if isinstance(value, list) else "none" for value in (own, other)
        ]
        return f"{sizes[0]} here, {sizes[1]} there"
    return f"{own!r} here, {other!r} there"


def _named(
    conflicts: Sequence[Conflict], results: Path, others: Sequence[Path]
) -> Iterator[tuple[Conflict, str]]:
    """Conflicts, and what each is of, where a study's files still tell."""
    from emlib.study.files import read_table

    names: dict[str, str] = {}
    wanted = {conflict.identity for conflict in conflicts if conflict.kind == "fit"}
    files = (file for root in (results, *others) for file in root.glob("*/fits/*/*/*/*.parquet"))
    for file in files if wanted else ():
        if wanted <= names.keys():
            break
        try:
            rows = read_table(file, ["fit_id", *NAMES]).to_pylist()
        except StoreError:
            continue
        for row in rows:
            if row["fit_id"] in wanted:
                names[row["fit_id"]] = " ".join(f"{name}={row[name]}" for name in NAMES)
    for conflict in conflicts:
        yield conflict, names.get(conflict.identity, f"of data {conflict.data_id}")
