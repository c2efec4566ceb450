"""The `kernels` job: compile what a study's fits will call, once, before they all would.

Compiled code is cached by function and argument types, so a few tiny climbs leave all of it ready;
a block whose processor has no cache yet compiles for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from emlib.study import grid
from emlib.study.atomic import write_text
from emlib.study.plugins import load_plugins

if TYPE_CHECKING:
    from emlib.study.fitting import Case

PRACTICE_ROWS = 500


def compile_kernels(study_dir: Path, family: str, marker: Path) -> None:
    """Run each model and init of a family on the head of each dataset that it is fitted to.

    Then write the marker. Its content is small and constant, so that compiling again makes no fit
    run again.
    """
    study = grid.load_study(study_dir)
    load_plugins(study.get("plugins", ()))
    algorithms = list(study["algorithms"].values())
    cells = [e for e in grid.entries(study) if study["models"][e.model]["family"] == family]
    for dataset, model in dict.fromkeys((cell.dataset, cell.model) for cell in cells):
        case = practice(study, dataset, model)
        for init in dict.fromkeys(cell.init for cell in cells if not cell.oracle):
            # What cannot start on these rows may well do on the study's own, and where it
            # fails there too, it is that fit's row that says so.
            with suppress(Exception):
                exercise(case, study["inits"][init], algorithms)
    write_text(marker, f"the kernels of {family} are compiled\n")


def practice(study: Mapping[str, Any], dataset: str, model: str) -> Case:
    """The first rows of a dataset's first replicate, some cells hidden."""
    import numpy as np

    from emlib.study.datafiles import draw_replicate, study_truth
    from emlib.study.fitting import Case

    seed, spec = study["seed"], study["datasets"][dataset]
    head = draw_replicate(seed, spec, 0, study_truth(seed, spec)).head(PRACTICE_ROWS)
    hidden = np.zeros(head.values.shape, dtype=bool)
    hidden[::5, 0] = True
    fitted = study["models"][model]
    return Case(head.values, hidden, None, None, fitted["family"], fitted["settings"], head.extras)


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
