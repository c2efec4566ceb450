"""The `kernels` job: compile what a study's fits will call, once, before they all would.

Compiled code is cached by function and argument types, so a few tiny climbs leave all of it ready;
a block whose processor has no cache yet compiles for itself.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from emlib.study import grid
from emlib.study.atomic import write_text


def compile_kernels(study_dir: Path, family: str, marker: Path) -> None:
    """Run each model and init of a family on a few rows with holes, then write the marker.

    The marker's content is small and constant, so that compiling again makes no fit run again.
    """
    study = grid.load_study(study_dir)
    algorithms = list(study["algorithms"].values())
    for model in study["models"].values():
        for init in study["inits"].values():
            if model["family"] == family and not init["oracle"]:
                # What cannot start on these rows may well do on the study's own, and where it
                # fails there too, it is that fit's row that says so.
                with suppress(Exception):
                    _exercise(model, init, algorithms)
    write_text(marker, f"the kernels of {family} are compiled\n")


def _exercise(model: dict, init: dict, algorithms: list[dict]) -> None:
    import numpy as np

    from emlib.algorithms import Stopping, climb, make_algorithm
    from emlib.data import Table
    from emlib.inits import make_init
    from emlib.models import make_model

    rng = np.random.default_rng(0)
    values = rng.standard_normal((500, 3)) + 4.0 * rng.integers(0, 3, 500)[:, None]
    values[::5, 0] = np.nan
    table = Table.from_array(values)
    built: Any = make_model(model["family"], model["settings"]).prepare(table)
    start = make_init(init["init"], init["settings"])(built, table, rng)
    for algorithm in algorithms:
        method = make_algorithm(algorithm["algorithm"], algorithm["settings"])
        stopping = Stopping(tol=0.0, max_iter=3)
        end = climb(built, table, start.params, algorithm=method, stopping=stopping)
        built.posterior(end.params, table)
