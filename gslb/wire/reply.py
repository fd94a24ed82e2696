"""Replies from parts: records with compression, header, question, OPT, truncation.

Knows: RFC 1035 section 4.1.4 (compression), RFC 3597 section 4 (whose rdata may be
compressed), RFC 2181 section 9 (what TC means). Refuses to know: where records come from.
Invariant: a Body depends on the records and on *the length* of the question's name only,
never on its octets; so one composed for a name is good for every name of that length
below the same anchor, and whatever letter case the client used.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from struct import Struct
from typing import Final

from gslb.wire.message import AA, HEADER, QR, RD, TC
from gslb.wire.name import suffixes
from gslb.wire.rrtype import CNAME, IN, MX, NS, PTR, SOA

MAX_TCP: Final = 65535
OWNER_IS_QNAME: Final = b"\xc0\x0c"  # a pointer to the name of the question
_POINTER_LIMIT: Final = 0x4000
_FIXED = Struct("!HHIH")  # type, class, TTL, rdlength
_HEADER = Struct("!HHHHH")

# Types whose rdata may be compressed: (octets before the names, number of names).
_COMPRESSED: Final = {NS: (0, 1), CNAME: (0, 1), PTR: (0, 1), SOA: (0, 2), MX: (2, 1)}

Records = Iterable[tuple[bytes | None, int, int, tuple[bytes, ...]]]


@dataclass(frozen=True, slots=True)
class Body:
    """The sections after the question. `required` and `glue` leave out what may be dropped.

    `octets[:required]` with `glue` additional records is a complete reply too
    (RFC 2181 section 9: dropping optional additional data does not set TC).
    """

    octets: bytes
    answers: int
    authority: int
    additional: int
    required: int
    glue: int


EMPTY: Final = Body(b"", 0, 0, 0, 0, 0)


class Composer:
    """Writes records after a question whose name has `qname_length` octets.

    `anchor` is a name that exists and that the question's name ends with: the part of it
    that records may point to. An owner of None is the question's name.
    """

    def __init__(self, qname_length: int, anchor: bytes) -> None:
        self._out = bytearray()
        self._base = HEADER + qname_length + 4
        self._seen: dict[bytes, int] = {}
        at = HEADER + qname_length - len(anchor)
        for suffix in suffixes(anchor):
            if len(suffix) > 1:
                self._seen[suffix] = at + len(anchor) - len(suffix)

    def section(self, records: Records) -> int:
        """Adds the records of (owner, type, TTL, rdatas) entries; returns how many."""
        count = 0
        for owner, rrtype, ttl, rdatas in records:
            for rdata in rdatas:
                self._record(owner, rrtype, ttl, rdata)
                count += 1
        return count

    def octets(self) -> bytes:
        """What was written so far."""
        return bytes(self._out)

    def _record(self, owner: bytes | None, rrtype: int, ttl: int, rdata: bytes) -> None:
        out = self._out
        if owner is None:
            out += OWNER_IS_QNAME
        else:
            self._name(owner)
        at = len(out)
        out += _FIXED.pack(rrtype, IN, ttl, 0)
        shape = _COMPRESSED.get(rrtype)
        if shape is None:
            out += rdata
        else:
            offset, names = shape
            out += rdata[:offset]
            for _ in range(names):
                end = offset
                while rdata[end]:
                    end += rdata[end] + 1
                self._name(rdata[offset : end + 1])
                offset = end + 1
            out += rdata[offset:]
        size = len(out) - at - _FIXED.size
        out[at + 8] = size >> 8
        out[at + 9] = size & 0xFF

    def _name(self, name: bytes) -> None:
        out, seen = self._out, self._seen
        at = 0
        while name[at]:
            key = name[at:].lower()
            place = seen.get(key)
            if place is not None:
                out += (0xC000 | place).to_bytes(2, "big")
                return
            here = self._base + len(out)
            if here < _POINTER_LIMIT:
                seen[key] = here
            out += name[at : at + name[at] + 1]
            at += name[at] + 1
        out.append(0)


def compose_body(
    qname_length: int,
    anchor: bytes,
    answers: Records = (),
    authority: Records = (),
    glue: Records = (),
    optional: Records = (),
) -> Body:
    """A Body of records; `glue` must stay (RFC 9471 section 3.1), `optional` may be dropped."""
    composer = Composer(qname_length, anchor)
    in_answer = composer.section(answers)
    in_authority = composer.section(authority)
    in_glue = composer.section(glue)
    required = len(composer.octets())
    in_optional = composer.section(optional)
    return Body(
        composer.octets(), in_answer, in_authority, in_glue + in_optional, required, in_glue
    )


def compose_record(rrtype: int, ttl: int, rdata: bytes) -> bytes:
    """One record owned by the question's name, its rdata as it is."""
    return OWNER_IS_QNAME + _FIXED.pack(rrtype, IN, ttl, len(rdata)) + rdata


def compose_head(flags: int, body: Body, opt: bool) -> bytes:
    """Header after the id: flags and the four counts."""
    return _HEADER.pack(flags, 1, body.answers, body.authority, body.additional + opt)


def reply_flags(query_flags: int, rcode: int, authoritative: bool) -> int:
    """QR, the query's opcode and RD, AA if asked for; RA, Z, AD, CD and TC are clear."""
    flags = QR | (query_flags & (0x7800 | RD)) | (rcode & 0xF)
    return flags | AA if authoritative else flags


def compose_reply(
    message_id: bytes,
    flags: int,
    question: bytes,
    body: Body,
    opt: bytes,
    limit: int,
    tsig: bytes = b"",
) -> tuple[bytes, bool]:
    """(reply, truncated): the whole body if it fits, else without the optional part, else TC.

    A truncated reply has no records but OPT (RFC 2181 section 9). `question` may be empty.
    `tsig` comes last (RFC 8945 section 5.2), and is left out where it does not fit.
    """
    room = limit - HEADER - len(question) - len(opt) - len(tsig)
    if room < 0:
        room, tsig = room + len(tsig), b""
    octets, additional, truncated = body.octets, body.additional, False
    if len(octets) > room:
        octets, additional = octets[: body.required], body.glue
        if len(octets) > room:
            octets, additional, truncated = b"", 0, True
            flags |= TC
    head = _HEADER.pack(
        flags,
        1 if question else 0,
        0 if truncated else body.answers,
        0 if truncated else body.authority,
        additional + (1 if opt else 0) + (1 if tsig else 0),
    )
    return b"".join((message_id, head, question, octets, opt, tsig)), truncated
