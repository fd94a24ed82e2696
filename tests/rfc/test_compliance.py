"""The list of RFC 8906 section 8 as packets, in its order; ISC's public tests ask the same.

Each line is a command of dig there; here it goes by UDP and TCP, and every octet is read.
"""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from conversation import Server, opt, option, query, question, subnet
from strict import BADVERS, NOERROR, NOTIMP, SOA

DO, CD, AD, Z, RD = 0x8000, 0x10, 0x20, 0x40, 0x100
COOKIE = option(10, bytes.fromhex("2464c4abcf10c957"))


@dataclass(frozen=True)
class Line:
    """A command of the list: the packet, and what its reply must be."""

    section: str
    dig: str
    packet: bytes
    rcode: int = NOERROR
    answers: int = 1
    options: frozenset[int] = frozenset()
    do: bool = False


def soa(*records: bytes, flags: int = 0) -> bytes:
    return query("@", "SOA", *records, flags=flags)


HEADER_ONLY = query("@", "SOA", opcode=15, counts=(0, 0, 0, 0))[:12]
FOUR = opt(option(3), option(9), COOKIE, subnet("0.0.0.0/0"))
LINES = [
    Line("8.1.1", "+noedns +noad +norec SOA", soa()),
    Line("8.1.2", "+noedns +noad +norec TYPE1000", query("@", 1000), answers=0),
    Line("8.1.3.1", "+noedns +noad +norec +cd SOA", soa(flags=CD)),
    Line("8.1.3.2", "+noedns +noad +norec +ad SOA", soa(flags=AD)),
    Line("8.1.3.3", "+noedns +noad +norec +zflag SOA", soa(flags=Z)),
    Line("8.1.3.4", "+noedns +noad +rec SOA", soa(flags=RD)),
    Line("8.1.4", "+noedns +noad +norec +opcode=15 +header-only", HEADER_ONLY, NOTIMP, 0),
    Line("8.2.1", "+nocookie +edns=0 +noad +norec SOA", soa(opt())),
    Line("8.2.2", "+nocookie +edns=1 +noednsneg +norec SOA", soa(opt(version=1)), BADVERS, 0),
    Line("8.2.3", "+nocookie +edns=0 +norec +ednsopt=100 SOA", soa(opt(option(100)))),
    Line("8.2.4", "+nocookie +edns=0 +norec +ednsflags=0x80 SOA", soa(opt(flags=0x80))),
    Line(
        "8.2.5",
        "+nocookie +edns=1 +noednsneg +norec +ednsflags=0x80 SOA",
        soa(opt(version=1, flags=0x80)),
        BADVERS,
        0,
    ),
    Line(
        "8.2.6",
        "+nocookie +edns=1 +noednsneg +norec +ednsopt=100 SOA",
        soa(opt(option(100), version=1)),
        BADVERS,
        0,
    ),
    Line("8.2.8", "+nocookie +edns=0 +norec +dnssec SOA", soa(opt(flags=DO)), do=True),
    Line(
        "8.2.9",
        "+nocookie +edns=1 +noednsneg +norec +dnssec SOA",
        soa(opt(version=1, flags=DO)),
        BADVERS,
        0,
        do=True,
    ),
    Line(
        "8.2.10",
        "+edns=0 +norec +cookie +nsid +expire +subnet=0.0.0.0/0 SOA",
        soa(FOUR),
        options=frozenset((3, 8, 10)),
    ),
]


# 8.1.5 is each line over TCP.
@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("line", LINES, ids=[line.section for line in LINES])
def test_compliance_rfc_8906_section_8(server: Server, line: Line, transport: str) -> None:
    reply = server.says_by(transport, line.packet)
    assert reply.rcode == line.rcode, line.dig
    assert [record.type for record in reply.answer] == [SOA] * line.answers
    assert reply.question == (b"" if len(line.packet) == 12 else line.packet[12:][:18])
    assert reply.aa == (line.rcode == NOERROR)
    if reply.opt is not None:
        assert {code for code, _ in reply.opt.options} == line.options
        assert reply.opt.do == line.do


def test_compliance_rfc_8906_section_8_2_7_truncation(server: Server) -> None:
    """`dig +norec +dnssec +bufsize=512 +ignore`, here a name that is big without DNSSEC."""
    reply = server.ask("big", "TXT", opt(size=512, flags=DO))
    assert (reply.tc, reply.rcode, reply.answer) == (True, NOERROR, ())
    assert reply.opt is not None
    assert reply.opt.do
    assert reply.question == question("big", "TXT")
