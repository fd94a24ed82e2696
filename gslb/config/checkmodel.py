"""A check of gslb.yaml, as pydantic models: what every type has, and what each has beyond it.

Knows: how a request, a question, a command and what counts as success are written. Refuses to
know: how a probe is made. Invariant: nothing that is read here breaks a request line or a header
in two; no key is mandatory here, so that `defaults.checks` may have any (check.py sees to it).
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from gslb.config import scalar
from gslb.config.model import Address, Duration, File, Flat, Port, Share, Size, Span, as_schema
from gslb.config.report import listing, quote
from gslb.core.check import CheckType
from gslb.core.policy import Amount
from gslb.wire.name import from_text
from gslb.wire.rrtype import OPT, RCODE_TEXT, A, type_number

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 section 5.6.2
# What stands in the header; the others need EDNS, with which nobody asks here.
_RCODES = {text: number for number, text in RCODE_TEXT.items() if number < 16}
MAX_BODY = 16 * 1024 * 1024  # octets; as many probes as `probe.concurrency` may hold that much
_META_TYPES = range(128, 256)  # RFC 6895 section 3.1: transfers, signatures, ANY
_FRAMING = frozenset(("content-length", "transfer-encoding"))  # RFC 9112 section 6
_STATUS = re.compile(r"([1-5][0-9][0-9])(?:-([1-5][0-9][0-9]))?", re.ASCII)


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
    seen = set[str]()
    for name, text in value.items():
        if not _FIELD_NAME.fullmatch(str(name)):
            raise scalar.ScalarError(f"{quote(str(name))} is no name of a header")
        if str(name).lower() in _FRAMING:
            raise scalar.ScalarError(f"header {name}: a probe has no body", "take it away")
        if str(name).lower() in seen:
            raise scalar.ScalarError(f"header {name} stands twice; case does not matter")
        seen.add(str(name).lower())
        if not isinstance(text, str):
            raise scalar.ScalarError(f"header {name}: {scalar.show(text)} is not text", "quote it")
        scalar.read_line(text)
    return tuple((str(name), str(text)) for name, text in value.items())


def _read_path(value: object) -> str:
    path = scalar.read_line(value)
    if not path.startswith("/") or set(path) & set(" #") or not path.isascii():
        raise scalar.ScalarError(f"{quote(path)} is no path", 'write it as "/healthz", escaped')
    return path


def _read_host(value: object) -> str:
    host = scalar.read_line(value)
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
    if not value:
        raise scalar.ScalarError("is empty")
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise scalar.ScalarError(f"{quote(value)} is no regular expression: {error}") from error
    return value


def _read_load(value: object) -> str:
    """A JSON pointer (RFC 6901 section 3) or the name of a header."""
    where = scalar.read_line(value)
    if where.startswith("/"):
        if re.search("~(?![01])", where) is None:
            return where
        raise scalar.ScalarError(f"{quote(where)} is no JSON pointer", "write ~ as ~0, / as ~1")
    if _FIELD_NAME.fullmatch(where):
        return where
    what = f"{quote(where)} is neither a JSON pointer nor a header"
    raise scalar.ScalarError(what, 'write it as "/load", or as X-Load')


def _read_octets(value: object) -> bytes:
    r"""Text as it goes over the wire; double quotes in YAML know \r, \n and \0."""
    if not isinstance(value, str):
        raise scalar.ScalarError(f"{scalar.show(value)} is not text", "quote it")
    if not value:
        raise scalar.ScalarError("is empty")
    return value.encode()


def _read_query(value: object) -> tuple[bytes, int]:
    """A name in wire form and a type's number, A unless it is said."""
    words = value.split() if isinstance(value, str) else []
    if not 1 <= len(words) <= 2:
        hint = "write a name and a type, as www.example.com AAAA"
        raise scalar.ScalarError(f"{scalar.show(value)} is no question", hint)
    rrtype = type_number(words[1]) if len(words) == 2 else A
    if rrtype is None or rrtype in (0, OPT) or rrtype in _META_TYPES:
        raise scalar.ScalarError(f"{quote(words[1])} is no type to ask for", "write A, AAAA, SOA")
    if not words[0].isascii():  # as nobody has it in a zone
        raise scalar.ScalarError(f"{quote(words[0])} is not ASCII", "write it as xn--…")
    try:
        return from_text(words[0]), rrtype
    except (ValueError, UnicodeError) as error:
        raise scalar.ScalarError(f"{quote(words[0])} is no name: {error}") from error


def _read_rcode(value: object) -> int:
    if isinstance(value, str) and value in _RCODES:
        return _RCODES[value]
    raise scalar.ScalarError(f"{scalar.show(value)} is no rcode", f"write {listing(_RCODES)}")


