"""The lab's resolver against a server of the test's own, over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from ipaddress import IPv4Address, IPv4Network

import dns.edns
import dns.flags
import dns.message
import pytest
from gslb.lab.resolver import NoAnswer, Resolver
from gslb.lab.stub import NameServer, Patience

from nameserver import Answer, Server, found, refused, serving

NAME = "www.gslb.example.com"
LONDONER = IPv4Address("81.2.69.160")
PATIENCE = Patience(tries=20, timeout_s=0.05)


@contextlib.asynccontextmanager
async def resolving(
    answer: Answer, patience: Patience = PATIENCE
) -> AsyncIterator[tuple[Resolver, Server]]:
    async with serving(answer) as server:
        name_server = NameServer("127.0.0.1", server.port, "127.1.0.53")
        resolver = Resolver(name_server, lambda: 0.0, patience)
        try:
            yield resolver, server
        finally:
            resolver.close()


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
    async with resolving(refused) as (resolver, server):
        for _ in range(2):
            with pytest.raises(NoAnswer, match="REFUSED"):
                await resolver.resolve(NAME, LONDONER)
        assert len(server.asked) == 2


async def test_a_silent_server_is_no_answer_to_everybody_who_waits() -> None:
    async with resolving(lambda query: None, Patience(2, 0.02)) as (resolver, server):
        waiting = [resolver.resolve(NAME, LONDONER) for _ in range(3)]
        answers = await asyncio.gather(*waiting, return_exceptions=True)
        assert [str(answer) for answer in answers] == ["timed out"] * 3
        assert len(server.asked) == 2


async def test_closing_a_resolver_ends_what_is_on_the_way() -> None:
    async with resolving(lambda query: None, Patience(1, 60.0)) as (resolver, _):
        waiting = asyncio.create_task(resolver.resolve(NAME, LONDONER))
        await asyncio.sleep(0)  # one turn of the loop: it has begun
        resolver.close()
        with pytest.raises(asyncio.CancelledError):
            await waiting
