"""Talking to a server in octets: any packet, from any address, by UDP or TCP.

Every reply that comes is judged by `strict` and by dnspython before a test sees it. Silence needs
no waiting: the server reads a socket in order, so once it has answered a sentinel that was sent
after a packet, what it has to say to that packet is there.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from random import Random
from struct import pack
from typing import Final

import dns.edns
import dns.message
import dns.name
import dns.opcode
import dns.rdataclass
import dns.rdatatype
import dns.wire

from strict import Message, look_at

DEADLINE_S: Final = 10.0
ZONE: Final = "example.test."
_ids = Random(4711)


class _Subnet(dns.edns.ECSOption):
    """A client subnet, also one without a family (RFC 7871 section 6), which dnspython refuses."""

    @classmethod
    def from_wire_parser(cls, otype: object, parser: dns.wire.Parser) -> dns.edns.Option:
        if parser.remaining() == 4 and parser.wire[parser.current : parser.end] == bytes(4):
            return dns.edns.GenericOption(dns.edns.ECS, parser.get_remaining())
        return dns.edns.ECSOption.from_wire_parser(dns.edns.ECS, parser)


def wire_name(text: str) -> bytes:
    """A name in wire form, letter case kept; relative ones belong to the zone, @ is its apex."""
    return dns.name.from_text(text, dns.name.from_text(ZONE)).to_wire()


def type_number(rrtype: str | int) -> int:
    """A type's number."""
    return rrtype if isinstance(rrtype, int) else int(dns.rdatatype.from_text(rrtype))


def option(code: int, data: bytes = b"") -> bytes:
    """An EDNS option."""
    return pack("!HH", code, len(data)) + data


def opt(
    *options: bytes, size: int = 1232, version: int = 0, flags: int = 0, rcode: int = 0
) -> bytes:
    """An OPT record; flags 0x8000 is DO."""
    data = b"".join(options)
    return b"\0" + pack("!HHBBHH", 41, size, rcode, version, flags, len(data)) + data


