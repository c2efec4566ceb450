"""JSON Schema of a config file, for editors: the typed schema, and what the registries allow."""

from __future__ import annotations

import json
from typing import Any

from pydantic import TypeAdapter

from emlib.datasets import DATASET_KEYS, GENERATORS, MECHANISMS, TABLES
from emlib.datasets.settings import REQUIRED, Setting
from emlib.datasets.uvfile import FILE_SETTINGS
from emlib.inits import INITS
from emlib.study import components
from emlib.study.config import Config
from emlib.study.engines import ENGINES, MEMORY
from emlib.study.mistakes import ID

Schema = dict[str, Any]


def schema_text() -> str:
    """The schema as ``emlib schema`` prints it and ``docs/config.schema.json`` holds it."""
    return json.dumps(config_schema(), indent=2, ensure_ascii=False) + "\n"


def config_schema() -> Schema:
    """Schema of the whole file."""
    schema = Config.model_json_schema()
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    schema["title"] = "A study of emlib"
    properties = schema["properties"]
    identifier = {"pattern": f"^{ID.pattern}$"}
    properties["study"].update(identifier)
    properties["datasets"].update(additionalProperties=_datasets(), propertyNames=identifier)
    properties["missingness"]["items"] = _missingness()
    for section in ("models", "inits", "algorithms"):
        properties[section].update(_axis(section), propertyNames=identifier)
    schema["$defs"]["init"] = {"anyOf": [_named("inits", name) for name in INITS]}
    ids = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
    properties["exclude"]["items"] = _object(dict.fromkeys(components.SECTIONS, ids))
    return schema


def _object(properties: Schema, required: list[str] | None = None) -> Schema:
    schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**schema, "required": required} if required else schema


def _datasets() -> Schema:
    name = {"type": "string"}
    strings = {"type": "array", "items": name}
    table = {"enum": list(TABLES), "description": "A real table that comes with emlib."}
    csv = {"type": "string", "description": "Path of a CSV file, from the working folder."}
    files = {
        "anyOf": [name, {**strings, "minItems": 1}],
        "description": "Visibilities as the Event Horizon Telescope's data releases have them.",
    }
    parts = {key: _generator_setting(setting) for key, setting in FILE_SETTINGS.items()}
    own = {key: name if key in ("label", "sequence") else strings for key in DATASET_KEYS["csv"]}
    kinds = [
        _object({"table": table}, ["table"]),
        _object({"csv": csv, **own}, ["csv"]),
        _object({"visibilities": files, **parts}, ["visibilities"]),
    ]
    for family, generator in GENERATORS.items():
        settings = {key: _generator_setting(setting) for key, setting in generator.schema.items()}
        needed = [key for key, one in generator.schema.items() if one.default is REQUIRED]
        kinds.append(_object({"generator": {"const": family}, **settings}, ["generator", *needed]))
    return {"anyOf": kinds}


def _generator_setting(setting: Setting) -> Schema:
    if setting.default is REQUIRED:
        return dict(setting.schema)
    if setting.default is None:
        return {"anyOf": [{"type": "null"}, dict(setting.schema)], "default": None}
    return {**setting.schema, "default": setting.default}


def _missingness() -> Schema:
    rate = {"type": "number", "minimum": 0, "exclusiveMaximum": 1}
    rates = {"anyOf": [rate, {"type": "array", "items": rate, "minItems": 1}]}
    lines = []
    for name, mechanism in MECHANISMS.items():
        own: Schema = {"mechanism": {"const": name}, "id": {"type": "string"}}
        needed = [key for key, one in mechanism.schema.items() if one.default is REQUIRED]
        required = ["mechanism", *needed]
        if mechanism.rated:
            own["rate"] = rates
            required.append("rate")
        lines.append(_object({**own, **_settings(mechanism)}, required))
    return {"anyOf": lines}


def _axis(section: str) -> Schema:
    """Ids that are names in the registry need not say which; other ids must."""
    named_by = components.NAMED_BY[section]
    own, other = {}, []
    for name, entry in components.registry(section).items():
        if section != "inits":
            other.append(_named(section, name))
        if not _needed(entry):
            settings = _settings(entry)
            short = _object({named_by: {"enum": list(components.registry(section))}, **settings})
            own[name] = {"description": _first_line(entry), "anyOf": [{"type": "null"}, short]}
    if section == "inits":
        other = [{"$ref": "#/$defs/init"}]
    schema: Schema = {"additionalProperties": {"anyOf": other}}
    return schema if section == "models" else {**schema, "properties": own}


def _named(section: str, name: str) -> Schema:
    """A component that says its name in the registry."""
    named_by, entry = components.NAMED_BY[section], components.registry(section)[name]
    full = {named_by: {"const": name}, **_settings(entry)}
    if section == "models":
        text = "Where the E-steps of its climbs run: in the job, or on workers of Dask."
        full["engine"] = {"enum": list(ENGINES), "default": MEMORY, "description": text}
    return {"description": _first_line(entry), **_object(full, [named_by, *_needed(entry)])}


def _needed(entry: Any) -> list[str]:
    schema = components.settings_of(entry)
    return [key for key, (_, default) in schema.items() if components.required(default)]


def _first_line(entry: Any) -> str:
    return str((entry.__doc__ or "").strip().splitlines()[0])


def _settings(entry: Any) -> Schema:
    properties = {}
    bases = components.bases_of(entry)
    for key, (kind, default) in components.settings_of(entry).items():
        schema = TypeAdapter(kind).json_schema()
        if key in bases:
            schema = {"anyOf": [{"type": "null"}, {"type": "string"}, {"$ref": "#/$defs/init"}]}
        if not components.required(default):
            schema["default"] = default
        properties[key] = schema
    return properties
