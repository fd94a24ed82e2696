"""A signed query meets a server without keys (RFC 8945 section 5.2.1)."""

from __future__ import annotations

import dns.message
import dns.name
import dns.rcode
import dns.tsig
import pytest
from gslb.errors import FormatError
from gslb.serve.python import PythonEngine
from gslb.wire import tsig
from gslb.wire.message import parse_query
from hypothesis import given
from hypothesis import strategies as st

from sample import APEX, make_world

KEY = dns.tsig.Key("nobody.example.", b"0123456789abcdef", "hmac-sha256")


def signed(rrtype: str = "TXT", **more) -> bytes:
    query = dns.message.make_query(f"txt.{APEX}", rrtype, **more)
    query.use_tsig(KEY)
    return query.to_wire()


def answer(packet: bytes, transport="udp") -> bytes:
    reply = PythonEngine(make_world()).answer(packet, "192.0.2.1", transport)
    assert reply is not None
    return reply


@pytest.mark.parametrize("more", [{}, {"use_edns": 0}])
@pytest.mark.parametrize("rrtype", ["TXT", "AXFR"])
def test_nobody_has_that_key(rrtype: str, more: dict[str, int]) -> None:
    reply = answer(signed(rrtype, **more))
    with pytest.raises(dns.tsig.PeerBadKey):
        dns.message.from_wire(reply, keyring=KEY)
    assert reply[3] & 15 == dns.rcode.NOTAUTH
    assert not reply[2] & 4
    assert reply[6:10] == bytes(4)
    assert reply[11] == 1 + len(more)


def test_the_answer_has_the_names_the_time_and_the_id_of_the_query() -> None:
    query = parse_query(signed())
    assert query is not None
    assert query.signature is not None
    assert query.signature.key == KEY.name.to_wire()
    assert query.signature.algorithm == KEY.algorithm.to_wire()
    assert query.signature.original_id == int.from_bytes(query.id, "big")
    reply = answer(signed())
    at = reply.index(KEY.name.to_wire())
    again, end = tsig.parse_tsig(reply, at)
    assert end == len(reply)
    assert again._replace(original_id=0, time=b"") == query.signature._replace(
        original_id=0, time=b""
    )


@pytest.mark.parametrize("at", ["class", "ttl", "mac size", "other length", "rdlength"])
def test_a_signature_that_cannot_be_read_is_a_format_error(at: str) -> None:
    packet = bytearray(signed())
    name = KEY.name.to_wire()
    start = packet.index(name) + len(name)
    rdata = start + 10
    algorithm = len(KEY.algorithm.to_wire())
    place = {
        "class": start + 3,
        "ttl": start + 7,
        "mac size": rdata + algorithm + 8,
        "other length": len(packet) - 1,
        "rdlength": start + 9,
    }[at]
    packet[place] ^= 1
    assert answer(bytes(packet))[3] & 15 == dns.rcode.FORMERR


@given(st.binary(max_size=80), st.integers(0, 90))
def test_any_octets_are_a_signature_or_a_format_error(octets: bytes, offset: int) -> None:
    try:
        signature, end = tsig.parse_tsig(octets, offset)
    except FormatError:
        return
    assert offset + len(signature.key) < end <= len(octets)


def test_what_does_not_fit_is_left_out() -> None:
    long = ".".join(["k" * 60] * 4)
    key = dns.tsig.Key(long, b"0123456789abcdef", "hmac-sha256")
    query = dns.message.make_query(".".join(["q" * 60] * 4), "A")
    query.use_tsig(key)
    packet = query.to_wire()
    reply = answer(packet)
    assert len(reply) <= 512
    assert reply[3] & 15 == dns.rcode.NOTAUTH
    with pytest.raises(dns.tsig.PeerBadKey):
        dns.message.from_wire(answer(packet, "tcp"), keyring=key)