def subnet(network: str, scope: int = 0) -> bytes:
    """A client subnet option as a resolver sends it: `198.51.100.0/24`."""
    address, _, length = network.partition("/")
    family = 2 if ":" in address else 1
    packed = socket.inet_pton(socket.AF_INET6 if family == 2 else socket.AF_INET, address)
    source = int(length)
    return option(8, pack("!HBB", family, source, scope) + packed[: (source + 7) // 8])


def question(name: str | bytes, rrtype: str | int = "A", rdclass: int = 1) -> bytes:
    """A question; a name in octets is taken as it is."""
    octets = name if isinstance(name, bytes) else wire_name(name)
    return octets + pack("!HH", type_number(rrtype), rdclass)


def query(
    name: str | bytes = "@",
    rrtype: str | int = "A",
    *more: bytes,
    flags: int = 0,
    rdclass: int = 1,
    opcode: int = 0,
    number: int | None = None,
    counts: tuple[int, int, int, int] | None = None,
    answer: Sequence[bytes] = (),
    authority: Sequence[bytes] = (),
    tail: bytes = b"",
) -> bytes:
    """A whole query; `more` are records of the additional section, `counts` may lie."""
    number = _ids.randrange(65536) if number is None else number
    if counts is None:
        counts = (1, len(answer), len(authority), len(more))
    head = pack("!6H", number, flags | opcode << 11, *counts)
    records = b"".join((*answer, *authority, *more))
    return head + question(name, rrtype, rdclass) + records + tail


def head(
    flags: int = 0, counts: tuple[int, int, int, int] = (1, 0, 0, 0), number: int = 0x1234
) -> bytes:
    """A header alone, to build something strange behind it."""
    return pack("!6H", number, flags, *counts)


def judge(asked: bytes, reply: bytes, transport: str) -> Message:
    """The reply, read by two who do not know each other."""
    message = look_at(asked, reply, transport)
    if message.flags >> 11 & 0xF == dns.opcode.UPDATE:
        return message  # dnspython would read the question as an update's zone
    before = dns.edns.get_option_class(dns.edns.ECS)
    dns.edns.register_type(_Subnet, dns.edns.ECS)
    try:
        other = dns.message.from_wire(reply, one_rr_per_rrset=True)
    finally:
        dns.edns.register_type(before, dns.edns.ECS)
    assert len(message.records) == sum(
        len(rrset) for section in other.sections[1:] for rrset in section
    )
    assert int(other.rcode()) == message.rcode
    return message


@dataclass(frozen=True)
class Server:
    """Where a server is asked; `at` is one of its addresses."""

    port: int
    at: str = "127.0.0.1"
    sentinel: str = "127.7.7.7"  # nobody limits this one

    def asked_at(self, address: str) -> Server:
        """The same server by another of its addresses."""
        return Server(self.port, address, self.sentinel)

    # ---- UDP ---------------------------------------------------------------------------

    def all_udp(self, packets: Iterable[bytes], source: str | None = None) -> list[bytes | None]:
        """What a server says to each packet, None for silence; each needs an id of its own."""
        packets = list(packets)
        replies: list[bytes | None] = []
        with _udp(source, self.at) as sock:
            sock.connect((self.at, self.port))
            for start in range(0, len(packets), 32):  # more might overrun a buffer
                batch = packets[start : start + 32]
                for packet in batch:
                    sock.send(packet)
                self._sync()
                found = _drain(sock)
                by_id = {reply[:2]: reply for reply in found}
                assert len(by_id) == len(found), "two replies to one packet"
                assert by_id.keys() <= {packet[:2] for packet in batch}, "a reply to nothing"
                replies += [by_id.get(packet[:2]) for packet in batch]
        for packet, reply in zip(packets, replies, strict=True):
            if reply is not None:
                judge(packet, reply, "udp")
        return replies

    def udp(self, packet: bytes, source: str | None = None) -> Message | None:
        """What the server says to a packet, None for silence."""
        (reply,) = self.all_udp([packet], source)
        return None if reply is None else judge(packet, reply, "udp")

    def says(self, packet: bytes, source: str | None = None) -> Message:
        """The reply to a packet that must have one."""
        reply = self.udp(packet, source)
        assert reply is not None, f"silence to {packet.hex()}"
        return reply

    def ask(
        self, name: str | bytes = "@", rrtype: str | int = "A", *more: bytes, **options: int
    ) -> Message:
        """The reply to a plain question; `more` is usually `opt(...)`."""
        return self.says(query(name, rrtype, *more, **options))  # type: ignore[arg-type]

    def _sync(self) -> None:
        """Until the server has read all that was sent to this address before."""
        asked = query("@", "SOA", number=0x5E57)
        family = socket.AF_INET6 if ":" in self.at else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            if family == socket.AF_INET:
                sock.bind((self.sentinel, 0))
            sock.connect((self.at, self.port))
            sock.settimeout(DEADLINE_S)
            sock.send(asked)
            assert sock.recv(65535)[:2] == asked[:2]

    # ---- TCP ---------------------------------------------------------------------------

    def connect(self, source: str | None = None) -> socket.socket:
        """A TCP connection with a deadline."""
        bound = None if source is None else (source, 0)
        return socket.create_connection((self.at, self.port), DEADLINE_S, source_address=bound)

    def all_tcp(self, packets: Sequence[bytes], source: str | None = None) -> list[bytes]:
        """The replies to packets in one connection and one write, in the order of the packets."""
        with self.connect(source) as sock:
            sock.sendall(b"".join(map(framed, packets)))
            found = {reply[:2]: reply for reply in (receive(sock) for _ in packets)}
        replies = [found[packet[:2]] for packet in packets]
        for packet, reply in zip(packets, replies, strict=True):
            judge(packet, reply, "tcp")
        return replies

    def tcp(self, packet: bytes, source: str | None = None) -> Message:
        """The reply over a TCP connection of its own."""
        (reply,) = self.all_tcp([packet], source)
        return judge(packet, reply, "tcp")

    def says_by(self, transport: str, packet: bytes) -> Message:
        """The reply by UDP or TCP."""
        return self.tcp(packet) if transport == "tcp" else self.says(packet)


def framed(packet: bytes) -> bytes:
    """A packet with its length, as in TCP (RFC 1035 section 4.2.2)."""
    return pack("!H", len(packet)) + packet


def receive(sock: socket.socket) -> bytes:
    """One whole message from a TCP connection; raises EOFError at the end of it."""
    return _exactly(sock, int.from_bytes(_exactly(sock, 2), "big"))


def _exactly(sock: socket.socket, count: int) -> bytes:
    found = b""
    while len(found) < count:
        piece = sock.recv(count - len(found))
        if not piece:
            raise EOFError(f"closed after {len(found)} of {count} octets")
        found += piece
    return found


def _udp(source: str | None, at: str) -> socket.socket:
    sock = socket.socket(socket.AF_INET6 if ":" in at else socket.AF_INET, socket.SOCK_DGRAM)
    if source is not None:
        sock.bind((source, 0))
    return sock


def _drain(sock: socket.socket) -> list[bytes]:
    """All that lies in a socket's buffer."""
    sock.setblocking(False)
    found = []
    try:
        while True:
            found.append(sock.recv(65535))
    except BlockingIOError:
        return found
    finally:
        sock.setblocking(True)
