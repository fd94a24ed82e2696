"""The dns check against name servers that behave and misbehave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace

import pytest
from dnslib import AAAA, QTYPE, RCODE, RR, A, DNSRecord
from gslb.core.check import Check, Target
from gslb.core.trail import Result
from gslb.probe.attempt import attempt
from gslb.probe.connection import Means
from gslb.probe.dns import _judge
from gslb.probe.reason import ProbeError
from gslb.wire.name import from_text
from hypothesis import given
from hypothesis import strategies as st

from turns import counted_turns

ASK = Check("ns", "dns", 53, query=(from_text("www.Example.com"), 1))
Handler = Callable[[bytes], list[bytes]]


@asynccontextmanager
async def name_server(handler: Handler, host: str = "127.0.0.1") -> AsyncIterator[int]:
    """Answers each datagram with those that the handler makes of it; gives its port."""
    loop = asyncio.get_running_loop()
    family = socket.AF_INET6 if ":" in host else socket.AF_INET

    async def serve(listener: socket.socket) -> None:
        while True:
            packet, sender = await loop.sock_recvfrom(listener, 4096)
            for reply in handler(packet):
                await loop.sock_sendto(listener, reply, sender)

    with socket.socket(family, socket.SOCK_DGRAM) as listener:
        listener.setblocking(False)
        listener.bind((host, 0))
        task = asyncio.create_task(serve(listener))
        try:
            yield listener.getsockname()[1]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def ask(means: Means, handler: Handler, check: Check = ASK) -> Result:
    async with name_server(handler) as port:
        return await attempt(check, Target("ns", "127.0.0.1", port), means)


def answering(*addresses: str, rcode: str = "NOERROR") -> Handler:
    """A name server that gives these addresses to whatever it is asked."""

    def handle(packet: bytes) -> list[bytes]:
        query = DNSRecord.parse(packet)
        reply = query.reply()
        reply.header.rcode = getattr(RCODE, rcode)
        for address in addresses:
            is_ipv6 = ":" in address
            rdata = AAAA(address) if is_ipv6 else A(address)
            kind = QTYPE.AAAA if is_ipv6 else QTYPE.A
            reply.add_answer(RR(query.q.qname, kind, rdata=rdata))
        return [reply.pack()]

    return handle


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
async def test_a_name_server_that_answers_is_good(means: Means, address: str) -> None:
    asked: list[DNSRecord] = []

    def note(packet: bytes) -> list[bytes]:
        asked.append(DNSRecord.parse(packet))
        return answering("192.0.2.1")(packet)

    async with name_server(note, address) as port:
        result = await attempt(ASK, Target("ns", address, port), means)
    assert (result.ok, result.reason) == (True, "")
    assert result.latency_s is not None
    assert result.latency_s > 0
    assert (str(asked[0].q.qname), asked[0].q.qtype, asked[0].header.rd) == (
        "www.Example.com.",
        1,
        1,
    )


@pytest.mark.parametrize(
    ("addresses", "expected", "reason"),
    [
        (("192.0.2.1",), "192.0.2.1", ""),
        (("192.0.2.2", "192.0.2.1"), "192.0.2.1", ""),
        (("192.0.2.2",), "192.0.2.1", "192.0.2.1 is not in the answer"),
        ((), "192.0.2.1", "192.0.2.1 is not in the answer"),
        (("2001:db8::1",), "2001:db8::1", ""),
        (("2001:db8::2",), "2001:db8::1", "2001:db8::1 is not in the answer"),
    ],
)
async def test_the_address_has_to_be_in_the_answer(
    means: Means, addresses: tuple[str, ...], expected: str, reason: str
) -> None:
    result = await ask(means, answering(*addresses), replace(ASK, address=expected))
    assert (result.ok, result.reason) == (not reason, reason)


async def test_the_rcode_has_to_be_the_one_that_is_wanted(means: Means) -> None:
    assert (await ask(means, answering(rcode="SERVFAIL"))).reason == "rcode SERVFAIL"
    assert (await ask(means, answering(rcode="NXDOMAIN"))).reason == "rcode NXDOMAIN"
    wants_none = replace(ASK, rcode=3)
    assert (await ask(means, answering(rcode="NXDOMAIN"), wants_none)).ok
    assert (await ask(means, answering("192.0.2.1"), wants_none)).reason == "rcode NOERROR"


async def test_an_error_without_the_question_is_a_reply(means: Means) -> None:
    def refuse(packet: bytes) -> list[bytes]:
        return [packet[:2] + b"\x80\x05" + bytes(8)]

    assert (await ask(means, refuse)).reason == "rcode REFUSED"


async def test_an_answer_cut_short_is_told(means: Means) -> None:
    def cut(packet: bytes) -> list[bytes]:
        (reply,) = answering()(packet)
        return [reply[:2] + bytes((reply[2] | 2,)) + reply[3:]]

    result = await ask(means, cut, replace(ASK, address="192.0.2.1"))
    assert result.reason == "192.0.2.1 is not in the answer, which is cut short"
    assert (await ask(means, cut)).ok


async def test_a_closed_port_is_connect_refused(means: Means, closed_port: int) -> None:
    result = await attempt(ASK, Target("ns", "127.0.0.1", closed_port), means)
    assert (result.ok, result.reason) == (False, "connect refused")


async def test_a_name_server_that_says_nothing_is_a_timeout(means: Means) -> None:
    result = await ask(means, lambda _: [], replace(ASK, timeout_s=0.1))
    assert result.reason == "timeout after 0.1 s"


def other_number(packet: bytes) -> bytes:
    (reply,) = answering("192.0.2.9")(packet)
    return bytes((reply[0] ^ 1,)) + reply[1:]


def other_question(packet: bytes) -> bytes:
    (reply,) = answering("192.0.2.9")(packet)
    return reply.replace(b"Example", b"Exampla")


STRANGE = [
    other_number,
    other_question,
    lambda packet: packet,  # the query itself
    lambda packet: packet[:2],
    lambda packet: b"",
    lambda packet: b"hello, I am no name server",
    lambda packet: packet[:2] + b"\x80\x00" + bytes(8),  # no question and no error
]


@pytest.mark.parametrize("strange", STRANGE, ids=range(len(STRANGE)))
async def test_what_is_no_reply_to_our_question_is_waited_past(
    means: Means, strange: Callable[[bytes], bytes]
) -> None:
    alone = await ask(means, lambda packet: [strange(packet)], replace(ASK, timeout_s=0.1))
    assert alone.reason == "timeout after 0.1 s"
    wants = replace(ASK, address="192.0.2.1")
    then = await ask(
        means, lambda packet: [strange(packet), *answering("192.0.2.1")(packet)], wants
    )
    assert (then.ok, then.reason) == (True, "")


async def test_a_reply_from_another_address_is_not_heard(means: Means) -> None:
    """Whoever guesses number and question still has to be the endpoint."""
    spoofed = asyncio.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as honest:
        honest.setblocking(False)
        honest.bind(("127.0.0.1", 0))
        port = honest.getsockname()[1]
        check = replace(ASK, timeout_s=0.2)
        probe = asyncio.create_task(attempt(check, Target("ns", "127.0.0.1", port), means))
        packet, sender = await asyncio.get_running_loop().sock_recvfrom(honest, 4096)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
            other.sendto(answering("192.0.2.1")(packet)[0], sender)
            spoofed.set()
        result = await probe
    assert spoofed.is_set()
    assert result.reason == "timeout after 0.2 s"


async def test_a_flood_of_strange_datagrams_holds_up_neither_timeout_nor_loop(
    means: Means,
) -> None:
    async with counted_turns() as turns:
        result = await ask(
            means, lambda packet: [other_number(packet)] * 200, replace(ASK, timeout_s=0.3)
        )
    assert result.reason == "timeout after 0.3 s"
    assert turns.count > 200


def knot(packet: bytes) -> bytes:
    """Names that lead to one another for ever."""
    head = packet[:2] + b"\x80\x00\x00\x01\x00\x02\x00\x00\x00\x00" + packet[12:]
    at = len(head)
    return head + b"\x04abcd\xc0" + bytes((at,)) + bytes(10) + b"\x09" + b"x" * 9


def stairs(packet: bytes) -> bytes:
    """As many pointers to pointers as fit, and records that all begin at the top."""
    head = packet[:2] + b"\x80\x00\x00\x01\x00\x0a\x00\x00\x00\x00" + packet[12:]
    opening = b"\x00\xff\x10\x00\x01" + bytes(4)  # a type that nobody reads holds the stairs
    base = len(head) + len(opening) + 2
    steps = b"\x00"
    while base + len(steps) < 380:
        to = base + (len(steps) - 2 if len(steps) > 1 else 0)
        steps += (0xC000 | to).to_bytes(2)
    top = (0xC000 | (base + len(steps) - 2)).to_bytes(2)
    record = top + b"\x00\x05\x00\x01" + bytes(4) + b"\x00\x02" + top
    return head + opening + len(steps).to_bytes(2) + steps + record * 9


@pytest.mark.parametrize(
    "break_it",
    [
        knot,
        lambda packet: answering("192.0.2.1")(packet)[0][:-3],
        lambda packet: answering("192.0.2.1")(packet)[0] + bytes(600),
        lambda packet: (
            packet[:2] + b"\x80\x00\x00\x01\xff\xff\x00\x00\x00\x00" + packet[12:] + b"\xc0\xff"
        ),
    ],
    ids=["knot", "cut", "long", "many"],
)
async def test_what_cannot_be_read_is_told(
    means: Means, break_it: Callable[[bytes], bytes]
) -> None:
    result = await ask(means, lambda packet: [break_it(packet)])
    assert (result.ok, result.reason) == (False, "not a DNS reply")


async def test_what_may_not_be_probed_is_not_asked(means: Means) -> None:
    asked: list[bytes] = []

    def note(packet: bytes) -> list[bytes]:
        asked.append(packet)
        return []

    careful = Means((), means.contexts, means.clock)
    async with name_server(note) as port:
        result = await attempt(ASK, Target("ns", "127.0.0.1", port), careful)
    assert result.reason == "not probed: 127.0.0.1 is in 127.0.0.0/8 (loopback)"
    assert not asked


async def test_inverted_it_is_good_if_nobody_answers(means: Means, closed_port: int) -> None:
    check = replace(ASK, invert=True)
    result = await attempt(check, Target("ns", "127.0.0.1", closed_port), means)
    assert (result.ok, result.reason, result.latency_s) == (True, "", None)
    answers = await ask(means, answering("192.0.2.1"), check)
    assert (answers.ok, answers.reason) == (False, "answers, and invert is set")


async def test_a_reply_full_of_pointers_is_read_like_any_other(means: Means) -> None:
    assert (await ask(means, lambda packet: [stairs(packet)])).ok


@given(st.binary(max_size=500))
def test_no_reply_breaks_the_prober(rest: bytes) -> None:
    with suppress(ProbeError):
        _judge(replace(ASK, address="192.0.2.1"), b"\0\1\x80\0" + rest)
