"""What holds of the reply to any octets at all (dns.md calls it INV); dnspython is the oracle."""

from __future__ import annotations

import logging

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.wire
from dns.rcode import Rcode
from gslb.serve.engine import Engine, Transport

HEADER = 12
PLAIN = 512  # RFC 1035 section 4.2.1
MAX_UDP = 1232  # `server.udp_size`, its default
MAX_TTL = 2**31 - 1

_EDE, _KEEPALIVE = 15, 11
_RECORDS = frozenset((Rcode.NOERROR, Rcode.NXDOMAIN))  # those that may come with records
_ERRORS = frozenset(
    (Rcode.FORMERR, Rcode.NOTIMP, Rcode.REFUSED, Rcode.NOTAUTH, Rcode.BADVERS, Rcode.BADCOOKIE)
)
_UNREAD = frozenset((Rcode.FORMERR, Rcode.NOTIMP))  # the question may not have been looked at


class _Subnet(dns.edns.ECSOption):
    """A client subnet, also one without a family (RFC 7871 section 6), which dnspython refuses."""

    @classmethod
    def from_wire_parser(cls, otype: object, parser: dns.wire.Parser) -> dns.edns.Option:
        if parser.remaining() == 4 and parser.wire[parser.current : parser.end] == bytes(4):
            return dns.edns.GenericOption(dns.edns.ECS, parser.get_remaining())
        return dns.edns.ECSOption.from_wire_parser(dns.edns.ECS, parser)


dns.edns.register_type(_Subnet, dns.edns.ECS)


class _Raise(logging.Handler):
    """What the engine catches and logs goes on to whoever asked."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info is not None and record.exc_info[1] is not None:
            raise record.exc_info[1]


_LOG = logging.getLogger("gslb.engine")
_RAISE = _Raise()


def answer(engine: Engine, packet: bytes, peer: str, transport: Transport) -> bytes | None:
    """The engine's reply; raises what it would have caught."""
    _LOG.addHandler(_RAISE)
    try:
        return engine.answer(packet, peer, transport)
    finally:
        _LOG.removeHandler(_RAISE)


def is_silent(packet: bytes) -> bool:
    """Whether a packet must not be answered: too short for a header, or a response."""
    return len(packet) < HEADER or bool(packet[2] & 0x80)


def judge(packet: bytes, reply: bytes | None, transport: Transport, limited: bool = False) -> None:
    """Raises if a reply breaks a promise; `limited` clients may meet silence over UDP."""
    if reply is None:
        assert is_silent(packet) or (limited and transport == "udp"), "no reply"
        return
    assert not is_silent(packet), "a reply to what is no query"
    _judge_header(packet, reply)
    message = dns.message.from_wire(_as_query(reply), keyring=False, one_rr_per_rrset=True)
    asked = dns.message.from_wire(
        _as_query(packet), keyring=False, ignore_trailing=True, continue_on_error=True
    )
    _judge_question(packet, reply, message)
    _judge_records(message, transport)
    _judge_edns(asked, message, transport)
    _judge_size(asked, reply, message, transport)


def _as_query(octets: bytes) -> bytes:
    """With opcode QUERY: dnspython knows more about UPDATE than we have to answer for."""
    return octets[:2] + bytes((octets[2] & 0x87,)) + octets[3:]


def _judge_header(packet: bytes, reply: bytes) -> None:
    assert reply[:2] == packet[:2], "another id"
    assert reply[2] & 0x80, "not a response"
    assert reply[2] & 0x79 == packet[2] & 0x79, "another opcode or RD"
    assert not reply[3] & 0xF0, "RA, Z, AD or CD"


def _judge_question(packet: bytes, reply: bytes, message: dns.message.Message) -> None:
    count = int.from_bytes(reply[4:6], "big")
    if not count:
        asks_cookie = packet[4:6] == b"\0\0" and _has_cookie(message)  # RFC 7873 section 5.4
        assert message.rcode() in _UNREAD or asks_cookie, "no question"
        return
    assert count == 1
    end = HEADER
    while reply[end]:
        end += 1 + reply[end]
    assert reply[: end + 5][HEADER:] == packet[HEADER : end + 5], "another question"


def _has_cookie(message: dns.message.Message) -> bool:
    return any(option.otype == dns.edns.COOKIE for option in message.options)


def _judge_records(message: dns.message.Message, transport: Transport) -> None:
    rcode = message.rcode()
    assert rcode in _RECORDS | _ERRORS, f"rcode {dns.rcode.to_text(rcode)}"
    sections = (message.answer, message.authority, message.additional)
    records = [record for section in sections for record in section]
    if message.flags & dns.flags.TC:
        assert transport == "udp", "TC over TCP"
        assert not records, "records beside TC"
    elif records:
        assert rcode in _RECORDS, "records beside an error"
    elif rcode in _RECORDS:
        is_empty = not message.question and _has_cookie(message)
        assert is_empty, "neither records nor a reason"
    ttls: dict[tuple[object, ...], int] = {}
    for section, found in enumerate(sections):
        seen = set()
        for record in found:
            key = (record.name, record.rdtype)
            assert record.ttl <= MAX_TTL
            assert ttls.setdefault((section, *key), record.ttl) == record.ttl, "two TTLs"
            assert (key, record[0]) not in seen, "a record twice"
            seen.add((key, record[0]))
    soas = [record for record in message.authority if record.rdtype == dns.rdatatype.SOA]
    assert len(soas) <= 1
    if rcode == Rcode.NXDOMAIN and records:
        assert soas, "NXDOMAIN without SOA"


def _judge_edns(
    asked: dns.message.Message, message: dns.message.Message, transport: Transport
) -> None:
    if message.edns < 0:
        # What could not be read has perhaps no OPT that could be found.
        assert asked.edns < 0 or asked.errors or message.rcode() in _UNREAD, "no OPT"
        return
    assert message.edns == 0
    assert not message.ednsflags & 0x7FFF, "EDNS flags"
    codes = [int(option.otype) for option in message.options]
    assert len(set(codes)) == len(codes), "an option twice"
    assert transport == "tcp" or _KEEPALIVE not in codes
    if not asked.errors:
        assert asked.edns >= 0, "OPT that nobody asked for"
        assert not (message.ednsflags ^ asked.ednsflags) & 0x8000, "DO"
        wanted = {int(option.otype) for option in asked.options}
        assert {*codes} <= wanted | {_EDE}, "an option that nobody asked for"
        _judge_subnet(asked, message)


def _judge_subnet(asked: dns.message.Message, message: dns.message.Message) -> None:
    """An option for an option: FAMILY, SOURCE and ADDRESS are the query's (RFC 7871 7.2.1)."""
    if message.rcode() not in _RECORDS:
        return
    subnets = [
        [o for o in m.options if isinstance(o, dns.edns.ECSOption)] for m in (asked, message)
    ]
    if not subnets[0]:
        return
    (given,) = subnets[1]
    assert (given.address, given.srclen) == (subnets[0][0].address, subnets[0][0].srclen)


def _judge_size(
    asked: dns.message.Message, reply: bytes, message: dns.message.Message, transport: Transport
) -> None:
    if transport == "tcp":
        return
    assert len(reply) <= (MAX_UDP if message.edns >= 0 else PLAIN), "too long"
    if len(reply) > PLAIN and asked.edns >= 0:
        assert len(reply) <= asked.payload, "longer than the client takes"
