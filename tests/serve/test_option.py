"""EDNS options of queries and replies, through the engine."""

from __future__ import annotations

from random import Random

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from gslb.core.setting import Cookies, Settings
from gslb.serve.python import PythonEngine

from sample import APEX, make_world

PEER = "150.7.7.7"
EVERYTHING = Settings(cookies=Cookies("/nowhere/cookies", (bytes(range(16)),)), nsid=b"ns1")


def wire(name: str, rrtype: str = "A", **more) -> bytes:
    return dns.message.make_query(f"{name}.{APEX}", rrtype, **more).to_wire()


def ask(engine: PythonEngine, packet: bytes, transport="udp") -> dns.message.Message:
    reply = engine.answer(packet, PEER, transport)
    assert reply is not None
    return dns.message.from_wire(reply)


@pytest.fixture
def engine() -> PythonEngine:
    return PythonEngine(make_world(), Random(7))


def options_of(reply: dns.message.Message) -> dict[int, bytes]:
    return {int(option.otype): option.to_wire() for option in reply.options}


def with_options(name: str, *options: tuple[int, bytes], rrtype: str = "A", **more) -> bytes:
    generic = [dns.edns.GenericOption(code, data) for code, data in options]
    return wire(name, rrtype, use_edns=0, options=generic, **more)


@pytest.fixture
def whole() -> PythonEngine:
    return PythonEngine(make_world(settings=EVERYTHING), Random(7), wall=lambda: 1e9)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_nsid_is_given_to_who_asks(whole: PythonEngine, transport) -> None:
    reply = ask(whole, with_options("www", (3, b"")), transport=transport)
    assert options_of(reply) == {3: b"ns1"}
    assert options_of(ask(whole, with_options("www"), transport=transport)) == {}


def test_no_nsid_is_no_option(engine: PythonEngine) -> None:
    assert options_of(ask(engine, with_options("www", (3, b"")))) == {}


def test_keepalive_is_told_over_tcp_only(whole: PythonEngine) -> None:
    packet = with_options("www", (11, b""))
    assert options_of(ask(whole, packet, transport="tcp")) == {11: b"\0\x64"}  # 10 s
    assert options_of(ask(whole, packet)) == {}


def test_padding_and_unknown_options_are_not_echoed(whole: PythonEngine) -> None:
    assert options_of(ask(whole, with_options("www", (12, bytes(30)), (100, b"x")))) == {}


def test_all_options_at_once(whole: PythonEngine) -> None:
    subnet = dns.edns.ECSOption("50.1.2.0", 24).to_wire()
    packet = with_options("www", (3, b""), (10, b"clientco"), (9, b""), (8, subnet), (11, b""))
    found = options_of(ask(whole, packet, transport="tcp"))
    assert found.keys() == {3, 8, 10, 11}
    assert found[10].startswith(b"clientco")


@pytest.mark.parametrize("size", [0, 1, 7, 9, 15, 41])
def test_a_cookie_of_a_wrong_length_is_a_format_error(whole: PythonEngine, size: int) -> None:
    reply = ask(whole, with_options("www", (10, bytes(size))))
    assert reply.rcode() == dns.rcode.FORMERR
    assert options_of(reply) == {}
    assert whole.stats()["cookies", "malformed"] == 1


def test_without_secrets_a_cookie_is_an_unknown_option(engine: PythonEngine) -> None:
    for data in (b"clientco", b"x"):
        reply = ask(engine, with_options("www", (10, data)))
        assert reply.rcode() == dns.rcode.NOERROR
        assert options_of(reply) == {}


def test_a_cookie_alone_may_be_asked_for(whole: PythonEngine, engine: PythonEngine) -> None:
    query = dns.message.Message(id=7)
    query.use_edns(0, options=[dns.edns.GenericOption(10, b"clientco")])
    reply = ask(whole, query.to_wire())
    assert reply.rcode() == dns.rcode.NOERROR
    assert not reply.question
    assert len(options_of(reply)[10]) == 24
    assert ask(engine, query.to_wire()).rcode() == dns.rcode.FORMERR


@pytest.mark.parametrize(
    ("packet", "rcode", "code", "text"),
    [
        (dns.message.make_query("example.org", "A", use_edns=0), "REFUSED", 20, b""),
        (dns.message.make_query(APEX, "A", "CH", use_edns=0), "REFUSED", 20, b"class IN only"),
        (dns.message.make_query(APEX, "AXFR", use_edns=0), "REFUSED", 18, b"no zone transfers"),
        (dns.message.make_query("example.org", "AXFR", use_edns=0), "REFUSED", 20, b""),
    ],
)
def test_a_refusal_says_why_to_who_reads_it(
    engine: PythonEngine, packet, rcode: str, code: int, text: bytes
) -> None:
    reply = ask(engine, packet.to_wire())
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert options_of(reply) == {15: code.to_bytes(2, "big") + text}
    packet.use_edns(False)
    assert ask(engine, packet.to_wire()).edns < 0


@pytest.mark.parametrize("opcode", [1, 2, 3, 4, 5, 6, 15])
def test_other_opcodes_get_opt_and_an_extended_error(engine: PythonEngine, opcode: int) -> None:
    query = dns.message.make_query(f"www.{APEX}", "A", use_edns=0)
    octets = bytearray(query.to_wire())
    octets[2] = opcode << 3
    reply = engine.answer(bytes(octets), PEER, "udp")
    assert reply is not None
    assert reply[2] >> 3 & 15 == opcode
    assert reply[3] & 15 == dns.rcode.NOTIMP
    assert reply.endswith(b"\0\x0f\0\2\0\x15")  # RFC 8914: 21, Not Supported


def test_what_is_for_people_goes_where_it_would_not_fit() -> None:
    settings = Settings(nsid=b"n" * 255)
    engine = PythonEngine(make_world(settings=settings), Random(7))
    name = ".".join(["x" * 60] * 4)
    options = [dns.edns.GenericOption(3, b"")]
    query = dns.message.make_query(name, "A", use_edns=0, payload=512, options=options)
    reply = engine.answer(query.to_wire(), PEER, "udp")
    assert reply is not None
    assert len(reply) <= 512
    assert options_of(dns.message.from_wire(reply)) == {}


def test_a_truncated_reply_keeps_cookie_and_subnet(whole: PythonEngine) -> None:
    subnet = dns.edns.ECSOption("50.1.2.0", 24).to_wire()
    packet = with_options("big", (10, b"clientco"), (8, subnet), rrtype="TXT", payload=512)
    reply = ask(whole, packet)
    assert reply.flags & dns.flags.TC
    assert options_of(reply).keys() == {8, 10}
    assert not reply.answer
