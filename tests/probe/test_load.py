"""The load that a reply reports: where it stands, and what is none."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.load import load_in
from hypothesis import given
from hypothesis import strategies as st

from endpoint import Endpoints, Handler, page, saying

WEB = Check("web", "http", 80, path="/healthz")


async def visit(endpoints: Endpoints, means: Means, handler: Handler, check: Check = WEB) -> Result:
    port = await endpoints.open(handler)
    return await attempt(check, Target("web", "127.0.0.1", port), means)


def reporting(body: bytes, headers: bytes = b"") -> Handler:
    return saying(page(200, body, headers))


@pytest.mark.parametrize(
    ("where", "body", "load"),
    [
        ("/load", b'{"load": 0.83}', 0.83),
        ("/load", b'{"load": 2}', 2.0),
        ("/load", b'{"load": 0}', 0.0),
        ("/a/1/b", b'{"a": [0, {"b": 5e-1}]}', 0.5),
        ("/a~1b/c~0d", b'{"a/b": {"c~d": 0.25}}', 0.25),
        ("/", b'{"": 0.75}', 0.75),
        ("/load", b'{"load": "0.83"}', None),
        ("/load", b'{"load": true}', None),
        ("/load", b'{"load": null}', None),
        ("/load", b'{"load": -0.1}', None),
        ("/load", b'{"load": NaN}', None),
        ("/load", b'{"load": Infinity}', None),
        ("/load", b'{"load": 1e999}', None),
        ("/load", b'{"load": 1' + b"0" * 400 + b"}", None),
        ("/load", b'{"load": 1' + b"0" * 5000 + b"}", None),
        ("/load", b'{"other": 1}', None),
        ("/load/x", b'{"load": 1}', None),
        ("/a/-", b'{"a": [1]}', None),
        ("/a/01", b'{"a": [1, 2]}', None),
        ("/a/9", b'{"a": [1]}', None),
        ("/load", b"ready", None),
        ("/load", b"", None),
        ("/load", b"\xff\xfe\x00", None),
        ("/load", b"[" * 60_000, None),
        ("/load", b'{"load": 0.5' + b" " * 64 * 1024 + b"}", None),
    ],
)
async def test_a_load_is_read_by_its_pointer_and_never_decides(
    endpoints: Endpoints, means: Means, where: str, body: bytes, load: float | None
) -> None:
    check = replace(WEB, load=where, max_body=1024 * 1024)
    result = await visit(endpoints, means, reporting(body), check)
    assert (result.ok, result.reason, result.load) == (True, "", load)


@pytest.mark.parametrize(
    ("text", "load"),
    [
        (b"0.83", 0.83),
        (b" 1 ", 1.0),
        (b"5e-1", 0.5),
        (b"-1", None),
        (b"nan", None),
        (b"inf", None),
        (b"1e999", None),
        (b"1_0", None),
        (b"", None),
        (b"9" * 2000, None),
        ("٣".encode(), None),
    ],
)
async def test_a_load_is_read_from_its_header_without_the_body(
    endpoints: Endpoints, means: Means, text: bytes, load: float | None
) -> None:
    async def headers_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nx-LOAD: " + text + b"\r\n\r\n")
        await reader.read()

    result = await visit(endpoints, means, headers_only, replace(WEB, load="X-Load"))
    assert (result.ok, result.load) == (True, load)


async def test_a_header_that_is_not_there_is_no_load(endpoints: Endpoints, means: Means) -> None:
    result = await visit(endpoints, means, reporting(b""), replace(WEB, load="X-Load"))
    assert (result.ok, result.load) == (True, None)


async def test_only_a_good_page_reports_a_load(endpoints: Endpoints, means: Means) -> None:
    sick = saying(page(503, b'{"load": 0.5}', b"X-Load: 0.5\r\n"))
    for where in ("/load", "X-Load"):
        result = await visit(endpoints, means, sick, replace(WEB, load=where))
        assert (result.reason, result.load) == ("status 503", None)
    wrong = replace(WEB, load="/load", body="ready")
    result = await visit(endpoints, means, reporting(b'{"load": 0.5}'), wrong)
    assert (result.ok, result.load) == (False, None)


@given(st.binary(max_size=200) | st.text(alphabet='[]{}":,.0123456789eE-loadNI').map(str.encode))
def test_no_body_breaks_the_reader_of_loads(body: bytes) -> None:
    for where in ("/load", "/0/load", "/"):
        load = load_in(where, None, body)
        assert load is None or 0 <= load < float("inf")
