"""What a block's tasks come to: found in the store, or computed by its worker and stored.

Standard library only, as its supervisor is.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from itertools import groupby
from typing import Any

from emlib.study.assembly import Death, Row, Task, certificate_of
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
    plan : dict
        Of the worker: the tasks that climb, and what decides their certificates, the tasks that
        follow them in the same order.
    limit : float or None
        Seconds that a task may take.

    Attributes
    ----------
    tasks : dict of int to Task
        By number: all that climb, and the certificates that are wanted.
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
        plan: dict[str, Any],
        limit: float | None,
    ) -> None:
        self._climbs = [Task(*fields) for fields in plan["climbs"]]
        self._key = plan["certificates"]
        self.tasks = dict(enumerate(self._climbs))
        self.records: dict[int, Row] = {}
        self.deaths: dict[int, Death] = {}
        self.reused: set[int] = set()
        self.damages: list[str] = []
        self._store, self._writer, self._name = store, writer, name
        self._worker, self._limit = worker, limit
        self._stored: dict[int, bytes] = {}
        self._of_data: dict[str, list[int]] = {}
        for number, task in self.tasks.items():
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
                for one, task in (number, self._climbs[number]), self._certificate(number):
                    if one not in self.records and task.identity in held:
                        self._stored[one] = held[task.identity].content

    def _certificate(self, climb: int) -> tuple[int, Task]:
        return len(self._climbs) + climb, certificate_of(self._climbs[climb], self._key)

    def obtain(self, wanted: Iterable[int]) -> None:
        """Have these tasks' records: take those in the store, and compute and store the others."""
        contents: dict[int, bytes] = {}

        def keep(frames: list[Frame]) -> None:
            final = [frame for frame in frames if frame.kind == FINAL]
            for data_id, several in groupby(final, lambda frame: self.tasks[frame.task].data_id):
                pairs = [(self.tasks[frame.task].identity, frame.content) for frame in several]
                self._writer.append(data_id, *pairs)
            contents.update((frame.task, frame.content) for frame in frames)

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
        climbs = self._climbs
        self.obtain(number for number, task in enumerate(climbs) if task.kind == "reference")
        of_starts: list[int] = []
        of_fits: list[int] = []
        for climb in worth_certifying(climbs, self.records):
            number, task = self._certificate(climb)
            self.tasks[number] = task
            (of_starts if climbs[climb].kind == "reference" else of_fits).append(number)
        self.obtain(of_starts)
        return of_fits


def block_results(
    paths: StudyPaths,
    study: dict[str, Any],
    ids: tuple[str, str, str, int],
    name: str,
    worker: Worker,
    plan: dict[str, Any],
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
        results = BlockResults(store, writer, name, worker, plan, limit)
        results.look()
        results.obtain(number for number, task in results.tasks.items() if task.kind == "fit")
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
