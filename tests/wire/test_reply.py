"""Composing replies: compression, truncation; dnspython reads all of it back."""

from __future__ import annotations

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from gslb.wire.message import QR
from gslb.wire.name import from_text, is_below
from gslb.wire.reply import EMPTY, compose_body, compose_reply, reply_flags
from gslb.wire.rrtype import CNAME, MX, NS, SOA, SRV, TXT, A
from hypothesis import given
from hypothesis import strategies as st

POOL = ["a.", "b.a.", "c.b.a.", "d.c.b.a.", "x.", "y.x.", "B.a.", "long-label-here.b.a."]
NAMES = st.sampled_from(POOL).map(from_text)


def rdata(rrtype: int, target: bytes) -> bytes:
    """Rdata with a name in it, or none."""
    match rrtype:
        case 2 | 5:
            return target
        case 15:
            return b"\0\x0a" + target
        case 33:
            return b"\0\1\0\2\0\x35" + target
        case 6:
            return target + target + bytes(20)
        case 16:
            return b"\4text"
        case _:
            return b"\x7f\0\0\1"


RECORDS = st.lists(
    st.tuples(
        st.one_of(st.none(), NAMES), st.sampled_from([A, NS, CNAME, MX, SOA, SRV, TXT]), NAMES
    ),
    max_size=6,
)


def read(question: bytes, body, limit: int = 65535, opt: bytes = b""):
    octets, cut = compose_reply(b"\0\1", QR, question, body, opt, limit)
    assert len(octets) <= limit
    return dns.message.from_wire(octets, one_rr_per_rrset=True), octets, cut


@given(NAMES, NAMES, RECORDS, RECORDS)
def test_what_is_composed_is_what_is_read(qname, anchor, answers, authority) -> None:
    if not is_below(qname.lower(), anchor.lower()):
        anchor = qname
    question = qname + b"\0\1\0\1"
    sections = [
        [(owner, rrtype, 300, (rdata(rrtype, name),)) for owner, rrtype, name in section]
        for section in (answers, authority)
    ]
    body = compose_body(len(qname), anchor.lower(), *sections)
    message, _, cut = read(question, body)
    assert not cut
    for section, got in zip(sections, (message.answer, message.authority), strict=True):
        wanted = [
            (
                dns.name.from_wire(owner if owner is not None else qname, 0)[0],
                rrtype,
                dns.rdata.from_wire("IN", rrtype, rdatas[0], 0, len(rdatas[0])),
            )
            for owner, rrtype, _, rdatas in section
        ]
        assert [(rrset.name, int(rrset.rdtype), rrset[0]) for rrset in got] == wanted


def test_a_body_is_good_for_every_name_of_the_same_length_below_the_anchor() -> None:
    anchor = from_text("b.a.")
    soa = (anchor, SOA, 60, (rdata(SOA, from_text("ns.b.a.")),))
    body = compose_body(len(from_text("xyz.b.a.")), anchor, authority=[soa])
    for name in ("xyz.b.a.", "pqr.b.a.", "XyZ.B.a."):
        message, octets, _ = read(from_text(name) + b"\0\1\0\1", body)
        assert message.authority[0].name == dns.name.from_text("b.a.")
        assert len(octets) < 12 + 12 + 60


def test_names_in_srv_rdata_are_not_compressed() -> None:
    target = from_text("c.b.a.")
    body = compose_body(len(target), target, [(None, SRV, 60, (rdata(SRV, target),))])
    assert target in body.octets


def test_optional_records_go_before_tc_is_set() -> None:
    name = from_text("b.a.")
    question = name + b"\0\2\0\1"
    ns = [(None, NS, 60, (from_text("n.b.a."),))]
    glue = [(from_text("n.b.a."), A, 60, (b"\1\2\3\4",))]
    optional = [(from_text("x."), A, 60, tuple(bytes((n, 2, 3, 4)) for n in range(40)))]
    body = compose_body(len(name), name, authority=ns, glue=glue, optional=optional)
    whole, octets, _ = read(question, body)
    assert len(whole.additional) == 41
    less, _, cut = read(question, body, len(octets) - 1)
    assert (len(less.authority), len(less.additional), cut) == (1, 1, False)
    none, _, cut = read(question, body, 12 + len(question) + body.required - 1)
    assert (len(none.authority), len(none.additional), cut) == (0, 0, True)
    assert none.flags & dns.flags.TC


def test_a_reply_without_a_question_is_a_header() -> None:
    octets, _ = compose_reply(b"\0\1", reply_flags(0x0100, 1, False), b"", EMPTY, b"", 512)
    assert octets == b"\0\1\x81\1" + bytes(8)
