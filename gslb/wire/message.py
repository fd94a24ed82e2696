"""A query as far as an authoritative server needs it (RFC 1035 section 4.1).

Knows: the header, one question, and where OPT and TSIG are. Refuses to know: zones, and
any other record of the query. Invariant: parsing never raises; what is wrong with a
message is its `rcode`, and None stands for a message that must be met with silence.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from gslb.errors import FormatError
from gslb.wire import edns as opt
from gslb.wire import name as wire_name
from gslb.wire.edns import Edns
from gslb.wire.rrtype import BADVERS, FORMERR, NOERROR, NOTAUTH, NOTIMP, OPT, QUERY, TSIG
from gslb.wire.tsig import Signature, parse_tsig

HEADER: Final = 12
# No query is that long; to step over all that fits into 64 KiB would take milliseconds.
MOST_READ: Final = 16 * 1024

QR: Final = 0x8000
AA: Final = 0x0400
TC: Final = 0x0200
RD: Final = 0x0100


class Query(NamedTuple):  # one for each query, as Edns
    """A message that gets a reply.

    `question` is the question section octet for octet, empty if it cannot be read; `key` the
    name in lower case. `rcode` other than NOERROR says that nothing may be looked up; without a
    question only a cookie is asked for (RFC 7873 section 5.4). `signature` is that of NOTAUTH.
    """

    id: bytes
    flags: int
    question: bytes
    key: bytes
    qtype: int
    qclass: int
    edns: Edns | None
    rcode: int
    signature: Signature | None = None


def parse_query(packet: bytes) -> Query | None:
    """The query in a packet, or None for silence (too short, or a response: RFC 1035 4.1.1).

    In the order of RFC 8906: opcode, counts, question, other records, EDNS version. Whatever
    is wrong, the question and OPT are there if they can be read, so that the reply has them.
    What needs more than MOST_READ octets is cut there, and so malformed.
    """
    packet = packet[:MOST_READ]
    if len(packet) < HEADER or packet[2] & 0x80:
        return None
    flags = packet[2] << 8 | packet[3]
    count = packet[4] << 8 | packet[5]
    end = HEADER
    question, key, qtype, qclass = b"", b"", 0, 0
    edns: Edns | None = None
    rcode = NOERROR
    if (flags >> 11) & 0xF != QUERY:
        rcode = NOTIMP
    elif count != 1:  # one question, and nothing else will do (RFC 9619 section 4)
        rcode = FORMERR
    signature: Signature | None = None
    try:
        if count == 1:
            stop = wire_name.parse(packet, HEADER)
            end = stop + 4
            if end > len(packet):
                raise FormatError("question is cut", stop)
            question, key = packet[HEADER:end], packet[HEADER:stop].lower()
            qtype = packet[stop] << 8 | packet[stop + 1]
            qclass = packet[stop + 2] << 8 | packet[stop + 3]
        if count <= 1:
            edns, signature, readable = _read_records(packet, end)
            rcode = rcode or _judge(edns, signature, readable)
            has_cookie = edns is not None and edns.cookie is not None
            if rcode == FORMERR and not count and has_cookie and readable:
                rcode = NOERROR
    except FormatError:
        rcode = rcode or FORMERR
    return Query(packet[:2], flags, question, key, qtype, qclass, edns, rcode, signature)


def _judge(edns: Edns | None, signature: Signature | None, readable: bool) -> int:
    """The rcode that the records after the question lead to."""
    if edns is not None and edns.version:
        return BADVERS
    if not readable:
        return FORMERR
    # Whoever has no keys knows none (RFC 8945 section 5.2.1).
    return NOTAUTH if signature is not None else NOERROR


def _read_records(packet: bytes, offset: int) -> tuple[Edns | None, Signature | None, bool]:
    """(OPT, TSIG, whether all can be read) of the records after the question.

    OPT may stand anywhere in the additional section, once, and its owner is the root
    (RFC 6891 section 6.1.1). The other records are only stepped over.
    """
    before = (packet[6] << 8 | packet[7]) + (packet[8] << 8 | packet[9])
    total = before + (packet[10] << 8 | packet[11])
    found: Edns | None = None
    signature: Signature | None = None
    at = offset
    try:
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
            elif rrtype == TSIG:
                if number != total - 1 or number < before:
                    raise FormatError("TSIG is not the last record", start)  # RFC 8945 5.2
                signature, at = parse_tsig(packet, start)
            else:
                at += 10 + (packet[at + 8] << 8 | packet[at + 9])
                if at > len(packet):
                    raise FormatError("record is longer than the message", start)
    except FormatError:
        return found, None, False
    return found, signature, found is None or found.readable
