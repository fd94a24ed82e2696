"""The flat parts of gslb.yaml, as pydantic models: keys, types, ranges, defaults.

Knows: which keys an object has and what one value may be. Refuses to know: files, marks,
other objects, the shape of policies (policy.py). Invariant: no unions: a field has one
type, and what may be spelt in several ways is read by one function of scalar.py, so that
one mistake gives one problem. Every key of config.md that this release knows is here; the
JSON Schema is made of the same models.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from gslb.config import scalar
from gslb.config.report import quote
from gslb.core.policy import Amount, Pick
from gslb.core.setting import GeoSettings, Limits, Listen, ProbeSettings, Settings, TcpLimits

MAX_WEIGHT = 1_000_000
_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 section 5.6.2
_STATUS = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?", re.ASCII)


def _as_tuple(value: object) -> object:
    """One value where a list of them may stand."""
    return value if value is None or isinstance(value, tuple) else (value,)


def _as_subnets(value: object) -> object:
    return None if value == "any" else _as_tuple(value)


def _as_section(value: object) -> object:
    """An empty value is an empty mapping, as for a section."""
    return {} if value is None else value


def _unless_off(value: object) -> object:
    return None if value == "off" else _off_is_a_word(value)


def _off_is_a_word(value: object) -> object:
    if value is False:
        raise scalar.ScalarError("false is not understood here", "write off")
    return value


def _read_max_scope(value: object) -> tuple[int, int]:
    match value:
        case (int() as ipv4, int() as ipv6) if 1 <= ipv4 <= 32 and 1 <= ipv6 <= 64:
            return ipv4, ipv6
    raise scalar.ScalarError(
        f"{scalar.show(value)} is not a pair of prefix lengths",
        "write [IPv4, IPv6], at most [32, 64]",
    )


def _read_status(value: object) -> tuple[tuple[int, int], ...]:
    ranges: list[tuple[int, int]] = []
    for part in str(value).split(",") if isinstance(value, int | str) else ("",):
        match = _STATUS.fullmatch(part.strip())
        if match is None or int(match[2] or match[1]) < int(match[1]):
            raise scalar.ScalarError(f"{scalar.show(value)} is no status", 'write "200-299,304"')
        ranges.append((int(match[1]), int(match[2] or match[1])))
    return tuple(ranges)


def _read_headers(value: object) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict):
        raise scalar.ScalarError(f"{scalar.show(value)} is no mapping of names to values")
    for name, text in value.items():
        if not _FIELD_NAME.fullmatch(str(name)):
            raise scalar.ScalarError(f"{quote(str(name))} is no name of a header")
        if not isinstance(text, str):
            raise scalar.ScalarError(f"header {name}: {scalar.show(text)} is not text", "quote it")
        _read_line(text)
    return tuple((str(name), str(text)) for name, text in value.items())


def _read_line(value: object) -> str:
    """Text that may stand in a request line or a header: no control characters."""
    if not isinstance(value, str):
        raise scalar.ScalarError(f"{scalar.show(value)} is not text", "quote it")
    if not value.isprintable():
        raise scalar.ScalarError(f"{quote(value)} has control characters")
    return value


def _read_file(value: object) -> str:
    """A path as an operating system takes it and a terminal shows it."""
    if not (path := _read_line(value)):
        raise scalar.ScalarError("is empty")
    return path


def _read_path(value: object) -> str:
    path = _read_line(value)
    if not path.startswith("/") or " " in path or not path.isascii():
        raise scalar.ScalarError(f"{quote(path)} is no path", 'write it as "/healthz", escaped')
    return path


def _read_host(value: object) -> str:
    host = _read_line(value)
    if not host or set(host) & set(" /@?#") or not host.isascii():
        raise scalar.ScalarError(f"{quote(host)} is no host", "write a name, as www.example.com")
    return host


def _read_method(value: object) -> str:
    if isinstance(value, str) and re.fullmatch(r"[A-Z]{1,16}", value, re.ASCII):
        return value
    raise scalar.ScalarError(f"{scalar.show(value)} is no method", "write GET, HEAD or POST")


def _read_pattern(value: object) -> str:
    if not isinstance(value, str):
        raise scalar.ScalarError(f"{scalar.show(value)} is not text", "quote it")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise scalar.ScalarError(f"{quote(value)} is no regular expression: {error}") from error
    return value


def _read_answers(value: object) -> int:
    if value == "all":
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1:
        return value
    raise scalar.ScalarError(f"{scalar.show(value)} is no number of answers", "write 4 or all")


def _read_ecs(value: object) -> bool:
    if value in ("on", "off") and isinstance(value, str):
        return value == "on"
    raise scalar.ScalarError(f"{scalar.show(value)} is neither on nor off", "write off")


def _schema(kind: str, *examples: object, pattern: str = "") -> WithJsonSchema:
    schema: dict[str, object] = {"type": kind, "examples": list(examples)}
    if pattern:
        schema["pattern"] = pattern
    return WithJsonSchema(schema)


_TEXTS = WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}})
_PAIR = WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
Duration = Annotated[
    float,
    PlainValidator(scalar.read_duration),
    _schema("string", "500ms", "5s", "2m", pattern=r"^[0-9]+(ms|s|m|h|d)$"),
]
Span = Annotated[
    float,
    PlainValidator(scalar.read_span),
    _schema("string", "10s", pattern=r"^0*[1-9][0-9]*(ms|s|m|h|d)$"),
]
Size = Annotated[
    int,
    PlainValidator(scalar.read_size),
    WithJsonSchema({"type": ["integer", "string"], "examples": ["64KiB"]}),
]
Share = Annotated[float, PlainValidator(scalar.read_share), _schema("string", "10%")]
Coordinates = Annotated[tuple[float, float], PlainValidator(scalar.read_coordinates), _PAIR]
Address = Annotated[str, PlainValidator(scalar.read_address_text), _schema("string", "192.0.2.1")]
IPv4 = Annotated[str, PlainValidator(scalar.read_ipv4), _schema("string", "192.0.2.1")]
IPv6 = Annotated[str, PlainValidator(scalar.read_ipv6), _schema("string", "2001:db8::1")]
Subnet = Annotated[str, PlainValidator(scalar.read_subnet_text), _schema("string", "192.0.2.0/24")]
Endpoint = Annotated[
    Listen, PlainValidator(scalar.read_listen), _schema("string", "127.0.0.1:5300")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]
Line = Annotated[str, PlainValidator(_read_line), _schema("string")]
File = Annotated[
    str, PlainValidator(_read_file), WithJsonSchema({"type": "string", "minLength": 1})
]


class Flat(BaseModel):
    """An object of known keys; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TcpModel(Flat):
    """`server.tcp`."""

    connections: Count = TcpLimits().connections
    per_source: Count = TcpLimits().per_source
    idle: Span = TcpLimits().idle_s
    message: Span = TcpLimits().message_s
    pipeline: Count = TcpLimits().pipeline


