"""Transaction signatures, as far as a server without keys has to know them (RFC 8945).

Knows: how a TSIG record looks, and the answer to one whose key nobody knows. Refuses to know:
keys, algorithms. Invariant: what is read here fills its record exactly.
"""

from __future__ import annotations

from struct import Struct
from typing import Final, NamedTuple

from gslb.errors import FormatError
from gslb.wire.name import parse
from gslb.wire.rrtype import TSIG

BADKEY: Final = 17  # section 3
_CLASS_ANY: Final = 255
_FIXED: Final = Struct("!HHIH")  # type, class, TTL, rdlength
_SIGNED: Final = Struct("!6sHH")  # time signed, fudge, MAC size
_REST: Final = Struct("!HHH")  # original id, error, other length


class Signature(NamedTuple):
    """The parts of a query's TSIG record that an error is answered with; names in wire form."""

    key: bytes
    algorithm: bytes
    time: bytes
    fudge: int
    original_id: int


def parse_tsig(packet: bytes, offset: int) -> tuple[Signature, int]:
    """(signature, offset after it) of the TSIG record at `offset` (section 4.2).

    Raises FormatError.
    """
    at = parse(packet, offset)
    key = packet[offset:at]
    if at + _FIXED.size > len(packet):
        raise FormatError("TSIG record is cut", offset)
    rrtype, rrclass, ttl, length = _FIXED.unpack_from(packet, at)
    if rrtype != TSIG or rrclass != _CLASS_ANY or ttl:
        raise FormatError("TSIG is not of class ANY with TTL 0", at)
    start = at + _FIXED.size
    stop = start + length
    if stop > len(packet):
        raise FormatError("TSIG record is longer than the message", start)
    at = parse(packet, start)
    algorithm = packet[start:at]
    if at + _SIGNED.size > stop:
        raise FormatError("TSIG record is cut", at)
    time, fudge, size = _SIGNED.unpack_from(packet, at)
    at += _SIGNED.size + size
    if at + _REST.size > stop:
        raise FormatError("MAC is longer than its TSIG record", at)
    original_id, _error, other = _REST.unpack_from(packet, at)
    if at + _REST.size + other != stop:
        raise FormatError("TSIG record has too few or too many octets", at)
    return Signature(key, algorithm, time, fudge, original_id), stop


def compose_bad_key(signature: Signature) -> bytes:
    """The unsigned TSIG record that says that nobody here has that key (section 5.3.2)."""
    rdata = (
        signature.algorithm
        + _SIGNED.pack(signature.time, signature.fudge, 0)
        + _REST.pack(signature.original_id, BADKEY, 0)
    )
    return signature.key + _FIXED.pack(TSIG, _CLASS_ANY, 0, len(rdata)) + rdata
