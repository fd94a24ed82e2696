"""The flat parts of gslb.yaml, as pydantic models: keys, types, ranges, defaults.

Knows: which keys an object has and what one value may be. Refuses to know: files, marks,
other objects, the shape of policies (policy.py). Invariant: no unions: a field has one
type, and what may be spelt in several ways is read by one function of scalar.py, so that
one mistake gives one problem. Every key of config.md that this release knows is here; the
JSON Schema is made of the same models.
"""

from __future__ import annotations

from typing import Annotated, Literal, get_args

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainValidator,
    WithJsonSchema,
)

from gslb.config import scalar
from gslb.config.url import read_peer
from gslb.core.setting import (
    GeoSettings,
    Limits,
    Listen,
    ProbeSettings,
    RateLimit,
    Role,
    Settings,
    TcpLimits,
    Witness,
)

MAX_WEIGHT = 1_000_000
MAX_NSID = 255


def _as_tuple(value: object) -> object:
    """One value where a list of them may stand."""
    return value if value is None or isinstance(value, tuple) else (value,)


def _as_subnets(value: object) -> object:
    return None if value == "any" else _as_tuple(value)


def _as_section(value: object) -> object:
    """An empty value is an empty mapping, as for a section."""
    return {} if value is None else value


def as_section_unless_off(value: object) -> object:
    """None for `off`, and nothing else for it."""
    if value == "on" or value is True:
        raise scalar.ScalarError(f"{scalar.show(value)} is no mapping", "leave the key out for on")
    return None if value == "off" else _off_is_a_word(_as_section(value))


def unless_off(value: object) -> object:
    """None for `off`, and nothing else for it."""
    return None if value == "off" else _off_is_a_word(value)


def _read_nsid(value: object) -> bytes:
    """Text for the option of RFC 5001, which may hold any octets."""
    octets = scalar.read_line(value).encode()
    if not 1 <= len(octets) <= MAX_NSID:
        what = "is empty" if not octets else f"has {len(octets)} octets"
        raise scalar.ScalarError(what, f"write 1 to {MAX_NSID} octets of text")
    return octets


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


def _read_file(value: object) -> str:
    """A path as an operating system takes it and a terminal shows it."""
    if not (path := scalar.read_line(value)):
        raise scalar.ScalarError("is empty")
    return path


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


def as_schema(kind: str, *examples: object, pattern: str = "") -> WithJsonSchema:
    """What the JSON Schema says of a value that a function of ours reads."""
    schema: dict[str, object] = {"type": kind, "examples": list(examples)}
    if pattern:
        schema["pattern"] = pattern
    return WithJsonSchema(schema)


_PORT_AT_THE_END = ":[0-9]+$"
_LISTEN = WithJsonSchema(
    {
        "type": ["string", "array"],
        "items": {"type": "string", "pattern": _PORT_AT_THE_END},
        "minItems": 1,
        "pattern": _PORT_AT_THE_END,
    }
)
_TEXTS = WithJsonSchema({"type": ["string", "array"], "items": {"type": "string"}})
_PAIR = WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2})
Duration = Annotated[
    float,
    PlainValidator(scalar.read_duration),
    as_schema("string", "500ms", "5s", "2m", pattern=r"^[0-9]+(ms|s|m|h|d)$"),
]
Span = Annotated[
    float,
    PlainValidator(scalar.read_span),
    as_schema("string", "10s", pattern=r"^0*[1-9][0-9]*(ms|s|m|h|d)$"),
]
Size = Annotated[
    int,
    PlainValidator(scalar.read_size),
    WithJsonSchema(
        {
            "type": ["integer", "string"],
            "examples": ["64KiB"],
            "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)$",
        }
    ),
]
Share = Annotated[float, PlainValidator(scalar.read_share), as_schema("string", "10%")]
Coordinates = Annotated[tuple[float, float], PlainValidator(scalar.read_coordinates), _PAIR]
Address = Annotated[str, PlainValidator(scalar.read_address_text), as_schema("string", "192.0.2.1")]
IPv4 = Annotated[str, PlainValidator(scalar.read_ipv4), as_schema("string", "192.0.2.1")]
IPv6 = Annotated[str, PlainValidator(scalar.read_ipv6), as_schema("string", "2001:db8::1")]
Subnet = Annotated[
    str, PlainValidator(scalar.read_subnet_text), as_schema("string", "192.0.2.0/24")
]
Endpoint = Annotated[
    Listen, PlainValidator(scalar.read_listen), as_schema("string", "127.0.0.1:5300")
]
Witnessed = Annotated[
    Witness, PlainValidator(scalar.read_witness), as_schema("string", "tcp://192.0.2.1:53")
]
Peer = Annotated[str, PlainValidator(read_peer), as_schema("string", "http://192.0.2.53:8053")]
Port = Annotated[int, Field(ge=1, le=65535)]
Count = Annotated[int, Field(ge=1, le=1_000_000)]
Weight = Annotated[int, Field(ge=0, le=MAX_WEIGHT)]
Line = Annotated[str, PlainValidator(scalar.read_line), as_schema("string")]
File = Annotated[
    str, PlainValidator(_read_file), WithJsonSchema({"type": "string", "minLength": 1})
]


