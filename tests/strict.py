"""An independent, strict reading of replies: what holds of every one of them (dns.md, INV).

It shares no code with the server and does not use dnspython, which forgives too much:

INV-00 the whole message can be read     INV-01 id, opcode and QR
INV-02 RD as in the query                INV-03 RA and Z are clear
INV-04 AD and CD are clear               INV-05 the question octet for octet
INV-06 true counts, nothing behind them  INV-07 names: pointers only back, to a label
INV-08 one OPT, additional, root owner, version 0, if and only if the query had one
INV-09 TTLs below 2^31                   INV-10 one TTL in an RRset
INV-11 no record twice                   INV-12 no longer than the client takes
INV-13 TC only over UDP, and empty       INV-14 rcodes with the records that belong to them
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

PLAIN: Final = 512  # RFC 1035 section 4.2.1
MAX_UDP: Final = 1232  # `server.udp_size`, its default
OPT: Final = 41
SOA: Final = 6
_HEAD = Struct("!6H")
_RECORD = Struct("!HHIH")

# (octets before the first name, names) of the types whose rdata may be compressed (RFC 3597
# section 4): their names are written out, so that rdata can be compared.
_NAMES: Final = {2: (0, 1), 5: (0, 1), 6: (0, 2), 12: (0, 1), 15: (2, 1)}
# Types of questions and of messages, never of records: ANY, AXFR, IXFR, MAILA, MAILB, TSIG, TKEY,
# and our own STEER.
_NEVER: Final = frozenset((0, 249, 250, 251, 252, 253, 254, 255, 65282))

NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE = 0, 1, 3, 4, 5, 16, 23
RCODES: Final = frozenset((NOERROR, FORMERR, NXDOMAIN, NOTIMP, REFUSED, BADVERS, BADCOOKIE))


class BrokenReplyError(AssertionError):
    """A reply that no server may send; the message begins with the invariant's number."""


@dataclass(frozen=True)
class Record:
    """A record as it stands in a message; `owner` and the names in `data` are written out."""

    section: int  # 0 answer, 1 authority, 2 additional
    owner: bytes
    type: int
    rdclass: int
    ttl: int
    data: bytes
    raw_owner: bytes
    raw: bytes


@dataclass(frozen=True)
class Opt:
    """The OPT record."""

    size: int
    rcode: int
    version: int
    flags: int
    options: tuple[tuple[int, bytes], ...]

    @property
    def do(self) -> bool:
        return bool(self.flags & 0x8000)

    def option(self, code: int) -> bytes | None:
        """The data of the first option with that code."""
        return next((data for number, data in self.options if number == code), None)


@dataclass(frozen=True)
class Message:
    """A message whose every octet was looked at."""

    octets: bytes
    id: int
    flags: int
    question: bytes
    records: tuple[Record, ...] = ()
    opt: Opt | None = None

    @property
    def rcode(self) -> int:
        return (self.flags & 0xF) | (self.opt.rcode << 4 if self.opt else 0)

    @property
    def aa(self) -> bool:
        return bool(self.flags & 0x0400)

    @property
    def tc(self) -> bool:
        return bool(self.flags & 0x0200)

    def section(self, number: int) -> tuple[Record, ...]:
        """The records of a section, OPT apart."""
        return tuple(record for record in self.records if record.section == number)

    @property
    def answer(self) -> tuple[Record, ...]:
        return self.section(0)

    @property
    def authority(self) -> tuple[Record, ...]:
        return self.section(1)

    @property
    def additional(self) -> tuple[Record, ...]:
        return self.section(2)


def demand(condition: bool, invariant: str, what: str) -> None:
    """Raises if something does not hold."""
    if not condition:
        raise BrokenReplyError(f"{invariant}: {what}")


