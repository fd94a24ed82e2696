"""One question to one name server, as a stub resolver asks it.

Knows: dnslib, the client subnet option (RFC 7871), trying again, TCP for what UDP cut
(RFC 7766 section 5). Refuses to know: caches, delegation. Invariant: a reply is believed only
if its id and its question are the query's; whatever comes instead of one is NoAnswer, with
a reason for people.
"""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from ipaddress import IPv4Network, ip_address
from typing import Final

from dnslib import EDNS0, RCODE, DNSHeader, DNSQuestion, DNSRecord, EDNSOption

from gslb.lab.failure import explain_error

A: Final = 1
AAAA: Final = 28
DNS_PORT: Final = 53
ECS: Final = 8  # option code (RFC 7871 section 6)
HEADER: Final = 12
NOERROR: Final = 0
OPT: Final = 41
UDP_SIZE: Final = 1232


@dataclass(frozen=True, slots=True)
class NameServer:
    """Who is asked. `source`: the address it is asked from; "": the kernel's choice."""

    host: str
    port: int = DNS_PORT
    source: str = ""

    @property
    def local(self) -> tuple[str, int] | None:
        """What the socket is bound to."""
        return (self.source, 0) if self.source else None


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked. `recursion`: RD, for a resolver. `subnet`: the client's, None sends none."""

    name: str
    rrtype: int = A
    recursion: bool = False
    subnet: IPv4Network | None = None


@dataclass(frozen=True, slots=True)
class Patience:
    """How often a question is sent, and how long each time is waited for its answer."""

    tries: int = 3
    timeout_s: float = 1.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What the server said. `scope` 0 if it sent no client subnet back."""

    addresses: tuple[str, ...]
    ttl_s: int
    scope: int


class NoAnswer(Exception):  # noqa: N818 (an outcome that a resolver calls SERVFAIL)
    """The server was silent to every try, or answered with an error."""


async def ask(server: NameServer, question: Question, patience: Patience | None = None) -> Reply:
    """The addresses that a server has for a name; none if it has none. Raises NoAnswer."""
    record = await exchange(server, question, patience or Patience())
    if record.header.rcode != NOERROR:
        raise NoAnswer(RCODE.get(record.header.rcode, f"rcode {record.header.rcode}"))
    try:
        return _read_reply(record, question.rrtype)
    except Exception as error:  # dnslib raises whatever its parsers of RDATA happen to meet
        raise NoAnswer("the reply is malformed") from error


async def exchange(server: NameServer, question: Question, patience: Patience) -> DNSRecord:
    """The whole reply, whatever its rcode. Raises NoAnswer."""
    query = compose_query(random.randrange(1 << 16), question)
    try:
        octets = await _ask_udp(server, query, patience)
    except OSError as error:
        raise NoAnswer(explain_error(error)) from error
    record = _parse(octets)
    if not record.header.tc:
        return record
    try:
        octets = await _ask_tcp(server, query, patience.timeout_s)
    except (OSError, EOFError) as error:
        raise NoAnswer(f"{explain_error(error)}, over TCP") from error
    stranger = find_mismatch(query, octets)
    if stranger:
        raise NoAnswer(f"{stranger}, over TCP")
    record = _parse(octets)
    if record.header.tc:
        raise NoAnswer("cut short, over TCP too")
    return record


def compose_query(number: int, question: Question) -> bytes:
    """The query's octets, with EDNS(0), and with the client's subnet if there is one."""
    options = []
    if question.subnet is not None:
        subnet = question.subnet
        octets = subnet.network_address.packed[: (subnet.prefixlen + 7) // 8]
        options = [EDNSOption(ECS, bytes((0, 1, subnet.prefixlen, 0)) + octets)]
    query = DNSRecord(
        DNSHeader(id=number, rd=int(question.recursion)),
        q=DNSQuestion(question.name, question.rrtype),
    )
    query.add_ar(EDNS0(udp_len=UDP_SIZE, opts=options))
    return bytes(query.pack())


def find_mismatch(query: bytes, octets: bytes) -> str:
    """Why octets are no reply to a query; "" if they are one."""
    if len(octets) < HEADER:
        return "the reply is malformed"
    if octets[:2] != query[:2] or not octets[2] & 0x80:
        return "the reply is to another query"
    if octets[4:6] == b"\0\0" and octets[3] & 0xF:
        return ""  # an error may come without the question
    end = query.index(b"\0", HEADER) + 1  # our names have no zero octet but the root's
    same_name = octets[HEADER:end].lower() == query[HEADER:end].lower()
    same_type = octets[end : end + 4] == query[end : end + 4]
    if octets[4:6] != query[4:6] or not same_name or not same_type:
        return "the reply is to another question"
    return ""


class _Listener(asyncio.DatagramProtocol):
    """Waits for the reply to one query. `why`: what else has come since it was sent last."""

    def __init__(self, query: bytes) -> None:
        self.why = ""
        self.reply: Final[asyncio.Future[bytes]] = asyncio.get_running_loop().create_future()
        self._query: Final = query

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """asyncio: the socket is connected, so it is from the server's address."""
        self.why = find_mismatch(self._query, data)
        if not self.why and not self.reply.done():
            self.reply.set_result(data)

    def error_received(self, exc: Exception) -> None:
        """asyncio: nobody listens there just now; the next try may find somebody."""
        self.why = explain_error(exc)


async def _ask_udp(server: NameServer, query: bytes, patience: Patience) -> bytes:
    """Raises OSError if there is no way to the server, NoAnswer if it does not answer."""
    transport, listener = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: _Listener(query),
        local_addr=server.local,
        remote_addr=(server.host, server.port),
    )
    try:
        for _ in range(patience.tries):
            listener.why = ""
            transport.sendto(query)
            # An answer to an earlier try is one too: id and socket are the same.
            await asyncio.wait([listener.reply], timeout=patience.timeout_s)
            if listener.reply.done():
                return listener.reply.result()
        raise NoAnswer(listener.why or "timed out")
    finally:
        transport.close()


async def _ask_tcp(server: NameServer, query: bytes, timeout_s: float) -> bytes:
    """Raises OSError, TimeoutError among them, or EOFError."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection(
            server.host, server.port, local_addr=server.local
        )
        try:
            writer.write(len(query).to_bytes(2, "big") + query)
            length = int.from_bytes(await reader.readexactly(2), "big")
            return await reader.readexactly(length)
        finally:
            writer.transport.abort()


def _parse(octets: bytes) -> DNSRecord:
    try:
        return DNSRecord.parse(octets)
    except Exception as error:  # dnslib raises whatever its parsers of RDATA happen to meet
        raise NoAnswer("the reply is malformed") from error


def _read_reply(record: DNSRecord, rrtype: int) -> Reply:
    addresses = tuple(str(ip_address(str(rr.rdata))) for rr in record.rr if rr.rtype == rrtype)
    ttl_s = min((int(rr.ttl) for rr in record.rr), default=0)
    options = [option for rr in record.ar if rr.rtype == OPT for option in rr.rdata]
    scopes = [int(option.data[3]) for option in options if option.code == ECS]
    return Reply(addresses, ttl_s, scopes[0] if scopes else 0)
