"""`gslb ask`: one DNS query, sent the way a client sends it, and what came back.

Knows: EDNS(0) and client subnets on the asking side (RFC 6891, RFC 7871), retries, TCP. Refuses
to know: the configuration, the zones, and this project's own wire code: a client that shared its
server's mistakes would hide them, so dnslib does the packing. Invariant: a reply is believed only
if id and question are those of the query.
"""

from __future__ import annotations

import ipaddress
import random
import socket
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from dnslib import EDNS0, QTYPE, RCODE, RR, DNSHeader, DNSLabel, DNSQuestion, DNSRecord
from dnslib import EDNSOption as Option

from gslb.errors import UnreachableError
from gslb.wire import name as wire_name
from gslb.wire import rrtype

ECS = 8  # RFC 7871 section 6
UDP_SIZE = 1232
TIMEOUT_S = 2.0
ATTEMPTS = 2

Server = tuple[str, int]
Network = ipaddress.IPv4Network | ipaddress.IPv6Network
SocketAddress = tuple[str, int] | tuple[str, int, int, int] | tuple[int, bytes]


@dataclass(frozen=True, slots=True)
class Record:
    """One resource record in presentation form; `ttl` in seconds."""

    name: str
    ttl: int
    type: str
    data: str

    def __str__(self) -> str:
        return f"{self.name} {self.ttl} IN {self.type} {self.data}"

    def body(self) -> dict[str, object]:
        return {"name": self.name, "ttl": self.ttl, "type": self.type, "data": self.data}


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of whom; `name` in wire form, `subnet` None sends no client subnet."""

    name: bytes
    type: int
    server: Server
    subnet: Network | None = None
    tcp: bool = False
    timeout_s: float = TIMEOUT_S

    def body(self) -> dict[str, object]:
        return {
            "name": wire_name.to_text(self.name),
            "type": rrtype.type_text(self.type),
            "server": server_text(self.server),
            "subnet": None if self.subnet is None else str(self.subnet),
        }


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back. `scope` is the ECS SCOPE PREFIX-LENGTH, None without a valid option."""

    question: Question
    rcode: str
    flags: tuple[str, ...]
    answer: tuple[Record, ...]
    authority: tuple[Record, ...]
    scope: int | None
    transport: str
    size: int
    elapsed_ms: float

    @property
    def data(self) -> tuple[str, ...]:
        """What was asked for: the answer's records of the type asked, in their order."""
        asked = rrtype.type_text(self.question.type)
        return tuple(record.data for record in self.answer if asked in (record.type, "ANY"))

    def body(self) -> dict[str, object]:
        return self.question.body() | {
            "transport": self.transport,
            "rcode": self.rcode,
            "flags": list(self.flags),
            "answer": [record.body() for record in self.answer],
            "authority": [record.body() for record in self.authority],
            "scope": self.scope,
            "size": self.size,
            "elapsed_ms": round(self.elapsed_ms, 3),
        }


@dataclass(slots=True)
class Tally:
    """How often each answer came: as a set, and by the address that stood first."""

    question: Question
    asked: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    first: Counter[str] = field(default_factory=Counter)
    rcodes: Counter[str] = field(default_factory=Counter)
    lost: int = 0

    def count(self, reply: Reply | None) -> None:
        self.asked += 1
        if reply is None:
            self.lost += 1
            return
        self.rcodes[reply.rcode] += 1
        nothing = "(no data)" if reply.rcode == "NOERROR" else f"({reply.rcode})"
        self.answers[" ".join(sorted(reply.data)) or nothing] += 1
        if reply.data:
            self.first[reply.data[0]] += 1

    def shares(self, counter: Counter[str]) -> list[tuple[str, int, float]]:
        """(answer, count, share of all queries), the most frequent first."""
        rows = sorted(counter.items(), key=lambda row: (-row[1], row[0]))
        return [(answer, count, count / self.asked) for answer, count in rows]

    def body(self) -> dict[str, object]:
        def table(counter: Counter[str]) -> list[dict[str, object]]:
            return [
                {"answer": answer, "count": count, "share": round(share, 4)}
                for answer, count, share in self.shares(counter)
            ]

        return self.question.body() | {
            "asked": self.asked,
            "lost": self.lost,
            "rcodes": dict(sorted(self.rcodes.items())),
            "answers": table(self.answers),
            "first": table(self.first),
        }


