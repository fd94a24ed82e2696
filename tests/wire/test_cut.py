"""Cutting a reply down: what stays is what a resolver needs to come again over TCP."""

import dns.edns
import dns.flags
import dns.message
import dns.rrset
import pytest
from gslb.errors import FormatError
from gslb.wire.cut import truncate
from hypothesis import given
from hypothesis import strategies as st


def reply_to(edns: bool, records: int = 40) -> dns.message.Message:
    options = [dns.edns.GenericOption(10, bytes(range(24)))] if edns else []
    query = dns.message.make_query("Www.Example.", "TXT", use_edns=edns, options=options, id=77)
    reply = dns.message.make_response(query)
    if edns:
        reply.use_edns(0, 0, 1232, options=options)
    reply.flags |= dns.flags.AA
    texts = [f'"{number} {"x" * 60}"' for number in range(records)]
    if records:
        reply.answer.append(dns.rrset.from_text("Www.Example.", 60, "IN", "TXT", *texts))
        reply.authority.append(dns.rrset.from_text("example.", 60, "IN", "NS", "ns.example."))
        reply.additional.append(dns.rrset.from_text("ns.example.", 60, "IN", "A", "192.0.2.1"))
    return reply


@pytest.mark.parametrize("edns", [True, False])
@pytest.mark.parametrize("records", [0, 40])
def test_header_question_and_opt_stay_and_tc_is_set(edns, records):
    whole = reply_to(edns, records)
    cut = dns.message.from_wire(truncate(whole.to_wire(max_size=65535)))
    assert cut.flags == whole.flags | dns.flags.TC
    assert (cut.id, cut.rcode()) == (whole.id, whole.rcode())
    assert (cut.answer, cut.authority, cut.additional) == ([], [], [])
    assert str(cut.question[0].name) == "Www.Example."
    assert (cut.edns, cut.options, cut.payload) == (whole.edns, whole.options, whole.payload)


def test_cutting_twice_is_cutting_once():
    once = truncate(reply_to(edns=True).to_wire(max_size=65535))
    assert truncate(once) == once


def test_a_reply_without_question_is_cut_to_its_header():
    reply = b"\x12\x34\x84" + bytes(9)
    assert truncate(reply) == b"\x12\x34\x86" + bytes(9)


def test_an_additional_record_that_is_no_opt_goes_too():
    whole = reply_to(edns=False).to_wire(max_size=65535)
    assert whole[10:12] == b"\x00\x01"
    assert truncate(whole)[6:12] == bytes(6)


@pytest.mark.parametrize(
    "damage",
    [
        lambda wire: wire[:-1],
        lambda wire: wire + b"\x00",
        lambda wire: wire[:11],
        lambda wire: wire[:20],
        lambda wire: wire[:4] + b"\x00\x02" + wire[6:],
        lambda wire: wire[:6] + b"\xff\xff" + wire[8:],
    ],
)
def test_what_is_no_reply_of_ours_is_refused(damage):
    with pytest.raises(FormatError):
        truncate(damage(reply_to(edns=True).to_wire(max_size=65535)))


@given(st.binary(max_size=80))
def test_any_octets_are_cut_or_refused_and_never_grow(octets):
    try:
        cut = truncate(octets)
    except FormatError:
        return
    assert len(cut) <= len(octets)
    assert cut[2] & 0x02
