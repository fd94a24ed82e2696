"""A reply cut down to what always gets through.

Knows: what a truncated reply keeps (RFC 2181 section 9, RFC 6891 section 7). Refuses to know:
why it has to be short. Invariant: only for replies of ours: one question at most, and OPT, if
there, is the last record; anything else is refused, never guessed.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from gslb.errors import FormatError
from gslb.wire.message import HEADER, TC
from gslb.wire.name import skip
from gslb.wire.rrtype import OPT

_COUNTS: Final = Struct("!HHHHH")  # flags, then the four counts
_FIXED: Final = 10  # octets of a record between its owner and its rdata


def truncate(reply: bytes) -> bytes:
    """The same header with TC set, the question, and OPT; no other record.

    Raises FormatError if this is no reply of ours.
    """
    if len(reply) < HEADER:
        raise FormatError("no whole header", 0)
    flags, questions, answers, authority, additional = _COUNTS.unpack_from(reply, 2)
    if questions > 1:
        raise FormatError("more than one question", HEADER)
    after_question = HEADER
    if questions:
        after_question = skip(reply, HEADER) + 4
    last, rrtype, end = _walk(reply, after_question, answers + authority + additional)
    if end != len(reply):
        raise FormatError("the counts do not fit the octets", end)
    opt = reply[last:] if additional and rrtype == OPT and reply[last] == 0 else b""
    head = _COUNTS.pack(flags | TC, questions, 0, 0, 1 if opt else 0)
    return b"".join((reply[:2], head, reply[HEADER:after_question], opt))


def _walk(reply: bytes, at: int, count: int) -> tuple[int, int, int]:
    """(start of the last record, its type, the offset after it)."""
    start, rrtype = at, 0
    for _ in range(count):  # each is eleven octets or more, so the end comes soon
        start = at
        fixed = skip(reply, at)
        at = fixed + _FIXED
        if at > len(reply):
            raise FormatError("record is cut", start)
        rrtype = reply[fixed] << 8 | reply[fixed + 1]
        at += reply[at - 2] << 8 | reply[at - 1]
        if at > len(reply):
            raise FormatError("rdata is cut", start)
    return start, rrtype, at
