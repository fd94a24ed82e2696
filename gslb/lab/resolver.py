"""A caching resolver of the lab: asks the server over UDP with the client's subnet.

Knows: dnslib, the client subnet option (RFC 7871), retries. Refuses to know: delegation (it
is told its server), TCP (the lab's answers fit a datagram). Invariant: one query is on the
way per (name, subnet), however many clients wait for it.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network
from typing import Final

from dnslib import EDNS0, QTYPE, RCODE, DNSError, DNSHeader, DNSQuestion, DNSRecord, EDNSOption

from gslb.lab.cache import Cache

ECS: Final = 8  # option code (RFC 7871 section 6)
OPT: Final = 41
SOURCE_LENGTH: Final = 24
TIMEOUT_S: Final = 1.0
TRIES: Final = 3
UDP_SIZE: Final = 1232


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. `scope` 0 if it sent no client subnet back."""

    addresses: tuple[str, ...]
    ttl_s: int
    scope: int


class NoAnswer(Exception):  # noqa: N818 (an outcome that a resolver calls SERVFAIL)
    """The server was silent to every try, or answered with an error."""


def compose_query(number: int, name: str, subnet: IPv4Network) -> bytes:
    """An A query without recursion that carries the client's subnet."""
    octets = subnet.network_address.packed[: (subnet.prefixlen + 7) // 8]
    option = EDNSOption(ECS, bytes((0, 1, subnet.prefixlen, 0)) + octets)
    query = DNSRecord(DNSHeader(id=number, rd=0), q=DNSQuestion(name, QTYPE.A))
    query.add_ar(EDNS0(udp_len=UDP_SIZE, opts=[option]))
    return bytes(query.pack())


def parse_reply(packet: bytes) -> Reply:
    """The addresses of a reply with the lowest TTL. Raises NoAnswer for anything but NOERROR."""
    record = DNSRecord.parse(packet)
    if record.header.rcode != RCODE.NOERROR or record.header.tc:
        raise NoAnswer(RCODE.get(record.header.rcode, "an error"))
    addresses = tuple(str(rr.rdata) for rr in record.rr if rr.rtype == QTYPE.A)
    ttl_s = min((int(rr.ttl) for rr in record.rr), default=0)
    options = [option for rr in record.ar if rr.rtype == OPT for option in rr.rdata]
    scopes = [int(option.data[3]) for option in options if option.code == ECS]
    return Reply(addresses, ttl_s, scopes[0] if scopes else 0)


class Resolver(asyncio.DatagramProtocol):
    """One resolver. Open it with `open_resolver`, close it with `close`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._cache: Final = Cache(clock)
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._asking: dict[tuple[str, IPv4Network], asyncio.Task[Reply]] = {}
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:  # type: ignore[override]  # typeshed: BaseTransport
        """asyncio: the socket is there."""
        self._transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """asyncio: a reply; the socket is connected, so it is the server's."""
        future = self._waiting.pop(int.from_bytes(data[:2], "big"), None)
        if future is not None and not future.done():
            future.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """asyncio: nobody listens there just now; the timeout speaks of it."""

    def close(self) -> None:
        """Closes the socket and gives up what is on the way."""
        for task in self._asking.values():
            task.cancel()
        if self._transport is not None:
            self._transport.close()

    async def resolve(self, name: str, client: IPv4Address) -> tuple[str, ...]:
        """A client's answer, from the cache or the server. Raises NoAnswer."""
        kept = self._cache.find(name, client)
        if kept is not None:
            return kept
        subnet = IPv4Network((client, SOURCE_LENGTH), strict=False)
        task = self._asking.get((name, subnet))
        if task is None:
            task = asyncio.create_task(self._fill(name, subnet))
            self._asking[name, subnet] = task
            task.add_done_callback(lambda _: self._asking.pop((name, subnet)))
        return (await asyncio.shield(task)).addresses

    async def _fill(self, name: str, subnet: IPv4Network) -> Reply:
        reply = await self.ask(name, subnet)
        self._cache.keep(name, subnet, reply.scope, reply.addresses, reply.ttl_s)
        return reply

    async def ask(self, name: str, subnet: IPv4Network) -> Reply:
        """Asks the server past the cache, up to three times. Raises NoAnswer."""
        for _ in range(TRIES):
            number = random.randrange(1 << 16)
            future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
            self._waiting[number] = future
            if self._transport is None or self._transport.is_closing():
                raise NoAnswer("the resolver is closed")
            self._transport.sendto(compose_query(number, name, subnet))
            try:
                return parse_reply(await asyncio.wait_for(future, TIMEOUT_S))
            except TimeoutError:
                self._waiting.pop(number, None)
            except DNSError as error:
                raise NoAnswer("not a DNS message") from error
        raise NoAnswer("timed out")


async def open_resolver(source: str, server_port: int, clock: Callable[[], float]) -> Resolver:
    """A resolver on an address of 127.0.0.0/8 that asks the server on 127.0.0.1."""
    _, protocol = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: Resolver(clock),
        local_addr=(source, 0),
        remote_addr=("127.0.0.1", server_port),
    )
    return protocol
