"""A reply that breaks a promise is noticed."""

from __future__ import annotations

import dns.edns
import dns.message
import dns.rcode
import dns.rrset
import pytest
from dns.message import Message

from fuzz.promise import judge

NAME = "www.example.com."


def asked(payload: int = 1232, **more: object) -> Message:
    return dns.message.make_query(NAME, "A", id=7, use_edns=0, payload=payload, **more)


def answered(query: Message, *addresses: str, ttl: int = 60) -> Message:
    reply = dns.message.make_response(query, our_payload=1232)
    reply.answer = [dns.rrset.from_text(NAME, ttl, "IN", "A", *(addresses or ["192.0.2.1"]))]
    return reply


def test_a_right_reply_is_right() -> None:
    judge(asked().to_wire(), answered(asked()).to_wire(), "udp")


@pytest.mark.parametrize(
    ("at", "value", "complaint"),
    [
        (1, 8, "another id"),
        (2, 0x01, "not a response"),
        (2, 0xA1, "another opcode or RD"),
        (3, 0x80, "RA, Z, AD or CD"),
        (3, 0x05, "records beside an error"),
        (3, 0x02, "rcode SERVFAIL"),
        (2, 0x83, "records beside TC"),
        (13, 0x57, "another question"),
    ],
)
def test_a_wrong_octet_is_noticed(at: int, value: int, complaint: str) -> None:
    reply = bytearray(answered(asked()).to_wire())
    reply[at] = value
    with pytest.raises(AssertionError, match=complaint):
        judge(asked().to_wire(), bytes(reply), "udp")


def test_octets_behind_the_last_record_are_noticed() -> None:
    with pytest.raises(dns.message.TrailingJunk):
        judge(asked().to_wire(), answered(asked()).to_wire() + b"\0", "udp")


def test_silence_is_noticed_and_forgiven_to_a_limited_client_over_udp() -> None:
    packet = asked().to_wire()
    judge(packet, None, "udp", limited=True)
    for transport, limited in (("udp", False), ("tcp", True)):
        with pytest.raises(AssertionError, match="no reply"):
            judge(packet, None, transport, limited)


def test_a_reply_to_a_response_is_noticed() -> None:
    packet = answered(asked()).to_wire()
    judge(packet, None, "udp")
    with pytest.raises(AssertionError, match="a reply to what is no query"):
        judge(packet, packet, "udp")


def test_more_octets_than_the_client_takes_are_noticed() -> None:
    many = [f"192.0.2.{n}" for n in range(60)]
    small = asked(payload=600)
    reply = answered(small, *many).to_wire(max_size=1232)
    judge(small.to_wire(), reply, "tcp")
    with pytest.raises(AssertionError, match="longer than the client takes"):
        judge(small.to_wire(), reply, "udp")


def test_options_that_nobody_asked_for_are_noticed() -> None:
    reply = answered(asked())
    reply.use_edns(0, payload=1232, options=[dns.edns.NSIDOption(b"x")])
    with pytest.raises(AssertionError, match="an option that nobody asked for"):
        judge(asked().to_wire(), reply.to_wire(), "udp")


def test_another_client_subnet_is_noticed() -> None:
    query = asked(options=[dns.edns.ECSOption("192.0.2.0", 24)])
    reply = answered(query)
    reply.use_edns(0, payload=1232, options=[dns.edns.ECSOption("192.0.3.0", 24)])
    with pytest.raises(AssertionError):
        judge(query.to_wire(), reply.to_wire(), "udp")


def test_nxdomain_without_soa_is_noticed() -> None:
    reply = answered(asked())
    reply.set_rcode(dns.rcode.NXDOMAIN)
    with pytest.raises(AssertionError, match="NXDOMAIN without SOA"):
        judge(asked().to_wire(), reply.to_wire(), "udp")
