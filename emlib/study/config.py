"""The config file of a study: one typed schema, every mistake at once, one resolved form.

``load_config`` reads and checks; ``Config.resolved`` is what ``study.json`` holds and jobs read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from emlib.errors import ConfigError, EmlibError
from emlib.study import components
from emlib.study.component_checks import check_axes
from emlib.study.mistakes import Mistakes, check_id, unknown
from emlib.study.permission import NotAllowed
from emlib.study.plugins import load_plugins
from emlib.study.yamlfile import parse_yaml, read_yaml
from emlib.tracking.location import masked, written_secret

RESERVED = ("readme.md", "mlflow.db", "mlflow.db.lock", "mlflow-files", "store")
"""Names that ``results/`` uses itself, so that no study may have them, in whatever case."""

Whole = Annotated[int, Field(ge=1)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Axis = dict[str, dict[str, Any] | None]
Ids = Annotated[list[str], BeforeValidator(lambda ids: [ids] if isinstance(ids, str) else ids)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Stopping(_Section):
    """When a climb has arrived."""

    tol: Annotated[
        float,
        Field(
            ge=0,
            allow_inf_nan=False,
            description="Predicted remaining gain, in nats, below which a climb has converged.",
        ),
    ] = 1e-3
    max_iter: Annotated[Whole, Field(description="Most iterations of a climb.")] = 1000
    absolute_change: Annotated[
        Positive | None, Field(description="Gain of the objective by one iteration, in nats.")
    ] = None
    relative_change: Annotated[
        Positive | None, Field(description="The same as a share of the objective.")
    ] = None
    parameter_change: Annotated[
        Positive | None,
        Field(description="Euclidean length of one iteration's step in natural coordinates."),
    ] = None
    gradient: Annotated[
        Positive | None,
        Field(description="Largest entry of the gradient, in standard errors of complete data."),
    ] = None
    combine: Annotated[
        Literal["any", "all"], Field(description="Whether one of these rules is enough.")
    ] = "any"


class Budget(_Section):
    """What one fit may spend."""

    e_steps: Annotated[
        Positive | None,
        Field(description="Passes over all data, the init's own included; null: no limit."),
    ] = None
    seconds: Annotated[
        Positive | None,
        Field(description="Soft limit; results then depend on the machine's speed."),
    ] = None
    hard_seconds: Annotated[
        Positive, Field(description="A fit that runs longer is killed (status timeout).")
    ] = 60.0


class Reference(_Section):
    """The search for the reference optimum of each data set."""

    starts: Annotated[Whole, Field(description="Mixed starts.")] = 20
    e_steps: Annotated[
        Positive, Field(description="Passes over all data, all its starts together.")
    ] = 5000.0


def _no_secret(uri: str) -> str:
    if fault := written_secret(uri):
        raise ValueError(fault)
    return uri


class Tracking(_Section):
    """The mirror into MLflow."""

    uri: Annotated[
        Annotated[str, AfterValidator(_no_secret)] | None,
        Field(description="Tracking URI, secrets as $NAME; null: the file results/mlflow.db."),
    ] = None
    runs: Annotated[
        Literal["best", "all", "none"],
        Field(description="Runs for the best start of each replicate, all fits, or none."),
    ] = "best"


class Config(_Section):
    """One study: a grid, a seed, a name."""

    study: str = Field(description="Name of the study and of its folder in results/.")
    seed: Annotated[int, Field(ge=0)] = Field(description="The one seed of every draw.")
    plugins: list[str] = Field(
        default_factory=list,
        description="Python files with inits, models or algorithms of your own, allowed before.",
    )
    datasets: Annotated[Axis, Field(min_length=1)] = Field(
        description="Id -> {table: ...}, {csv: ...} or {generator: ...}."
    )
    missingness: Annotated[list[dict[str, Any]], Field(min_length=1)] = Field(
        default=[{"mechanism": "none"}],
        description="Mechanisms, each at one rate or at a list of rates.",
    )
    models: Annotated[Axis, Field(min_length=1)] = Field(
        description="Id -> {family: ...} and the family's settings."
    )
    inits: Annotated[Axis, Field(min_length=1)] = Field(
        description="Id -> settings; the id is the strategy unless `init:` names one."
    )
    algorithms: Annotated[Axis, Field(min_length=1)] = Field(
        default={"em": None},
        description="Id -> settings; the id is the algorithm unless `algorithm:` names one.",
    )
    exclude: list[dict[str, Ids]] = Field(
        default_factory=list, description="Combinations that are not run: axis -> id or ids."
    )
    replicates: Whole = Field(20, description="Draws of each dataset and of its missing cells.")
    restarts: Whole = Field(5, description="Starts that each init gets on each replicate.")
    block_size: Whole = Field(
        10, description="Replicates in one job; frozen by the study's first plan."
    )
    baseline: str = Field("random", description="Id of the init that the others are compared to.")
    stopping: Stopping = Stopping()
    budget: Budget = Budget()
    reference: Reference = Reference()
    hit_tolerance: Positive = Field(
        1e-3, description="A fit within so many nats of the reference is a hit."
    )
    keep_params: Literal["best", "all", "none"] = Field(
        "best", description="Fits whose start and end parameters are kept."
    )
    tracking: Tracking = Tracking()
    strict: bool = Field(
        False,
        description="Exit with an error if a fit is failed, lost, timeout, invalid or decreased.",
    )

    def resolved(self) -> dict[str, Any]:
        """The study with every default filled in, as plain data: what ``study.json`` holds."""
        study = self.model_dump(mode="json")
        study["missingness"] = components.missingness_axis(self.missingness)
        study["models"] = components.resolved_axis("models", self.models)
        study["inits"] = components.resolved_axis("inits", self.inits)
        study["algorithms"] = components.resolved_axis("algorithms", self.algorithms)
        study["exclude"] = [
            {axis: components.expand_ids(axis, ids, study) for axis, ids in line.items()}
            for line in self.exclude
        ]
        return study


def load_config(
    path: Path,
    overrides: Mapping[str, Any] | None = None,
    look_at_data: Callable[[Mapping[str, Any], Mistakes], None] | None = None,
) -> Config:
    """Read and check a study's config file.

    Parameters
    ----------
    path : Path
        A YAML file.
    overrides : mapping, optional
        Values that go over the file's; a mapping is merged into the file's, key by key.
    look_at_data : callable, optional
        Called if there are mistakes, with ``datasets``, to add what is wrong with the data as well.

    Returns
    -------
    Config
        Checked as far as it can be without looking at any data (see ``emlib.study.checks``).

    Raises
    ------
    ConfigError
        Its text lists every mistake, one a line: file, place, what was found, what is allowed.
    """
    name = file_name(path)
    mistakes = Mistakes(name)
    values, mistakes.lines = read_yaml(Path(path), name)
    raw = merge(values, overrides or {})
    _load_plugins(raw.get("plugins"), mistakes)
    config = None
    try:
        config = Config.model_validate(raw)
    except ValidationError as error:
        mistakes.add_pydantic(error, known_keys)
    _check_names(raw, mistakes)
    check_axes(raw, mistakes)
    _check_references(raw, mistakes)
    datasets = raw.get("datasets")
    if mistakes.lines and look_at_data is not None and isinstance(datasets, Mapping):
        look_at_data(datasets, mistakes)
    mistakes.raise_if_any()
    assert config is not None
    return config


def _load_plugins(files: Any, mistakes: Mistakes) -> None:
    """Components of one's own must be known before the config is checked against the registries.

    What is not allowed ends the check: every component of that file would be called unknown.
    """
    refused = False
    for i, file in enumerate(files if isinstance(files, list) else []):
        if isinstance(file, str):
            try:
                load_plugins([file])
            except EmlibError as error:
                refused = refused or isinstance(error, NotAllowed)
                mistakes.add(("plugins", i), str(error))
    if refused:
        mistakes.raise_if_any()


def parse_overrides(arguments: list[str]) -> dict[str, Any]:
    """``["replicates=3", "budget={e_steps: 10}"]`` -> values, read as the config file's are."""
    values: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals:
            raise ConfigError(f"--config {masked(argument)}: expected key=value")
        value, mistakes = parse_yaml(text, f"--config {key.strip()}")
        if mistakes:
            raise ConfigError("\n".join(mistakes))
        values = merge(values, {key.strip(): value})
    return values


