"""A check of gslb.yaml, as pydantic models: what every type has, and what http has beyond it.

Knows: how a request and what counts as success are written. Refuses to know: how a probe is
made. Invariant: nothing that is read here breaks a request line or a header in two.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import Field, PlainValidator, WithJsonSchema

from gslb.config import scalar
from gslb.config.model import Duration, File, Flat, Port, Share, Size, Span, as_schema
from gslb.config.report import quote

_FIELD_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", re.ASCII)  # RFC 9110 section 5.6.2
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
    for name, text in value.items():
        if not _FIELD_NAME.fullmatch(str(name)):
            raise scalar.ScalarError(f"{quote(str(name))} is no name of a header")
        if not isinstance(text, str):
            raise scalar.ScalarError(f"header {name}: {scalar.show(text)} is not text", "quote it")
        scalar.read_line(text)
    return tuple((str(name), str(text)) for name, text in value.items())


def _read_path(value: object) -> str:
    path = scalar.read_line(value)
    if not path.startswith("/") or " " in path or not path.isascii():
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
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise scalar.ScalarError(f"{quote(value)} is no regular expression: {error}") from error
    return value


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

    path: Annotated[str, PlainValidator(_read_path), as_schema("string", "/healthz")] = "/"
    method: Annotated[str, PlainValidator(_read_method), as_schema("string", "GET")] = "GET"
    host: Annotated[str, PlainValidator(_read_host), as_schema("string")] | None = None
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
    body_regex: Annotated[str, PlainValidator(_read_pattern), as_schema("string")] | None = None
    max_body: Size = 64 * 1024
    verify_tls: bool = True
    ca_file: File | None = None
    follow_redirects: bool = False
