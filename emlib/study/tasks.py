"""What there is to compute in a block: fits in plan order, reference searches, certificates.

The worker runs these tasks, and ``emlib replay`` runs one of them again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from emlib.algorithms import ALGORITHMS
from emlib.algorithms.records import Climb
from emlib.errors import EmlibError, InvalidData
from emlib.inits import INITS
from emlib.models import FAMILIES
from emlib.study import identity, reference
from emlib.study.arrays import load_npz
from emlib.study.assembly import Task, certificate_of
from emlib.study.case import Case
from emlib.study.certificates import run_certificate
from emlib.study.datafiles import extras_of, truth_of
from emlib.study.engines import client_of, engine_of
from emlib.study.fingerprint import certificate_fingerprint, init_parts, numerics_fingerprint
from emlib.study.fitting import FitSpec, ascend, run_fit
from emlib.study.grid import Block, Entry, PlannedFit, block_fits
from emlib.study.kernels import exercise, load_numba
from emlib.study.paths import StudyPaths
from emlib.study.plugins import is_own, load_plugins

if TYPE_CHECKING:
    import numpy as np

Study = Mapping[str, Any]
Record = dict[str, Any]


class Job(NamedTuple):
    """A fit or a reference start, how to run it, and how to climb to its polished end once more."""

    task: Task
    run: Callable[[], Record]
    polished: Callable[[], Climb | None]


class _Shared(NamedTuple):
    """What the fits of one cell share: settings, seed path but for its end, its parts of ids."""

    init: Mapping[str, Any]
    algorithm: Mapping[str, Any]
    algorithm_id: str
    path: tuple[object, ...]
    settings: Mapping[str, identity.Canonical]


class BlockWork:
    """The tasks of one block.

    Parameters
    ----------
    study_dir : Path
        ``results/<study>``.
    study : dict
        Its ``study.json``.
    block : Block
    threads : int
        Of the cluster that a model whose engine is Dask gets where no other is named.

    Raises
    ------
    EmlibError
        If the block's data or masks are not there, or do not fit together, or the model's cluster
        does not answer.

    Attributes
    ----------
    climbs : list of Job
        The first tasks. As many follow: their certificates.
    certificates : str
        Digest of all that decides a certificate beside its climb.
    """

    def __init__(self, study_dir: Path, study: Study, block: Block, threads: int = 1) -> None:
        load_plugins(study.get("plugins", ()))
        self._study = study
        self._block = block
        self._model = study["models"][block.model]
        client = client_of(self._model, threads)
        self._cases = cases_of(StudyPaths(study_dir), self._model, block, client)
        self._data_ids = {r: data_identity(case) for r, case in self._cases.items()}
        self._parameters = {r: _parameters(case) for r, case in self._cases.items()}
        self._cells: dict[str, _Shared] = {}
        self._numerics: dict[str, str] = {}
        self.climbs = [*map(self._fit, block_fits(study, block)), *self._searches()]
        self._most = float(study["reference"]["e_steps"])
        self.certificates = identity.digest(["certificate", self._most, certificate_fingerprint()])

    def run(self, number: int) -> Record:
        """Compute one task: a climb, or the certificate of one."""
        if number < len(self.climbs):
            return self.climbs[number].run()
        climb = self.climbs[number - len(self.climbs)]
        replicate = certificate_of(climb.task, self.certificates).row["replicate"]
        return run_certificate(self._cases[replicate], climb.polished, self._most)

    def warm(self) -> None:
        """Run something small once, so that loading compiled code is not measured in a fit.

        Nothing of the user's own: it might not come back, and no limit holds here.
        """
        case = next(iter(self._cases.values()))
        source = reference.sources(case, 1)[-1]
        own = [FAMILIES[case.family], *(INITS[part] for part in init_parts(source))]
        algorithms = [
            one
            for one in self._study["algorithms"].values()
            if not is_own(ALGORITHMS[one["algorithm"]])
        ]
        with suppress(Exception):  # its fits' rows will say so
            if not any(map(is_own, own)):
                load_numba()
                exercise(case, {"init": source, "settings": {}}, algorithms)

    def _fit(self, planned: PlannedFit) -> Job:
        study, block = self._study, self._block
        entry, replicate, start = planned
        shared = self._shared(entry)
        path = (*shared.path, replicate, start)
        case, data_id = self._cases[replicate], self._data_ids[replicate]
        fit_id = identity.fit_id(data_id, shared.settings, (study["seed"], *path))
        missingness = study["missingness"][block.missingness]
        row = {
            **{key: value for key, value in vars(entry).items() if key != "starts"},
            "mechanism": missingness["mechanism"],
            "rate": missingness["rate"],
            "replicate": replicate,
            "start": start,
            "n_rows": len(case.values),
            "n_parameters": self._parameters[replicate],
        }
        spec = FitSpec(
            fit_id,
            shared.init,
            shared.algorithm,
            study["stopping"],
            study["budget"],
            rng=_draws(study["seed"], path, shared.algorithm_id),
        )
        task = Task("fit", fit_id, data_id, row)
        return Job(task, lambda: run_fit(case, spec), lambda: ascend(case, spec)[2])

    def _shared(self, entry: Entry) -> _Shared:
        """What all fits of a cell share; found once, since a block has thousands of them."""
        if entry.cell_id not in self._cells:
            study, block = self._study, self._block
            init, algorithm = study["inits"][entry.init], study["algorithms"][entry.algorithm]
            axes = (study["datasets"][block.dataset], study["missingness"][block.missingness])
            numerics = numerics_fingerprint(
                self._model["family"],
                init_parts(init["init"], init["settings"]),
                algorithm["algorithm"],
                engine_of(self._model),
            )
            self._cells[entry.cell_id] = _Shared(
                init,
                algorithm,
                identity.digest(dict(algorithm)),
                identity.start_path(*axes, self._model, init, 0, 0)[:-2],
                identity.fit_settings(
                    self._model, init, algorithm, study["stopping"], study["budget"], numerics
                ),
            )
        return self._cells[entry.cell_id]

    def _searches(self) -> list[Job]:
        """Reference searches, one a data set: replicates that share their data share it."""
        sharing: dict[str, list[int]] = {}
        for replicate, data_id in self._data_ids.items():
            sharing.setdefault(data_id, []).append(replicate)
        return [job for replicates in sharing.values() for job in self._search(replicates)]

    def _search(self, replicates: list[int]) -> list[Job]:
        study, model = self._study, self._model
        case, data_id = self._cases[replicates[0]], self._data_ids[replicates[0]]
        settings, seed = study["reference"], study["seed"]
        sources = reference.sources(case, settings["starts"])
        numerics = {source: self._search_numerics(source) for source in sorted(set(sources))}
        search = reference.search_id(data_id, model, settings, seed, identity.digest(numerics))
        e_steps = reference.share(settings)
        row = {
            "search": search,
            "replicates": replicates,
            "dataset": self._block.dataset,
            "missingness": self._block.missingness,
            "model": self._block.model,
        }
        jobs = []
        for number, source in enumerate(sources):
            path = reference.start_path(data_id, model, source, number)
            name = identity.digest([seed, path, dict(model), e_steps, numerics[source]])
            task = Task("reference", name, data_id, {**row, "source": source})
            start = partial(_search_start, case, source, e_steps, seed, path)
            jobs.append(Job(task, partial(start, reference.run_start), partial(start, _end)))
        return jobs

    def _search_numerics(self, source: str) -> str:
        """Code of a search's starts from one init: the same for every replicate, so found once."""
        if source not in self._numerics:
            family = self._model["family"]
            self._numerics[source] = numerics_fingerprint(
                family, init_parts(source), "em", engine_of(self._model)
            )
        return self._numerics[source]


