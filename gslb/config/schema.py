"""The JSON Schema of gslb.yaml, for editors (`gslb schema`).

Knows: how the sections hang together; the flat parts come from the models that read them.
Refuses to know: what a schema cannot say (references, cycles, sums of weights). Invariant:
what the reader accepts, the schema accepts.
"""

from __future__ import annotations

from typing import Final

from gslb.config.checkmodel import MODELS
from gslb.config.model import (
    MAX_WEIGHT,
    ControlModel,
    DataCenterModel,
    EventsModel,
    ExpectationModel,
    Flat,
    GeoModel,
    OptionsModel,
    OverrideModel,
    ProbeModel,
    ServerModel,
    TokenModel,
    model_in,
)
from gslb.config.node import MAX_BIAS
from gslb.config.poolmodel import EndpointModel, PoolModel

Schema = dict[str, object]

_NODE: Final[Schema] = {"$ref": "#/$defs/node"}
_NODES: Final[Schema] = {"type": "array", "items": _NODE, "minItems": 1}
_WEIGHT: Final[Schema] = {"type": "integer", "minimum": 0, "maximum": MAX_WEIGHT}
_WEIGHTS: Final[Schema] = {"type": "object", "additionalProperties": _WEIGHT, "minProperties": 1}
_BIAS: Final[Schema] = {"type": "integer", "minimum": -MAX_BIAS, "maximum": MAX_BIAS}
_WORD: Final[Schema] = {"type": ["string", "number", "boolean"]}  # a pool may be named true
_WRITTEN_AS_READ: Final = (("integer", int), ("boolean", bool), ("string", str))


def schema() -> dict[str, object]:
    """JSON Schema, draft 2020-12."""
    sections: Schema = {
        "server": _object(ServerModel),
        "control": _object(ControlModel, {"tokens": _tokens()}),
        "zones": {"type": "string", "description": "the folder of the *.zone files"},
        "geo": _object(GeoModel, {"overrides": _named(_object(OverrideModel))}),
        "probe": _object(ProbeModel),
        "events": _object(EventsModel),
        "clients": _named({"type": "array", "items": {"type": "string"}}),
        "datacenters": _named(_object(DataCenterModel)),
        "checks": _named(_check()),
        "pools": _named(_pool()),
        "policies": _named(_policy()),
        "tests": {"type": ["array", "null"], "items": _object(ExpectationModel)},
        "defaults": _record(
            {
                "checks": _check(),
                "pools": _object(PoolModel),
                "policies": _object(OptionsModel),
            }
        ),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "gslb.yaml",
        **_record(sections),
        "$defs": {"node": _node()},
    }


def _record(properties: Schema, required: tuple[str, ...] = ()) -> Schema:
    """A mapping of known keys; an empty value is an empty mapping."""
    record: Schema = {
        "type": ["object", "null"],
        "properties": properties,
        "additionalProperties": False,
    }
    return {**record, "required": list(required)} if required else record


def _named(value: Schema) -> Schema:
    """A mapping whose keys are names."""
    return {"type": ["object", "null"], "additionalProperties": value}


def _object(model: type[Flat], more: Schema | None = None) -> Schema:
    """What a model says, and more keys."""
    required = (f.alias or name for name, f in model.model_fields.items() if f.is_required())
    return _record({**_properties(model), **(more or {})}, tuple(required))


def _properties(model: type[Flat]) -> Schema:
    """The keys of a model; models in it are written out where they stand."""
    said = model.model_json_schema(by_alias=True)["properties"]
    properties: Schema = {}
    for name, field in model.model_fields.items():
        key, inner = field.alias or name, model_in(field.annotation)
        if inner is None:
            properties[key] = _tidy(said[key])
        elif field.annotation == inner | None:
            properties[key] = {"anyOf": [{"const": "off"}, _object(inner)]}
        else:
            properties[key] = _object(inner)
    return properties


def _tidy(value: Schema) -> Schema:
    """A property without pydantic's title, and without a default that is not as we write it."""
    kept = {key: part for key, part in value.items() if key != "title"}
    if (kept.get("type"), type(kept.get("default"))) not in _WRITTEN_AS_READ:
        kept.pop("default", None)
    return kept


def _tokens() -> Schema:
    return {"type": "object", "additionalProperties": _object(TokenModel), "minProperties": 1}


def _check() -> Schema:
    """A check: the type may come from `defaults`, so no key is required here.

    It has the keys of all types, so that editors complete them; a default is what all who have it
    agree on.
    """
    properties: Schema = {}
    for model in MODELS.values():
        for key, said in _properties(model).items():
            if properties.setdefault(key, said) != said:
                properties[key] = _without_default(properties[key])
    return _record(properties)


def _without_default(said: object) -> Schema:
    assert isinstance(said, dict)
    return {key: part for key, part in said.items() if key != "default"}


def _pool() -> Schema:
    endpoint: Schema = {"anyOf": [{"type": "string"}, _object(EndpointModel)]}
    return _object(PoolModel, {"endpoints": {"type": "array", "items": endpoint, "minItems": 1}})


def _policy() -> Schema:
    return {"anyOf": [_WORD, _NODES, _record({**_choices(), **_properties(OptionsModel)})]}


def _node() -> Schema:
    return {"anyOf": [_WORD, _NODES, _record(_choices())]}


def _choices() -> Schema:
    share = _record({"to": _NODE, "weight": _WEIGHT}, ("to", "weight"))
    route = _record(
        {"from": _WORD, "to": _NODE, "fence": {"type": "boolean", "default": False}}, ("to",)
    )
    return {
        "failover": _NODES,
        "round_robin": _NODES,
        "weighted": {"anyOf": [_WEIGHTS, {"type": "array", "items": share, "minItems": 1}]},
        "nearest": _NODES,
        "sticky": {"anyOf": [_WEIGHTS, {"type": "array", "items": _WORD, "minItems": 1}]},
        "routes": {"type": "array", "items": route, "minItems": 1},
        "bias": {"type": "object", "additionalProperties": _BIAS},
        "max_km": {"type": "number", "exclusiveMinimum": 0},
    }
