"""What strangers and broken clients send to the HTTP API: refused in words, without a trace."""

from __future__ import annotations

import asyncio
import gzip
import json

import pytest
from gslb.control import gate

from .desk import Desk, request, serving
from .test_http import SUPPLIERS, send

PATH = "/v1/overrides/pool/web-fra"
DRAIN = b'{"state": "drain", "why": "kernel upgrade"}'
DEFECT = b" 500 "


async def told(address, octets):
    """The status and the problem's detail of one request."""
    head, _, body = (await send(address, octets)).partition(b"\r\n\r\n")
    assert b"application/problem+json" in head, head
    return int(head.split()[1]), json.loads(body)["detail"]


async def is_well(address, desk):
    """It works as before, and nothing was changed."""
    assert desk.orders == []
    assert (await send(address, request("PUT", PATH, DRAIN))).startswith(b"HTTP/1.1 200 ")


@pytest.fixture
def silent(caplog):
    """Nothing that anybody sends makes a line in the log."""
    yield
    assert caplog.records == []


NO_REQUEST = "this is no HTTP request (RFC 9112): "
TOP = b"GET / HTTP/1.1\r\nHost: localhost\r\n"


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "octets",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"s3cret" * 50,
        b"s3cret\r\n\r\n",
        b"GET /s3cret HTTP/9\r\n\r\n",
        b"s3cret / HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        TOP + b"Host: s3cret\r\n\r\n",
        TOP + b"Authorization: Bearer s3cret\0\r\n\r\n",
        TOP + b"Authorization: Bearer " + b"s3cret" * 2000 + b"\r\n\r\n",
        TOP + b"s3cret : a\r\n\r\n",
        TOP + b"Content-Length: -1\r\n\r\n",
        TOP + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        TOP + b"".join(b"X-%d: s3cret\r\n" % number for number in range(5000)) + b"\r\n",
        b"GET /" + b"s3cret" * 2000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
    ],
    ids=range(13),
)
async def test_what_is_no_request_gets_a_problem_document_that_repeats_nothing_of_it(octets):
    async with serving(Desk(), SUPPLIERS) as address:
        reply = await send(address, octets)
        status, detail = await told(address, octets)
    assert status == 400
    assert detail.startswith(NO_REQUEST)
    assert detail != NO_REQUEST
    head = reply.partition(b"\r\n\r\n")[0]
    assert b"s3cret" not in reply
    assert b"Server: gslb\r\n" in head
    assert b"X-Content-Type-Options: nosniff" in head


@pytest.mark.usefixtures("silent")
async def test_who_is_slow_to_send_a_body_is_dropped(monkeypatch):
    monkeypatch.setattr(gate, "SLOW_S", 0.05)
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address, asyncio.timeout(10):
        parts = (request("PUT", PATH, DRAIN[:sent], length=len(DRAIN)) for sent in (0, 1, 20))
        replies = await asyncio.gather(*(told(address, part) for part in parts))
        assert replies == [(408, "the body did not come in time")] * 3
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_a_body_that_ends_too_early_is_no_order():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for sent in range(len(DRAIN)):
            reader, writer = await asyncio.open_connection(*address)
            writer.write(request("PUT", PATH, DRAIN[:sent], length=len(DRAIN)))
            writer.write_eof()
            assert DEFECT not in await reader.read()
            writer.close()
            await writer.wait_closed()
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_who_resets_the_connection_in_the_middle_of_a_body_leaves_nothing_behind():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for _ in range(20):
            _, writer = await asyncio.open_connection(*address)
            writer.write(request("PUT", PATH, DRAIN[:9], length=len(DRAIN)))
            await writer.drain()
            writer.transport.abort()
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_a_body_in_chunks_is_not_waited_for():
    desk = Desk()
    head = request("PUT", PATH).replace(b"Content-Length: 0", b"Transfer-Encoding: chunked")
    async with serving(desk, SUPPLIERS) as address:
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(DRAIN), DRAIN)
        sent = (head, head + body, head + b"ffffffff\r\n")
        for status, detail in await asyncio.gather(*(told(address, each) for each in sent)):
            assert (status, detail[:9]) == (411, "say how l")
        assert b" 400 " in await send(address, head + b"-1\r\n")
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_two_lengths_or_a_length_and_chunks_are_no_request():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for line in ("Content-Length: 5", "Transfer-Encoding: chunked"):
            reply = await send(address, request("PUT", PATH, DRAIN, line))
            assert reply.startswith((b"HTTP/1.0 400 ", b"HTTP/1.1 400 ", b"HTTP/1.1 411 ")), reply
        for length in ("-1", "0x5", "1e1", "５", "9" * 30):
            head = request("PUT", PATH).replace(b"Length: 0", f"Length: {length}".encode())
            assert (await send(address, head)).split()[1] in (b"400", b"413")
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_a_body_that_is_too_large_is_refused_before_it_comes():
    desk = Desk()
    async with serving(desk, SUPPLIERS, max_body=1024) as address:
        status, detail = await told(address, request("PUT", PATH, length=1025))
        assert (status, detail) == (413, "a body has at most 1024 octets (control.max_body)")
        large = b'{"state": "drain", "why": "a"' + b" " * (1024 - 30) + b"}"
        assert (await send(address, request("PUT", PATH, large))).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("silent")