class LimitsModel(Flat):
    """`server.limits`."""

    rrset: Annotated[int, Field(ge=1, le=65535)] = Limits().rrset
    types_per_name: Annotated[int, Field(ge=1, le=65535)] = Limits().types_per_name
    cname_chain: Annotated[int, Field(ge=1, le=64)] = Limits().cname_chain
    additional: Annotated[int, Field(ge=0, le=1000)] = Limits().additional


class ServerModel(Flat):
    """`server`."""

    listen: Annotated[
        tuple[Endpoint, ...], BeforeValidator(_as_tuple), Field(min_length=1), _TEXTS
    ] = Settings().listen
    engine: Literal["auto", "python"] = "auto"
    state: File = "state"
    at: Coordinates | None = None
    ecs_from: Annotated[tuple[Subnet, ...] | None, BeforeValidator(_as_subnets), _TEXTS] = None
    udp_size: Annotated[int, Field(ge=512, le=1452)] = Settings().udp_size
    tcp: Annotated[TcpModel, BeforeValidator(_as_section)] = TcpModel()
    limits: Annotated[LimitsModel, BeforeValidator(_as_section)] = LimitsModel()


class ControlModel(Flat):
    """`control`."""

    listen: Annotated[Endpoint | None, BeforeValidator(_unless_off), _schema("string", "off")] = (
        Settings().control
    )
    hosts: Annotated[tuple[Line, ...], BeforeValidator(_as_tuple), _TEXTS] = ()


class GeoModel(Flat):
    """`geo`, without its overrides, whose keys are networks."""

    city: File | None = None
    asn: File | None = None
    max_scope: Annotated[tuple[int, int], PlainValidator(_read_max_scope), _PAIR] = (
        GeoSettings().max_scope
    )
    table_memory: Size = GeoSettings().table_memory


