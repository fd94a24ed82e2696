"""A name server of a test's own, on real sockets: UDP, and TCP on the same port."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

# A query as dnspython reads it → what to send back, None for silence.
Answer = Callable[[dns.message.Message], dns.message.Message | bytes | None]


class Server(asyncio.DatagramProtocol):
    """Answers by functions, which may be replaced; remembers what it was asked."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.answer_tcp = answer
        self.asked: list[dns.message.Message] = []
        self.asked_tcp: list[dns.message.Message] = []
        self.may_speak_tcp = asyncio.Event()
        self.may_speak_tcp.set()
        self.port = 0

    def connection_made(self, transport: asyncio.DatagramTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        self.asked.append(query)
        for octets in to_octets(self.answer(query)):
            self.transport.sendto(octets, addr)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One query of a TCP connection; silence is the end of it."""
        length = int.from_bytes(await reader.readexactly(2), "big")
        query = dns.message.from_wire(await reader.readexactly(length))
        self.asked_tcp.append(query)
        await self.may_speak_tcp.wait()
        for octets in to_octets(self.answer_tcp(query)):
            writer.write(len(octets).to_bytes(2, "big") + octets)
        writer.close()


def to_octets(answer: dns.message.Message | bytes | None) -> list[bytes]:
    """None or one message."""
    if answer is None:
        return []
    return [answer if isinstance(answer, bytes) else answer.to_wire()]


def found(
    query: dns.message.Message,
    *addresses: str,
    ttl: int = 10,
    scope: int = 24,
) -> dns.message.Message:
    """A reply with these addresses; 127.10.1.1 if none are named. It carries a client subnet."""
    reply = dns.message.make_response(query)
    (question,) = query.question
    kind = dns.rdatatype.to_text(question.rdtype)
    for address in addresses or ("127.10.1.1",):  # a set each: dnspython shuffles within a set
        reply.answer.append(dns.rrset.from_text(question.name, ttl, "IN", kind, address))
    reply.use_edns(0, options=[dns.edns.ECSOption("81.2.69.0", 24, scope)])
    return reply


def refused(query: dns.message.Message) -> dns.message.Message:
    """A reply with the rcode REFUSED."""
    reply = dns.message.make_response(query)
    reply.set_rcode(dns.rcode.REFUSED)
    return reply


@contextlib.asynccontextmanager
async def serving(answer: Answer, port: int = 0) -> AsyncIterator[Server]:
    """A server on 127.0.0.1, on a port that the system chooses unless it is named."""
    loop = asyncio.get_running_loop()
    for _ in range(20):  # the port has to be free for TCP too
        transport, server = await loop.create_datagram_endpoint(
            lambda: Server(answer), local_addr=("127.0.0.1", port)
        )
        server.port = transport.get_extra_info("sockname")[1]
        try:
            listener = await asyncio.start_server(server.converse, "127.0.0.1", server.port)
        except OSError:
            transport.close()
            continue
        break
    try:
        yield server
    finally:
        listener.close()
        await listener.wait_closed()
        transport.close()