def _draws(
    seed: int, path: tuple[object, ...], algorithm_id: str
) -> Callable[[str], np.random.Generator]:
    """Draws of a fit's parts; the start does not know which algorithm climbs from it."""
    own = {"init": path, "algorithm": ("algorithm", algorithm_id, *path)}
    return lambda part: identity.rng(seed, *own[part])


def _search_start(
    case: Case, source: str, e_steps: float, seed: int, path: list[Any], run: Callable[..., Any]
) -> Any:
    return run(case, source, e_steps, identity.rng(seed, *path))


def _end(case: Case, source: str, e_steps: float, draws: Any) -> Climb | None:
    return reference.ascend(case, source, e_steps, draws)[1]


def _parameters(case: Case) -> int:
    try:
        return int(case.model.n_parameters(case.data))
    except InvalidData:
        return 0


def data_identity(case: Case) -> str:
    """Digest of what a replicate's fits see, and of what they are scored against."""
    return identity.digest(
        {
            "values": case.values,
            "hidden": case.hidden,
            "labels": case.labels,
            "truth": case.truth if case.truth is None else dict(case.truth),
            "extras": dict(case.extras),
        }
    )


def cases_of(
    paths: StudyPaths, model: Mapping[str, Any], block: Block, client: Any = None
) -> dict[int, Case]:
    """What the fits of a block see, by replicate.

    Raises
    ------
    EmlibError
        If the block's data or masks are not there, or do not fit together.
    """
    data_path = paths.data(block.dataset, block.block)
    mask_path = paths.mask(block.dataset, block.missingness, block.block)
    for path in (data_path, mask_path):
        if not path.is_file():
            raise EmlibError(f"{path}: no such file; the rules `data` and `masks` write it")
    data, masks = load_npz(data_path), load_npz(mask_path)
    truth = truth_of(data)
    cases = {}
    for r in block.replicates:
        for path, arrays, name in (
            (data_path, data, f"values_{r}"),
            (mask_path, masks, f"hidden_{r}"),
        ):
            if name not in arrays:
                raise EmlibError(f"{path}: holds no {name}; delete it and run again")
        cases[r] = Case(
            data[f"values_{r}"],
            masks[f"hidden_{r}"],
            data.get(f"labels_{r}"),
            truth,
            model["family"],
            model["settings"],
            extras_of(data, r),
            client,
        )
    return cases
