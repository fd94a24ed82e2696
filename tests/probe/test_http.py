"""The http check against endpoints that behave and misbehave."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means

from endpoint import Endpoints, Handler, breaking_off, endless, page, saying, silence

WEB = Check("web", "http", 80, path="/healthz")
SECRET = b"the database password is hunter2"


async def visit(endpoints: Endpoints, means: Means, handler: Handler, check: Check = WEB) -> Result:
    port = await endpoints.open(handler)
    return await attempt(check, Target("web", "127.0.0.1", port), means)


@pytest.mark.parametrize("status", [200, 204, 299, 304])
async def test_a_status_in_the_ranges_is_good(
    endpoints: Endpoints, means: Means, status: int
) -> None:
    result = await visit(endpoints, means, saying(page(status)))
    assert (result.ok, result.reason) == (True, "")
    assert result.latency_s is not None
    assert result.latency_s > 0


@pytest.mark.parametrize("status", [301, 404, 503])
async def test_any_other_status_is_told(endpoints: Endpoints, means: Means, status: int) -> None:
    result = await visit(endpoints, means, saying(page(status, SECRET)))
    assert (result.ok, result.reason, result.latency_s) == (False, f"status {status}", None)


async def test_the_operator_says_which_status_is_good(endpoints: Endpoints, means: Means) -> None:
    check = replace(WEB, status=((401, 401),))
    assert (await visit(endpoints, means, saying(page(401)), check)).ok
    assert not (await visit(endpoints, means, saying(page(200)), check)).ok


async def test_the_request_is_what_the_check_says(endpoints: Endpoints, means: Means) -> None:
    seen: list[bytes] = []
    check = replace(
        WEB,
        method="POST",
        path="/deep?really=1",
        host="www.example.com",
        headers=(("X-Probe", "yes"), ("user-agent", "ours")),
    )
    assert (await visit(endpoints, means, saying(page(200), seen=seen), check)).ok
    first, *headers = seen[0].decode().lower().strip().split("\r\n")
    assert first == "post /deep?really=1 http/1.1"
    assert sorted(headers) == [
        "accept: */*",
        "connection: close",
        "content-length: 0",
        "host: www.example.com",
        "user-agent: ours",
        "x-probe: yes",
    ]


@pytest.mark.parametrize(("address", "literal"), [("127.0.0.1", "127.0.0.1"), ("::1", "[::1]")])
async def test_without_a_host_the_address_is_asked_for(
    endpoints: Endpoints, means: Means, address: str, literal: str
) -> None:
    seen: list[bytes] = []
    port = await endpoints.open(saying(page(200), seen=seen), address)
    assert (await attempt(WEB, Target("web", address, port), means)).ok
    assert f"\r\nhost: {literal}:{port}\r\n".encode() in seen[0].lower()


async def test_headers_that_http_forbids_are_a_reason_and_not_a_crash(
    endpoints: Endpoints, means: Means
) -> None:
    for check in (replace(WEB, headers=(("X", "a\r\nY: b"),)), replace(WEB, path="/ä b")):
        result = await visit(endpoints, means, saying(page(200)), check)
        assert result.reason == "the request is not valid HTTP"


async def test_a_listener_that_never_answers_is_a_timeout(
    endpoints: Endpoints, means: Means
) -> None:
    result = await visit(endpoints, means, silence, replace(WEB, timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "timeout after 0.1 s")


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (b"", "closed without a reply"),
        (b"HTTP/1.1 200 OK\r\nContent-", "reply cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nhello", "reply cut short"),
        (b"SSH-2.0-OpenSSH_9.2\r\n\r\n", "not an HTTP reply"),
        (bytes(range(256)) + b"\r\n\r\n", "not an HTTP reply"),
        (b"HTTP/1.1 100 Continue\r\n\r\n" * 20, "not an HTTP reply"),
        (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", "not an HTTP reply"),
    ],
    ids=["nothing", "half a header", "half a body", "ssh", "octets", "interim", "huge header"],
)
async def test_what_is_no_reply_is_told(
    endpoints: Endpoints, means: Means, reply: bytes, reason: str
) -> None:
    result = await visit(endpoints, means, saying(reply), replace(WEB, body="hello world"))
    assert (result.ok, result.reason) == (False, reason)


async def test_a_reset_is_told(endpoints: Endpoints, means: Means) -> None:
    opening = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n"
    result = await visit(endpoints, means, breaking_off(opening), replace(WEB, body="x"))
    assert result.reason in ("connection reset", "reply cut short", "closed without a reply")


async def test_interim_replies_come_before_the_real_one(endpoints: Endpoints, means: Means) -> None:
    reply = b"HTTP/1.1 103 Early Hints\r\n\r\n" + page(200)
    assert (await visit(endpoints, means, saying(reply))).ok


# ---- body ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("check", "reason"),
    [
        (replace(WEB, body="password"), ""),
        (replace(WEB, body="ready"), "body does not contain the text"),
        (replace(WEB, body_regex=r"hunter\d$"), ""),
        (replace(WEB, body_regex=r"^hunter\d"), "body does not match the expression"),
        (replace(WEB, body="password", body_regex="ready"), "body does not match the expression"),
    ],
)
async def test_the_body_is_looked_at_and_never_quoted(
    endpoints: Endpoints, means: Means, check: Check, reason: str
) -> None:
    result = await visit(endpoints, means, saying(page(200, SECRET)), check)
    assert (result.ok, result.reason) == (not reason, reason)


async def test_an_expression_that_would_never_end_is_the_reason(
    endpoints: Endpoints, means: Means
) -> None:
    check = replace(WEB, body_regex=r"(a+)+$")
    result = await visit(endpoints, means, saying(page(200, b"a" * 40 + b"b")), check)
    assert (result.ok, result.reason) == (False, "body_regex takes too long on this body")


async def test_a_body_in_chunks_is_put_together(endpoints: Endpoints, means: Means) -> None:
    reply = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nrea\r\n2\r\ndy\r\n0\r\n\r\n"
    assert (await visit(endpoints, means, saying(reply), replace(WEB, body="ready"))).ok


async def test_a_body_until_the_end_of_the_connection_is_read(
    endpoints: Endpoints, means: Means
) -> None:
    reply = b"HTTP/1.0 200 OK\r\n\r\nall is ready"
    assert (await visit(endpoints, means, saying(reply), replace(WEB, body="ready"))).ok


async def test_a_body_is_looked_at_up_to_its_limit(endpoints: Endpoints, means: Means) -> None:
    reply = page(200, b"x" * 10_000 + b"ready")
    long, short = (replace(WEB, body="ready", max_body=size) for size in (10_005, 10_004))
    assert (await visit(endpoints, means, saying(reply), long)).ok
    assert not (await visit(endpoints, means, saying(reply), short)).ok


async def test_an_endless_body_is_judged_at_its_limit(endpoints: Endpoints, means: Means) -> None:
    opening = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    for text, good in (("xx", False), ("x", True)):
        flood = endless(opening, b"1\r\nx\r\n1\r\n-\r\n" * 100)
        check = replace(WEB, body=text, max_body=5_000)
        result = await visit(endpoints, means, flood, check)
        assert (result.ok, result.reason) == (
            good,
            "" if good else "body does not contain the text",
        )


async def test_a_body_that_drips_is_a_timeout(endpoints: Endpoints, means: Means) -> None:
    opening = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n"

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(opening + b"rea")
        await reader.read()

    check = replace(WEB, body="ready", timeout_s=0.1)
    assert (await visit(endpoints, means, drip, check)).reason == "timeout after 0.1 s"


async def test_without_a_body_to_check_the_status_is_enough(
    endpoints: Endpoints, means: Means
) -> None:
    async def headers_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        await reader.read()

    assert (await visit(endpoints, means, headers_only)).ok


async def test_a_bad_status_is_told_before_its_body_is_waited_for(
    endpoints: Endpoints, means: Means
) -> None:
    async def headers_only(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 503 Busy\r\nContent-Length: 1000\r\n\r\n")
        await reader.read()

    assert (await visit(endpoints, means, headers_only, replace(WEB, body="x"))).reason == (
        "status 503"
    )


# ---- latency -------------------------------------------------------------------------


async def test_latency_is_the_connect_time_or_the_time_to_the_first_byte(
    endpoints: Endpoints, means: Means
) -> None:
    ticks = iter(range(100))
    counting = replace(means, clock=lambda: float(next(ticks)))
    port = await endpoints.open(saying(page(200)))
    target = Target("web", "127.0.0.1", port)
    connect = await attempt(WEB, target, counting)
    first_byte = await attempt(replace(WEB, latency="first_byte"), target, counting)
    # The clock is read before the connection, after it, at the first byte, and for the result.
    assert (connect.latency_s, connect.at) == (1.0, 3.0)
    assert (first_byte.latency_s, first_byte.at) == (2.0, 7.0)


# ---- invert ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("handler", "ok", "reason"),
    [
        (saying(page(200)), False, "answers, and invert is set"),
        (saying(page(503)), True, ""),
        (saying(b""), True, ""),
        (silence, True, ""),
    ],
)
async def test_inverted_success_is_failure(
    endpoints: Endpoints, means: Means, handler: Handler, ok: bool, reason: str
) -> None:
    check = replace(WEB, invert=True, timeout_s=0.1 if handler is silence else 2.0)
    result = await visit(endpoints, means, handler, check)
    assert (result.ok, result.reason, result.latency_s) == (ok, reason, None)


async def test_inverting_makes_no_good_of_what_cannot_be_asked(
    endpoints: Endpoints, means: Means
) -> None:
    for check in (replace(WEB, headers=(("X", "a\r\nY: b"),)), replace(WEB, path="/ä b")):
        inverted = replace(check, invert=True)
        result = await visit(endpoints, means, saying(page(200)), inverted)
        assert (result.ok, result.reason) == (False, "the request is not valid HTTP")


# ---- gray failures -----------------------------------------------------------------------


async def test_a_page_that_is_slow_is_down_and_not_a_little_slower(
    endpoints: Endpoints, means: Means
) -> None:
    never = asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await never.wait()
        writer.write(page(200, b"ready"))

    result = await visit(endpoints, means, slow, replace(WEB, timeout_s=0.1))
    assert (result.ok, result.reason) == (False, "timeout after 0.1 s")


async def test_one_in_three_is_one_failure_in_three(endpoints: Endpoints, means: Means) -> None:
    """One in three is below every `fall` above 1: `fall: 1` or a `body` has to catch it."""
    turn = 0

    async def moody(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal turn
        await reader.readuntil(b"\r\n\r\n")
        turn += 1
        writer.write(page(500 if turn % 3 == 0 else 200, SECRET))

    port = await endpoints.open(moody)
    results = [await attempt(WEB, Target("web", "127.0.0.1", port), means) for _ in range(9)]
    assert [result.reason for result in results] == ["", "", "status 500"] * 3


async def test_a_page_that_says_200_over_the_wrong_body_is_down(
    endpoints: Endpoints, means: Means
) -> None:
    lying = saying(page(200, b"<h1>We are sorry</h1>"))
    result = await visit(endpoints, means, lying, replace(WEB, body="ready"))
    assert result.reason == "body does not contain the text"
