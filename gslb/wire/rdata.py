"""Rdata in presentation form, for people (RFC 1035 section 5.1, RFC 3597 section 5).

Knows: the common types. Refuses to know: the others, which are written as unknown rdata.
Invariant: never raises; rdata that does not have its type's shape is written as unknown too.
"""

from __future__ import annotations

from ipaddress import ip_address

from gslb.wire.name import to_text as name_text
from gslb.wire.rrtype import AAAA, CNAME, DNAME, HINFO, MX, NS, PTR, SOA, SRV, TXT, A


def to_text(rrtype: int, rdata: bytes) -> str:
    """The presentation of one record's uncompressed rdata."""
    try:
        return _known(rrtype, rdata)
    except (ValueError, IndexError):
        return f"\\# {len(rdata)} {rdata.hex()}".rstrip()


def _known(rrtype: int, rdata: bytes) -> str:
    if rrtype in (A, AAAA):
        return str(ip_address(rdata))
    if rrtype in (NS, CNAME, PTR, DNAME):
        return name_text(rdata)
    if rrtype == MX:
        return f"{_number(rdata, 0)} {name_text(rdata[2:])}"
    if rrtype == SRV:
        numbers = " ".join(str(_number(rdata, at)) for at in (0, 2, 4))
        return f"{numbers} {name_text(rdata[6:])}"
    if rrtype in (TXT, HINFO):
        return " ".join(_strings(rdata))
    if rrtype == SOA:
        mname = name_text(rdata)
        rest = rdata[_length(rdata) :]
        timers = rest[_length(rest) :]
        fields = [str(int.from_bytes(timers[at : at + 4], "big")) for at in range(0, 20, 4)]
        return " ".join((mname, name_text(rest), *fields))
    raise ValueError("not a common type")


def _number(rdata: bytes, at: int) -> int:
    return int.from_bytes(rdata[at : at + 2], "big")


def _length(name: bytes) -> int:
    at = 0
    while name[at]:
        at += name[at] + 1
    return at + 1


def _strings(rdata: bytes) -> list[str]:
    found: list[str] = []
    at = 0
    while at < len(rdata):
        text = "".join(
            f"\\{chr(octet)}"
            if octet in b'"\\'
            else chr(octet)
            if 0x20 <= octet <= 0x7E
            else f"\\{octet:03d}"
            for octet in rdata[at + 1 : at + 1 + rdata[at]]
        )
        found.append(f'"{text}"')
        at += rdata[at] + 1
    return found
