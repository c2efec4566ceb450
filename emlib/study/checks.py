"""Checks of a study against its data: what no fit could do anything about is a config error.

Only the tables themselves count here. Where drawn holes make a fit impossible, that fit is a row
with status ``invalid`` and the study goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import product
from pathlib import Path
from typing import Any

from emlib.datasets import check_mechanism, check_spec, describe_dataset, draw_dataset, draw_truth
from emlib.datasets.dataset import DatasetInfo
from emlib.errors import EmlibError
from emlib.study import components, grid, identity
from emlib.study.component_checks import place_of
from emlib.study.config import Config, file_name, load_config
from emlib.study.mistakes import Mistakes


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
    study["truths"] = _truths(study, infos)
    cells = grid.entries(study)
    if not cells:
        mistakes.add(("exclude",), "every combination is excluded; nothing is left to run")
    _check_holes(config, study, infos, mistakes)
    _check_models(study, infos, {(cell.dataset, cell.model) for cell in cells}, mistakes)
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
            # a generator may find only by drawing that the overlap is out of reach
            draw_truth(spec, identity.rng(study["seed"], *identity.parameter_path(spec)))
        except EmlibError as error:
            for line in str(error).splitlines():
                mistakes.add(("datasets", name), line)
    return infos


def _truths(study: dict[str, Any], infos: Mapping[str, DatasetInfo]) -> dict[str, list[str]]:
    """Models whose parameters a generator's parameters are; judged by their shapes alone."""
    import numpy as np

    truths = {}
    for dataset, info in infos.items():
        if not info.synthetic or not info.n_labels:
            continue
        k, d = info.n_labels, info.d
        truth = {
            "weights": np.full(k, 1.0 / k),
            "means": np.zeros((k, d)),
            "covariances": np.tile(np.eye(d), (k, 1, 1)),
        }
        models = [
            key for key, model in study["models"].items() if _model(model).accepts_truth(truth)
        ]
        truths[dataset] = sorted(models)
    return truths


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
            found = check_mechanism(
                line["mechanism"], settings, wanted, info.d, info.columns, info.observed
            )
            for place, text in found:
                where = place_of(place.split("[")[0])
                mistakes.add(["missingness", i, *where], f"dataset {dataset!r}: {text}")


def _check_models(
    study: dict[str, Any],
    infos: Mapping[str, DatasetInfo],
    pairs: set[tuple[str, str]],
    mistakes: Mistakes,
) -> None:
    """A model may be unable to take a table before any hole is drawn."""
    import numpy as np

    from emlib.data.table import Table

    for dataset, info in infos.items():
        models = sorted(model for name, model in pairs if name == dataset)
        if info.synthetic:
            values = np.random.default_rng(0).standard_normal((info.n, info.d))
        else:
            values = draw_dataset(study["datasets"][dataset]).values
        table = Table.from_array(values)
        for model in models:
            try:
                _model(study["models"][model]).prepare(table)
            except EmlibError as error:
                text = f"cannot be fitted to dataset {dataset!r}: {error} (see exclude)"
                mistakes.add(("models", model), text)


def _check_inits(
    study: dict[str, Any],
    infos: Mapping[str, DatasetInfo],
    cells: list[grid.Entry],
    mistakes: Mistakes,
) -> None:
    """An init that cannot start on holes must not be asked to."""
    registry = components.registry("inits")
    told = set()
    for cell in cells:
        info = infos.get(cell.dataset)
        name = study["inits"][cell.init]["init"]
        if info is None or registry[name].holes != "no" or (cell.init, cell.dataset) in told:
            continue
        own_holes = any(count < info.n for count in info.observed)
        if own_holes or study["missingness"][cell.missingness]["rate"] > 0:
            told.add((cell.init, cell.dataset))
            mistakes.add(
                ("inits", cell.init),
                f"init {name!r} cannot start on data with holes, which dataset {cell.dataset!r} "
                f"has under {cell.missingness!r} (see exclude)",
            )