class Flat(BaseModel):
    """An object of known keys; nothing is converted silently."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


def model_in(annotation: object) -> type[Flat] | None:
    """The model that a field holds, if it holds one, be it only unless `off`."""
    for each in (annotation, *get_args(annotation)):
        if isinstance(each, type) and issubclass(each, Flat):
            return each
    return None


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
    zone: Annotated[int, Field(ge=1, le=10_000_000)] = Limits().zone
    udp_batch: Annotated[int, Field(ge=1, le=1024)] = Limits().udp_batch
    log_lines: Annotated[int, Field(ge=1, le=10_000)] = Limits().log_lines


class CookiesModel(Flat):
    """`server.cookies`; without a `secret_file` it is in `server.state`."""

    secret_file: File | None = None


class RateLimitModel(Flat):
    """`server.rate_limit`."""

    per_second: Count = RateLimit().per_second
    slip: Annotated[int, Field(ge=0, le=100)] = RateLimit().slip
    exempt: Annotated[tuple[Subnet, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    log_only: bool = RateLimit().log_only


class ServerModel(Flat):
    """`server`."""

    listen: Annotated[
        tuple[Endpoint, ...], BeforeValidator(_as_tuple), Field(min_length=1), _LISTEN
    ] = Settings().listen
    engine: Literal["auto", "python"] = "auto"
    state: File = "state"
    at: Coordinates | None = None
    ecs_from: Annotated[tuple[Subnet, ...] | None, BeforeValidator(_as_subnets), _TEXTS] = None
    nsid: (
        Annotated[bytes, PlainValidator(_read_nsid), as_schema("string", "fra1", pattern=".")]
        | None
    ) = None
    udp_size: Annotated[int, Field(ge=512, le=1452)] = Settings().udp_size
    cookies: Annotated[CookiesModel | None, BeforeValidator(as_section_unless_off)] = CookiesModel()
    rate_limit: Annotated[RateLimitModel | None, BeforeValidator(as_section_unless_off)] = (
        RateLimitModel()
    )
    tcp: Annotated[TcpModel, BeforeValidator(_as_section)] = TcpModel()
    limits: Annotated[LimitsModel, BeforeValidator(_as_section)] = LimitsModel()


class ControlModel(Flat):
    """`control`, without its tokens, whose keys are names."""

    listen: Annotated[
        Endpoint | None,
        BeforeValidator(unless_off),
        as_schema("string", "off", pattern=f"^off$|{_PORT_AT_THE_END}"),
    ] = Settings().control
    hosts: Annotated[tuple[Line, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    max_body: Annotated[Size, Field(ge=1024, le=16 * 1024 * 1024)] = Settings().max_body
    insecure: bool = False
    peers: Annotated[tuple[Peer, ...], BeforeValidator(_as_tuple), _TEXTS] = ()


class EventsModel(Flat):
    """`events`."""

    keep: Span = Settings().events_keep_s


class TokenModel(Flat):
    """`control.tokens.NAME`."""

    role: Role
    sha256: Annotated[
        bytes,
        PlainValidator(scalar.read_sha256),
        as_schema("string", pattern="^[0-9a-fA-F]{64}$"),
    ]
    only: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), _TEXTS] = ()


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
    witness: Annotated[tuple[Witnessed, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    exec: bool = ProbeSettings().exec


class DataCenterModel(Flat):
    """`datacenters.NAME`."""

    at: Coordinates | None = None
    capacity: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None


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
        as_schema("string", "www.example.com A"),
        Field(alias="ask"),
    ]
    subject: Annotated[
        str,
        PlainValidator(scalar.read_asker),
        as_schema("string", "192.0.2.1"),
        Field(alias="from"),
    ]
    down: Annotated[tuple[str, ...], BeforeValidator(_as_tuple), _TEXTS] = ()
    expect: tuple[Address, ...] | None = None
    expect_any: tuple[Address, ...] | None = None
