"""A dataset of a configuration: checked, described and drawn from one plain mapping of settings."""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from emlib.datasets.censored_normal import CensoredNormalGenerator
from emlib.datasets.csvfile import read_csv
from emlib.datasets.dataset import Dataset, DatasetInfo, Truth
from emlib.datasets.discrete_mixtures import (
    BernoulliMixtureGenerator,
    LatentClassGenerator,
    PoissonMixtureGenerator,
)
from emlib.datasets.factors import FactorAnalysisGenerator, MixtureOfFactorAnalyzersGenerator
from emlib.datasets.family import Generator
from emlib.datasets.gaussian_mixture import GaussianMixtureGenerator
from emlib.datasets.grouped_multinomial import GroupedMultinomialGenerator
from emlib.datasets.hmm import (
    CategoricalHMMGenerator,
    GaussianHMMGenerator,
    MixtureHMMGenerator,
    PoissonHMMGenerator,
)
from emlib.datasets.imaging import GaussianImageGenerator, RotatingVideoGenerator
from emlib.datasets.multivariate_normal import MultivariateNormalGenerator
from emlib.datasets.naming import Mistakes, unknown_name
from emlib.datasets.regression_mixture import (
    PoissonRegressionMixtureGenerator,
    RegressionMixtureGenerator,
)
from emlib.datasets.settings import check_settings, with_defaults
from emlib.datasets.state_space import StateSpaceGenerator
from emlib.datasets.student_mixture import StudentMixtureGenerator
from emlib.datasets.tables import TABLES, load_table
from emlib.datasets.uvfile import FILE_SETTINGS, is_paths, load_visibilities
from emlib.datasets.zero_inflated_poisson import ZeroInflatedPoissonGenerator
from emlib.errors import ConfigError

GENERATORS: dict[str, Generator] = {
    generator.family: generator
    for generator in (
        # one line a family; family.py says how to write one
        GaussianMixtureGenerator(),
        StudentMixtureGenerator(),
        FactorAnalysisGenerator(),
        MixtureOfFactorAnalyzersGenerator(),
        RegressionMixtureGenerator(),
        PoissonRegressionMixtureGenerator(),
        PoissonMixtureGenerator(),
        BernoulliMixtureGenerator(),
        LatentClassGenerator(),
        GaussianHMMGenerator(),
        PoissonHMMGenerator(),
        CategoricalHMMGenerator(),
        MixtureHMMGenerator(),
        StateSpaceGenerator(),
        CensoredNormalGenerator(),
        GroupedMultinomialGenerator(),
        ZeroInflatedPoissonGenerator(),
        MultivariateNormalGenerator(),
        GaussianImageGenerator(),
        RotatingVideoGenerator(),
    )
}

DATASET_KEYS: dict[str, tuple[str, ...]] = {
    "table": (),
    "csv": ("columns", "label", "covariates", "upper", "sequence"),
    "visibilities": tuple(FILE_SETTINGS),
    "generator": tuple(sorted({key for g in GENERATORS.values() for key in g.schema})),
}
"""The kinds of dataset, and the other settings that each takes."""


def check_spec(spec: Mapping[str, Any]) -> Mistakes:
    """Find every mistake in a dataset's settings, without reading or drawing anything.

    Parameters
    ----------
    spec : mapping
        Exactly one of ``{table: name}``, ``{csv: path, columns: [...], label: name, ...}``,
        ``{visibilities: [path, ...], ...}`` and ``{generator: name, ...}`` with the generator's
        settings.

    Returns
    -------
    list of (path, message)
        ``path`` is relative to the dataset (``overlap.mean``), empty for the whole of it.
    """
    if not isinstance(spec, Mapping):
        return [("", f"{spec!r} is not a mapping with one of the keys {_KINDS}")]
    kinds = [kind for kind in DATASET_KEYS if kind in spec]
    if len(kinds) != 1:
        return _without_kind(spec, kinds)
    kind = kinds[0]
    if kind == "generator":
        name = spec[kind]
        if not (isinstance(name, str) and name in GENERATORS):
            return [("generator", unknown_name(name, GENERATORS, "generator"))]
        settings = {key: value for key, value in spec.items() if key != "generator"}
        return GENERATORS[name].check(settings)
    mistakes = [
        (str(key), unknown_name(key, (kind, *DATASET_KEYS[kind]), "key", f"a {kind!r} dataset"))
        for key in spec
        if key != kind and key not in DATASET_KEYS[kind]
    ]
    if kind == "table":
        name = spec[kind]
        if not (isinstance(name, str) and name in TABLES):
            mistakes.append(("table", unknown_name(name, TABLES, "table")))
        return mistakes
    if kind == "visibilities":
        given = {key: value for key, value in spec.items() if key in FILE_SETTINGS}
        if not is_paths(spec[kind]):
            mistakes.append((kind, f"{spec[kind]!r} is not the path of a file, nor a list of some"))
        return mistakes + check_settings(given, FILE_SETTINGS, "a 'visibilities' dataset")
    return mistakes + _check_csv(spec)


