"""Reading queries: OPT wherever it stands, and what is malformed."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from gslb.errors import FormatError
from gslb.wire import edns
from gslb.wire.message import MOST_READ, parse_query
from gslb.wire.rrtype import type_number, type_text
from hypothesis import given
from hypothesis import strategies as st

OPT = b"\0\0\x29\x04\xd0\0\0\0\0\0\0"
HEADER = b"\x12\x34\0\0\0\1\0\0\0\0\0"
QUESTION = b"\3www\0\0\1\0\1"
A_RECORD = b"\0\0\1\0\1\0\0\0\0\0\4\x7f\0\0\1"


def packet(*additional: bytes, authority: tuple[bytes, ...] = ()) -> bytes:
    counts = b"\0\1\0\0" + len(authority).to_bytes(2, "big") + len(additional).to_bytes(2, "big")
    return b"\x12\x34\0\0" + counts + QUESTION + b"".join((*authority, *additional))


@pytest.mark.parametrize("where", [(OPT,), (A_RECORD, OPT), (OPT, A_RECORD)])
def test_opt_may_stand_anywhere_in_the_additional_section(where: tuple[bytes, ...]) -> None:
    query = parse_query(packet(*where))
    assert query is not None
    assert query.rcode == 0
    assert query.edns == edns.Edns(1232, 0, False, None)


@pytest.mark.parametrize(
    "message",
    [
        packet(OPT, OPT),
        packet(authority=(OPT,)),
        packet(b"\1x" + OPT),  # the owner is not the root
        packet(OPT[:-1]),
        packet(OPT[:-1] + b"\x09"),  # longer than the message
        packet(OPT[:-2] + b"\0\3\0\x08\0"),  # an option that is cut
        packet(OPT[:-2] + b"\0\4\0\x08\0\x09"),  # an option longer than its record
        packet(A_RECORD[:-1]),
        packet(A_RECORD[:8]),
        packet(b"\xc0"),
        packet(b"\0\0\xfa\0\xff\0\0\0\0\0\0", OPT),  # TSIG that is not last
        packet()[:10] + b"\0\1" + QUESTION,  # a record that is not there
    ],
)
def test_broken_records_are_a_format_error_with_the_question_kept(message: bytes) -> None:
    query = parse_query(message)
    assert query is not None
    assert query.rcode == 1
    assert query.question == QUESTION


def test_surplus_records_are_ignored() -> None:
    query = parse_query(packet(A_RECORD, authority=(A_RECORD,)))
    assert query is not None
    assert query.rcode == 0


def test_what_no_query_needs_is_not_read() -> None:
    inside = packet(OPT, *[A_RECORD] * ((MOST_READ - len(packet(OPT))) // len(A_RECORD)))
    query = parse_query(inside)
    assert query is not None
    assert query.rcode == 0
    for beyond in (
        packet(OPT, *[A_RECORD] * 4000),
        packet(OPT, b"\1x" * 30_000),
        packet(OPT, OPT[:-2] + b"\xf0\0" + bytes(0xF000)),
    ):
        query = parse_query(beyond)
        assert query is not None
        assert query.rcode == 1
        assert (query.question, query.edns) == (QUESTION, edns.Edns(1232, 0, False))


def test_options_of_a_foreign_version_are_not_looked_into() -> None:
    bad_subnet = b"\0\0\x29\x04\xd0\0\1\0\0\0\5\0\x08\0\1\0"
    query = parse_query(packet(bad_subnet))
    assert query is not None
    assert query.rcode == 16


def test_of_two_client_subnets_the_first_counts() -> None:
    options = b"\0\x08\0\7\0\1\x18\0\xcb\0\x71" + b"\0\x08\0\7\0\1\x18\0\xc6\x33\x64"
    opt = OPT[:-2] + len(options).to_bytes(2, "big") + options
    query = parse_query(packet(opt))
    assert query is not None
    assert query.edns is not None
    assert query.edns.subnet == edns.ClientSubnet(1, 24, b"\xcb\0\x71", 0xCB007100)


def test_family_0_with_source_0_is_allowed() -> None:
    assert edns.parse_subnet(bytes(4)) == edns.ClientSubnet(0, 0, b"", 0)


@given(st.ip_addresses(), st.integers(0, 128), st.integers(0, 128))
def test_a_subnet_is_echoed_octet_for_octet(address, length: int, scope: int) -> None:
    length = min(length, address.max_prefixlen)
    option = dns.edns.ECSOption(str(address), length, 0)
    data = option.to_wire()
    subnet = edns.parse_subnet(data)
    composed = edns.compose_subnet(subnet, scope)
    assert composed[4:] == data[:3] + bytes((scope,)) + data[4:]
    assert int.from_bytes(composed[2:4], "big") == len(data)


@given(st.binary(max_size=40))
def test_any_option_data_is_a_subnet_or_a_format_error(data: bytes) -> None:
    try:
        subnet = edns.parse_subnet(data)
    except FormatError:
        return
    assert edns.compose_subnet(subnet, 0)[4:] == data


@given(st.binary(min_size=12, max_size=300))
def test_reading_never_raises(octets: bytes) -> None:
    parse_query(octets)
    parse_query(HEADER + b"\1" + QUESTION + octets)


@pytest.mark.parametrize("text", ["A", "aaaa", "TYPE65280", "svcb", "ANY"])
def test_types_are_written_as_dns_does(text: str) -> None:
    assert type_number(text) == int(dns.rdatatype.from_text(text))


def test_unknown_types_are_written_as_numbers() -> None:
    assert type_text(65280) == "TYPE65280"
    assert type_number("TYPE65536") is None
    assert type_number("nonsense") is None


def test_a_cookie_without_a_question_is_no_excuse_for_broken_records() -> None:
    cookie = OPT[:-2] + b"\0\x0c\0\x0a\0\x08clientco"
    head = b"\x12\x34\0\0\0\0\0\0\0\0\0"
    good, lie = parse_query(head + b"\1" + cookie), parse_query(head + b"\2" + cookie)
    assert good is not None
    assert lie is not None
    assert (good.rcode, lie.rcode) == (0, 1)
