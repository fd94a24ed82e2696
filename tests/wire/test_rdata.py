"""Rdata for people: dnspython reads the same record back."""

from __future__ import annotations

import dns.rdata
import pytest
from gslb.wire.rdata import to_text
from hypothesis import given
from hypothesis import strategies as st

RECORDS = [
    ("A", "192.0.2.1"),
    ("AAAA", "2001:db8::1"),
    ("NS", "ns1.example.com."),
    ("CNAME", r"odd\.label.example."),
    ("MX", "10 mail.example.com."),
    ("SRV", "1 2 443 www.example.com."),
    ("TXT", r'"a \"quoted\" text" "and\001more"'),
    ("HINFO", '"RFC8482" ""'),
    ("SOA", "ns1.example. hostmaster.example. 2026112001 7200 900 1209600 60"),
    ("CAA", '0 issue "ca.example.net"'),
    ("TYPE65280", r"\# 3 010203"),
]


@pytest.mark.parametrize(("rrtype", "text"), RECORDS, ids=lambda v: v[:9])
def test_the_text_is_read_back_as_the_same_rdata(rrtype: str, text: str) -> None:
    rdata = dns.rdata.from_text("IN", rrtype, text)
    written = to_text(int(rdata.rdtype), rdata.to_wire())
    assert dns.rdata.from_text("IN", rrtype, written) == rdata


@given(st.integers(0, 65535), st.binary(max_size=60))
def test_any_octets_have_a_text(rrtype: int, octets: bytes) -> None:
    assert to_text(rrtype, octets).isprintable()
