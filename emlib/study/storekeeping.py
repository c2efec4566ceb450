"""``emlib store``: check the store, pack its journals, drop what no study needs any more.

Whatever rewrites journals holds the store's lock alone, so it is refused while a job is writing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from emlib.errors import EmlibError, StoreError
from emlib.study.grid import planned_blocks
from emlib.study.journal import Damage, decode
from emlib.study.locks import LockHeld
from emlib.study.paths import StudyPaths
from emlib.study.store import Found, Store, Writer, writers_lock


@dataclass(frozen=True)
class StoreCheck:
    """What a store holds.

    Parameters
    ----------
    shards, journals, records, size : int
        Data sets, files, distinct fits, and bytes.
    faults : list of str
        Damaged parts and contradicting duplicates, one line each.
    """

    shards: int
    journals: int
    records: int
    size: int
    faults: list[str]


def verify(root: Path) -> StoreCheck:
    """Read every record of a store, and check it."""
    store = Store(root)
    journals, size = store.size()
    records = 0
    faults: list[str] = []
    shards = store.shards()
    for data_id in shards:
        try:
            found, damages = store.read(data_id)
        except StoreError as error:
            faults.append(str(error))
            continue
        records += len(found)
        faults += [str(damage) for damage in damages]
        for identity, item in found.items():
            try:
                decode(item.content)
            except StoreError as error:
                faults.append(f"{item.path}: {identity}: {error}")
    return StoreCheck(len(shards), journals, records, size, faults)


class Tidied(NamedTuple):
    """Bytes of the store before and after, and the damaged parts that went."""

    before: int
    after: int
    damages: list[Damage]


def compact(root: Path) -> Tidied:
    """Put each shard's records into one journal; duplicates and damaged parts go.

    Raises
    ------
    EmlibError
        If a writer lives.
    StoreError
        If two records of one identity disagree; nothing of that shard is touched.
    """
    with alone(root):
        return _rewrite(root, lambda data_id, identity, found: True)


def collect_garbage(root: Path, keep: Iterable[Path]) -> Tidied:
    """Drop fits that no kept study has in its files, and compact the rest.

    A kept study must be whole: the finished fits of a block without files are in the store alone.

    Parameters
    ----------
    root : Path
        ``results/store``.
    keep : iterable of Path
        Folders of the studies to keep. Reference searches and certificates of their data too.

    Raises
    ------
    EmlibError
        If a writer lives, a folder holds no study, or a kept study has missing blocks.
    """
    with alone(root):  # first, so that no job ends between the look at its files and its journals
        return _rewrite(root, _needed(keep))


def _needed(keep: Iterable[Path]) -> Callable[[str, str, Found], bool]:
    """Tells whether a record of a data set, by identity, is one that the studies have."""
    from emlib.study.files import read_table
    from emlib.study.state import study_state

    data_ids: set[str] = set()
    fit_ids: set[str] = set()
    for study_dir in keep:
        paths = StudyPaths(study_dir)
        if not paths.study.is_file():
            raise EmlibError(f"{study_dir}: no study here (study.json is missing)")
        if missing := study_state(study_dir).missing_names:
            raise EmlibError(
                f"{study_dir}: {len(missing)} of its blocks are missing (the first: {missing[0]}), "
                "and their finished fits are in the store alone; finish the study first (snakemake)"
            )
        for block in planned_blocks(study_dir):
            ids = (block.dataset, block.missingness, block.model, block.block)
            table = read_table(paths.block("fits", *ids), ["fit_id", "data_id"])
            fit_ids.update(table.column("fit_id").to_pylist())
            data_ids.update(table.column("data_id").to_pylist())

    def needed(data_id: str, identity: str, found: Found) -> bool:
        if data_id not in data_ids:
            return False
        return identity in fit_ids or "fit" not in decode(found.content)

    return needed


def _rewrite(root: Path, needed: Callable[[str, str, Found], bool]) -> Tidied:
    store = Store(root)
    before = after = 0
    damages: list[Damage] = []
    for data_id in store.shards():
        old = store.journals(data_id)
        before += sum(path.stat().st_size for path in old)
        found, damaged = store.read(data_id)
        damages += damaged
        kept = {name: item for name, item in found.items() if needed(data_id, name, item)}
        if len(kept) < len(found) or len(old) > 1 or damaged:
            _replace(store, data_id, old, kept)
        after += sum(path.stat().st_size for path in store.journals(data_id))
        if not kept:
            with suppress(OSError):  # something else lies there, such as an .nfs file still open
                store.shard(data_id).rmdir()
    return Tidied(before, after, damages)


def _replace(store: Store, data_id: str, old: list[Path], kept: dict[str, Found]) -> None:
    """Write the new journal, on the disk, before the old ones go."""
    with Writer(store, lock=False) as writer:
        for identity in sorted(kept):
            writer.append(data_id, (identity, kept[identity].content))
    for path in old:
        path.unlink()


@contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the store's lock alone; an EmlibError if a job is writing."""
    lock = writers_lock(root, shared=False)
    try:
        lock.acquire()
    except LockHeld:
        raise EmlibError(
            f"{root}: a job is writing to the store; try again when it is done"
        ) from None
    with lock:
        yield