def _read_command(value: object) -> tuple[str, ...]:
    hint = "write [program, argument, …]"
    if not isinstance(value, tuple):
        raise scalar.ScalarError(f"{scalar.show(value)} is not a list", hint)
    if not value:
        raise scalar.ScalarError("is empty", hint)
    for word in value:
        if not isinstance(word, str):
            raise scalar.ScalarError(f"{scalar.show(word)} is not text", "quote it")
        if "\0" in word:
            raise scalar.ScalarError(f"{quote(word)} has a NUL")
    words = tuple(str(word) for word in value)
    if not words[0]:
        raise scalar.ScalarError("the program has no name", hint)
    return words


Times = Annotated[int, Field(ge=1, le=1000)]


class CheckModel(Flat):
    """`checks.NAME`: what every type has, and all of icmp."""

    type: CheckType
    interval: Duration = 5.0
    timeout: Span = 2.0
    fall: Times = 3
    rise: Times = 2
    jitter: Share = 0.1
    latency: Literal["connect", "first_byte"] = "connect"
    tags: tuple[str, ...] = ()
    enabled: bool = True
    rapid: bool = False
    invert: bool = False


class SecureModel(CheckModel):
    """What the types that may speak TLS have."""

    port: Port | None = None
    host: Annotated[str, PlainValidator(_read_host), as_schema("string")] | None = None
    verify_tls: bool = True
    ca_file: File | None = None


class HttpCheckModel(SecureModel):
    """`checks.NAME` of type http or https."""

    path: Annotated[str, PlainValidator(_read_path), as_schema("string", "/healthz")] = "/"
    method: Annotated[str, PlainValidator(_read_method), as_schema("string", "GET")] = "GET"
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
    body: Annotated[str, Field(min_length=1)] | None = None
    body_regex: Annotated[str, PlainValidator(_read_pattern), as_schema("string")] | None = None
    max_body: Annotated[Size, Field(le=MAX_BODY)] = 64 * 1024
    follow_redirects: bool = False
    load: Annotated[str, PlainValidator(_read_load), as_schema("string", "/load")] | None = None


class TcpCheckModel(SecureModel):
    """`checks.NAME` of type tcp: by itself it trusts any certificate."""

    verify_tls: bool = False
    tls: bool = False
    send: Annotated[bytes, PlainValidator(_read_octets), as_schema("string")] = b""
    expect: Annotated[bytes, PlainValidator(_read_octets), as_schema("string")] | None = None


class DnsCheckModel(CheckModel):
    """`checks.NAME` of type dns."""

    port: Port | None = None
    query: (
        Annotated[
            tuple[bytes, int],
            PlainValidator(_read_query),
            as_schema("string", "www.example.com A"),
        ]
        | None
    ) = None
    rcode: Annotated[int, PlainValidator(_read_rcode), WithJsonSchema({"enum": list(_RCODES)})] = 0
    expect: Address | None = None


class ExecCheckModel(CheckModel):
    """`checks.NAME` of type exec."""

    port: Port | None = None
    command: (
        Annotated[
            tuple[str, ...],
            PlainValidator(_read_command),
            WithJsonSchema({"type": "array", "items": {"type": "string"}, "minItems": 1}),
        ]
        | None
    ) = None


class CalculatedCheckModel(CheckModel):
    """`checks.NAME` of type calculated; what `of` names is looked at by calculated.py."""

    of: Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    need: (
        Annotated[
            Amount,
            PlainValidator(scalar.read_amount),
            WithJsonSchema({"type": ["integer", "string"], "examples": [1, "60%"]}),
        ]
        | None
    ) = None


class PushCheckModel(CheckModel):
    """`checks.NAME` of type push: one report counts, whoever sent it has looked often enough."""

    fall: Times = 1
    rise: Times = 1
    ttl: Span = 60.0


MODELS: dict[CheckType, type[CheckModel]] = {
    "http": HttpCheckModel,
    "https": HttpCheckModel,
    "tcp": TcpCheckModel,
    "dns": DnsCheckModel,
    "icmp": CheckModel,
    "exec": ExecCheckModel,
    "calculated": CalculatedCheckModel,
    "push": PushCheckModel,
}


class AnyCheckModel(
    HttpCheckModel,
    TcpCheckModel,
    DnsCheckModel,
    ExecCheckModel,
    CalculatedCheckModel,
    PushCheckModel,
):
    """The keys of all types: what `defaults.checks` may have. An `expect` is a text here."""

    expect: str | None = None  # type: ignore[assignment]