class _Walk:
    """Goes through a message from left to right; knows where labels begin."""

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self.at = _HEAD.size
        self._labels: set[int] = set()

    def take(self, count: int) -> bytes:
        demand(self.at + count <= len(self.octets), "INV-00", f"cut at {self.at}")
        found = self.octets[self.at : self.at + count]
        self.at += count
        return found

    def name(self) -> bytes:
        """A name written out; the walk goes on behind it."""
        found, labels = b"", []
        while True:
            start = self.at
            size = self.take(1)[0]
            if size >= 0xC0:
                target = (size & 0x3F) << 8 | self.take(1)[0]
                demand(target in self._labels, "INV-07", f"pointer at {start} to {target}")
                found += self._written(target)
                break
            demand(size < 0x40, "INV-07", f"label type {size:#x} at {start}")
            if not size:
                found += b"\0"
                break
            labels.append(start)
            found += bytes((size,)) + self.take(size)
        self._labels.update(labels)
        demand(len(found) <= 255, "INV-07", "name of more than 255 octets")
        return found

    def _written(self, at: int) -> bytes:
        """The name at a place that was walked over before; pointers there go back as well."""
        found = b""
        while size := self.octets[at]:
            if size >= 0xC0:
                at = (size & 0x3F) << 8 | self.octets[at + 1]
            else:
                found += self.octets[at : at + 1 + size]
                at += 1 + size
        return found + b"\0"


def read(octets: bytes) -> Message:
    """The message; raises BrokenReplyError for whatever is wrong with it by itself."""
    demand(len(octets) >= _HEAD.size, "INV-00", "shorter than a header")
    number, flags, questions, *counts = _HEAD.unpack_from(octets)
    demand(questions <= 1, "INV-05", f"{questions} questions")
    walk = _Walk(octets)
    if questions:
        walk.name()
        walk.take(4)
    question = octets[_HEAD.size : walk.at]
    records: list[Record] = []
    opts: list[Opt] = []
    for section, count in enumerate(counts):
        for _ in range(count):
            record = _record(walk, section)
            if record.type != OPT:
                records.append(record)
                continue
            demand(section == 2, "INV-08", f"OPT in section {section}")
            demand(record.raw_owner == b"\0", "INV-08", "OPT whose owner is not the root")
            opts.append(_opt(record))
    demand(walk.at == len(octets), "INV-06", f"{len(octets) - walk.at} octets behind the last")
    demand(len(opts) <= 1, "INV-08", "two OPT records")
    message = Message(octets, number, flags, question, tuple(records), opts[0] if opts else None)
    _look_at_records(message)
    return message


def _record(walk: _Walk, section: int) -> Record:
    start = walk.at
    owner = walk.name()
    raw_owner = walk.octets[start : walk.at]
    rrtype, rdclass, ttl, size = _RECORD.unpack(walk.take(_RECORD.size))
    end = walk.at + size
    demand(end <= len(walk.octets), "INV-00", f"rdata at {walk.at} is cut")
    raw = walk.octets[walk.at : end]
    data = raw
    if rrtype in _NAMES:
        before, names = _NAMES[rrtype]
        data = walk.take(before)
        for _ in range(names):
            data += walk.name()
        demand(walk.at <= end, "INV-00", "a name is longer than its rdata")
        data += walk.take(end - walk.at)
    walk.at = end
    return Record(section, owner, rrtype, rdclass, ttl, data, raw_owner, raw)


def _opt(record: Record) -> Opt:
    options, at = [], 0
    while at < len(record.data):
        demand(at + 4 <= len(record.data), "INV-08", "an option is cut")
        code, size = (int.from_bytes(record.data[at + n : at + n + 2], "big") for n in (0, 2))
        demand(at + 4 + size <= len(record.data), "INV-08", "an option is longer than OPT")
        options.append((code, record.data[at + 4 : at + 4 + size]))
        at += 4 + size
    return Opt(
        record.rdclass,
        record.ttl >> 24,
        record.ttl >> 16 & 0xFF,
        record.ttl & 0xFFFF,
        tuple(options),
    )


def _look_at_records(message: Message) -> None:
    ttls: dict[tuple[bytes, int], int] = {}
    seen: set[tuple[bytes, int, bytes]] = set()
    for record in message.records:
        demand(record.rdclass == 1, "INV-14", f"class {record.rdclass}")
        demand(record.type not in _NEVER, "INV-14", f"a record of type {record.type}")
        demand(record.ttl < 2**31, "INV-09", f"TTL {record.ttl}")
        key = (record.owner.lower(), record.type)
        demand(ttls.setdefault(key, record.ttl) == record.ttl, "INV-10", f"two TTLs of {key}")
        data = record.data.lower() if record.type in _NAMES else record.data
        demand((*key, data) not in seen, "INV-11", f"{key} twice")
        seen.add((*key, data))


