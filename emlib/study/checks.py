"""Checks of a study against its data: what no fit could do anything about is a config error.

Only the data themselves count here, and whether what is combined can work at all. Where drawn holes
make a fit impossible, that fit is a row with status ``invalid`` and the study goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from emlib.datasets import Dataset, check_mechanism, check_spec, describe_dataset
from emlib.datasets.dataset import DatasetInfo, Truth
from emlib.errors import EmlibError
from emlib.study import components, grid, identity
from emlib.study.component_checks import place_of
from emlib.study.config import Config, file_name, load_config
from emlib.study.datafiles import draw_replicate, study_truth
from emlib.study.engines import check_engines
from emlib.study.mistakes import Mistakes

DRAWS = 3
"""Replicates of a generated dataset that a model must all be unable to take, to be a mistake."""


def checked_study(path: Path, overrides: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read a config file, check it against its data, and resolve it.

    Returns
    -------
    dict
        ``Config.resolved()`` with ``truths`` (dataset -> models that its truth is a start of).

    Raises
    ------
    ConfigError
        Its text lists every mistake, one a line.
    """
    config = load_config(path, overrides, _look)
    mistakes = Mistakes(file_name(path))
    study = config.resolved()
    _check_alike(study, mistakes)
    infos = _describe(study, mistakes)
    truths = _draw_truths(study, infos, mistakes)
    study["truths"] = _accepted(study, truths)
    cells = grid.entries(study)
    if not cells:
        mistakes.add(("exclude",), "every combination is excluded; nothing is left to run")
    _check_holes(config, study, infos, mistakes)
    _check_models(study, infos, truths, {(cell.dataset, cell.model) for cell in cells}, mistakes)
    _check_starts(study, cells, mistakes)
    _check_algorithms(study, cells, mistakes)
    check_engines(study, cells, mistakes)
    _check_inits(study, infos, cells, mistakes)
    mistakes.raise_if_any()
    return study


def _check_alike(study: dict[str, Any], mistakes: Mistakes) -> None:
    """Identity knows settings, not ids: two ids of the same settings would be one cell twice."""
    for section in components.SECTIONS.values():
        first: dict[str, str] = {}
        for key, spec in study[section].items():
            other = first.setdefault(identity.digest(spec), key)
            if other != key:
                text = "has the same settings, and would be the same cells again"
                mistakes.add((section, key), f"{other!r} {text}; remove one of the two")