def parse_server(text: str) -> Server:
    """`192.0.2.1`, `192.0.2.1:53`, `::1`, `[::1]:53`, `ns1.example.com:53`; port 53 unless given.

    Raises ValueError.
    """
    host, port = text, "53"
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError(f'"{text}" is not [ADDRESS]:PORT')
        port = rest[1:] if rest else port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if not host:
        raise ValueError(f'"{text}" names no server')
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise ValueError(f'"{port}" is not a port')
    return host, int(port)


def server_text(server: Server) -> str:
    """`192.0.2.1:53` or `[::1]:53`."""
    host, port = server
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_question(
    name: str, type_text: str, server: Server, subnet: str | None = None, tcp: bool = False
) -> Question:
    """The query in values. Raises ValueError with a text for the person who typed it."""
    try:
        qname = wire_name.from_text(name)
    except ValueError as error:
        raise ValueError(f'"{name}" is not a name: {error}') from None
    qtype = rrtype.type_number(type_text)
    if qtype is None:
        qtype = QTYPE.reverse.get(type_text.upper())
    if not isinstance(qtype, int):
        raise ValueError(f'"{type_text}" is not a type; TYPE123 works for those without a name')
    if subnet is None:
        return Question(qname, qtype, server, None, tcp)
    try:
        network = ipaddress.ip_network(subnet, strict=False)
    except ValueError:
        raise ValueError(f'"{subnet}" is not an address or a network') from None
    return Question(qname, qtype, server, network, tcp)


def compose_query(question: Question) -> bytes:
    """The query's octets, with EDNS(0), and with the client subnet if there is one."""
    options = []
    if question.subnet is not None:
        options = [Option(ECS, _subnet_option(question.subnet))]
    record = DNSRecord(
        DNSHeader(id=random.getrandbits(16), rd=1),
        q=DNSQuestion(DNSLabel(wire_name.labels(question.name)), question.type),
    )
    record.add_ar(EDNS0(udp_len=UDP_SIZE, opts=options))
    return bytes(record.pack())


def send_query(question: Question) -> Reply:
    """Asks, by UDP with one retry and TCP when truncated. Raises UnreachableError."""
    query = compose_query(question)
    transport, octets = "TCP" if question.tcp else "UDP", None
    try:
        family, _, _, _, address = socket.getaddrinfo(
            *question.server, type=socket.SOCK_STREAM if question.tcp else socket.SOCK_DGRAM
        )[0]
        began = time.perf_counter()
        if not question.tcp:
            octets = _exchange_udp(family, address, query, question.timeout_s)
        if octets is None or octets[2] & 0x02:  # TC: RFC 7766 section 5
            transport = "TCP"
            octets = _exchange_tcp(family, address, query, question.timeout_s)
    except (OSError, UnicodeError) as error:
        reason = "no answer in time" if isinstance(error, TimeoutError) else str(error)
        if isinstance(error, OSError) and error.strerror:
            reason = error.strerror
        text = f"{server_text(question.server)} ({transport}): {reason}"
        raise UnreachableError(text) from None
    elapsed_ms = (time.perf_counter() - began) * 1000
    return _parse_reply(question, octets, transport, elapsed_ms)


def repeat_query(question: Question, times: int, progress: Callable[[str], None]) -> Tally:
    """Asks again and again, each time from a new port and with a new id, and counts."""
    tally = Tally(question)
    for number in range(times):
        if number % 100 == 0:
            progress(f"asked {number} of {times}")
        try:
            tally.count(send_query(question))
        except UnreachableError:
            if not tally.rcodes and number >= 2:
                raise  # nobody is there: do not wait for it a thousand times
            tally.count(None)
    if tally.lost == times:
        raise UnreachableError(f"{server_text(question.server)}: no answer to {times} queries")
    return tally


