"""A query as far as an authoritative server needs it (RFC 1035 section 4.1).

Knows: the header, one question, and where the OPT record is. Refuses to know: zones, and
any record of the query besides OPT. Invariant: parsing never raises; what is wrong with a
message is its `rcode`, and None stands for a message that must be met with silence.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gslb.errors import FormatError
from gslb.wire import edns as opt
from gslb.wire import name as wire_name
from gslb.wire.edns import Edns
from gslb.wire.rrtype import BADVERS, FORMERR, NOERROR, NOTIMP, OPT, QUERY, TSIG

HEADER: Final = 12

QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100


@dataclass(frozen=True, slots=True)
class Query:
    """A message that gets a reply.

    `question` is the question section octet for octet, empty if it cannot be read; `key` the
    name in lower case. `rcode` other than NOERROR says that nothing may be looked up.
    """

    id: bytes
    flags: int
    question: bytes
    key: bytes
    qtype: int
    qclass: int
    edns: Edns | None
    rcode: int


def parse_query(packet: bytes) -> Query | None:
    """The query in a packet, or None for silence (too short, or a response: RFC 1035 4.1.1).

    In the order of RFC 8906: opcode, counts, question, other records, EDNS version.
    """
    if len(packet) < HEADER or packet[2] & 0x80:
        return None
    flags = packet[2] << 8 | packet[3]
    if (flags >> 11) & 0xF != QUERY:
        return _refusal(packet, flags, NOTIMP)
    # One question, and nothing else will do (RFC 9619 section 4).
    if packet[4] or packet[5] != 1:
        return _refusal(packet, flags, FORMERR)
    try:
        end = wire_name.parse(packet, HEADER)
    except FormatError:
        return _refusal(packet, flags, FORMERR)
    if end + 4 > len(packet):
        return _refusal(packet, flags, FORMERR)
    edns: Edns | None = None
    rcode = NOERROR
    try:
        edns = _find_opt(packet, end + 4)
        if edns is not None and edns.version:
            rcode = BADVERS
        elif edns is not None and not edns.readable:
            rcode = FORMERR
    except FormatError:
        rcode = FORMERR
    return Query(
        id=packet[:2],
        flags=flags,
        question=packet[HEADER : end + 4],
        key=packet[HEADER:end].lower(),
        qtype=packet[end] << 8 | packet[end + 1],
        qclass=packet[end + 2] << 8 | packet[end + 3],
        edns=edns,
        rcode=rcode,
    )


def _refusal(packet: bytes, flags: int, rcode: int) -> Query:
    return Query(packet[:2], flags, b"", b"", 0, 0, None, rcode)


def _find_opt(packet: bytes, offset: int) -> Edns | None:
    """The OPT record among the records after the question; the others are only stepped over.

    It may stand anywhere in the additional section, once, and its owner is the root
    (RFC 6891 section 6.1.1). Raises FormatError.
    """
    before = (packet[6] << 8 | packet[7]) + (packet[8] << 8 | packet[9])
    total = before + (packet[10] << 8 | packet[11])
    found: Edns | None = None
    at = offset
    for number in range(total):
        start = at
        at = wire_name.skip(packet, at)
        if at + 10 > len(packet):
            raise FormatError("record is cut", at)
        rrtype = packet[at] << 8 | packet[at + 1]
        if rrtype == OPT:
            if number < before:
                raise FormatError("OPT outside the additional section", start)
            if found is not None:
                raise FormatError("two OPT records", start)
            if packet[start]:
                raise FormatError("the owner of OPT is not the root", start)
            found, at = opt.parse_opt(packet, start)
            continue
        if rrtype == TSIG and (number != total - 1 or number < before):
            raise FormatError("TSIG is not the last record", start)  # RFC 8945 section 5.1
        at += 10 + (packet[at + 8] << 8 | packet[at + 9])
        if at > len(packet):
            raise FormatError("record is longer than the message", start)
    return found