def _look(datasets: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Tables that cannot be used, of a config that has other mistakes too."""
    for name, spec in datasets.items():
        if not isinstance(spec, Mapping) or check_spec(spec):
            continue
        try:
            describe_dataset(spec)
        except EmlibError as error:
            for line in str(error).splitlines():
                mistakes.add(("datasets", name), line)


def _describe(study: dict[str, Any], mistakes: Mistakes) -> dict[str, DatasetInfo]:
    infos = {}
    for name, spec in study["datasets"].items():
        try:
            infos[name] = describe_dataset(spec)
        except EmlibError as error:
            for line in str(error).splitlines():
                mistakes.add(("datasets", name), line)
    return infos


def _draw_truths(
    study: dict[str, Any], infos: Mapping[str, DatasetInfo], mistakes: Mistakes
) -> dict[str, Truth]:
    """The parameters that each generated dataset has in this study."""
    truths = {}
    for name in infos:
        try:  # a generator may find only by drawing that what is wanted is out of reach
            truth = study_truth(study["seed"], study["datasets"][name])
        except EmlibError as error:
            for line in str(error).splitlines():
                mistakes.add(("datasets", name), line)
        else:
            if truth is not None:
                truths[name] = truth
    return truths


def _accepted(study: dict[str, Any], truths: Mapping[str, Truth]) -> dict[str, list[str]]:
    """Models whose parameters a generator's parameters are."""
    models = {key: _model(model) for key, model in sorted(study["models"].items())}
    return {
        dataset: [key for key, model in models.items() if model.accepts_truth(truth)]
        for dataset, truth in truths.items()
    }


def _model(resolved: Mapping[str, Any]) -> Any:
    from emlib.models import make_model

    return make_model(resolved["family"], resolved["settings"])


def _check_holes(
    config: Config,
    study: dict[str, Any],
    infos: Mapping[str, DatasetInfo],
    mistakes: Mistakes,
) -> None:
    """A mechanism may be impossible on some table: MAR on one column, a rate out of reach."""
    combinations = list(product(study["models"], study["inits"], study["algorithms"]))
    for i, line in enumerate(config.missingness):
        settings = {k: v for k, v in line.items() if k not in ("mechanism", "rate", "id")}
        for dataset, info in infos.items():
            ids = [
                components.missingness_id({**line, "rate": rate}) for rate in components.rates(line)
            ]
            wanted = [
                rate
                for rate, key in zip(components.rates(line), ids, strict=True)
                if not all(grid.excluded(study, dataset, key, *rest) for rest in combinations)
            ]
            if not wanted:
                continue
            found = check_mechanism(
                line["mechanism"],
                settings,
                wanted,
                columns=info.columns,
                observed=info.observed,
                n=info.n,
                extras=info.extras,
            )
            for place, text in found:
                where = place_of(place.split("[")[0])
                mistakes.add(["missingness", i, *where], f"dataset {dataset!r}: {text}")


def _check_models(
    study: dict[str, Any],
    infos: Mapping[str, DatasetInfo],
    truths: Mapping[str, Truth],
    pairs: set[tuple[str, str]],
    mistakes: Mistakes,
) -> None:
    """A model may be unable to take a dataset before any hole is drawn."""
    for dataset, info in infos.items():
        if info.synthetic and dataset not in truths:
            continue
        models = []
        for model in sorted(model for name, model in pairs if name == dataset):
            lacking = _lacking(study, infos, dataset, model)
            if lacking:
                mistakes.add(("models", model), lacking)
            else:
                models.append(model)
        if not models:
            continue
        try:
            draws = [
                draw_replicate(study["seed"], study["datasets"][dataset], r, truths.get(dataset))
                for r in range(min(DRAWS, study["replicates"]) if info.synthetic else 1)
            ]
        except EmlibError as error:
            mistakes.add(("datasets", dataset), str(error))
            continue
        for model in models:
            wrong = [_unfit(study["models"][model], data) for data in draws]
            if all(wrong):  # what befalls one draw alone is a row with status `invalid`
                text = f"cannot be fitted to dataset {dataset!r}: {wrong[0]} (see exclude)"
                mistakes.add(("models", model), text)


def _lacking(
    study: dict[str, Any], infos: Mapping[str, DatasetInfo], dataset: str, model: str
) -> str:
    """What a model reads that a dataset does not have; empty if nothing."""
    family = study["models"][model]["family"]
    needs = components.registry("models")[family].needs
    missing = [name for name in needs if name not in infos[dataset].extras]
    if not missing:
        return ""
    have = [name for name, info in infos.items() if set(needs) <= set(info.extras)]
    others = ", ".join(map(repr, have)) if have else "none of this study's"
    return (
        f"{family} needs {' and '.join(missing)}, which dataset {dataset!r} does not have; "
        f"datasets that would do: {others} (see exclude)"
    )


def _unfit(model: Mapping[str, Any], data: Dataset) -> str:
    """Why a model cannot take a draw of a dataset; empty if it can."""
    family = components.registry("models")[model["family"]]
    try:
        _model(model).prepare(family.view(data.values, **data.extras))
    except EmlibError as error:
        return str(error)
    return ""


def _check_starts(study: dict[str, Any], cells: list[grid.Entry], mistakes: Mistakes) -> None:
    """An init may build on what a model does not have."""
    inits = _inits(study)
    for key, model in sorted({(cell.init, cell.model) for cell in cells}):
        built = _model(study["models"][model])
        lacking = inits[key].lacks(built)
        if lacking:
            able = [other for other, init in inits.items() if not init.lacks(built)]
            mistakes.add(
                ("inits", key),
                f"init {study['inits'][key]['init']!r} needs {' and '.join(lacking)}, which model "
                f"{model!r} ({built.family}) does not have; inits that can start it: "
                f"{', '.join(able) or 'none of this study'} (see exclude)",
            )


def _check_algorithms(study: dict[str, Any], cells: list[grid.Entry], mistakes: Mistakes) -> None:
    """An algorithm may need what a model does not have."""
    from emlib.algorithms import make_algorithm

    algorithms = {
        key: make_algorithm(one["algorithm"], one["settings"])
        for key, one in study["algorithms"].items()
    }
    for key, name in sorted({(cell.algorithm, cell.model) for cell in cells}):
        model = _model(study["models"][name])
        why = algorithms[key].unable(model)
        if why:
            able = [other for other, one in algorithms.items() if not one.unable(model)]
            mistakes.add(
                ("algorithms", key),
                f"{algorithms[key].name} cannot climb model {name!r} ({model.family}): {why}; "
                f"algorithms that can: {', '.join(able) or 'none of this study'} (see exclude)",
            )


def _check_inits(
    study: dict[str, Any],
    infos: Mapping[str, DatasetInfo],
    cells: list[grid.Entry],
    mistakes: Mistakes,
) -> None:
    """An init that cannot start on holes, or on so many columns, must not be asked to."""
    inits = _inits(study)
    holed = {
        (cell.init, cell.dataset): cell.missingness
        for cell in reversed(cells)
        if cell.dataset in infos and _has_holes(study, infos, cell)
    }
    for key, dataset in sorted({(cell.init, cell.dataset) for cell in cells}):
        if dataset not in infos:
            continue
        init, name, d = inits[key], study["inits"][key]["init"], infos[dataset].d
        if init.holes == "no" and (key, dataset) in holed:
            mistakes.add(
                ("inits", key),
                f"init {name!r} cannot start on data with holes, which dataset {dataset!r} "
                f"has under {holed[key, dataset]!r} (see exclude)",
            )
        if init.columns not in (None, d):
            columns = f"{init.columns} column{'s' if init.columns != 1 else ''}"
            mistakes.add(
                ("inits", key),
                f"init {name!r} is for {columns}, and dataset {dataset!r} has {d} (see exclude)",
            )


def _has_holes(study: dict[str, Any], infos: Mapping[str, DatasetInfo], cell: grid.Entry) -> bool:
    info = infos[cell.dataset]
    own = any(count < info.n for count in info.observed)
    return own or study["missingness"][cell.missingness]["rate"] > 0


def _inits(study: dict[str, Any]) -> dict[str, Any]:
    from emlib.inits import make_init

    return {key: make_init(one["init"], one["settings"]) for key, one in study["inits"].items()}