def merge(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """``over`` on ``base``: mappings are merged key by key, everything else is replaced."""
    result = dict(base)
    for key, value in over.items():
        old = result.get(key)
        both = isinstance(old, Mapping) and isinstance(value, Mapping)
        result[key] = merge(old, value) if both else value  # type: ignore[arg-type]
    return result


def file_name(path: Path) -> str:
    """The path as errors show it: relative where it lies below the working folder."""
    path = Path(path).absolute()
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def known_keys(place: list[str | int]) -> list[str]:
    """Keys allowed at a place of the config."""
    model: Any = Config
    for part in place:
        field = getattr(model, "model_fields", {}).get(part)
        model = field.annotation if field is not None else None
    return list(getattr(model, "model_fields", {}))


def _check_names(raw: Mapping[str, Any], mistakes: Mistakes) -> None:
    """Ids become file names, on some systems without regard to case."""
    study = raw.get("study")
    if isinstance(study, str):
        check_id(("study",), study, mistakes)
        if study.lower() in RESERVED:
            mistakes.add(("study",), f"{study!r} is a name that results/ uses itself")
    for section in ("datasets", "models", "inits", "algorithms"):
        if isinstance(raw.get(section), Mapping):
            alike: dict[str, str] = {}
            for key in raw[section]:
                check_id((section,), key, mistakes)
                first = alike.setdefault(key.lower(), key)
                if first != key:
                    mistakes.add((section, key), f"differs from {first!r} in nothing but case")


def _check_references(raw: Mapping[str, Any], mistakes: Mistakes) -> None:
    """The baseline and the lines of ``exclude`` name things that exist."""
    inits = raw.get("inits")
    baseline = raw.get("baseline", "random")
    if isinstance(inits, Mapping) and isinstance(baseline, str):
        if baseline not in inits:
            mistakes.add(("baseline",), unknown(baseline, inits, "init"))
        elif components.is_oracle(baseline, inits[baseline]):
            mistakes.add(("baseline",), f"{baseline!r} starts from the truth: not a competitor")
    lines = raw.get("exclude")
    for i, line in enumerate(lines if isinstance(lines, list) else []):
        if not isinstance(line, Mapping):
            continue
        if not line:
            mistakes.add(("exclude", i), "empty; it would exclude everything")
        for axis, ids in line.items():
            allowed = components.ids_of_axis(axis, raw)
            if allowed is None:
                mistakes.add(("exclude", i, axis), unknown(axis, components.SECTIONS, "axis"))
                continue
            for one in ids if isinstance(ids, list) else [ids]:
                if isinstance(one, str) and one not in allowed:
                    mistakes.add(("exclude", i, axis), unknown(one, allowed, axis))
