"""Numbers of the DNS: RR types, classes, opcodes, rcodes, as plain ints.

Knows: the values this server treats in a special way (IANA "DNS Parameters").
Refuses to know: every other type; a type is an int, and unknown ones are data
(RFC 3597). Invariant: no enum, so that no registry has to be complete.
"""

from __future__ import annotations

from typing import Final

A: Final = 1
NS: Final = 2
CNAME: Final = 5
SOA: Final = 6
PTR: Final = 12
HINFO: Final = 13
MX: Final = 15
TXT: Final = 16
AAAA: Final = 28
SRV: Final = 33
DNAME: Final = 39
OPT: Final = 41
DS: Final = 43
RRSIG: Final = 46
NSEC: Final = 47
SVCB: Final = 64
HTTPS: Final = 65
TSIG: Final = 250
IXFR: Final = 251
AXFR: Final = 252
ANY: Final = 255
STEER: Final = 65282  # private use (RFC 6895 section 3.1); never served

IN: Final = 1

QUERY: Final = 0

NOERROR: Final = 0
FORMERR: Final = 1
SERVFAIL: Final = 2
NXDOMAIN: Final = 3
NOTIMP: Final = 4
REFUSED: Final = 5
NOTAUTH: Final = 9
BADVERS: Final = 16
BADCOOKIE: Final = 23  # RFC 7873 section 8

RCODE_TEXT: Final = {
    NOERROR: "NOERROR",
    FORMERR: "FORMERR",
    SERVFAIL: "SERVFAIL",
    NXDOMAIN: "NXDOMAIN",
    NOTIMP: "NOTIMP",
    REFUSED: "REFUSED",
    NOTAUTH: "NOTAUTH",
    BADVERS: "BADVERS",
    BADCOOKIE: "BADCOOKIE",
}

TYPE_TEXT: Final = {
    A: "A", NS: "NS", CNAME: "CNAME", SOA: "SOA", PTR: "PTR", HINFO: "HINFO", MX: "MX",
    TXT: "TXT", AAAA: "AAAA", SRV: "SRV", DNAME: "DNAME", OPT: "OPT", DS: "DS",
    RRSIG: "RRSIG", NSEC: "NSEC", SVCB: "SVCB", HTTPS: "HTTPS", ANY: "ANY", STEER: "STEER",
}  # fmt: skip


def type_text(rrtype: int) -> str:
    """The mnemonic of a type, or TYPE12345 (RFC 3597 section 5)."""
    return TYPE_TEXT.get(rrtype) or f"TYPE{rrtype}"


def type_number(text: str) -> int | None:
    """The number of a type written as mnemonic or TYPE12345; None if it is neither."""
    upper = text.upper()
    for number, name in TYPE_TEXT.items():
        if name == upper:
            return number
    if upper.startswith("TYPE") and upper[4:].isdigit() and int(upper[4:]) <= 0xFFFF:
        return int(upper[4:])
    return None
