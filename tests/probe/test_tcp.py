"""The tcp check, and what stands before every connection."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
from dataclasses import replace

import pytest
from gslb.core.check import Check, Target
from gslb.core.probing import refusal
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.reason import ago, failure
from gslb.probe.tcp import Dialogue
from hypothesis import given
from hypothesis import strategies as st

from endpoint import Endpoints, Handler, silence


def tcp(port: int, timeout_s: float = 2.0) -> Check:
    return Check("db", "tcp", port, timeout_s=timeout_s)


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_an_endpoint_that_accepts_is_good(
    endpoints: Endpoints, means: Means, address: str
) -> None:
    port = await endpoints.open(silence, address)
    result = await attempt(tcp(port), Target("db", address, port), means)
    assert result.ok
    assert result.reason == ""
    assert result.latency_s is not None
    assert 0 < result.latency_s < 2.0


async def test_a_closed_port_is_connect_refused(closed_port: int, means: Means) -> None:
    result = await attempt(tcp(closed_port), Target("db", "127.0.0.1", closed_port), means)
    assert (result.ok, result.reason, result.latency_s) == (False, "connect refused", None)


async def test_a_full_queue_is_a_timeout(means: Means) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", port))
        result = await attempt(tcp(port, 0.1), Target("db", "127.0.0.1", port), means)
        for one in waiting:
            one.close()
    assert result.reason == "timeout after 0.1 s"


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "::1", "169.254.169.254", "::ffff:127.0.0.1", "2002:7f00:1::1"]
)
async def test_what_may_not_be_probed_is_not_connected_to(
    endpoints: Endpoints, means: Means, address: str
) -> None:
    accepted: list[bool] = []

    async def note(*_: object) -> None:
        accepted.append(True)

    port = await endpoints.open(note)
    careful = Means((), means.contexts, means.clock)
    result = await attempt(tcp(port), Target("db", address, port), careful)
    assert result.reason == f"not probed: {refusal(address, ())}"
    assert not accepted


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (errno.ECONNREFUSED, "connect refused"),
        (errno.ECONNRESET, "connection reset"),
        (errno.EPIPE, "connection reset"),
        (errno.ENETUNREACH, "no route"),
        (errno.EHOSTUNREACH, "no route"),
        (errno.ETIMEDOUT, "timeout"),
        (errno.EPERM, "operation not permitted"),
    ],
)
def test_errors_of_the_kernel_are_told_in_words(number: int, text: str) -> None:
    assert str(failure(OSError(number, os.strerror(number)))) == text


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL])
def test_our_own_shortage_is_no_verdict_on_an_endpoint(number: int) -> None:
    with pytest.raises(OSError, match=os.strerror(number)):
        failure(OSError(number, os.strerror(number)))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(5, "5 s ago"), (90, "1 min ago"), (7200, "2 h ago"), (3.5 * 86400, "3 d ago")],
)
def test_an_age_is_told_in_its_largest_unit(seconds: float, text: str) -> None:
    assert ago(seconds) == text


# ---- send and expect ---------------------------------------------------------------------

MAIL = Check("db", "tcp", 25, expect=b"220 ")


async def say(endpoints: Endpoints, means: Means, check: Check, handler: Handler) -> Result:
    port = await endpoints.open(handler)
    return await attempt(check, Target("db", "127.0.0.1", port), means)


def greeting(*pieces: bytes, seen: list[bytes] | None = None) -> Handler:
    """Says the pieces, one after another, and then waits."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0)
        octets = await reader.read(4096)
        if seen is not None:
            seen.append(octets)

    return handle


def echoing(answer: bytes) -> Handler:
    """Answers what it is asked, and hangs up."""

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer + await reader.readline())

    return handle


@pytest.mark.parametrize(
    "pieces",
    [
        (b"220 mail",),
        (b"2", b"2", b"0", b" "),
        (
            b"x" * 9000,
            b"..220 hello",
        ),
    ],
)
async def test_a_banner_is_waited_for_however_it_comes(
    endpoints: Endpoints, means: Means, pieces: tuple[bytes, ...]
) -> None:
    result = await say(endpoints, means, MAIL, greeting(*pieces))
    assert (result.ok, result.reason) == (True, "")


async def test_what_is_to_be_sent_is_sent_and_its_reply_looked_at(
    endpoints: Endpoints, means: Means
) -> None:
    check = Check("db", "tcp", 6379, send="PING ä\r\n".encode(), expect="ä\r\n".encode())
    assert (await say(endpoints, means, check, echoing(b"+PONG "))).ok
    other = replace(check, expect=b"-PONG")
    result = await say(endpoints, means, other, echoing(b"+PONG "))
    assert (result.ok, result.reason) == (False, "closed without the expected reply")


async def test_without_a_reply_to_expect_it_is_enough_to_have_sent(
    endpoints: Endpoints, means: Means
) -> None:
    seen: list[bytes] = []
    check = Check("db", "tcp", 1, send=b"hello")
    assert (await say(endpoints, means, check, greeting(seen=seen))).ok


