"""The lab's resolver against a server of the test's own, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from ipaddress import IPv4Address, IPv4Network

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest
from gslb.lab import resolver as under_test
from gslb.lab.resolver import NoAnswer, Resolver, open_resolver

NAME = "www.gslb.example.com"
LONDONER = IPv4Address("81.2.69.160")
Answer = Callable[[dns.message.Message], dns.message.Message | None]


class Server(asyncio.DatagramProtocol):
    """Answers by a function; remembers what it was asked, as dnspython reads it."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.asked: list[dns.message.Message] = []

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query)
        reply = self.answer(query)
        if reply is not None:
            self.transport.sendto(reply.to_wire(), addr)


def found(query: dns.message.Message, *, ttl: int = 10, scope: int = 24) -> dns.message.Message:
    reply = dns.message.make_response(query)
    question = query.question[0].name
    reply.answer.append(dns.rrset.from_text(question, ttl, "IN", "A", "127.10.1.1"))
    reply.use_edns(0, options=[dns.edns.ECSOption("81.2.69.0", 24, scope)])
    return reply


@contextlib.asynccontextmanager
async def resolving(answer: Answer) -> AsyncIterator[tuple[Resolver, Server]]:
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(
        lambda: Server(answer), local_addr=("127.0.0.1", 0)
    )
    port = transport.get_extra_info("sockname")[1]
    resolver = await open_resolver("127.1.0.53", port, lambda: 0.0)
    try:
        yield resolver, server
    finally:
        resolver.close()
        transport.close()


async def test_a_query_carries_the_clients_subnet_and_no_more() -> None:
    async with resolving(found) as (resolver, server):
        assert await resolver.resolve(NAME, LONDONER) == ("127.10.1.1",)
    (option,) = server.asked[0].options
    assert option == dns.edns.ECSOption("81.2.69.0", 24, 0)
    assert not server.asked[0].flags & dns.flags.RD


async def test_what_is_known_is_not_asked_again_within_the_scope() -> None:
    async with resolving(lambda query: found(query, scope=16)) as (resolver, server):
        await resolver.resolve(NAME, LONDONER)
        await resolver.resolve(NAME, IPv4Address("81.2.1.1"))
        assert len(server.asked) == 1
        await resolver.resolve(NAME, IPv4Address("81.3.1.1"))
        assert len(server.asked) == 2


async def test_two_clients_that_ask_at_once_are_one_query() -> None:
    async with resolving(found) as (resolver, server):
        answers = await asyncio.gather(*(resolver.resolve(NAME, LONDONER) for _ in range(5)))
        assert answers == [("127.10.1.1",)] * 5
        assert len(server.asked) == 1


async def test_asking_past_the_cache_always_asks() -> None:
    async with resolving(found) as (resolver, server):
        subnet = IPv4Network("81.2.69.0/24")
        reply = await resolver.ask(NAME, subnet)
        assert (reply.addresses, reply.ttl_s, reply.scope) == (("127.10.1.1",), 10, 24)
        await resolver.ask(NAME, subnet)
        assert len(server.asked) == 2


async def test_a_refusal_is_no_answer_and_is_not_kept() -> None:
    def refuse(query: dns.message.Message) -> dns.message.Message:
        reply = dns.message.make_response(query)
        reply.set_rcode(dns.rcode.REFUSED)
        return reply

    async with resolving(refuse) as (resolver, server):
        for _ in range(2):
            with pytest.raises(NoAnswer, match="REFUSED"):
                await resolver.resolve(NAME, LONDONER)
        assert len(server.asked) == 2


async def test_a_lost_query_is_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "TIMEOUT_S", 0.05)
    queries: list[dns.message.Message] = []

    def lose_the_first(query: dns.message.Message) -> dns.message.Message | None:
        queries.append(query)
        return found(query) if len(queries) > 1 else None

    async with resolving(lose_the_first) as (resolver, _):
        assert await resolver.resolve(NAME, LONDONER) == ("127.10.1.1",)
    assert len(queries) == 2


async def test_a_silent_server_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "TIMEOUT_S", 0.01)
    async with resolving(lambda query: None) as (resolver, server):
        with pytest.raises(NoAnswer, match="timed out"):
            await resolver.resolve(NAME, LONDONER)
        assert len(server.asked) == under_test.TRIES