class OverrideModel(Flat):
    """One network of `geo.overrides`; codes are looked at by client.py."""

    country: str | None = None
    continent: str | None = None
    subdivision: str | None = None
    subdivisions: tuple[str, ...] = ()
    at: Coordinates | None = None


class ProbeModel(Flat):
    """`probe`."""

    allow: Annotated[tuple[Subnet, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    concurrency: Annotated[int, Field(ge=1, le=65535)] = ProbeSettings().concurrency
    settle: Duration = ProbeSettings().settle_s
    state_max_age: Duration = ProbeSettings().state_max_age_s


class DataCenterModel(Flat):
    """`datacenters.NAME`."""

    at: Coordinates | None = None
    capacity: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


class CheckModel(Flat):
    """`checks.NAME`: what every type has, and all of `tcp`."""

    type: Literal["http", "https", "tcp"]
    port: Port | None = None
    interval: Duration = 5.0
    timeout: Span = 2.0
    fall: Annotated[int, Field(ge=1, le=1000)] = 3
    rise: Annotated[int, Field(ge=1, le=1000)] = 2
    jitter: Share = 0.1
    latency: Literal["connect", "first_byte"] = "connect"
    tags: tuple[str, ...] = ()
    enabled: bool = True


class HttpCheckModel(CheckModel):
    """`checks.NAME` of type http or https."""

    path: Annotated[str, PlainValidator(_read_path), _schema("string", "/healthz")] = "/"
    method: Annotated[str, PlainValidator(_read_method), _schema("string", "GET")] = "GET"
    host: Annotated[str, PlainValidator(_read_host), _schema("string")] | None = None
    headers: Annotated[
        tuple[tuple[str, str], ...],
        PlainValidator(_read_headers),
        WithJsonSchema({"type": "object", "additionalProperties": {"type": "string"}}),
    ] = ()
    status: Annotated[
        tuple[tuple[int, int], ...],
        PlainValidator(_read_status),
        WithJsonSchema({"type": ["string", "integer"], "examples": ["200-299,304"]}),
    ] = ((200, 299), (304, 304))
    body: str | None = None
    body_regex: Annotated[str, PlainValidator(_read_pattern), _schema("string")] | None = None
    max_body: Size = 64 * 1024
    verify_tls: bool = True
    ca_file: File | None = None
    follow_redirects: bool = False


class PoolModel(Flat):
    """`pools.NAME`, without its endpoints."""

    datacenter: str | None = None
    check: str | None = None
    min_healthy: Annotated[
        Amount,
        PlainValidator(scalar.read_amount),
        WithJsonSchema({"type": ["integer", "string"], "examples": [1, "50%"]}),
    ] = Amount(1)
    pick: Pick = "weighted"


class EndpointModel(Flat):
    """One of `pools.NAME.endpoints`, written as a mapping."""

    ipv4: IPv4 | None = None
    ipv6: IPv6 | None = None
    weight: Weight = 1
    name: Line | None = None
    check_address: Address | None = None
    check_port: Port | None = None


class OptionsModel(Flat):
    """What stands beside the node of a policy."""

    answers: Annotated[
        int,
        PlainValidator(_read_answers),
        WithJsonSchema({"anyOf": [{"type": "integer", "minimum": 1}, {"const": "all"}]}),
    ] = 4
    take: Annotated[int, Field(ge=1, le=1000)] = 1
    when_all_down: str = "serve_all"
    ttl_min: (
        Annotated[
            int,
            PlainValidator(scalar.read_ttl),
            WithJsonSchema({"type": ["integer", "string"], "examples": [5]}),
        ]
        | None
    ) = None
    ecs: Annotated[bool, PlainValidator(_read_ecs), WithJsonSchema({"enum": ["on", "off"]})] = True


class ExpectationModel(Flat):
    """One of `tests`."""

    question: Annotated[
        tuple[bytes, int],
        PlainValidator(scalar.read_question),
        _schema("string", "www.example.com A"),
        Field(alias="ask"),
    ]
    subject: Annotated[
        str, PlainValidator(scalar.read_asker), _schema("string", "192.0.2.1"), Field(alias="from")
    ]
    down: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    expect: tuple[Address, ...] | None = None
    expect_any: tuple[Address, ...] | None = None