def describe_dataset(spec: Mapping[str, Any]) -> DatasetInfo:
    """Say how large a dataset is; reads a CSV file, draws nothing.

    Raises
    ------
    ConfigError
        If the settings are wrong; the text lists every mistake.
    InvalidData
        If the CSV file cannot be used.
    """
    _require_sound(spec)
    if "generator" in spec:
        return GENERATORS[spec["generator"]].describe(spec)
    if "table" in spec:
        table = TABLES[spec["table"]]
        observed = (table.n,) * table.d
        classes = len(table.classes) or None
        return DatasetInfo(table.n, table.d, table.columns, classes, False, observed)
    data = _loaded(spec)
    n, d = data.values.shape
    classes = None if data.labels is None else int(data.labels.max()) + 1
    counts = tuple(int(count) for count in (~np.isnan(data.values)).sum(axis=0))
    return DatasetInfo(n, d, data.columns, classes, False, counts, tuple(data.extras))


def _loaded(spec: Mapping[str, Any]) -> Dataset:
    if "table" in spec:
        return load_table(spec["table"])
    if "visibilities" in spec:
        return load_visibilities(spec["visibilities"], **with_defaults(spec, FILE_SETTINGS))
    given = {key: spec[key] for key in DATASET_KEYS["csv"] if spec.get(key) is not None}
    return read_csv(spec["csv"], **given)


def draw_dataset(
    spec: Mapping[str, Any],
    parameter_rng: np.random.Generator | None = None,
    row_rng: np.random.Generator | None = None,
    truth: Truth | None = None,
) -> Dataset:
    """Draw one replicate of a dataset, or load it where it is a real table.

    Parameters
    ----------
    spec : mapping
        As in :func:`check_spec`.
    parameter_rng : numpy.random.Generator
        Keyed without the replicate: all replicates come from the same parameters. Generators only.
    row_rng : numpy.random.Generator
        Keyed with the replicate. Generators only.
    truth : dict, optional
        Parameters that :func:`draw_truth` drew before, instead of drawing them again.

    Raises
    ------
    ConfigError
        If the settings are wrong, or the wanted overlap is not attained.
    InvalidData
        If a table cannot be read.
    """
    _require_sound(spec)
    if "generator" not in spec:
        return _loaded(spec)
    generator = GENERATORS[spec["generator"]]
    with _within_memory():
        if truth is None and parameter_rng is not None:
            truth = generator.draw_truth(spec, parameter_rng)
        if truth is None or row_rng is None:
            raise ConfigError("a generated dataset needs parameter_rng (or its truth) and row_rng")
        return generator.draw_rows(spec, truth, row_rng)


def draw_truth(spec: Mapping[str, Any], parameter_rng: np.random.Generator) -> Truth | None:
    """Draw only a generator's parameters, as ``Dataset.truth`` has them; None for a real table."""
    _require_sound(spec)
    if "generator" not in spec:
        return None
    with _within_memory():
        return GENERATORS[spec["generator"]].draw_truth(spec, parameter_rng)


@contextmanager
def _within_memory() -> Iterator[None]:
    """Say of what no array can hold that it is too large."""
    try:
        yield
    except (MemoryError, OverflowError, ValueError) as error:
        too_large = re.search("too (big|large)|[Mm]aximum (allowed|supported)", str(error))
        if not too_large and not isinstance(error, MemoryError):
            raise
        raise ConfigError(f"is too large for this machine's memory ({error})") from None


def source_files(spec: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the files on disk that a dataset is read from, as its settings write them."""
    given = next((spec[key] for key in ("csv", "visibilities", "coverage") if spec.get(key)), ())
    return (given,) if isinstance(given, str) else tuple(given)


_KINDS = ", ".join(DATASET_KEYS)


def _without_kind(spec: Mapping[str, Any], kinds: list[str]) -> Mistakes:
    if kinds:
        return [("", f"has {' and '.join(kinds)}; exactly one of {_KINDS} is allowed")]
    message = f"has none of the keys {_KINDS}; exactly one is needed"
    for key in spec:
        if "did you mean" in unknown_name(key, DATASET_KEYS, "key"):
            return [("", message), (str(key), unknown_name(key, DATASET_KEYS, "key"))]
    return [("", message)]


def _check_csv(spec: Mapping[str, Any]) -> Mistakes:
    mistakes: Mistakes = []
    if not (isinstance(spec["csv"], str) and spec["csv"]):
        mistakes.append(("csv", f"{spec['csv']!r} is not the path of a file"))
    used: dict[str, str] = {}
    for key in DATASET_KEYS["csv"]:
        given = spec.get(key)
        if given is None:
            continue
        if key in ("label", "sequence"):
            if not isinstance(given, str):
                mistakes.append((key, f"{given!r} is not the name of a column"))
                continue
            names = [given]
        else:
            names = list(given) if isinstance(given, list | tuple) else []
            if not names or not all(isinstance(name, str) for name in names):
                mistakes.append((key, f"{given!r} is not a list of column names"))
                continue
            if len(set(names)) < len(names):
                mistakes.append((key, f"{names} names a column twice"))
        for name in dict.fromkeys(names):
            if name in used:
                mistakes.append((key, f"{name!r} is also among the {used[name]}"))
            used.setdefault(name, _CSV_ROLES[key])
    return mistakes


_CSV_ROLES = {
    "columns": "measurement columns",
    "label": "labels",
    "covariates": "covariates",
    "upper": "upper ends",
    "sequence": "names of sequences",
}


def _require_sound(spec: Mapping[str, Any]) -> None:
    mistakes = check_spec(spec)
    if mistakes:
        raise ConfigError(
            "\n".join(
                f"dataset {path}: {text}" if path else f"dataset {text}" for path, text in mistakes
            )
        )