async def test_a_compressed_body_is_not_opened():
    desk = Desk()
    bomb = gzip.compress(b'{"state": "' + b"a" * 10_000_000)
    async with serving(desk, SUPPLIERS) as address:
        for encoding in ("gzip", "deflate", "br", "identity"):
            octets = request("PUT", PATH, bomb, f"Content-Encoding: {encoding}")
            assert await told(address, octets) == (415, "send the body as it is, not compressed")
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "form",
    ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data",
     "", "\xe4", "application/json, text/plain"],
)  # fmt: skip
async def test_only_json_is_taken(form):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        octets = request("PUT", PATH, DRAIN).replace(b"application/json", form.encode("latin-1"))
        status, detail = await told(address, octets)
        assert (status, detail) == (415, "send JSON, with Content-Type: application/json")
        bare = request("PUT", PATH, DRAIN).replace(b"Content-Type: application/json\r\n", b"")
        assert (await told(address, bare))[0] == 415
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_json_may_name_its_charset_and_its_case_does_not_matter():
    async with serving(Desk(), SUPPLIERS) as address:
        for form in (b"application/json; charset=utf-8", b"Application/JSON"):
            octets = request("PUT", PATH, DRAIN).replace(b"application/json", form)
            assert (await send(address, octets)).startswith(b"HTTP/1.1 200 ")


async def exchange(address, head, body):
    """Sends a head, waits for the first line, then sends the body if it is told to go on."""
    reader, writer = await asyncio.open_connection(*address)
    writer.write(head)
    first = await reader.readline()
    if b" 100 " in first:
        await reader.readline()
        writer.write(body)
        first = await reader.readline()
    writer.close()
    await writer.wait_closed()
    return first


@pytest.mark.usefixtures("silent")
async def test_who_asks_before_sending_is_told_to_go_on_only_if_the_rest_is_right():
    desk = Desk()
    head = request("PUT", PATH, b"", "Expect: 100-continue", length=len(DRAIN))
    async with serving(desk, SUPPLIERS) as address, asyncio.timeout(10):
        wrong = head.replace(b"me's", b"you")
        assert b" 401 " in await exchange(address, wrong, DRAIN)
        assert b" 404 " in await exchange(address, head.replace(b"/pool/", b"/poll/"), DRAIN)
        assert b" 415 " in await exchange(address, head.replace(b"/json", b"/xml"), DRAIN)
        await is_well(address, desk)
        assert b" 200 " in await exchange(address, head, DRAIN)
        unknown = head.replace(b"100-continue", b"200-maybe")
        assert (await send(address, unknown + DRAIN)).startswith(b"HTTP/1.1 200 ")


@pytest.mark.usefixtures("silent")
@pytest.mark.parametrize(
    "path",
    [
        "/v1/overrides/pool/../../../healthz",
        "/healthz/../v1/overrides/pool/web-fra",
        "/v1/overrides/pool/%2e%2e/%2e%2e/healthz",
        "/v1/overrides/pool/%",
        "/v1/overrides/pool/%zz",
        "/v1/overrides/pool/%ff%fe",
        "/v1/overrides/pool/%00",
        "/v1/overrides/pool/%ed%a0%80",
        "/v1/overrides//web-fra",
        "/v1/overrides/%2e/web-fra",
        "/v1/overrides/pool/web-fra/",
        "/v1/overrides/pool/web-fra;a=b",
        "/v1/overrides/pool/web-fra%0d%0aX-Evil: 1",
        "//v1/overrides/pool/web-fra",
        "/v1/overrides/pool/" + "a" * 5000,
        "/v1/checks/backup/::ffff:192.0.2.10%25eth0",
        "/v1/pools/../load",
        "*",
        "http://evil.example/v1/overrides/pool/",
    ],
)
async def test_whatever_path_is_asked_for_is_refused(path):
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        reply = await send(address, request("PUT", path, DRAIN))
        assert reply.split()[1] in (b"400", b"404", b"405"), reply
        assert b"X-Evil:" not in reply.partition(b"\r\n\r\n")[0]
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_no_path_that_resembles_an_open_one_opens_another():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for path in (
            "/healthz/../v1/overrides",
            "/%68ealthz",
            "/v1/overrides?/healthz",
            "/healthz",
        ):
            octets = request("PUT", path, DRAIN).replace(b"Authorization: Bearer me's", b"X: y")
            assert (await send(address, octets)).split()[1] in (b"400", b"401", b"404", b"405")
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_headers_without_end_are_refused():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for more in (["X: " + "a" * 100_000], [f"X-{n}: a" for n in range(5000)]):
            reply = await send(address, request("PUT", PATH, DRAIN, *more))
            assert reply.split()[1] in (b"400", b"431")
        for more in ("X: a\0b", "X : a", " folded: a", ": a", "X\xff: a"):
            reply = await send(address, request("PUT", PATH, DRAIN, more))
            assert DEFECT not in reply[:20]
            desk.orders.clear()  # what some of them mean may be guessed
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_several_authorizations_are_none():
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for more in ("Authorization: Bearer me's", "Authorization: Bearer wrong"):
            status, detail = await told(address, request("PUT", PATH, DRAIN, more))
            assert (status, "shows no token" in detail) == (401, True)
        await is_well(address, desk)


@pytest.mark.usefixtures("silent")
async def test_no_body_is_a_defect():
    bodies = (
        b"\0",
        b"{}" * 1000,
        b'"\\ud800"',
        b'{"why": "\\ud800"}',
        b"1e999999999",
        b"9" * 60_000,
        b'{"state": {"state": {}}}',
        b'[{"a":' * 5000,
        b"\xef\xbb\xbf{}",
        b'{"a":1,}',
    )
    desk = Desk()
    async with serving(desk, SUPPLIERS) as address:
        for path in (PATH, "/v1/pools/web-fra/load", "/v1/checks/backup/192.0.2.10"):
            for body in bodies:
                assert (await told(address, request("PUT", path, body)))[0] == 400
        await is_well(address, desk)
