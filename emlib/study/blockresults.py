"""What a block's tasks come to: found in the store, or computed by its worker and stored.

Standard library only, as its supervisor is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any

from emlib.study.assembly import Death, Row, Task
from emlib.study.grid import one_data_set
from emlib.study.journal import decode
from emlib.study.locks import awaited
from emlib.study.optima import worth_certifying
from emlib.study.paths import StudyPaths
from emlib.study.protocol import FINAL, Frame
from emlib.study.store import Store, Writer
from emlib.study.workerprocess import Worker, run_tasks


class BlockResults:
    """Results of a block's tasks so far.

    Parameters
    ----------
    store, writer : Store, Writer
        The writer is open, so that nobody rewrites the journals meanwhile.
    name : str
        The block's, for what is said of it.
    worker : Worker
        Started.
    tasks : list of Task
        Its plan.
    limit : float or None
        Seconds that a task may take.

    Attributes
    ----------
    records : dict of int to dict
        By task number.
    deaths : dict of int to Death
        Tasks without a record.
    reused : set of int
        Tasks whose record was in the store.
    damages : list of str
        What was damaged there.
    """

    def __init__(
        self,
        store: Store,
        writer: Writer,
        name: str,
        worker: Worker,
        tasks: list[Task],
        limit: float | None,
    ) -> None:
        self.records: dict[int, Row] = {}
        self.deaths: dict[int, Death] = {}
        self.reused: set[int] = set()
        self.damages: list[str] = []
        self._store, self._writer, self._name = store, writer, name
        self._worker, self._tasks, self._limit = worker, tasks, limit
        self._stored: dict[int, bytes] = {}
        self._of_data: dict[str, list[int]] = {}
        for number, task in enumerate(tasks):
            self._of_data.setdefault(task.data_id, []).append(number)

    def look(self) -> None:
        """See what the store holds of the tasks that have no record yet."""
        for data_id, numbers in sorted(self._of_data.items()):
            held, damaged = self._store.read(data_id)
            for damage in map(str, damaged):
                if damage not in self.damages:
                    self.damages.append(damage)
                    say(f"{self._name}: {damage}")
            for number in numbers if held else ():
                identity = self._tasks[number].identity
                if number not in self.records and identity in held:
                    self._stored[number] = held[identity].content

    def obtain(self, wanted: Iterable[int]) -> None:
        """Have these tasks' records: take those in the store, and compute and store the others."""
        contents: dict[int, bytes] = {}

        def keep(frame: Frame) -> None:
            if frame.kind == FINAL:
                task = self._tasks[frame.task]
                self._writer.append(task.data_id, task.identity, frame.content)
            contents[frame.task] = frame.content

        lacking = []
        for number in wanted:
            if number in self._stored:
                contents[number] = self._stored.pop(number)
                self.reused.add(number)
            else:
                lacking.append(number)
        self.deaths.update(run_tasks(self._worker, lacking, self._limit, keep))
        while contents:  # all at once, while what it takes is at hand: half the work
            number, content = contents.popitem()
            self.records[number] = decode(content)

    def search(self) -> list[int]:
        """Obtain the reference starts, and their certificates that are worth it; the others' are
        returned.
        """
        tasks = self._tasks
        starts = [number for number, task in enumerate(tasks) if task.kind == "reference"]
        self.obtain(starts)
        searched = {tasks[number].identity for number in starts}
        of_starts: list[int] = []
        of_fits: list[int] = []
        for number in worth_certifying(tasks, self.records):
            (of_starts if tasks[number].row["of"] in searched else of_fits).append(number)
        self.obtain(of_starts)
        return of_fits


def block_results(
    paths: StudyPaths,
    study: dict[str, Any],
    ids: tuple[str, str, str, int],
    name: str,
    worker: Worker,
    tasks: list[Task],
) -> BlockResults:
    """Results of all of a block's tasks that are wanted: what fits and reference starts came to
    decides which certificates are.

    Where other blocks have the same data, they have the same search too: one of them does it, and
    the others wait and find it in the store.
    """
    dataset, missingness, model, _ = ids
    mechanism = study["missingness"][missingness]["mechanism"]
    store = Store(paths.store)
    with Writer(store) as writer:
        limit = study["budget"]["hard_seconds"]
        results = BlockResults(store, writer, name, worker, tasks, limit)
        results.look()
        results.obtain(number for number, task in enumerate(tasks) if task.kind == "fit")
        if one_data_set(study["datasets"][dataset], mechanism):
            lock = paths.search_lock(dataset, missingness, model)
            with awaited(lock, f"{name}: its search"):
                results.look()
                certificates = results.search()
                writer.sync()  # before another node looks
        else:
            certificates = results.search()
        results.obtain(certificates)
    return results


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
