"""The `kernels` job: compile what a study's fits will call, once, before they all would.

Compiled code is cached by function and argument types, so a few tiny climbs leave all of it ready;
a block whose processor has no cache yet compiles for itself. The climbs run in a worker, as fits
do: a component of the user's own may raise, exit, crash or hang there, and ends nothing but itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emlib.study import grid
from emlib.study.atomic import write_text
from emlib.study.fingerprint import init_parts
from emlib.study.plugins import is_own, load_plugins
from emlib.study.worker import Opened, serve
from emlib.study.workerprocess import START_SECONDS, Worker, run_tasks

if TYPE_CHECKING:
    from emlib.study.case import Case

PRACTICE_ROWS = 500
TRIED = (
    "the kernels of {family} were called once; logs/kernels/{family}.log says if any did not end\n"
)
WORKER = (sys.executable, "-m", "emlib.study.kernels")


def compile_kernels(study_dir: Path, family: str, marker: Path) -> None:
    """Run each model and init of a family on the head of each dataset that it is fitted to.

    What uses code of the user's own comes last, and gets as long as a fit does
    (``budget.hard_seconds``). Then write the marker. Its content is small and constant, whatever
    was compiled, so that compiling again makes no fit run again: what was not is in the log.
    """
    study = grid.load_study(study_dir)
    worker = Worker({"study": study, "family": family}, WORKER)
    limits = {False: START_SECONDS, True: study["budget"]["hard_seconds"] or START_SECONDS}
    try:
        plan = worker.start()
        for own, limit in limits.items():
            wanted = [number for number, task in enumerate(plan) if task["own"] is own]
            deaths = run_tasks(worker, wanted, limit, lambda frames: None)
            for number, death in deaths.items():
                print(f"{plan[number]['name']}: not compiled: {death.message}", file=sys.stderr)
    finally:
        worker.stop()
    write_text(marker, TRIED.format(family=family))


def open_kernels(opening: dict[str, Any]) -> Opened:
    """The tasks of one family: a dataset, a model and an init each, with the algorithms."""
    study, family = opening["study"], opening["family"]
    load_plugins(study.get("plugins", ()))
    found = list(_tasks(study, family))
    return Opened([plan for plan, _ in found], lambda number: found[number][1](), lambda: None)


def _tasks(study: Mapping[str, Any], family: str) -> Iterator[tuple[dict[str, Any], Any]]:
    from emlib.algorithms import ALGORITHMS
    from emlib.inits import INITS
    from emlib.models import FAMILIES

    case = cache(partial(practice, study))
    cells = [e for e in grid.entries(study) if study["models"][e.model]["family"] == family]
    algorithms: dict[bool, list[dict[str, Any]]] = {False: [], True: []}
    for one in study["algorithms"].values():
        algorithms[is_own(ALGORITHMS[one["algorithm"]])].append(one)
    for dataset, model, name in dict.fromkeys(
        (cell.dataset, cell.model, cell.init) for cell in cells if not cell.oracle
    ):
        init = study["inits"][name]
        parts = init_parts(init["init"], init["settings"])
        strange = is_own(FAMILIES[family]) or any(is_own(INITS[part]) for part in parts)
        for own, several in algorithms.items():
            if several:
                plan = {"name": f"{dataset}/{model}/{name}", "own": strange or own}
                yield plan, partial(_attempt, case, dataset, model, init, several)


def _attempt(
    case: Any, dataset: str, model: str, init: Mapping[str, Any], algorithms: list[dict[str, Any]]
) -> dict[str, Any]:
    # What cannot start on these rows may well do on the study's own, and where it
    # fails there too, it is that fit's row that says so.
    with suppress(BaseException):
        exercise(case(dataset, model), init, algorithms)
    return {"provisional": False}


def practice(study: Mapping[str, Any], dataset: str, model: str) -> Case:
    """The first rows of a dataset's first replicate, some cells hidden."""
    import numpy as np

    from emlib.study.case import Case
    from emlib.study.datafiles import draw_replicate, study_truth

    seed, spec = study["seed"], study["datasets"][dataset]
    head = draw_replicate(seed, spec, 0, study_truth(seed, spec)).head(PRACTICE_ROWS)
    hidden = np.zeros(head.values.shape, dtype=bool)
    hidden[::5, 0] = True
    fitted = study["models"][model]
    return Case(head.values, hidden, None, None, fitted["family"], fitted["settings"], head.extras)


def load_numba() -> None:
    """Load numba without SciPy's BLAS: it loads that only to see whether it is there.

    It is, and what calls it loads it then.  A process that fits takes a fifth less to start.
    """
    from numba.np import linalg

    own = linalg.ensure_blas
    linalg.ensure_blas = lambda: None
    try:
        import numba.np.arraymath  # noqa: F401
    finally:
        linalg.ensure_blas = own


def exercise(case: Case, init: Mapping[str, Any], algorithms: list[dict[str, Any]]) -> None:
    """Start, climb a little and look at the posterior, by each algorithm."""
    import numpy as np

    from emlib.algorithms import Stopping, climb, make_algorithm

    start = case.start(init["init"], init["settings"], np.random.default_rng(0))
    stopping = Stopping(tol=0.0, max_iter=3)
    for algorithm in algorithms:
        method = make_algorithm(algorithm["algorithm"], algorithm["settings"])
        end = climb(case.model, case.data, start.params, algorithm=method, stopping=stopping)
        case.model.posterior(end.params, case.data)


if __name__ == "__main__":
    serve(open_kernels)
