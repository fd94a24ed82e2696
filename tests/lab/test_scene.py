"""What every act expects, and the answers that it looks at, over real sockets."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from dnslib import AAAA as QUAD_A
from dnslib import NS, QTYPE, RR, A, DNSRecord
from gslb.lab.change import Change
from gslb.lab.engine import open_engine
from gslb.lab.mishap import Comeback, expect_back
from gslb.lab.outage import expect_delegation, expect_recursion
from gslb.lab.report import Report
from gslb.lab.scene import Scene
from gslb.lab.screen import Screen
from gslb.lab.site import SERVERS
from gslb.lab.stub import NameServer

from .miniature import Miniature, open_miniature

HOME = {"client-fra over IPv4": "fra"}
ZONE = "gslb.example.com"


def make_report() -> Report:
    clock = asyncio.get_running_loop().time
    return Report("test", Screen(io.StringIO()), clock, clock())


@pytest.fixture
async def mini() -> AsyncIterator[Miniature]:
    async with open_miniature() as mini:
        yield mini


@pytest.fixture
async def scene(mini: Miniature, tmp_path: Path) -> AsyncIterator[Scene]:
    async with open_engine(tmp_path / "none") as engine:
        yield Scene(engine, mini.watch, make_report(), {}, {}, ttl_s=5)


def failed(report: Report) -> list[str]:
    return [expectation.what for expectation in report.expectations if not expectation.passed]


async def test_visits_that_go_on_and_are_not_lost_are_quiet(mini: Miniature, scene: Scene) -> None:
    diary = await mini.watch.open_diary(HOME)
    began_s = scene.report.clock() - 6
    for _ in range(3):
        mini.visit("fra")
    await scene.expect_quiet("steady", diary, began_s)
    assert failed(scene.report) == []


async def test_a_client_that_hangs_loses_nothing_and_is_not_quiet(
    mini: Miniature, scene: Scene
) -> None:
    diary = await mini.watch.open_diary({**HOME, "client-fra over IPv6": "fra"})
    mini.visit("fra", family=6)
    for _ in range(30):
        mini.visit("fra")
    await scene.expect_quiet("steady", diary, scene.report.clock() - 6)
    assert failed(scene.report) == ["steady: every client goes on asking"]
    assert "1 visits of client-fra over IPv6, the fewest; at least 3" in [
        expectation.detail for expectation in scene.report.expectations
    ]


async def test_visits_before_a_moment_say_nothing_of_what_came_after_it(
    mini: Miniature, scene: Scene
) -> None:
    diary = await mini.watch.open_diary(HOME)
    for _ in range(30):
        mini.visit("fra")
    await mini.watch.catch_up()
    diary.notes = [replace(note, at_s=note.at_s - 60) for note in diary.notes]
    await scene.expect_quiet("unpaused", diary, scene.report.clock() - 6)
    assert failed(scene.report) == ["unpaused: every client goes on asking"]


async def test_a_client_that_is_sent_elsewhere_is_not_quiet(mini: Miniature, scene: Scene) -> None:
    diary = await mini.watch.open_diary(HOME)
    mini.visit("fra")
    mini.visit("sorry")
    await scene.expect_quiet("killed", diary, scene.report.clock() - 1)
    assert failed(scene.report) == ["killed: every client is where it belongs"]


async def test_a_lost_request_is_not_quiet(mini: Miniature, scene: Scene) -> None:
    diary = await mini.watch.open_diary(HOME)
    mini.visit("fra")
    mini.visit("fra", "timed out")
    await scene.expect_quiet("steady", diary, scene.report.clock() - 1)
    assert failed(scene.report) == ["steady: no request is lost"]


async def test_visits_that_nobody_saw_are_not_quiet(mini: Miniature, scene: Scene) -> None:
    diary = await mini.watch.open_diary(HOME)
    mini.visit("fra", "timed out")
    mini.visit("fra")
    mini.logbook._entries.popleft()
    await scene.expect_quiet("steady", diary, scene.report.clock() - 1)
    assert failed(scene.report) == ["steady: every visit was seen"]


async def test_a_change_is_followed_and_summed_up(mini: Miniature, scene: Scene) -> None:
    async def fail() -> None:
        for server in mini.servers:
            server.verdicts, server.region = 2, "iad"
        mini.visit("fra", "timed out")
        mini.visit("iad")
        await mini.watch.catch_up()

    diary = await scene.follow(
        Change("failover", ("fra",), "down", of="fra", wanted="iad"),
        "fra is stopped",
        fail,
        {"client-fra over IPv4": "iad"},
    )
    assert failed(scene.report) == []
    assert [str(one).split(":")[0] for one in scene.report.passages] == ["failover takes"]
    assert scene.report.moments[0].what == "fra is stopped"
    assert [note.failure for note in diary.lost] == ["timed out"]


def test_the_bound_is_what_the_limits_of_a_failure_allow(mini: Miniature) -> None:
    scene = Scene(None, mini.watch, None, {}, {}, ttl_s=5)  # type: ignore[arg-type]
    assert scene.bound(1).requests == 4 * (8 + 1 + 5 + 3) + 1
    assert scene.bound(3).requests == 3 * scene.bound(1).requests


@pytest.mark.parametrize(
    ("comeback", "passed"),
    [(Comeback("", 2.9), True), (Comeback("", 3.1), False), (Comeback("A: timed out"), False)],
)
async def test_who_was_let_go_has_to_answer_at_once(comeback: Comeback, passed: bool) -> None:
    report = make_report()
    expect_back(report, "unpaused", comeback)
    assert [one.passed for one in report.expectations] == [passed]


@asynccontextmanager
async def answering(compose: Callable[[DNSRecord], DNSRecord]) -> AsyncIterator[NameServer]:
    """A name server whose every answer is made of the query."""

    class Protocol(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
            transport.sendto(compose(DNSRecord.parse(data)).pack(), addr)

    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        Protocol, local_addr=("127.0.0.1", 0)
    )
    try:
        yield NameServer("127.0.0.1", transport.get_extra_info("sockname")[1])
    finally:
        transport.close()


def refer(query: DNSRecord) -> DNSRecord:
    """The referral that the parent has to give."""
    reply = query.reply(ra=0, aa=0)
    for server in SERVERS:
        name = f"{server.name}.{ZONE}"
        reply.add_auth(RR(ZONE, QTYPE.NS, rdata=NS(name)))
        for address in server.addresses:
            data = QUAD_A(address) if ":" in address else A(address)
            reply.add_ar(RR(name, QTYPE.AAAA if ":" in address else QTYPE.A, rdata=data))
    return reply


def refer_without_glue(query: DNSRecord) -> DNSRecord:
    reply = refer(query)
    del reply.ar[-1]
    return reply


def refer_to_one(query: DNSRecord) -> DNSRecord:
    reply = refer(query)
    del reply.auth[-1]
    return reply


def refer_with_authority(query: DNSRecord) -> DNSRecord:
    reply = refer(query)
    reply.header.aa = 1
    return reply


def answer(query: DNSRecord) -> DNSRecord:
    reply = query.reply(ra=1, aa=0)
    reply.add_answer(RR(query.q.qname, QTYPE.A, rdata=A("198.18.1.10")))
    return reply


def answer_with_authority(query: DNSRecord) -> DNSRecord:
    reply = answer(query)
    reply.header.aa = 1
    return reply


@pytest.mark.parametrize(
    ("compose", "passed"),
    [
        (refer, True),
        (refer_without_glue, False),
        (refer_to_one, False),
        (refer_with_authority, False),
        (answer, False),
    ],
)
async def test_a_delegation_is_a_referral_to_both_with_glue(
    compose: Callable[[DNSRecord], DNSRecord], passed: bool
) -> None:
    report = make_report()
    async with answering(compose) as parent:
        await expect_delegation(report, parent)
    assert [one.passed for one in report.expectations] == [passed]


@pytest.mark.parametrize(
    ("compose", "passed"), [(answer, True), (answer_with_authority, False), (refer, False)]
)
async def test_a_resolvers_answer_is_not_authoritative(
    compose: Callable[[DNSRecord], DNSRecord], passed: bool
) -> None:
    report = make_report()
    async with answering(compose) as resolver:
        await expect_recursion(report, resolver)
    assert [one.passed for one in report.expectations] == [passed]


async def test_who_does_not_answer_has_failed() -> None:
    report = make_report()
    await expect_recursion(report, NameServer("127.0.0.1", 1))
    await expect_delegation(report, NameServer("127.0.0.1", 1))
    assert [(one.passed, one.detail) for one in report.expectations] == [
        (False, "connection refused"),
        (False, "connection refused"),
    ]