async def test_a_half_open_listener_accepts_and_never_answers(
    endpoints: Endpoints, means: Means
) -> None:
    check = replace(MAIL, timeout_s=0.1)
    result = await say(endpoints, means, check, silence)
    assert (result.ok, result.reason) == (False, "timeout after 0.1 s")
    assert (await say(endpoints, means, replace(check, expect=None), silence)).ok


async def test_a_listener_that_hangs_up_is_told(endpoints: Endpoints, means: Means) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pass

    result = await say(endpoints, means, MAIL, hang_up)
    assert result.reason == "closed without the expected reply"

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.transport.abort()

    result = await say(endpoints, means, replace(MAIL, send=b"a\nb"), reset)
    assert result.reason in ("connection reset", "closed without the expected reply")


async def test_an_endless_reply_is_read_up_to_64_kib(endpoints: Endpoints, means: Means) -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            writer.write(b"password hunter2 " * 100)
            await writer.drain()
            await asyncio.sleep(0)

    result = await say(endpoints, means, MAIL, flood)
    assert result.reason == "64 KiB without the expected reply"
    beyond = greeting(b"x" * (64 * 1024 - 3) + b"220 ")
    assert not (await say(endpoints, means, MAIL, beyond)).ok
    within = greeting(b"x" * (64 * 1024 - 4) + b"220 ")
    assert (await say(endpoints, means, MAIL, within)).ok


@given(st.binary(min_size=1, max_size=4), st.lists(st.binary(max_size=6), max_size=6))
async def test_a_text_is_found_exactly_if_it_is_there(expect: bytes, pieces: list[bytes]) -> None:
    dialogue = Dialogue(b"", expect, lambda: 5.0)
    for piece in filter(None, pieces):
        dialogue.get_buffer(-1)[: len(piece)] = piece
        dialogue.buffer_updated(len(piece))
    assert dialogue.found.done() == (expect in b"".join(pieces))
    dialogue.eof_received()
    if expect not in b"".join(pieces):
        assert str(dialogue.found.exception()) == "closed without the expected reply"


async def test_latency_is_the_connect_time_or_the_time_to_the_first_byte(
    endpoints: Endpoints, means: Means
) -> None:
    ticks = iter(range(100))
    counting = replace(means, clock=lambda: float(next(ticks)))
    port = await endpoints.open(greeting(b"220 mail"))
    target = Target("db", "127.0.0.1", port)
    # The clock is read before the connection, after it, at the first byte, and for the result.
    connect = await attempt(MAIL, target, counting)
    assert (connect.latency_s, connect.at) == (1.0, 3.0)
    first_byte = await attempt(replace(MAIL, latency="first_byte"), target, counting)
    assert (first_byte.latency_s, first_byte.at) == (2.0, 7.0)
    plain = await attempt(replace(tcp(port), latency="first_byte"), target, counting)
    assert (plain.latency_s, plain.at) == (1.0, 10.0)


async def test_inverted_it_is_good_if_nobody_listens(
    endpoints: Endpoints, means: Means, closed_port: int
) -> None:
    check = Check("db", "tcp", 1, invert=True)
    result = await attempt(check, Target("db", "127.0.0.1", closed_port), means)
    assert (result.ok, result.reason, result.latency_s) == (True, "", None)
    listens = await say(endpoints, means, check, silence)
    assert (listens.ok, listens.reason, listens.latency_s) == (
        False,
        "answers, and invert is set",
        None,
    )
    careful = Means((), means.contexts, means.clock)
    refused = await attempt(check, Target("db", "127.0.0.1", closed_port), careful)
    assert not refused.ok


# ---- what may be probed, by every type that probes ----------------------------------------

FORBIDDEN = [
    "0.0.0.1",
    "127.0.0.1",
    "169.254.1.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "ff02::1",
    "169.254.169.254",
    "fd00:ec2::254",
    "100.100.100.200",
    "168.63.129.16",
    "::ffff:127.0.0.1",
    "::ffff:169.254.169.254",
    "2002:7f00:1::1",
    "2002:a9fe:a9fe::1",
    "64:ff9b::127.0.0.1",
    "64:ff9b::100.100.100.200",
    "64:ff9b:1::168.63.129.16",
]
EACH_TYPE = [
    Check("db", "tcp", 1),
    Check("db", "tcp", 1, tls=True, expect=b"x"),
    Check("db", "http", 1),
    Check("db", "https", 1, verify_tls=False),
    Check("db", "dns", 1),
    Check("db", "icmp", 0),
    Check("db", "exec", 0, command=("/bin/true",)),
]


@pytest.mark.parametrize("check", EACH_TYPE, ids=[check.type for check in EACH_TYPE])
@pytest.mark.parametrize("address", FORBIDDEN)
async def test_no_type_of_check_probes_what_is_on_the_list(
    means: Means, check: Check, address: str
) -> None:
    careful = Means((), means.contexts, means.clock)
    for each in (check, replace(check, invert=True)):
        result = await attempt(each, Target("db", address, 9), careful)
        assert (result.ok, result.reason) == (False, f"not probed: {refusal(address, ())}")


async def test_a_check_that_is_not_probed_is_never_tried(means: Means) -> None:
    for check in (Check("a", "push", 0), Check("a", "calculated", 0)):
        with pytest.raises(AssertionError, match="is not probed"):
            await attempt(check, Target("a", "192.0.2.1", 0), means)