def look_at(query: bytes, reply: bytes, transport: str) -> Message:
    """The reply, read; raises BrokenReplyError if it is not one to that query."""
    demand(len(query) >= 12 and not query[2] & 0x80, "INV-01", "a reply to what is no query")
    message = read(reply)
    demand(reply[:2] == query[:2], "INV-01", "another id")
    demand(bool(reply[2] & 0x80), "INV-01", "not a response")
    demand(reply[2] & 0x78 == query[2] & 0x78, "INV-01", "another opcode")
    demand(reply[2] & 1 == query[2] & 1, "INV-02", "another RD")
    demand(not reply[3] & 0xC0, "INV-03", "RA or Z")
    demand(not reply[3] & 0x30, "INV-04", "AD or CD")
    rcode = message.rcode
    demand(rcode in RCODES, "INV-14", f"rcode {rcode}")
    if message.question:
        demand(query[12:].startswith(message.question), "INV-05", "another question")
    else:
        empty = query[4:6] == b"\0\0" and message.opt is not None  # RFC 7873 section 5.4
        demand(rcode in (FORMERR, NOTIMP) or empty, "INV-05", "no question")
    _look_at_edns(query, message, transport)
    _look_at_rcode(message, transport)
    return message


def _look_at_edns(query: bytes, message: Message, transport: str) -> None:
    asked = asked_opt(query)
    if message.opt is None:
        demand(asked is None or message.rcode in (FORMERR, NOTIMP), "INV-08", "no OPT")
    else:
        demand(message.opt.version == 0, "INV-08", f"version {message.opt.version}")
        demand(not message.opt.flags & 0x7FFF, "INV-08", f"flags {message.opt.flags:#x}")
        codes = [code for code, _ in message.opt.options]
        demand(len(codes) == len(set(codes)), "INV-08", f"an option twice: {codes}")
        if asked is None:
            broken = b"\0\0\x29" in query[12:]  # there is one, or two, and no way to read on
            errors = (FORMERR, NOTIMP, BADVERS)
            demand(broken and message.rcode in errors, "INV-08", "OPT that nobody asked for")
        else:
            demand(message.opt.do == asked.do, "INV-08", "another DO")
            wanted = {code for code, _ in asked.options} | {15}
            demand({*codes} <= wanted, "INV-08", f"options {codes} of {wanted}")
    if transport == "udp":
        offered = PLAIN if message.opt is None else MAX_UDP
        if asked is not None:
            offered = min(offered, max(asked.size, PLAIN))
        size = len(message.octets)
        demand(size <= offered, "INV-12", f"{size} octets of at most {offered}")


def _look_at_rcode(message: Message, transport: str) -> None:
    rcode = message.rcode
    if message.tc:
        demand(transport == "udp", "INV-13", "TC over TCP")
        demand(not message.records, "INV-13", "records beside TC")
    elif rcode == NXDOMAIN:
        kinds = [record.type for record in message.authority]
        demand(kinds == [SOA] and message.aa, "INV-14", "NXDOMAIN without SOA or AA")
    elif rcode != NOERROR:
        demand(not message.records, "INV-14", f"records beside rcode {rcode}")
        demand(not message.aa, "INV-14", f"AA beside rcode {rcode}")


def asked_opt(query: bytes) -> Opt | None:
    """The OPT of a query that is right in every octet; of any other none may be found."""
    try:
        _, _, questions, *counts = _HEAD.unpack_from(query)
        walk = _Walk(query)
        for _ in range(questions):
            walk.name()
            walk.take(4)
        records = [_record(walk, section) for section in range(3) for _ in range(counts[section])]
        opts = [_opt(record) for record in records if record.type == OPT]
    except BrokenReplyError:
        return None
    return opts[0] if len(opts) == 1 else None