def _subnet_option(subnet: Network) -> bytes:
    """RFC 7871 section 6: family, SOURCE, SCOPE 0, and no more octets than SOURCE covers."""
    family = 1 if subnet.version == 4 else 2
    octets = subnet.network_address.packed[: (subnet.prefixlen + 7) // 8]
    return bytes((0, family, subnet.prefixlen, 0)) + octets


def _exchange_udp(family: int, address: SocketAddress, query: bytes, timeout_s: float) -> bytes:
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        sock.connect(address)
        for attempt in range(ATTEMPTS):
            sock.send(query)
            until = time.monotonic() + timeout_s
            try:
                while (left_s := until - time.monotonic()) > 0:
                    sock.settimeout(left_s)
                    octets = sock.recv(65535)
                    if _matches(query, octets):
                        return octets
            except TimeoutError:
                if attempt + 1 == ATTEMPTS:
                    raise
    raise TimeoutError


def _exchange_tcp(family: int, address: SocketAddress, query: bytes, timeout_s: float) -> bytes:
    until = time.monotonic() + timeout_s * ATTEMPTS
    with socket.socket(family, socket.SOCK_STREAM) as sock:
        sock.settimeout(timeout_s * ATTEMPTS)
        sock.connect(address)
        sock.sendall(len(query).to_bytes(2, "big") + query)
        length = int.from_bytes(_receive(sock, 2, until), "big")
        octets = _receive(sock, length, until)
    if not _matches(query, octets):
        raise ConnectionError("the reply is not to this query")
    return octets


def _receive(sock: socket.socket, count: int, until: float) -> bytes:
    octets = b""
    while len(octets) < count:
        left_s = until - time.monotonic()
        if left_s <= 0:
            raise TimeoutError
        sock.settimeout(left_s)
        part = sock.recv(count - len(octets))
        if not part:
            raise ConnectionError("the server closed the connection")
        octets += part
    return octets


def _matches(query: bytes, octets: bytes) -> bool:
    """Same id, a reply, and the same question if it has one (an error may come without)."""
    if len(octets) < 12 or octets[:2] != query[:2] or not octets[2] & 0x80:
        return False
    if octets[4:6] == b"\0\0":
        return True
    end = wire_name.parse(query, 12) + 4
    return octets[12:end].lower() == query[12:end].lower()


def _parse_reply(question: Question, octets: bytes, transport: str, elapsed_ms: float) -> Reply:
    try:
        record = DNSRecord.parse(octets)
        answer = tuple(_record(rr) for rr in record.rr)
        authority = tuple(_record(rr) for rr in record.auth)
    except Exception as error:  # dnslib raises whatever its parsers of RDATA happen to meet
        text = f"{server_text(question.server)} ({transport}): the reply is malformed: {error}"
        raise UnreachableError(text) from None
    header = record.header
    code, scope = header.rcode, None
    for rr in record.ar:
        if rr.rtype == rrtype.OPT:
            code |= rr.ttl >> 24 << 4  # RFC 6891 section 6.1.3: the upper eight bits
            scope = _scope(question.subnet, rr.rdata)
    names = ("qr", "aa", "tc", "rd", "ra", "ad", "cd")
    return Reply(
        question=question,
        rcode=rrtype.RCODE_TEXT.get(code) or str(RCODE.get(code)),
        flags=tuple(flag for flag in names if getattr(header, flag)),
        answer=answer,
        authority=authority,
        scope=scope,
        transport=transport,
        size=len(octets),
        elapsed_ms=elapsed_ms,
    )


def _record(rr: RR) -> Record:
    number = int(rr.rtype)
    kind = rrtype.type_text(number)
    if kind.startswith("TYPE"):
        kind = str(QTYPE.get(number))
    return Record(str(rr.rname), int(rr.ttl), kind, str(rr.rdata))


def _scope(subnet: Network | None, options: object) -> int | None:
    """SCOPE of the option that mirrors ours; RFC 7871 section 7.3 ignores any other."""
    if subnet is None or not isinstance(options, list):
        return None
    sent = _subnet_option(subnet)
    for option in options:
        data = bytes(option.data)
        if option.code == ECS and data[:3] + b"\0" + data[4:] == sent:
            return data[3]
    return None
